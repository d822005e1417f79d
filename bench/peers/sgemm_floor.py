"""The matrix products of one CD-k step and nothing else: no dense loop can be faster than this.

No biases, sigmoids, random numbers or comparisons; the operands are those of `numpy_cd` (real
images, a fixed hidden sample, weights of the same shape), the calls too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from peers.numpy_cd import accumulate
from rbmx.bench.task import CDTask

__all__ = ["SgemmFloor", "build"]


class SgemmFloor:
    label = "bare sgemm calls"
    persistent = False

    def __init__(self, task: CDTask, images: npt.NDArray[np.uint8]) -> None:
        rng = np.random.default_rng(task.seed)
        self.task = task
        self.images = images.astype(np.float32)
        self.weight = np.ascontiguousarray(task.initial().weight.T)
        shape = (2 * task.batch_size, task.n_hidden)
        self.means = (rng.random(shape) < 0.2).astype(np.float32)
        self.hidden_out = np.zeros((task.batch_size, task.n_hidden), np.float32)
        self.visible_out = np.zeros((task.batch_size, task.n_visible), np.float32)
        self.units = self.images[: 2 * task.batch_size].copy()

    def train(self, first: int, last: int) -> None:
        hidden = self.means[: self.task.batch_size]
        visible = self.units[: self.task.batch_size]
        for row in range(first, last, self.task.batch_size):
            data = self.images[row : row + self.task.batch_size]
            accumulate(data, self.weight, self.hidden_out)
            for _ in range(self.task.k):
                accumulate(hidden, self.weight.T, self.visible_out)
                accumulate(visible, self.weight, self.hidden_out)
            accumulate(self.units.T, self.means, self.weight, scale=1e-9)

    def params(self) -> None:
        return None


build = SgemmFloor
