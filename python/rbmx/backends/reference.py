"""The obvious NumPy for any pair of unit types: the specification that native kernels are tested against."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbmx.backends.base import Batches, Outcome, Progress, Rows, State, Statistics, as_array
from rbmx.backends.loop import Phase, train_in_python
from rbmx.bits import PackedBits
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Draws, Key
from rbmx.units import UnitType

__all__ = ["ReferenceBackend"]

HIDDEN_STREAM, VISIBLE_STREAM = 1, 2
Real = NDArray[np.float64]


def _real(rows: Rows) -> Real:
    return as_array(rows).astype(np.float64)


def _states(values: Real, unit: UnitType) -> Rows:
    if unit.binary:
        return PackedBits.pack(values)
    return values.astype(np.float32)


class End(NamedTuple):
    """Where a phase ended: visible states and the hidden means that they give."""

    v: Real
    means: Real


class _Model:
    """Inputs of both sides in float64."""

    def __init__(self, params: RBMParams) -> None:
        self.weight = params.weight.astype(np.float64)
        self.visible_bias = params.visible_bias.astype(np.float64)
        self.hidden_bias = params.hidden_bias.astype(np.float64)
        self.visible, self.hidden = params.visible_unit, params.hidden_unit
        self.learns_variance = params.log_variance is not None

    def hidden_input(self, v: Real) -> Real:
        return np.asarray(self.visible.statistic(v) @ self.weight.T + self.visible.replicas(v) * self.hidden_bias)

    def visible_input(self, h: Real) -> Real:
        return np.asarray(h @ self.weight + self.visible_bias)

    def draw_hidden(self, v: Real, draws: Draws) -> Real:
        return self.hidden.sample(self.hidden_input(v), draws)

    def draw_visible(self, h: Real, draws: Draws, like: Real | None = None) -> Real:
        """v ~ p(v | h), with what a Gibbs step keeps of the rows of `like`."""
        unit = self.visible if like is None else self.visible.like(like)
        return unit.sample(self.visible_input(h), draws)

    def chain(self, h: Real, k: int, key: Key, first_row: int, step: int, like: Real | None) -> tuple[End, Real]:
        """K Gibbs steps from hidden states: where they end, and the last h."""
        v = means = h
        for g in range(k):
            v = self.draw_visible(h, Draws(key, first_row, step, VISIBLE_STREAM + 2 * g), like)
            x = self.hidden_input(v)
            means = self.hidden.mean(x)
            h = self.hidden.sample(x, Draws(key, first_row, step, HIDDEN_STREAM + 2 * (g + 1)))
        return End(v, means), h

    def sums(self, end: End) -> dict[str, Real]:
        """The sums over rows of -dE/d(parameter) but for log variances, h at its mean."""
        t, replicas = self.visible.statistic(end.v), self.visible.replicas(end.v)
        return {
            "weight": end.means.T @ t,
            "visible_bias": t.sum(axis=0),
            "hidden_bias": (replicas * end.means).sum(axis=0),
        }

    def phase(self, end: End, *, learning: bool = False) -> Phase:
        """The means over rows; learning: with the slope in the log variances, where some are learned."""
        n = len(end.v)
        sums = {name: total / n for name, total in self.sums(end).items()}
        slope = self.log_variance_sums(end) / n if learning and self.learns_variance else None
        return Phase(**sums, log_variance=slope)

    def log_variance_sums(self, end: End) -> Real:
        """The sum over rows of the log-likelihood's slope in the log variances, whose negative phase is exactly 1/2."""
        slope = self.visible.log_variance_slope(end.v, self.visible_input(end.means))
        return np.asarray(slope.sum(axis=0))


class ReferenceBackend:
    """Every unit type, float64, one row order, no tricks."""

    name = "reference"
    limits_sums = False

    def hidden_mean(self, params: RBMParams, visible: Rows) -> Float32s:
        """E[h | v]."""
        model = _Model(params)
        return model.hidden.mean(model.hidden_input(_real(visible))).astype(np.float32)

    def visible_mean(self, params: RBMParams, hidden: Rows) -> Float32s:
        """E[v | h]; for counts with a total of 1."""
        model = _Model(params)
        return model.visible.mean(model.visible_input(_real(hidden))).astype(np.float32)

    def sample_hidden(self, params: RBMParams, visible: Rows, key: Key, first_row: int = 0, step: int = 0) -> Rows:
        """h ~ p(h | v)."""
        model = _Model(params)
        h = model.draw_hidden(_real(visible), Draws(key, first_row, step, HIDDEN_STREAM))
        return _states(h, model.hidden)

    def sample_visible(self, params: RBMParams, hidden: Rows, key: Key, first_row: int = 0, step: int = 0) -> Rows:
        """v ~ p(v | h); for counts with a total of 1."""
        model = _Model(params)
        v = model.draw_visible(_real(hidden), Draws(key, first_row, step, VISIBLE_STREAM))
        return _states(v, model.visible)

    def gibbs(
        self,
        params: RBMParams,
        visible: Rows,
        steps: int,
        key: Key,
        first_row: int = 0,
        first_step: int = 0,
    ) -> Rows:
        """v after `steps` times h ~ p(h | v), v ~ p(v | h)."""
        model = _Model(params)
        v = _real(visible)
        for step in range(first_step, first_step + steps):
            h = model.draw_hidden(v, Draws(key, first_row, step, HIDDEN_STREAM))
            v = model.draw_visible(h, Draws(key, first_row, step, VISIBLE_STREAM), v)
        return _states(v, model.visible)

    def reconstruct(self, params: RBMParams, visible: Rows) -> Float32s:
        """E[v | E[h | v]]."""
        model, v = _Model(params), _real(visible)
        h = model.hidden.mean(model.hidden_input(v))
        return model.visible.like(v).mean(model.visible_input(h)).astype(np.float32)

    def free_energy(self, params: RBMParams, visible: Rows) -> NDArray[np.float64]:
        """F(v) = U(v) - t(v).b - cumulant(W t(v) + c)."""
        model = _Model(params)
        v = _real(visible)
        own = model.visible.energy(v) - model.visible.statistic(v) @ model.visible_bias
        return np.asarray(own - model.hidden.cumulant(model.hidden_input(v)))

    def cd_statistics(
        self,
        params: RBMParams,
        visible: Rows,
        gibbs_steps: int,
        key: Key,
        first_row: int = 0,
        step: int = 0,
    ) -> Statistics:
        """Sums over rows of v0 p0 - v1 p1 and their marginals."""
        model = _Model(params)
        v0 = _real(visible)
        x = model.hidden_input(v0)
        h0 = model.hidden.sample(x, Draws(key, first_row, step, HIDDEN_STREAM))
        positive = End(v0, model.hidden.mean(x))
        negative, _ = model.chain(h0, gibbs_steps, key, first_row, step, v0)
        plus, minus = model.sums(positive), model.sums(negative)
        weight, visible_bias, hidden_bias = (plus[name] - minus[name] for name in plus)
        slope = None if params.log_variance is None else model.log_variance_sums(positive)
        return Statistics(weight, visible_bias, hidden_bias, len(v0), slope)

    def phases(
        self, params: RBMParams, visible: Rows, chains: Rows | None, gibbs_steps: int, key: Key, step: int
    ) -> tuple[Phase, Phase, Rows | None]:
        """Positive and negative phase of a minibatch; chains: hidden states that go on, None for CD."""
        model = _Model(params)
        v0 = _real(visible)
        x = model.hidden_input(v0)
        positive = End(v0, model.hidden.mean(x))
        if chains is None:
            h = model.hidden.sample(x, Draws(key, 0, step, HIDDEN_STREAM))
            negative, _ = model.chain(h, gibbs_steps, key, 0, step, v0)
        else:
            negative, h = model.chain(_real(chains), gibbs_steps, key, 0, step, None)
        kept = None if chains is None else _states(h, model.hidden)
        return model.phase(positive, learning=True), model.phase(negative), kept

    def anneal(
        self,
        params: RBMParams,
        base_bias: Float32s,
        betas: NDArray[np.float64],
        visible: Rows,
        key: Key,
        progress: Progress | None = None,
    ) -> tuple[Rows, NDArray[np.float64]]:
        """Log weights and states of chains along the path from independent units."""
        model = _Model(params)
        base = base_bias.astype(np.float64)
        v, weights = _real(visible), np.zeros(len(visible))

        def energy(beta: float, x: Real) -> Real:
            own = model.visible.statistic(v) @ (base + beta * (model.visible_bias - base))
            return np.asarray(-own - model.hidden.cumulant(beta * x))

        for step, (last, beta) in enumerate(itertools.pairwise(betas), 1):
            x = model.hidden_input(v)
            weights += energy(last, x) - energy(beta, x)
            if step + 1 < len(betas):
                h = model.hidden.sample(beta * x, Draws(key, 0, step, HIDDEN_STREAM))
                inputs = base + beta * (model.visible_bias - base + h @ model.weight)
                v = model.visible.sample(inputs, Draws(key, 0, step, VISIBLE_STREAM))
            if progress is not None:
                progress(step * len(v))
        return _states(v, model.visible), weights

    def train(
        self,
        params: RBMParams,
        rows: Rows,
        batches: Batches,
        state: State,
        progress: Progress | None = None,
    ) -> Outcome:
        """Minibatches in a Python loop."""
        return train_in_python(self, params, rows, batches, state, progress)
