"""Minibatches in Python, for what no native loop does: any backend's phases, any unit types, centred or plain.

The arithmetic is NumPy in float64 and the specification of csrc/cpu/train_minibatches.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rbmx.backends.base import Backend, Batches, Offsets, Outcome, Progress, Rows, State, Update, as_array
from rbmx.bits import PackedBits
from rbmx.params import PARAMETERS, RBMParams
from rbmx.rng import Key, uniform
from rbmx.units.gaussian import LOG_VARIANCE_LIMIT

__all__ = ["Phase", "PhaseBackend", "move", "one_by_one", "require_usable", "sampled_phases", "train_in_python"]

LARGEST_PARAMETER = 2047.0
LOG_VARIANCE_RATE = 0.1  # with the slope clipped to 1, a log variance moves by at most a tenth of the rate
Real = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Phase:
    """Means over the rows of one phase of what the parameters of the same names multiply, float64.

    Attributes:
        weight: <h t(v)>.   visible_bias: <t(v)>.   hidden_bias: <h>, times a row's replicas.
        log_variance: slope of the log-likelihood, of the positive phase where variances are learned; else None.
    """

    weight: Real
    visible_bias: Real
    hidden_bias: Real
    log_variance: Real | None = None

    @classmethod
    def of(cls, params: RBMParams, visible: Rows, hidden: NDArray[np.floating], *, learning: bool = False) -> Phase:
        """From states of the visible units and means of the hidden units, (rows, units) each."""
        v: NDArray[np.floating] = as_array(visible)
        slope = None
        if not params.visible_unit.binary:
            unit = params.visible_unit
            states = v.astype(np.float64)
            if learning and params.log_variance is not None:
                inputs = hidden.astype(np.float64) @ params.weight + params.visible_bias
                slope = unit.log_variance_slope(states, inputs).mean(axis=0)
            v = unit.statistic(states)
        weight = (hidden.T @ v / len(v)).astype(np.float64)
        return cls(weight, v.mean(axis=0, dtype=np.float64), hidden.mean(axis=0, dtype=np.float64), slope)


class PhaseBackend(Backend, Protocol):
    """A backend that can say what a minibatch sees."""

    def phases(
        self, params: RBMParams, visible: Rows, chains: Rows | None, gibbs_steps: int, key: Key, step: int
    ) -> tuple[Phase, Phase, Rows | None]:
        """Positive and negative phase, and where the persistent chains stand after it."""
        ...


def require_usable(backend: Backend, params: RBMParams) -> None:
    """ArithmeticError where a parameter, or the sum of a unit's weights where the backend limits it, passed 2047."""
    if not all(np.all(np.abs(getattr(params, name)) <= LARGEST_PARAMETER) for name in params.names):
        raise ArithmeticError("a parameter passed 2047")
    if backend.limits_sums and params.visible_unit.binary and params.hidden_unit.binary:
        size = np.abs(params.weight.astype(np.float64))
        if max(size.sum(axis=0).max(), size.sum(axis=1).max()) > LARGEST_PARAMETER:
            raise ArithmeticError("the sum of a unit's weights passed 2047")


class _Before:
    """Parameters and moments as they are now, to be given back by a run that diverges."""

    def __init__(self, learning: Sequence[RBMParams]) -> None:
        self._live = learning
        self._copies = [kept.copy() for kept in learning]

    def restore(self) -> None:
        """Write them back in place."""
        for live, copy in zip(self._live, self._copies, strict=True):
            for name in live.names:
                getattr(live, name)[...] = getattr(copy, name)


def one_by_one(
    learn: Callable[[NDArray[np.int64], int], None],
    learning: Sequence[RBMParams],
    batches: Batches,
    progress: Progress | None = None,
) -> Outcome:
    """The minibatches in turn, each told to `learn` by its rows and its number in the life of the model.

    An ArithmeticError of learn is a run that diverged: what is learning, parameters and moments, is given back.
    """
    before = _Before(learning)
    count = -(-len(batches.order) // batches.batch_size)
    for batch in range(count):
        start = batch * batches.batch_size
        try:
            learn(batches.order[start : start + batches.batch_size], batches.first_step + batch)
        except ArithmeticError:
            before.restore()
            return Outcome("diverged", batch + 1)
        try:
            if progress is not None:
                progress(batch + 1)
        except BaseException as error:
            return Outcome("interrupted", batch + 1, error)
    return Outcome("done", count)


def train_in_python(
    backend: PhaseBackend,
    params: RBMParams,
    rows: Rows,
    batches: Batches,
    state: State,
    progress: Progress | None = None,
) -> Outcome:
    """Minibatches one by one; as Backend.train."""

    def learn(chosen: NDArray[np.int64], step: int) -> None:
        positive, negative = _phases(backend, params, rows[chosen], batches, state, step)
        _learn(params, positive, negative, batches, state, step)
        require_usable(backend, params)

    return one_by_one(learn, state.learning(params), batches, progress)


def _phases(
    backend: PhaseBackend, params: RBMParams, visible: Rows, batches: Batches, state: State, step: int
) -> tuple[Phase, Phase]:
    noise = batches.key.fold_in(step)
    if batches.negative is not None:
        samples = batches.negative.draw(backend, params, state.memory, noise)
        positive = Phase.of(params, visible, backend.hidden_mean(params, visible), learning=True)
        return positive, Phase.of(params, samples, backend.hidden_mean(params, samples))
    if batches.dropout:
        positive, negative, state.chains = sampled_phases(
            backend, params, visible, state.chains, batches.gibbs_steps, noise, batches.dropout
        )
        return positive, negative
    positive, negative, state.chains = backend.phases(
        params, visible, state.chains, batches.gibbs_steps, batches.key, step
    )
    return positive, negative


def sampled_phases(
    backend: Backend,
    params: RBMParams,
    visible: Rows,
    chains: Rows | None,
    gibbs_steps: int,
    noise: Key,
    dropout: float = 0.0,
) -> tuple[Phase, Phase, Rows | None]:
    """The phases of one minibatch by a backend's half-steps.

    Args:
        backend, params, gibbs_steps: as in Backend.train.
        visible: rows of data.
        chains: hidden states of the persistent chains, None for CD.
        noise: of this minibatch alone.
        dropout: the share of hidden units without which each row goes, in both phases (Srivastava et al. 2014, 8.3).
    """
    positive_rest = _left(noise.fold_in(0), len(visible), params.n_hidden, dropout)
    negative_rest = positive_rest
    if chains is not None:
        negative_rest = _left(noise.fold_in(1), len(chains), params.n_hidden, dropout)
    hidden = backend.sample_hidden(params, visible, noise) if chains is None else chains
    for gibbs in range(gibbs_steps):
        samples = backend.sample_visible(params, _without(hidden, negative_rest), noise, step=gibbs)
        hidden = backend.sample_hidden(params, samples, noise, step=gibbs + 1)
    positive, negative = (
        Phase.of(params, v, backend.hidden_mean(params, v) * (1 if rest is None else rest), learning=v is visible)
        for v, rest in ((visible, positive_rest), (samples, negative_rest))
    )
    return positive, negative, None if chains is None else hidden


def _left(key: Key, rows: int, units: int, dropout: float) -> NDArray[np.bool_] | None:
    """Which hidden units each row keeps, (rows, units); None: all."""
    return uniform(key, 0, rows, units) >= dropout if dropout else None


def _without(hidden: Rows, left: NDArray[np.bool_] | None) -> Rows:
    if left is None:
        return hidden
    if isinstance(hidden, PackedBits):
        return PackedBits(hidden.words & PackedBits.pack(left).words, hidden.n_units)
    return hidden * left


def _learn(params: RBMParams, positive: Phase, negative: Phase, batches: Batches, state: State, step: int) -> None:
    """From two phases to changed parameters."""
    gradient = {name: getattr(positive, name) - getattr(negative, name) for name in PARAMETERS}
    if batches.negative is not None:
        batches.negative.learn(gradient, state.memory)
    for penalty in batches.penalties:
        penalty.on_gradient(gradient, positive.hidden_bias / (1 - batches.dropout), params, state.memory)
    if state.offsets is not None:
        _slide(state.offsets, positive, batches.update.offset_rate)
        gradient = centred(gradient, state.offsets)
    if positive.log_variance is not None:
        gradient["log_variance"] = LOG_VARIANCE_RATE * np.clip(positive.log_variance, -1, 1)
    apply_update(params, gradient, batches.update, state, step + 1)
    for penalty in batches.penalties:
        penalty.on_step(params, batches.update.learning_rate)


def _slide(offsets: Offsets, positive: Phase, rate: float) -> None:
    offsets.visible[...] += rate * (positive.visible_bias - offsets.visible)
    offsets.hidden[...] += rate * (positive.hidden_bias - offsets.hidden)


def centred(gradient: dict[str, Real], offsets: Offsets) -> dict[str, Real]:
    """The centred gradient in the machine's own parameters (Melchior, Fischer and Wiskott 2016, eq. 16 to 18).

    dW = <(h - lambda)(v - mu)> data - model, db = d<v> - lambda dW, dc = d<h> - dW mu.
    """
    mu, lam = offsets.visible.astype(np.float64), offsets.hidden.astype(np.float64)
    weight = gradient["weight"] - np.outer(gradient["hidden_bias"], mu) - np.outer(lam, gradient["visible_bias"])
    return {
        "weight": weight,
        "visible_bias": gradient["visible_bias"] - lam @ weight,
        "hidden_bias": gradient["hidden_bias"] - weight @ mu,
    }


def apply_update(params: RBMParams, gradient: dict[str, Real], update: Update, state: State, updates: int) -> None:
    """One step of the rule for all parameters, in place; updates: how many there are with this one."""
    for name, slope in gradient.items():
        velocity, squares = (None if kept is None else getattr(kept, name) for kept in (state.velocity, state.squares))
        rule = update if name == "weight" else replace(update, weight_decay=0.0, l1=0.0)
        move(getattr(params, name), slope, velocity, squares, rule, updates)
    if params.log_variance is not None:
        np.clip(params.log_variance, -LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT, out=params.log_variance)


def move(
    parameter: NDArray[np.floating],
    slope: NDArray[np.floating],
    velocity: NDArray[np.floating] | None,
    squares: NDArray[np.floating] | None,
    update: Update,
    updates: int,
) -> None:
    """One step of the rule uphill for one parameter, in place with its moments, in the dtype of the slope."""
    change = slope - update.weight_decay * parameter.astype(slope.dtype)
    adaptive = update.has_squares
    if not adaptive:
        change = update.learning_rate * change
    if adaptive and squares is not None:
        squares[...] = update.second * squares + (1 - update.second) * change * change
        root = np.sqrt(squares.astype(slope.dtype))
        rate = update.learning_rate
        if velocity is not None:
            velocity[...] = update.first * velocity + (1 - update.first) * change
            change = velocity.astype(slope.dtype)
            rate /= 1 - update.first**updates
            root /= math.sqrt(1 - update.second**updates)
        change = rate * change / (root + update.epsilon)
    elif velocity is not None:
        velocity[...] = update.first * velocity + change
        change = update.first * velocity + change if update.rule == "nesterov" else velocity.astype(slope.dtype)
    parameter[...] += change
    if update.l1:
        size = np.abs(parameter) - update.learning_rate * update.l1
        parameter[...] = np.where(size > 0, np.copysign(size, parameter), 0.0)
