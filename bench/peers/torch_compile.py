"""The CD-k step of torch through `torch.compile` (its C++ back end needs a compiler).

The generator stays outside: drawn inside, inductor's own took three times as long. Whole 64-bit
draws are read as two 32-bit ones, and the compiled code turns them into uniform numbers.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from peers.torch_cd import TorchLoop
from rbmx.bench.task import CDTask

__all__ = ["CompiledTorchLoop", "build"]


def _contrastive_divergence(
    data: Tensor,
    weight: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    hidden_noise: Tensor,
    visible_noise: Tensor,
    rate: float,
) -> None:
    """One step in place; the noise has one leading entry per Gibbs step."""
    data_mean = torch.sigmoid(torch.addmm(hidden_bias, data, weight.t()))
    mean = data_mean
    for draw_hidden, draw_visible in zip(hidden_noise, visible_noise, strict=True):
        hidden = (draw_hidden.float() * 2.0**-32 + 0.5 < mean).float()
        visible_mean = torch.sigmoid(torch.addmm(visible_bias, hidden, weight))
        visible = (draw_visible.float() * 2.0**-32 + 0.5 < visible_mean).float()
        mean = torch.sigmoid(torch.addmm(hidden_bias, visible, weight.t()))
    means, units = torch.cat([data_mean, -mean]), torch.cat([data, visible])
    weight.addmm_(means.t(), units, alpha=rate)
    hidden_bias.add_((data_mean - mean).sum(0), alpha=rate)
    visible_bias.add_((data - visible).sum(0), alpha=rate)


class CompiledTorchLoop(TorchLoop):
    label = "torch.compile"

    def __init__(self, task: CDTask, images: npt.NDArray[np.uint8]) -> None:
        if not any(map(shutil.which, ("g++", "c++", "clang++"))):
            raise NotImplementedError("torch.compile: no C++ compiler found")
        super().__init__(task, images)
        k, batch = task.k, task.batch_size
        n_hidden = k * batch * task.n_hidden
        total = k * batch * (task.n_hidden + task.n_visible)
        self.draws = torch.empty((total + 1) // 2, dtype=torch.int64)
        halves = self.draws.view(torch.int32)[:total]
        self.hidden_draws = halves[:n_hidden].view(k, batch, task.n_hidden)
        self.visible_draws = halves[n_hidden:].view(k, batch, task.n_visible)
        self.compiled: Callable[..., None] = torch.compile(_contrastive_divergence, dynamic=False)

    def step(self, data: Tensor) -> None:
        self.draws.random_(-(2**63), None)
        self.compiled(
            data,
            self.weight,
            self.visible_bias,
            self.hidden_bias,
            self.hidden_draws,
            self.visible_draws,
            self.task.learning_rate / len(data),
        )


build = CompiledTorchLoop
