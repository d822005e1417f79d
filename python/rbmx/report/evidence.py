"""What a report shows, computed: filters in order, a Gibbs chain over time, reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Backend, Rows, as_array, backend_for
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key, uniform

__all__ = ["Evidence", "chain_over_time", "gather", "landmarks", "sort_filters"]

Values = NDArray[np.float32]

START, CHAIN, VIEW = range(3)  # one key each: where chains start, how they move, what is shown


@dataclass(frozen=True, eq=False)
class Evidence:
    """The numbers behind the pictures.

    Attributes:
        filters: weights of the hidden units, (n_hidden, n_visible), largest norm first.
        film: probabilities of the visible units, (len(film_steps), chains, n_visible).
        film_steps: the Gibbs steps that the film shows; step 0 is the start itself.
        from_data: whether the chains start at data rows; else they start from coin flips.
        originals: rows of the data, (rows, n_visible), or None without data.
        reconstructions: their mean-field reconstructions, or None.
        activations: hidden probabilities given the rows, (rows, n_hidden), or None.
    """

    filters: Values
    film: Values
    film_steps: tuple[int, ...]
    from_data: bool
    originals: Values | None
    reconstructions: Values | None
    activations: Values | None


def gather(params: RBMParams, rows: Rows | None, *, key: Key, steps: int = 1000, chains: int = 24) -> Evidence:
    """Everything a report shows of a model; `rows` are encoded data, a few hundred are enough."""
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    backend = backend_for(params)
    film_steps = spread_steps(steps)
    if rows is None:
        noise = uniform(key.fold_in(START), 0, chains, params.n_visible) < 0.5
        start: Rows = PackedBits.pack(noise)
    else:
        start = rows[:chains]
    film = chain_over_time(backend, params, start, film_steps, key=key)
    filters = sort_filters(params)
    if rows is None:
        return Evidence(filters, film, film_steps, False, None, None, None)
    return Evidence(
        filters,
        film,
        film_steps,
        True,
        as_array(rows),
        backend.reconstruct(params, rows),
        backend.hidden_mean(params, rows),
    )


def spread_steps(steps: int, frames: int = 48) -> tuple[int, ...]:
    """0, 1, 2, 5, 10, 20, ... to `steps`, filled up with whole numbers at even ratios."""
    even = np.geomspace(1, steps, frames).round().astype(int).tolist()
    return tuple(sorted({*even, *landmarks(steps)}))


def landmarks(steps: int) -> tuple[int, ...]:
    """0, 1, 2, 5, 10, 20, 50, ... and `steps` itself: where a reader wants to look."""
    series = (m * 10**e for e in range(len(str(steps))) for m in (1, 2, 5))
    return (0, *(step for step in series if step < steps), steps)


def chain_over_time(backend: Backend, params: RBMParams, start: Rows, steps: Sequence[int], *, key: Key) -> Values:
    """p(v = 1) along Gibbs chains, float32 (len(steps), chains, n_visible); step 0 is the start."""
    rows, done, frames = start, 0, []
    for step in steps:
        if step == 0:
            frames.append(as_array(start))
            continue
        # The picture of step t: visible probabilities given a hidden sample of step t - 1.
        if step - 1 > done:
            rows = backend.gibbs(params, rows, step - 1 - done, key.fold_in(CHAIN), first_step=done)
            done = step - 1
        hidden = backend.sample_hidden(params, rows, key.fold_in(VIEW), step=step)
        frames.append(backend.visible_mean(params, hidden))
    return np.stack(frames)


def sort_filters(params: RBMParams) -> Values:
    """Weight rows by their norm, largest first: units that learned something come before others."""
    order = np.argsort(-np.linalg.norm(params.weight, axis=1), kind="stable")
    return params.weight[order]
