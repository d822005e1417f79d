"""CD-k in eager torch for Bernoulli, Gaussian, rectified and softmax units: in place where torch allows it.

Noise is drawn by `uniform_`, `normal_` and `exponential_` into buffers that live on; data and model phase are stacked,
so that the gradient is one `addmm_`, as in torch_cd.py.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rbmx.bench.task import CDTask, Images
from rbmx.params import RBMParams
from rbmx.units import UnitType

__all__ = ["TorchUnitsLoop", "build"]

LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def means(unit: UnitType, x: Tensor) -> Tensor:
    """E[s | x] of hidden units, in place where it can be."""
    if unit.name == "bernoulli":
        return x.sigmoid_()
    if unit.name == "gaussian":
        return x
    return x + torch.exp(-0.5 * x * x - LOG_ROOT_2PI - torch.special.log_ndtr(x))


def sample(unit: UnitType, x: Tensor, noise: Tensor) -> Tensor:
    """s ~ p(s | x); x is overwritten."""
    if unit.name == "gaussian":
        return x.add_(noise.normal_())
    if unit.name == "relu":
        below = torch.special.ndtr(x).mul_(noise.uniform_()).clamp_(min=1e-30)
        return x.sub_(torch.special.ndtri(below)).clamp_(min=0)
    groups = unit.variables(x.shape[1])
    drawn = x.sigmoid()
    torch.lt(noise.uniform_(), drawn, out=drawn)
    for first, size in groups.tolist():
        part = x[:, first : first + size]
        race = torch.empty_like(part).exponential_().log_()
        drawn[:, first : first + size] = torch.nn.functional.one_hot((part - race).argmax(1), size)
    return drawn


class TorchUnitsLoop:
    label = "torch, eager"
    persistent = False

    def __init__(self, task: CDTask, images: Images) -> None:
        torch.set_num_threads(task.threads)
        torch.manual_seed(task.seed)
        start = task.initial()
        self.task, self.start = task, start
        self.visible, self.hidden = start.visible_unit, start.hidden_unit
        self.images = torch.from_numpy(images).float()
        self.weight = torch.from_numpy(start.weight)
        self.visible_bias = torch.from_numpy(start.visible_bias)
        self.hidden_bias = torch.from_numpy(start.hidden_bias)
        batch = task.batch_size
        self.means = torch.empty(2 * batch, task.n_hidden)
        self.units = torch.empty(2 * batch, task.n_visible)
        self.inputs = torch.empty(batch, task.n_hidden)
        self.down = torch.empty(batch, task.n_visible)
        self.hidden_noise = torch.empty(batch, task.n_hidden)
        self.visible_noise = torch.empty(batch, task.n_visible)

    def train(self, first: int, last: int) -> None:
        with torch.inference_mode():
            for row in range(first, last, self.task.batch_size):
                self.step(self.images[row : row + self.task.batch_size])

    def step(self, data: Tensor) -> None:
        batch = len(data)
        rate = self.task.learning_rate / batch
        upward = self.weight.t()
        torch.addmm(self.hidden_bias, data, upward, out=self.inputs)
        self.means[:batch] = means(self.hidden, self.inputs.clone())
        visible = data
        for _ in range(self.task.k):
            h = sample(self.hidden, self.inputs, self.hidden_noise)
            torch.addmm(self.visible_bias, h, self.weight, out=self.down)
            visible = sample(self.visible, self.down, self.visible_noise)
            torch.addmm(self.hidden_bias, visible, upward, out=self.inputs)
        torch.neg(means(self.hidden, self.inputs), out=self.means[batch:])
        self.units[:batch], self.units[batch:] = data, visible
        self.weight.addmm_(self.means.t(), self.units, alpha=rate)
        self.hidden_bias.add_(self.means.sum(0), alpha=rate)
        self.visible_bias.add_(data.sum(0), alpha=rate).sub_(visible.sum(0), alpha=rate)

    def params(self) -> RBMParams:
        return self.start


build = TorchUnitsLoop
