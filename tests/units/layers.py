"""Layers of every unit type small enough to sum or integrate over: their states, and the weight of each."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from rbmx.params import RBMParams
from rbmx.units import UnitType
from rbmx.units.drelu import DReLU
from rbmx.units.exponential import Exponential
from rbmx.units.gaussian import Gaussian, LearnedGaussian
from rbmx.units.mixed import Mixed
from rbmx.units.relu import ReLU

DRELU = "drelu(1.5,0.8,0.4,-0.3)"
MIXED = "gaussian + softmax(3) + bernoulli"
LEARNED_MIXED = "gaussian(learned) + spin"
# spec -> units of the smallest layer that shows all of it
HIDDEN = {"bernoulli": 2, "spin": 2, "gaussian": 2, "softmax(3)": 3, "relu": 2, DRELU: 2, "exponential": 2, MIXED: 5}
VISIBLE = {**HIDDEN, "gaussian(learned)": 2, LEARNED_MIXED: 2, "counts": 3}
PAIRS = list(itertools.product(VISIBLE, HIDDEN))
TOTAL = 4  # of a row of counts
REACH = 13.0  # deviations from zero: beyond lies exp(-60) of the machines below


def machine(visible: str, hidden: str, *, scale: float = 0.5, seed: int = 0) -> RBMParams:
    """Couplings small enough that pairs without bounds have a distribution, large enough that every sign shows."""
    rng = np.random.default_rng([seed, VISIBLE[visible], HIDDEN[hidden]])
    n_visible, n_hidden = VISIBLE[visible], HIDDEN[hidden]
    weight = rng.normal(0, scale, (n_hidden, n_visible))
    weight *= min(1.0, 0.6 / np.linalg.norm(weight, 2))
    learned = "learned" in visible
    return RBMParams(
        weight.astype(np.float32),
        rng.normal(0, 0.7, n_visible).astype(np.float32),
        rng.normal(0, 0.7, n_hidden).astype(np.float32),
        visible,
        hidden,
        np.where(np.arange(n_visible) < (1 if "+" in visible else 2), 0.8, 0).astype(np.float32) if learned else None,
    )


def legendre(low: float, high: float, n: int) -> tuple[Any, Any]:
    """Nodes and weights of Gauss and Legendre on an interval."""
    x, w = np.polynomial.legendre.leggauss(n)
    return (high - low) / 2 * x + (high + low) / 2, (high - low) / 2 * w


def line(unit: UnitType, deviation: float, n: int) -> tuple[Any, Any]:
    """Nodes and weights for one continuous unit; a kink at zero is an end of two intervals."""
    if isinstance(unit, Exponential):
        return legendre(0, 1, n)
    if isinstance(unit, ReLU):
        return legendre(0, REACH, n)
    if isinstance(unit, DReLU):
        parts = [legendre(-REACH * 1.4, 0, n), legendre(0, REACH * 1.4, n)]
        return tuple(np.concatenate(p) for p in zip(*parts, strict=True))  # type: ignore[return-value]
    assert isinstance(unit, Gaussian)
    return legendre(-REACH * deviation, REACH * deviation, 2 * n)


def product(parts: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """States and log weights of independent groups of units."""
    states, logs = np.zeros((1, 0)), np.zeros(1)
    for s, log_w in parts:
        states = np.hstack([np.repeat(states, len(s), 0), np.tile(s, (len(states), 1))])
        logs = np.repeat(logs, len(s)) + np.tile(log_w, len(logs))
    return states, logs


def groups_of(unit: UnitType, n_units: int, n: int) -> list[tuple[Any, Any]]:
    """States and log weights of each group of a layer."""
    if isinstance(unit, Mixed):
        parts = zip(unit.blocks, unit.slices, strict=True)
        return [group for (block, _), part in parts for group in groups_of(block, part.stop - part.start, n)]
    if unit.kind == "counts":
        rows = [r for r in itertools.product(range(TOTAL + 1), repeat=n_units) if sum(r) == TOTAL]
        return [(np.array(rows, float), np.zeros(len(rows)))]
    finite = unit.states(n_units)
    if finite is not None:
        return [(states, np.zeros(len(states))) for states in finite]
    deviation = float(unit._deviation.max()) if isinstance(unit, LearnedGaussian) else 1.0
    nodes, weights = line(unit, deviation, n)
    return [(nodes[:, None], np.log(weights))] * n_units


def layer(unit: UnitType, n_units: int, n: int = 32) -> tuple[Any, Any]:
    """All states (states, units) of a layer, or nodes to integrate over, and the log weight of each."""
    return product(groups_of(unit, n_units, n))


def terms(params: RBMParams, v: Any, h: Any) -> Any:
    """-E(v, h) for all rows of v (rows) and of h (columns), straight from the definition."""
    w, b, c = (a.astype(np.float64) for a in (params.weight, params.visible_bias, params.hidden_bias))
    visible, hidden = params.visible_unit, params.hidden_unit
    t = visible.statistic(v)
    own = (t @ b - visible.energy(v))[:, None] - hidden.energy(h)[None, :]
    return own + (t @ w.T + visible.replicas(v) * c) @ h.T


def log_marginal(params: RBMParams, v: Any) -> Any:
    """-F(v) by summing or integrating over the hidden states."""
    h, log_w = layer(params.hidden_unit, params.n_hidden)
    return np.concatenate(
        [np.logaddexp.reduce(terms(params, part, h) + log_w, axis=1) for part in np.array_split(v, 1 + len(v) // 500)]
    )


def rows_of(params: RBMParams, n: int, seed: int = 1) -> Any:
    """Some rows of states: nodes of the layer near its middle."""
    v, _ = layer(params.visible_unit, params.n_visible, 8)
    near = v[np.abs(v).max(1) <= TOTAL]
    return near[np.random.default_rng(seed).integers(0, len(near), n)]
