"""`rbmx.train` on packed bits, where engine="auto" takes the exact sums of rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

import rbmx
from rbmx.bench.task import CDTask, Images
from rbmx.bits import PackedBits
from rbmx.params import RBMParams

__all__ = ["RbmxLoop", "build"]


class RbmxLoop:
    label = "rbmx"
    persistent = False
    engine: Literal["auto", "blas", "reference"] = "auto"
    reproducible = False

    def __init__(self, task: CDTask, images: Images) -> None:
        rbmx.set_num_threads(task.threads)
        self.weights = task.initial()
        self.rows = self.prepare(images)
        self.config = rbmx.TrainConfig(
            centering=0.0,
            epochs=1,
            batch_size=task.batch_size,
            sampler=rbmx.CD(task.k),
            optimizer=rbmx.SGD(lr=task.learning_rate),
            shuffle=False,
            seed=task.noise_seed,
            engine=self.engine,
            reproducible=self.reproducible,
            monitor_rows=1,
            visible_bias="keep",
        )

    def prepare(self, images: Images) -> PackedBits | npt.NDArray[np.float32]:
        """The images as the engine takes them."""
        return PackedBits.pack(images)

    def train(self, first: int, last: int) -> None:
        rbmx.train(self.weights, self.rows[first:last], self.config, progress=False)
        # A call without the state of the last one would repeat its random numbers.
        self.config = replace(self.config, seed=self.config.seed + 1)

    def params(self) -> RBMParams:
        return self.weights


build = RbmxLoop
