"""Unit types in torch: what autograd goes through. rbmx.units is the specification."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rbmx.rng import Draws
from rbmx.units import UnitType
from rbmx.units.bernoulli import Bernoulli
from rbmx.units.counts import Counts
from rbmx.units.drelu import DReLU
from rbmx.units.exponential import Exponential
from rbmx.units.gaussian import LOG_VARIANCE_LIMIT, Gaussian, LearnedGaussian
from rbmx.units.mixed import Mixed
from rbmx.units.relu import ReLU
from rbmx.units.softmax import SUM_TOLERANCE, Softmax
from rbmx.units.spin import Spin

__all__ = ["contains", "cumulant", "energy", "mean", "replicas", "sample", "statistic"]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class _ByType:
    """A function of a unit type and tensors, one for each type, by a lookup that torch.compile can follow."""

    def __init__(self, default: Callable[..., Tensor] | None = None) -> None:
        self._default = default
        self._functions: dict[type[UnitType], Callable[..., Tensor]] = {}

    def of(self, *types: type[UnitType]) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
        """The decorated function is that of these types."""

        def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
            self._functions.update(dict.fromkeys(types, function))
            return function

        return register

    def __call__(self, unit: UnitType, *arguments: Any) -> Tensor:
        """The value for this unit type."""
        function = self._functions.get(type(unit), self._default)
        if function is None:
            raise TypeError(f"{unit.name}: no torch functions for this unit type; rbmx.torch_units holds them")
        return function(unit, *arguments)


def _sample_by_specification(unit: UnitType, x: Tensor, draws: Draws) -> Tensor:
    states = unit.sample(x.detach().cpu().numpy().astype(np.float64), draws)
    return torch.from_numpy(states).to(x.device, x.dtype)


# U(s), (rows,), of states and the log variances of learned units, or None
energy = _ByType()
# which values can be states or their means, bool (rows, units)
contains = _ByType()
# log of the sum or integral over s of exp(x.t(s) - U(s)), (rows,), of inputs and log variances
cumulant = _ByType()
# E[s | x], (rows, units), of inputs and log variances
mean = _ByType()
# t(s), (rows, units), of states and log variances: s itself, but for learned variances
statistic = _ByType(lambda unit, s, log_variance=None: s)
# s drawn from p(s | x), of inputs and Draws: by the specification, on the CPU, but for Bernoulli and Gaussian units
sample = _ByType(_sample_by_specification)


def replicas(unit: UnitType, s: Tensor) -> Tensor | float:
    """How many times hidden biases count beside such states: the total of counts, (rows, 1), else 1."""
    return s.sum(-1, keepdim=True) if isinstance(unit, Counts) else 1.0


def _generator(x: Tensor, draws: Draws) -> torch.Generator:
    seed = draws.key.fold_in(draws.step).fold_in(draws.stream).seed
    return torch.Generator(device=x.device).manual_seed(seed & (2**63 - 1))


# Bernoulli


@contains.of(Bernoulli, Exponential)
def _(unit: UnitType, s: Tensor) -> Tensor:
    return (s >= 0) & (s <= 1)


@sample.of(Bernoulli)
def _(unit: Bernoulli, x: Tensor, draws: Draws) -> Tensor:
    noise = torch.rand(x.shape, generator=_generator(x, draws), device=x.device, dtype=x.dtype)
    return (noise < torch.sigmoid(x)).to(x.dtype)


@energy.of(Bernoulli, Spin, Softmax, Exponential)
def _(unit: UnitType, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.zeros_like(s).sum(-1)


@cumulant.of(Bernoulli)
def _(unit: Bernoulli, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return nn.functional.softplus(x).sum(-1)


@mean.of(Bernoulli)
def _(unit: Bernoulli, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.sigmoid(x)


# Spin


@contains.of(Spin)
def _(unit: Spin, s: Tensor) -> Tensor:
    return s.abs() <= 1


@cumulant.of(Spin)
def _(unit: Spin, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.logaddexp(x, -x).sum(-1)


@mean.of(Spin)
def _(unit: Spin, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.tanh(x)


# Gaussian


@contains.of(Gaussian, LearnedGaussian, DReLU)
def _(unit: UnitType, s: Tensor) -> Tensor:
    return torch.isfinite(s)


@sample.of(Gaussian)
def _(unit: Gaussian, x: Tensor, draws: Draws) -> Tensor:
    return x + torch.randn(x.shape, generator=_generator(x, draws), device=x.device, dtype=x.dtype)


@energy.of(Gaussian)
def _(unit: Gaussian, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return (s * s).sum(-1) / 2


@cumulant.of(Gaussian)
def _(unit: Gaussian, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return (x * x / 2 + _HALF_LOG_2PI).sum(-1)


@mean.of(Gaussian)
def _(unit: Gaussian, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return x


def _half_log_variance(log_variance: Tensor | None) -> Tensor:
    if log_variance is None:
        raise ValueError("log_variance: expected (units,) for gaussian(learned) units, got None")
    return log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT) / 2


def _deviation(log_variance: Tensor | None) -> Tensor:
    return torch.exp(_half_log_variance(log_variance))


@cumulant.of(LearnedGaussian)
def _(unit: LearnedGaussian, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return (x * x / 2 + _HALF_LOG_2PI + _half_log_variance(log_variance)).sum(-1)


@statistic.of(LearnedGaussian)
def _(unit: LearnedGaussian, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return s / _deviation(log_variance)


@energy.of(LearnedGaussian)
def _(unit: LearnedGaussian, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    t = statistic(unit, s, log_variance)
    return (t * t).sum(-1) / 2


@mean.of(LearnedGaussian)
def _(unit: LearnedGaussian, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return x * _deviation(log_variance)


# softmax and counts


def _grouped(unit: Softmax, x: Tensor) -> Tensor:
    return x.reshape(*x.shape[:-1], -1, unit.group)


@contains.of(Softmax)
def _(unit: Softmax, s: Tensor) -> Tensor:
    sums = _grouped(unit, s).sum(-1)
    whole = (sums - 1).abs() <= max(SUM_TOLERANCE, unit.group * torch.finfo(s.dtype).eps)
    return (s >= 0) & (s <= 1) & whole.repeat_interleave(unit.group, -1)


@contains.of(Counts)
def _(unit: Counts, s: Tensor) -> Tensor:
    return torch.isfinite(s) & (s >= 0) & (s == s.floor())


@cumulant.of(Softmax)
def _(unit: Softmax, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.logsumexp(_grouped(unit, x), -1).sum(-1)


@mean.of(Softmax)
def _(unit: Softmax, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.softmax(_grouped(unit, x), -1).flatten(-2)


@energy.of(Counts)
def _(unit: Counts, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.lgamma(s + 1).sum(-1) - torch.lgamma(s.sum(-1) + 1)


@mean.of(Counts)
def _(unit: Counts, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.softmax(x, -1)


# rectified units


def _log_mills(a: Tensor) -> Tensor:
    """log of Phi(-a) / phi(a), a >= 0."""
    return torch.log(torch.special.erfcx(a / math.sqrt(2))) + 0.5 * math.log(math.pi / 2)


def _log_integral(x: Tensor) -> Tensor:
    """log of the integral over s >= 0 of exp(x s - s^2 / 2)."""
    below = _log_mills((-x).clamp(min=0))
    up = x.clamp(min=0)
    return torch.where(x <= 0, below, up * up / 2 + _HALF_LOG_2PI + torch.special.log_ndtr(up))


def _half_mean(x: Tensor) -> Tensor:
    """x + phi(x) / Phi(x)."""
    down, up = (-x).clamp(min=0), x.clamp(min=0)
    below = torch.exp(-_log_mills(down)) - down
    above = up + torch.exp(-up * up / 2 - _HALF_LOG_2PI - torch.special.log_ndtr(up))
    return torch.where(x <= 0, below, above)


@contains.of(ReLU)
def _(unit: ReLU, s: Tensor) -> Tensor:
    return torch.isfinite(s) & (s >= 0)


@energy.of(ReLU)
def _(unit: ReLU, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return (s * s).sum(-1) / 2


@cumulant.of(ReLU)
def _(unit: ReLU, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return _log_integral(x).sum(-1)


@mean.of(ReLU)
def _(unit: ReLU, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return _half_mean(x)


@energy.of(DReLU)
def _(unit: DReLU, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    up, down = s.clamp(min=0), s.clamp(max=0)
    own = (unit.plus * up * up + unit.minus * down * down) / 2 + unit.tilt_plus * up + unit.tilt_minus * down
    return own.sum(-1)


def _sides(unit: DReLU, x: Tensor) -> tuple[Tensor, Tensor]:
    """The inputs of the two half-lines."""
    return (x - unit.tilt_plus) / math.sqrt(unit.plus), (unit.tilt_minus - x) / math.sqrt(unit.minus)


def _log_sides(unit: DReLU, x: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithms of the two half-lines' integrals."""
    above, below = _sides(unit, x)
    return _log_integral(above) - math.log(unit.plus) / 2, _log_integral(below) - math.log(unit.minus) / 2


@cumulant.of(DReLU)
def _(unit: DReLU, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.logaddexp(*_log_sides(unit, x)).sum(-1)


@mean.of(DReLU)
def _(unit: DReLU, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    log_plus, log_minus = _log_sides(unit, x)
    positive = torch.sigmoid(log_plus - log_minus)
    above, below = _sides(unit, x)
    up, down = _half_mean(above) / math.sqrt(unit.plus), _half_mean(below) / math.sqrt(unit.minus)
    return positive * up - (1 - positive) * down


# truncated exponential


@cumulant.of(Exponential)
def _(unit: Exponential, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return (x / 2 + _log_sinc(x / 2)).sum(-1)


def _log_sinc(y: Tensor) -> Tensor:
    """log(sinh(y) / y), by its series y^2 / 6 - y^4 / 180 + ... near 0."""
    near = y.abs() < 0.25
    small, large = torch.where(near, y, 0.0), torch.where(near, 1.0, y).abs()
    square = small * small
    series = square * (1 / 6 - square * (1 / 180 - square * (1 / 2835 - square * (1 / 37800 - square / 467775))))
    return torch.where(near, series, large + torch.log(-torch.expm1(-2 * large) / (2 * large)))


@mean.of(Exponential)
def _(unit: Exponential, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    near = x.abs() < 0.5
    small, large = torch.where(near, x, 0.0), torch.where(near, 1.0, x)
    square = small * small
    slope = 1 / 12 - square * (1 / 720 - square * (1 / 30240 - square * (1 / 1209600 - square / 47900160)))
    return torch.where(near, 0.5 + small * slope, -1 / torch.expm1(-large) - 1 / large)


# mixed


@contains.of(Mixed)
def _(unit: Mixed, s: Tensor) -> Tensor:
    return torch.cat([contains(block, values) for block, values, _ in _parts(unit, s, None)], -1)


def _parts(unit: Mixed, values: Tensor, log_variance: Tensor | None) -> list[tuple[UnitType, Tensor, Tensor | None]]:
    return [
        (block, values[..., part], None if log_variance is None else log_variance[part])
        for (block, _), part in zip(unit.blocks, unit.slices, strict=True)
    ]


@energy.of(Mixed)
def _(unit: Mixed, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.stack([energy(*part) for part in _parts(unit, s, log_variance)]).sum(0)


@cumulant.of(Mixed)
def _(unit: Mixed, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.stack([cumulant(*part) for part in _parts(unit, x, log_variance)]).sum(0)


@mean.of(Mixed)
def _(unit: Mixed, x: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.cat([mean(*part) for part in _parts(unit, x, log_variance)], -1)


@statistic.of(Mixed)
def _(unit: Mixed, s: Tensor, log_variance: Tensor | None = None) -> Tensor:
    return torch.cat([statistic(*part) for part in _parts(unit, s, log_variance)], -1)
