"""Free energies and hidden means of rows with missing entries, summed or integrated out exactly, in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from rbmx import torch_units
from rbmx.likelihood.exact import count_states, product_of
from rbmx.units import UnitType
from rbmx.units.base import Bools, Real, require_whole_groups

__all__ = ["MAX_STATES", "Layer", "SampledMean", "can_sum_out", "free_energy", "hidden_mean", "may_be_missing"]

MAX_STATES = 1 << 16  # that a row's missing entries, or else the hidden units, may have together
_BLOCK = 1 << 24  # visible values of all states of as many rows as are worked on at once


class Layer(Protocol):
    """What is needed of a module (rbmx.layer.RBMLayer)."""

    visible_unit: UnitType
    hidden_unit: UnitType
    n_visible: int
    n_hidden: int

    @property
    def weight(self) -> Tensor:
        """W."""
        ...

    @property
    def visible_bias(self) -> Tensor:
        """b."""
        ...

    @property
    def hidden_bias(self) -> Tensor:
        """c."""
        ...

    @property
    def log_variance(self) -> Tensor | None:
        """z."""
        ...

    def complete_free_energy(self, v: Tensor) -> Tensor:
        """F(v) of rows without missing entries."""
        ...

    def complete_hidden_mean(self, v: Tensor) -> Tensor:
        """E[h | v] of rows without missing entries."""
        ...


def may_be_missing(v: Tensor) -> bool:
    """Whether rows have missing entries; a traced or exported module takes them to have none."""
    return not torch.compiler.is_compiling() and bool(torch.isnan(v).any())


def free_energy(layer: Layer, v: Tensor) -> Tensor:
    """-log of the sum over missing entries (NaN) of exp(-F(v)), (rows,), differentiable.

    Through the states of the missing entries or those of the hidden units, whichever are fewer; given the hidden units
    missing entries of any type are integrated in closed form.

    Raises:
        ValueError: both are more than 2^16 or infinitely many; a softmax group, or a row of counts, is missing in part.
    """
    return _by_pattern(layer, v, lambda posterior: -torch.logsumexp(posterior.log_weights, 1), ())


def hidden_mean(layer: Layer, v: Tensor) -> Tensor:
    """E[h | the entries that are not NaN], (rows, n_hidden), differentiable; else as free_energy."""

    def mean(posterior: _Posterior) -> Tensor:
        weights = torch.softmax(posterior.log_weights, 1)
        return (weights.unsqueeze(1) @ posterior.hidden_means).squeeze(1)

    return _by_pattern(layer, v, mean, (layer.n_hidden,))


class SampledMean(torch.autograd.Function):
    """A mean over samples: a value without a slope, which says so rather than give none."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor) -> Tensor:
        """The values; `weight` ties them to a graph."""
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Refused."""
        raise RuntimeError(
            "hidden_mean: the mean of rows with so many missing entries is sampled: no gradient; impute(v)"
        )


def can_sum_out(layer: Layer, v: Tensor) -> bool:
    """Whether free_energy and hidden_mean can be had of these rows."""
    return all(min(_counts(layer, known)) <= MAX_STATES for known, _ in _patterns(layer, v))


@dataclass(frozen=True, eq=False)
class _Posterior:
    """States that are summed over: log weights (rows, states), hidden means (rows or 1, states, n_hidden)."""

    log_weights: Tensor
    hidden_means: Tensor


def _by_pattern(layer: Layer, v: Tensor, function: Callable[[_Posterior], Tensor], shape: tuple[int, ...]) -> Tensor:
    """Rows with the same entries missing at once, put together in their order."""
    rows = v.reshape(-1, layer.n_visible)
    places: list[Tensor] = []
    found: list[Tensor] = []
    for known, members in _patterns(layer, rows):
        posterior, states = _posterior(layer, known)
        for part in torch.split(members, max(1, _BLOCK // (states * layer.n_visible))):
            places.append(part)
            found.append(function(posterior(rows[part])))
    if not found:
        return v.new_zeros((*v.shape[:-1], *shape))
    order = torch.argsort(torch.cat(places))
    return torch.cat(found)[order].reshape(*v.shape[:-1], *shape)


def _patterns(layer: Layer, v: Tensor) -> Iterator[tuple[Bools, Tensor]]:
    """Each set of known entries, bool (n_visible,), with the numbers of its rows."""
    known = ~torch.isnan(v.detach().reshape(-1, layer.n_visible)).cpu().numpy()
    require_whole_groups(layer.visible_unit, known)
    if layer.visible_unit.kind == "counts" and not known.all():
        raise ValueError("v: a row of counts without all its counts has no total, and the model is one of p(v | total)")
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        yield pattern, torch.from_numpy(np.flatnonzero(which.ravel() == i)).to(v.device)


def _counts(layer: Layer, known: Bools) -> tuple[float, float]:
    """How many states the missing entries and the hidden units have; infinity where no list of them exists."""
    sides = (_missing_states(layer, known), layer.hidden_unit.states(layer.n_hidden))
    missing, hidden = (float("inf") if states is None else count_states(states) for states in sides)
    return missing, hidden


def _missing_states(layer: Layer, known: Bools) -> list[Real] | None:
    if known.all():
        return []
    return layer.visible_unit.select(~known).states(int((~known).sum()))


def _posterior(layer: Layer, known: Bools) -> tuple[Callable[[Tensor], _Posterior], int]:
    """The function from rows to their weighted states, and how many of these there are."""
    missing, hidden = _counts(layer, known)
    if min(missing, hidden) > MAX_STATES:
        raise ValueError(
            f"v: {int((~known).sum())} missing entries with {missing:.6g} states and {layer.n_hidden} hidden units "
            f"with {hidden:.6g} cannot be summed out, expected at most {MAX_STATES} of either; see impute(v)"
        )
    if missing <= hidden:
        states = product_of(_missing_states(layer, known) or [])
        return _over_missing(layer, known, states), len(states)
    states = product_of(layer.hidden_unit.states(layer.n_hidden) or [])
    return _over_hidden(layer, known, states), len(states)


def _over_missing(layer: Layer, known: Bools, states: Real) -> Callable[[Tensor], _Posterior]:
    gaps = torch.from_numpy(np.flatnonzero(~known)).to(layer.weight.device)
    fill = torch.from_numpy(states).to(layer.weight)

    def posterior(v: Tensor) -> _Posterior:
        every = v.unsqueeze(1).expand(-1, len(fill), -1).index_copy(2, gaps, fill.expand(len(v), -1, -1))
        return _Posterior(-layer.complete_free_energy(every), layer.complete_hidden_mean(every))

    return posterior


def _over_hidden(layer: Layer, known: Bools, states: Real) -> Callable[[Tensor], _Posterior]:
    h = torch.from_numpy(states).to(layer.weight)
    seen, gaps = (torch.from_numpy(np.flatnonzero(part)).to(layer.weight.device) for part in (known, ~known))
    unit, z = layer.visible_unit, layer.log_variance
    known_unit, missing_unit = (unit.select(part) if part.any() else None for part in (known, ~known))

    x = h @ layer.weight + layer.visible_bias
    alone = h @ layer.hidden_bias
    if missing_unit is not None:
        alone = alone + torch_units.cumulant(missing_unit, x[:, gaps], None if z is None else z[gaps])

    def posterior(v: Tensor) -> _Posterior:
        if known_unit is None:
            return _Posterior(alone.expand(len(v), -1), h.unsqueeze(0))
        values, scale = v[:, seen], None if z is None else z[seen]
        t = torch_units.statistic(known_unit, values, scale)
        own = torch_units.energy(known_unit, values, scale).unsqueeze(1)
        return _Posterior(alone + t @ x[:, seen].t() - own, h.unsqueeze(0))

    return posterior
