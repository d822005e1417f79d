"""The `rbms` package: its own sampling, gradient and torch optimizer, called as its training loop does.

Left out of that loop, so that the work is the same: centring, the division by the gradient's norm, and
the archive it writes. The positive phase's hidden sample starts the chains instead of a second one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from rbms.bernoulli_bernoulli.classes import BBRBM

from rbmx.bench.task import CDTask
from rbmx.params import RBMParams

__all__ = ["RbmsLoop", "build"]


class RbmsLoop:
    label = "rbms"
    persistent = False

    def __init__(self, task: CDTask, images: npt.NDArray[np.uint8]) -> None:
        torch.set_num_threads(task.threads)
        torch.manual_seed(task.seed)
        start = task.initial()
        self.task = task
        self.images = torch.from_numpy(images.astype(np.float32))
        self.model = BBRBM(
            torch.from_numpy(np.ascontiguousarray(start.weight.T)),
            torch.from_numpy(start.visible_bias),
            torch.from_numpy(start.hidden_bias),
        )
        for parameter in self.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=task.learning_rate, maximize=True)

    @torch.no_grad()
    def train(self, first: int, last: int) -> None:
        for row in range(first, last, self.task.batch_size):
            images = self.images[row : row + self.task.batch_size]
            data = self.model.init_chains(len(images), start_v=images)
            chains = self.model.sample_state(chains=dict(data), n_steps=self.task.k, beta=1.0)
            self.model.compute_gradient(data=data, chains=chains, centered=False)
            self.optimizer.step()

    def params(self) -> RBMParams:
        return RBMParams(
            np.ascontiguousarray(self.model.weight_matrix.numpy().T),
            self.model.vbias.numpy(),
            self.model.hbias.numpy(),
        )


build = RbmsLoop
