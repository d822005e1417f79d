"""Sampling and contrastive divergence as torch operators: opaque to torch.compile and torch.export.

An operator is a pure function of its tensors. Its noise is named by `key`, an int64 scalar that holds the 64 bits of an
rbmx.Key, so that a compiled or exported program draws fresh noise in each run and the same noise as an eager one.
float32 parameters on the CPU go to the native kernels on their own memory; others run through torch.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.library import custom_op

from rbmx.backends import Rows, as_array, backend_for
from rbmx.bits import PackedBits
from rbmx.layer import unit_mean
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose

__all__ = [
    "as_key",
    "as_rows",
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


# operators


@custom_op("rbmx::half_step", mutates_args=())
def half_step(
    given: Tensor,
    weight: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    key: Tensor,
    side: str,
    visible: str,
    hidden: str,
) -> Tensor:
    """One side drawn given the other: "hidden", h ~ p(h | v), or "visible", v ~ p(v | h); (rows, units)."""
    if not runs_natively(weight, visible_bias, hidden_bias):
        sampler = _TorchSampler(weight, visible_bias, hidden_bias, visible, hidden, key)
        return sampler.hidden(given) if side == "hidden" else sampler.visible(given)
    params = _params(weight, visible_bias, hidden_bias, visible, hidden)
    backend = backend_for(params)
    draw = backend.sample_hidden if side == "hidden" else backend.sample_visible
    return _tensor(draw(params, as_rows(given), as_key(key)))


@half_step.register_fake
def _(
    given: Tensor,
    weight: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    key: Tensor,
    side: str,
    visible: str,
    hidden: str,
) -> Tensor:
    return weight.new_empty((*given.shape[:-1], weight.shape[0 if side == "hidden" else 1]))


@custom_op("rbmx::gibbs", mutates_args=())
def gibbs(
    v: Tensor,
    weight: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    key: Tensor,
    steps: int,
    visible: str,
    hidden: str,
) -> Tensor:
    """v after `steps` times h ~ p(h | v), v ~ p(v | h), (rows, n_visible)."""
    if runs_natively(weight, visible_bias, hidden_bias):
        params = _params(weight, visible_bias, hidden_bias, visible, hidden)
        return _tensor(backend_for(params).gibbs(params, as_rows(v), steps, as_key(key)))
    sampler = _TorchSampler(weight, visible_bias, hidden_bias, visible, hidden, key)
    v = v.to(weight, copy=True)
    for _ in range(steps):
        v = sampler.visible(sampler.hidden(v))
    return v


@gibbs.register_fake
def _(
    v: Tensor,
    weight: Tensor,
    visible_bias: Tensor,
    hidden_bias: Tensor,
    key: Tensor,
    steps: int,
    visible: str,
    hidden: str,
) -> Tensor:
    return weight.new_empty(v.shape)


@custom_op("rbmx::contrastive_divergence", mutates_args=())
def contrastive_divergence(
    v: Tensor, weight: Tensor, visible_bias: Tensor, hidden_bias: Tensor, key: Tensor, k: int, visible: str, hidden: str
) -> tuple[Tensor, Tensor, Tensor]:
    """The CD-k gradient of the negative log-likelihood, mean over rows, by weight, visible and hidden bias."""
    if runs_natively(weight, visible_bias, hidden_bias):
        params = _params(weight, visible_bias, hidden_bias, visible, hidden)
        sums = backend_for(params).cd_statistics(params, as_rows(v), k, as_key(key))
        by_weight, by_visible, by_hidden = (
            torch.from_numpy(-total / sums.rows).to(weight.dtype) for total in (sums.weight, sums.visible, sums.hidden)
        )
        return by_weight, by_visible, by_hidden
    sampler = _TorchSampler(weight, visible_bias, hidden_bias, visible, hidden, key)
    v0 = v.to(weight)
    p0, h = sampler.hidden_mean(v0), sampler.hidden(v0)
    for _ in range(k):
        v1 = sampler.visible(h)
        h = sampler.hidden(v1)
    p1, n = sampler.hidden_mean(v1), len(v0)
    return (p1.t() @ v1 - p0.t() @ v0) / n, (v1 - v0).mean(0), (p1 - p0).mean(0)


@contrastive_divergence.register_fake
def _(
    v: Tensor, weight: Tensor, visible_bias: Tensor, hidden_bias: Tensor, key: Tensor, k: int, visible: str, hidden: str
) -> tuple[Tensor, Tensor, Tensor]:
    return weight.new_empty(weight.shape), weight.new_empty(visible_bias.shape), weight.new_empty(hidden_bias.shape)


# both ways to do it


def _params(weight: Tensor, visible_bias: Tensor, hidden_bias: Tensor, visible: str, hidden: str) -> RBMParams:
    """The parameters as arrays that share their memory."""
    arrays = [parameter.detach().numpy() for parameter in (weight, visible_bias, hidden_bias)]
    return RBMParams(arrays[0], arrays[1], arrays[2], visible, hidden)


def _tensor(rows: Rows) -> Tensor:
    return torch.from_numpy(as_array(rows))


class _TorchSampler:
    """Half-steps in torch, on any device and in any dtype, with one generator for all of them."""

    def __init__(
        self, weight: Tensor, visible_bias: Tensor, hidden_bias: Tensor, visible: str, hidden: str, key: Tensor
    ) -> None:
        self.weight, self.visible_bias, self.hidden_bias = weight, visible_bias, hidden_bias
        self.visible_unit, self.hidden_unit = visible, hidden
        self.generator = torch.Generator(device=weight.device).manual_seed(as_key(key).seed & (2**63 - 1))

    def hidden_input(self, v: Tensor) -> Tensor:
        return torch.nn.functional.linear(v.to(self.weight), self.weight, self.hidden_bias)

    def hidden_mean(self, v: Tensor) -> Tensor:
        return unit_mean(self.hidden_unit, self.hidden_input(v))

    def hidden(self, v: Tensor) -> Tensor:
        return self.draw(self.hidden_unit, self.hidden_input(v))

    def visible(self, h: Tensor) -> Tensor:
        x = torch.nn.functional.linear(h.to(self.weight), self.weight.t(), self.visible_bias)
        return self.draw(self.visible_unit, x)

    def draw(self, unit: str, x: Tensor) -> Tensor:
        if unit == "gaussian":
            return x + torch.randn(x.shape, generator=self.generator, device=x.device, dtype=x.dtype)
        noise = torch.rand(x.shape, generator=self.generator, device=x.device, dtype=x.dtype)
        return (noise < unit_mean(unit, x)).to(x.dtype)
