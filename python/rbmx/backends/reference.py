"""The obvious NumPy for any pair of unit types: the specification that native kernels are tested against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbmx.backends.base import Batches, Outcome, Progress, Rows, State, Statistics, as_array
from rbmx.bits import PackedBits
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Draws, Key
from rbmx.units import UnitType
from rbmx.units.gaussian import LOG_VARIANCE_LIMIT

__all__ = ["ReferenceBackend"]

HIDDEN_STREAM, VISIBLE_STREAM = 1, 2
LARGEST_PARAMETER = 2047.0
LOG_VARIANCE_RATE = (
    0.1  # of the learning rate; with the slope clipped to 1 a log variance moves by at most a tenth of it
)
Real = NDArray[np.float64]


def _real(rows: Rows) -> Real:
    return as_array(rows).astype(np.float64)


def _states(values: Real, unit: UnitType) -> Rows:
    if unit.name == "bernoulli":
        return PackedBits.pack(values)
    return values.astype(np.float32)


class Phase(NamedTuple):
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

    def chain(self, h: Real, k: int, key: Key, first_row: int, step: int, like: Real | None) -> tuple[Phase, Real]:
        """K Gibbs steps from hidden states: where they end, and the last h."""
        v = means = h
        for g in range(k):
            v = self.draw_visible(h, Draws(key, first_row, step, VISIBLE_STREAM + 2 * g), like)
            x = self.hidden_input(v)
            means = self.hidden.mean(x)
            h = self.hidden.sample(x, Draws(key, first_row, step, HIDDEN_STREAM + 2 * (g + 1)))
        return Phase(v, means), h

    def sums(self, phase: Phase) -> dict[str, Real]:
        """The sums over rows of -dE/d(parameter) but for log variances, h at its mean."""
        t, replicas = self.visible.statistic(phase.v), self.visible.replicas(phase.v)
        return {
            "weight": phase.means.T @ t,
            "visible_bias": t.sum(axis=0),
            "hidden_bias": (replicas * phase.means).sum(axis=0),
        }

    def log_variance_sums(self, phase: Phase) -> Real:
        """The sum over rows of the log-likelihood's slope in the log variances, whose negative phase is exactly 1/2."""
        slope = self.visible.log_variance_slope(phase.v, self.visible_input(phase.means))
        return np.asarray(slope.sum(axis=0))


class ReferenceBackend:
    """Every unit type, float64, one row order, no tricks."""

    name = "reference"

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
        positive = Phase(v0, model.hidden.mean(x))
        negative, _ = model.chain(h0, gibbs_steps, key, first_row, step, v0)
        plus, minus = model.sums(positive), model.sums(negative)
        weight, visible_bias, hidden_bias = (plus[name] - minus[name] for name in plus)
        slope = None if params.log_variance is None else model.log_variance_sums(positive)
        return Statistics(weight, visible_bias, hidden_bias, len(v0), slope)

    def train(
        self,
        params: RBMParams,
        rows: Rows,
        batches: Batches,
        state: State,
        progress: Progress | None = None,
    ) -> Outcome:
        """Minibatches in a Python loop."""
        kept = [params] if state.velocity is None else [params, state.velocity]
        before = [params.copy() for params in kept]
        count = -(-len(batches.order) // batches.batch_size)
        for batch in range(count):
            start = batch * batches.batch_size
            chosen = batches.order[start : start + batches.batch_size]
            self._train_batch(params, _real(rows[chosen]), batches, state, batches.first_step + batch)
            if not all(np.all(np.abs(getattr(params, name)) <= LARGEST_PARAMETER) for name in params.names):
                for now, old in zip(kept, before, strict=True):
                    for name in now.names:
                        getattr(now, name)[...] = getattr(old, name)
                return Outcome("diverged", batch + 1)
            try:
                if progress is not None:
                    progress(batch + 1)
            except BaseException as error:
                return Outcome("interrupted", batch + 1, error)
        return Outcome("done", count)

    def _train_batch(self, params: RBMParams, v0: Real, batches: Batches, state: State, step: int) -> None:
        model = _Model(params)
        x = model.hidden_input(v0)
        positive = Phase(v0, model.hidden.mean(x))
        if state.chains is None:
            h0 = model.hidden.sample(x, Draws(batches.key, 0, step, HIDDEN_STREAM))
            negative, _ = model.chain(h0, batches.gibbs_steps, batches.key, 0, step, v0)
        else:
            negative, h = model.chain(_real(state.chains), batches.gibbs_steps, batches.key, 0, step, None)
            state.chains = _states(h, model.hidden)
        plus, minus = model.sums(positive), model.sums(negative)
        rate = batches.learning_rate
        changes = {name: rate * (plus[name] / len(v0) - minus[name] / len(negative.v)) for name in plus}
        changes["weight"] -= rate * batches.weight_decay * model.weight
        if params.log_variance is not None:
            slope = np.clip(model.log_variance_sums(positive) / len(v0), -1, 1)
            changes["log_variance"] = LOG_VARIANCE_RATE * rate * slope
        for name, change in changes.items():
            if state.velocity is not None:
                velocity = getattr(state.velocity, name)
                velocity[...] = batches.momentum * velocity + change
                change = velocity
            getattr(params, name)[...] += change
        if params.log_variance is not None:
            np.clip(params.log_variance, -LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT, out=params.log_variance)
