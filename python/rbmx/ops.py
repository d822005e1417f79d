"""Sampling and contrastive divergence as torch operators: opaque to torch.compile and torch.export.

An operator is a pure function of its tensors. Its noise is named by `key`, an int64 scalar that holds the 64 bits of an
rbmx.Key, so that a compiled or exported program draws fresh noise in each run and the same noise as an eager one.
float32 parameters on the CPU go to the native kernels on their own memory; others run through torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.library import custom_op

from rbmx import torch_units
from rbmx.backends import Rows, as_array, backend_for
from rbmx.backends.reference import HIDDEN_STREAM, VISIBLE_STREAM
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key, Purpose
from rbmx.units import unit_type
from rbmx.units.base import Real

__all__ = [
    "as_key",
    "as_rows",
    "as_tensor",
    "contrastive_divergence",
    "fold_in",
    "gibbs",
    "half_step",
    "key_tensor",
    "noise_key",
    "runs_natively",
]


def runs_natively(*parameters: Tensor) -> bool:
    """Whether the kernels can work on the parameters' own memory."""
    return all(p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous() for p in parameters)


def as_rows(values: Tensor) -> Rows:
    """(rows, units) as packed bits where all are 0 and 1, else as float32."""
    array = values.detach().cpu().to(torch.float32).contiguous().numpy()
    if array.ndim != 2:
        raise ValueError(f"expected (rows, units), got {tuple(values.shape)}")
    binary = bool(np.all((array == 0) | (array == 1)))
    return PackedBits.pack(array) if binary else array


def as_tensor(rows: Rows) -> Tensor:
    """Rows as a float32 tensor of zeros and ones, or of values."""
    return torch.from_numpy(as_array(rows))


# keys


def key_tensor(key: Key) -> Tensor:
    """The 64 bits of a key as an int64 scalar."""
    return torch.tensor(key.seed - (key.seed >> 63 << 64), dtype=torch.int64, device="cpu")


def as_key(words: Tensor) -> Key:
    """The key that key_tensor was given."""
    return Key(int(words) & (1 << 64) - 1)


@custom_op("rbmx::fold_in", mutates_args=())
def fold_in(key: Tensor, n: int) -> Tensor:
    """Key.fold_in(n)."""
    return key_tensor(as_key(key).fold_in(n))


@fold_in.register_fake
def _(key: Tensor, n: int) -> Tensor:
    return torch.empty((), dtype=torch.int64, device="cpu")


@custom_op("rbmx::noise_key", mutates_args=())
def noise_key(seed: Tensor, counter: Tensor) -> Tensor:
    """The key of the call of that number under a seed."""
    return key_tensor(as_key(seed).fold_in(Purpose.SAMPLING).fold_in(int(counter)))


@noise_key.register_fake
def _(seed: Tensor, counter: Tensor) -> Tensor:
    return torch.empty((), dtype=torch.int64, device="cpu")


# operators: `parameters` are weight, visible bias, hidden bias and, where they are learned, log variances


@custom_op("rbmx::half_step", mutates_args=())
def half_step(given: Tensor, parameters: Sequence[Tensor], key: Tensor, side: str, visible: str, hidden: str) -> Tensor:
    """One side drawn given the other: "hidden", h ~ p(h | v), or "visible", v ~ p(v | h); (rows, units)."""
    if not runs_natively(*parameters):
        sampler = _TorchSampler(parameters, visible, hidden)
        draws = Draws(as_key(key), 0, 0, HIDDEN_STREAM if side == "hidden" else VISIBLE_STREAM)
        return sampler.hidden(given, draws) if side == "hidden" else sampler.visible(given, draws)
    params = _params(parameters, visible, hidden)
    backend = backend_for(params)
    draw = backend.sample_hidden if side == "hidden" else backend.sample_visible
    return as_tensor(draw(params, as_rows(given), as_key(key)))


@half_step.register_fake
def _(given: Tensor, parameters: Sequence[Tensor], key: Tensor, side: str, visible: str, hidden: str) -> Tensor:
    weight = parameters[0]
    return weight.new_empty((*given.shape[:-1], weight.shape[0 if side == "hidden" else 1]))


@custom_op("rbmx::gibbs", mutates_args=())
def gibbs(v: Tensor, parameters: Sequence[Tensor], key: Tensor, steps: int, visible: str, hidden: str) -> Tensor:
    """v after `steps` times h ~ p(h | v), v ~ p(v | h), (rows, n_visible)."""
    if runs_natively(*parameters):
        params = _params(parameters, visible, hidden)
        return as_tensor(backend_for(params).gibbs(params, as_rows(v), steps, as_key(key)))
    return _TorchSampler(parameters, visible, hidden).gibbs(v.to(parameters[0], copy=True), steps, as_key(key))


@gibbs.register_fake
def _(v: Tensor, parameters: Sequence[Tensor], key: Tensor, steps: int, visible: str, hidden: str) -> Tensor:
    return parameters[0].new_empty(v.shape)


@custom_op("rbmx::contrastive_divergence", mutates_args=())
def contrastive_divergence(
    v: Tensor, parameters: Sequence[Tensor], key: Tensor, k: int, visible: str, hidden: str
) -> list[Tensor]:
    """The CD-k gradients of the negative log-likelihood, mean over rows, one for each of `parameters`."""
    if runs_natively(*parameters):
        params = _params(parameters, visible, hidden)
        sums = backend_for(params).cd_statistics(params, as_rows(v), k, as_key(key))
        found = (sums.weight, sums.visible, sums.hidden, sums.log_variance)
        return [torch.from_numpy(-total / sums.rows).to(torch.float32) for total in found if total is not None]
    sampler = _TorchSampler(parameters, visible, hidden)
    v0 = v.to(parameters[0])
    positive = sampler.slopes(v0)
    negative = sampler.slopes(sampler.gibbs(v0, k, as_key(key)))
    gradients = [minus - plus for plus, minus in zip(positive[:3], negative, strict=False)]
    return gradients + [-slope for slope in positive[3:]]  # the negative phase of a log variance is in its slope


@contrastive_divergence.register_fake
def _(v: Tensor, parameters: Sequence[Tensor], key: Tensor, k: int, visible: str, hidden: str) -> list[Tensor]:
    return [torch.empty_like(parameter) for parameter in parameters]


# both ways to do it


def _params(parameters: Sequence[Tensor], visible: str, hidden: str) -> RBMParams:
    """The parameters as arrays that share their memory."""
    weight, visible_bias, hidden_bias, *learned = (parameter.detach().numpy() for parameter in parameters)
    return RBMParams(weight, visible_bias, hidden_bias, visible, hidden, *learned)


def _real(values: Tensor) -> Real:
    return values.detach().cpu().numpy().astype(np.float64)


class _TorchSampler:
    """Half-steps in torch, on any device and in any dtype."""

    def __init__(self, parameters: Sequence[Tensor], visible: str, hidden: str) -> None:
        self.weight, self.visible_bias, self.hidden_bias = parameters[:3]
        self.log_variance = parameters[3] if len(parameters) > 3 else None
        n_hidden, n_visible = self.weight.shape
        self.visible_unit, self.hidden_unit = unit_type(visible, n_visible), unit_type(hidden, n_hidden)
        if self.log_variance is not None:
            self.visible_unit = self.visible_unit.scaled(_real(self.log_variance))

    def statistic(self, v: Tensor) -> Tensor:
        return torch_units.statistic(self.visible_unit, v.to(self.weight), self.log_variance)

    def hidden_input(self, v: Tensor) -> Tensor:
        replicas = torch_units.replicas(self.visible_unit, v)
        return self.statistic(v) @ self.weight.t() + replicas * self.hidden_bias

    def visible_input(self, h: Tensor) -> Tensor:
        return torch.nn.functional.linear(h.to(self.weight), self.weight.t(), self.visible_bias)

    def hidden(self, v: Tensor, draws: Draws) -> Tensor:
        return torch_units.sample(self.hidden_unit, self.hidden_input(v), draws)

    def visible(self, h: Tensor, draws: Draws, like: Tensor | None = None) -> Tensor:
        """v ~ p(v | h), with what a Gibbs step keeps of the rows of `like`."""
        unit = self.visible_unit if like is None else self.visible_unit.like(_real(like))
        return torch_units.sample(unit, self.visible_input(h), draws)

    def gibbs(self, v: Tensor, steps: int, key: Key) -> Tensor:
        for step in range(steps):
            h = self.hidden(v, Draws(key, 0, step, HIDDEN_STREAM))
            v = self.visible(h, Draws(key, 0, step, VISIBLE_STREAM), like=v)
        return v

    def slopes(self, v: Tensor) -> list[Tensor]:
        """Means over rows of -dE/d(parameter), h at its mean; of a log variance, the slope of log p(v | h)."""
        t, means = self.statistic(v), torch_units.mean(self.hidden_unit, self.hidden_input(v))
        replicas = torch_units.replicas(self.visible_unit, v)
        slopes = [means.t() @ t / len(v), t.mean(0), (replicas * means).mean(0)]
        if self.log_variance is None:
            return slopes
        learned = self.visible_unit.log_variance_slope(_real(v), _real(self.visible_input(means)))
        return [*slopes, torch.from_numpy(learned.mean(axis=0)).to(t)]
