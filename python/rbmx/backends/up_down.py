"""Minibatches of the up-down algorithm: native where all is bits, else one by one in Python on any backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Batches, Outcome, Rows, as_array, backend_for
from rbmx.backends.base import Progress
from rbmx.backends.loop import one_by_one, require_usable
from rbmx.backends.native import (
    arrays_of,
    is_binary,
    product,
    settings_of,
    train_up_down,
    units_of,
    words_of,
)
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key

__all__ = ["Directions", "UpDownState", "generative_slope", "recognition_slope", "train_directions", "train_natively"]

_TOP = 1 << 32  # of the key, beyond the numbers of layers
Slope = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Directions:
    """A stack whose layers below the top go up by other weights than they come down by.

    Attributes:
        recognition: the way up: weight and hidden_bias of each layer below the top.
        generative: the way down: weight and visible_bias of each.
        top: the machine on top, labels behind its visible units where there are any.
    """

    recognition: Sequence[RBMParams]
    generative: Sequence[RBMParams]
    top: RBMParams

    @property
    def layers(self) -> list[RBMParams]:
        """All that learn: the ways up, the ways down, the top."""
        return [*self.recognition, *self.generative, self.top]

    @property
    def n_labels(self) -> int:
        """Visible units of the top machine that are not those of the layer below."""
        return self.top.n_visible - self.recognition[-1].n_hidden

    def zeros(self) -> Directions:
        """Zeros in the shapes of the parameters."""
        up, down = ([layer.zeros() for layer in layers] for layers in (self.recognition, self.generative))
        return Directions(up, down, self.top.zeros())


@dataclass
class UpDownState:
    """What one minibatch leaves to the next besides the parameters; updated in place.

    Attributes:
        velocity: first moments, None without momentum.
        chains: hidden states of the top machine's persistent chains, None for CD.
    """

    velocity: Directions | None = None
    chains: Rows | None = None


def train_directions(
    stack: Directions, rows: Rows, batches: Batches, state: UpDownState, progress: Progress | None = None
) -> Outcome:
    """One pass over batches.order; the parameters change in place, but those of a run that diverged are given back.

    Args:
        stack: trained.
        rows: of the lowest visible units, the labels' units behind them.
        batches: with an update of momentum and weight decay.
        state: of the run.
        progress: told how many minibatches are done.
    """
    below = [*stack.recognition, *stack.generative]
    if isinstance(rows, PackedBits) and is_binary(stack.top) and all(layer.visible == "bernoulli" for layer in below):
        return _natively(stack, rows, batches, state, progress)
    minibatches = _Minibatches(stack, rows, batches, state)
    moments = [] if state.velocity is None else state.velocity.layers
    return one_by_one(minibatches.learn, [*stack.layers, *moments], batches, progress)


def _natively(
    stack: Directions, rows: PackedBits, batches: Batches, state: UpDownState, progress: Progress | None
) -> Outcome:
    """The native loop knows layers by inputs and outputs: the ways down go in and come back turned."""
    turned = _turned(stack)
    velocity = None if state.velocity is None else _turned(state.velocity)
    outcome = train_natively(turned, rows, batches, velocity=velocity, chains=state.chains, progress=progress)
    if outcome.name != "diverged":
        _turn_back(turned, stack)
        if velocity is not None and state.velocity is not None:
            _turn_back(velocity, state.velocity)
    return outcome


def train_natively(
    stack: Directions,
    rows: PackedBits,
    batches: Batches,
    *,
    velocity: Directions | None,
    chains: Rows | None,
    progress: Progress | None = None,
    reference: bool = False,
) -> Outcome:
    """Wake, dream, sleep and learn for every minibatch, in one native call (csrc/cpu/train_up_down.cpp).

    Args:
        stack: each way through each layer below the top as a machine whose visible units are its inputs, the generative
            ones too; weight and hidden_bias learn.
        rows: of the lowest inputs, with the labels' units behind them.
        batches, velocity, chains: as in train_directions, velocity in the shapes of the stack.
        reference: by the plain loops of csrc/ref.
    """
    keys = _way_keys(batches.key, len(stack.generative))

    def ways(layers: Sequence[RBMParams], moments: Sequence[RBMParams] | None, side: int) -> list[Any]:
        kept = [None] * len(layers) if moments is None else [arrays_of(moment) for moment in moments]
        return [(arrays_of(way), v, key[side].words) for way, v, key in zip(layers, kept, keys, strict=True)]

    outcome = train_up_down(
        ways(stack.recognition, None if velocity is None else velocity.recognition, 0),
        ways(stack.generative, None if velocity is None else velocity.generative, 1),
        arrays_of(stack.top),
        words_of(rows),
        batches.order,
        settings_of(batches),
        velocity=None if velocity is None else arrays_of(velocity.top),
        chains=chains.words if isinstance(chains, PackedBits) else chains,
        units=units_of(stack.top),
        progress=progress,
        reference=reference,
    )
    return Outcome(*outcome)


def _turned(stack: Directions) -> Directions:
    """The two sides of each way down exchanged, in memory of their own."""
    down = [
        RBMParams(np.ascontiguousarray(layer.weight.T), layer.hidden_bias.copy(), layer.visible_bias.copy())
        for layer in stack.generative
    ]
    return Directions(stack.recognition, down, stack.top)


def _turn_back(turned: Directions, stack: Directions) -> None:
    for source, layer in zip(turned.generative, stack.generative, strict=True):
        layer.weight[...] = source.weight.T
        layer.visible_bias[...] = source.hidden_bias


def _way_keys(key: Key, n_layers: int) -> list[tuple[Key, Key]]:
    """Of the noise of each layer's way up and way down."""
    return [(key.fold_in(2 * i), key.fold_in(2 * i + 1)) for i in range(n_layers)]


class _Minibatches:
    """Wake, dream, sleep and learn, on whatever backends the layers have."""

    def __init__(self, stack: Directions, rows: Rows, batches: Batches, state: UpDownState) -> None:
        self._stack, self._rows, self._batches, self._state = stack, rows, batches, state
        self._keys = _way_keys(batches.key, len(stack.generative))

    def learn(self, chosen: NDArray[np.int64], step: int) -> None:
        """One minibatch; ArithmeticError where it diverges."""
        stack = self._stack
        v, labels = self._split(self._rows[chosen])
        wake = [v]
        for layer, (key, _) in zip(stack.recognition, self._keys, strict=True):
            wake.append(backend_for(layer).sample_hidden(layer, wake[-1], key, step=step))
        seen = beside(wake[-1], labels)
        dreamt = self._dream(seen, step)
        sleep = [self._split(dreamt)[0]]
        for i in reversed(range(len(stack.generative))):
            sleep.insert(0, self._down(i, sleep[0], step))
        slopes = [
            *(recognition_slope(layer, *sleep[i : i + 2]) for i, layer in enumerate(stack.recognition)),
            *(generative_slope(layer, *wake[i : i + 2]) for i, layer in enumerate(stack.generative)),
            _contrastive_slope(stack.top, seen, dreamt),
        ]
        self._update(slopes)
        for layer in stack.layers:
            require_usable(backend_for(layer), layer)

    def _dream(self, seen: Rows, step: int) -> Rows:
        """Visible states of the top machine after k Gibbs steps, from the data or from where the chains are."""
        top, k, key = self._stack.top, self._batches.gibbs_steps, self._batches.key.fold_in(_TOP).fold_in(step)
        backend, chains = backend_for(top), self._state.chains
        hidden = backend.sample_hidden(top, seen, key) if chains is None else chains
        samples = backend.sample_visible(top, hidden, key)
        samples = backend.gibbs(top, samples, k - 1, key, first_step=1)
        if chains is not None:
            self._state.chains = backend.sample_hidden(top, samples, key, step=k)
        return samples

    def _down(self, i: int, above: Rows, step: int) -> Rows:
        """Sleep states below: drawn, but means of visible units where the data are real values."""
        layer = self._stack.generative[i]
        if i == 0 and not isinstance(self._rows, PackedBits):
            return backend_for(layer).visible_mean(layer, above)
        return backend_for(layer).sample_visible(layer, above, self._keys[i][1], step=step)

    def _split(self, rows: Rows) -> tuple[Rows, NDArray[np.float32] | None]:
        """Units, and the labels behind them."""
        n_labels = self._stack.n_labels
        if not n_labels:
            return rows, None
        values = as_array(rows)
        units, labels = values[:, :-n_labels], values[:, -n_labels:]
        return PackedBits.pack(units) if isinstance(rows, PackedBits) else np.ascontiguousarray(units), labels

    def _update(self, slopes: Sequence[Slope]) -> None:
        update = self._batches.update
        rate, velocity = np.float32(update.learning_rate), self._state.velocity
        moments = [None] * len(slopes) if velocity is None else velocity.layers
        for layer, moment, slope in zip(self._stack.layers, moments, slopes, strict=True):
            for name, values in slope.items():
                parameter, change = getattr(layer, name), rate * values
                if name == "weight" and update.weight_decay:
                    change -= np.float32(update.learning_rate * update.weight_decay) * parameter
                if moment is not None:
                    moved = getattr(moment, name)
                    moved *= np.float32(update.first)
                    moved += change
                    change = moved
                parameter += change


def recognition_slope(layer: RBMParams, below: Rows, above: Rows) -> Slope:
    """Mean of d log q(above | below) over rows."""
    short = as_array(above) - backend_for(layer).hidden_mean(layer, below)
    return {"weight": product(short.T, as_array(below)) / len(short), "hidden_bias": short.mean(axis=0)}


def generative_slope(layer: RBMParams, below: Rows, above: Rows) -> Slope:
    """Mean of d log p(below | above) over rows."""
    short = as_array(below) - backend_for(layer).visible_mean(layer, above)
    return {"weight": product(as_array(above).T, short) / len(short), "visible_bias": short.mean(axis=0)}


def _contrastive_slope(top: RBMParams, seen: Rows, dreamt: Rows) -> Slope:
    """Positive less negative phase, means over the rows of each."""
    v, h = as_array(seen), backend_for(top).hidden_mean(top, seen)
    u, g = as_array(dreamt), backend_for(top).hidden_mean(top, dreamt)
    return {
        "weight": product(h.T, v) / len(v) - product(g.T, u) / len(u),
        "visible_bias": v.mean(axis=0) - u.mean(axis=0),
        "hidden_bias": h.mean(axis=0) - g.mean(axis=0),
    }


def beside(rows: Rows, labels: NDArray[np.float32] | None) -> Rows:
    """Units with labels behind them."""
    if labels is None:
        return rows
    values = np.concatenate([as_array(rows), labels], axis=1)
    return PackedBits.pack(values) if isinstance(rows, PackedBits) else values
