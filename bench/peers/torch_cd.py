"""The fastest CD-k loop we could write in eager torch: in place, `out=`, inference mode.

One `uniform_` call draws for the whole step: per number it takes 4 ns, `bernoulli` 14 and
`exponential_` 22. Data and model phase are stacked, so the gradient is one `addmm_`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rbmx.bench.task import CDTask
from rbmx.params import RBMParams

__all__ = ["TorchLoop", "build"]


class TorchLoop:
    label = "torch, eager"
    persistent = False

    def __init__(self, task: CDTask, images: npt.NDArray[np.uint8]) -> None:
        torch.set_num_threads(task.threads)
        torch.manual_seed(task.seed)
        start = task.initial()
        self.task = task
        self.images = torch.from_numpy(images.astype(np.float32))
        self.weight = torch.from_numpy(start.weight)
        self.visible_bias = torch.from_numpy(start.visible_bias)
        self.hidden_bias = torch.from_numpy(start.hidden_bias)
        batch, n_visible, n_hidden = task.batch_size, task.n_visible, task.n_hidden
        self.means = torch.empty(2 * batch, n_hidden)
        self.units = torch.empty(2 * batch, n_visible)
        self.hidden = torch.empty(batch, n_hidden)
        self.visible_mean = torch.empty(batch, n_visible)
        self.noise = torch.empty(batch * (n_hidden + n_visible))
        self.hidden_noise = self.noise[: batch * n_hidden].view(batch, n_hidden)
        self.visible_noise = self.noise[batch * n_hidden :].view(batch, n_visible)

    def train(self, first: int, last: int) -> None:
        with torch.inference_mode():
            for row in range(first, last, self.task.batch_size):
                self.step(self.images[row : row + self.task.batch_size])

    def step(self, data: Tensor) -> None:
        batch = len(data)
        rate = self.task.learning_rate / batch
        data_mean, model_mean = self.means[:batch], self.means[batch:]
        visible = self.units[batch:]
        upward = self.weight.t()
        torch.addmm(self.hidden_bias, data, upward, out=data_mean).sigmoid_()
        mean = data_mean
        for _ in range(self.task.k):
            self.noise.uniform_()
            torch.lt(self.hidden_noise, mean, out=self.hidden)
            torch.addmm(self.visible_bias, self.hidden, self.weight, out=self.visible_mean)
            torch.lt(self.visible_noise, self.visible_mean.sigmoid_(), out=visible)
            torch.addmm(self.hidden_bias, visible, upward, out=model_mean).sigmoid_()
            mean = model_mean
        model_mean.neg_()
        self.units[:batch].copy_(data)
        self.weight.addmm_(self.means.t(), self.units, alpha=rate)
        self.hidden_bias.add_(self.means.sum(0), alpha=rate)
        self.visible_bias.add_(data.sum(0), alpha=rate).sub_(visible.sum(0), alpha=rate)

    def params(self) -> RBMParams:
        return RBMParams(self.weight.numpy(), self.visible_bias.numpy(), self.hidden_bias.numpy())


build = TorchLoop
