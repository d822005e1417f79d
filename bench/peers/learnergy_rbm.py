"""The `learnergy` package: `RBM.fit` on a TensorDataset, the one way its documentation trains.

Its loop differentiates free energies by autograd, takes rows one by one from a DataLoader that shuffles,
and computes a pseudo-likelihood for every batch; none of it can be turned off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from learnergy.models.bernoulli import RBM
from torch.utils.data import TensorDataset

from rbmx.bench.task import CDTask
from rbmx.params import RBMParams

__all__ = ["LearnergyLoop", "build"]


class LearnergyLoop:
    label = "learnergy"
    persistent = False

    def __init__(self, task: CDTask, images: npt.NDArray[np.uint8]) -> None:
        torch.set_num_threads(task.threads)
        torch.manual_seed(task.seed)
        start = task.initial()
        self.task = task
        self.images = torch.from_numpy(images.astype(np.float32))
        self.labels = torch.zeros(len(images))
        self.model = RBM(task.n_visible, task.n_hidden, steps=task.k, learning_rate=task.learning_rate)
        with torch.no_grad():
            self.model.W.copy_(torch.from_numpy(start.weight.T))
            self.model.a.copy_(torch.from_numpy(start.visible_bias))
            self.model.b.copy_(torch.from_numpy(start.hidden_bias))

    def train(self, first: int, last: int) -> None:
        rows = TensorDataset(self.images[first:last], self.labels[first:last])
        self.model.fit(rows, batch_size=self.task.batch_size, epochs=1)

    def params(self) -> RBMParams:
        return RBMParams(
            np.ascontiguousarray(self.model.W.detach().numpy().T),
            self.model.a.detach().numpy(),
            self.model.b.detach().numpy(),
        )


build = LearnergyLoop
