"""What one shard does in a round, as pure functions of (weights, state, rows, settings, key).

A task that is killed and run again, or run twice, gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Batches, Rows, State, backend_for
from rbmx.backends.native import permutation
from rbmx.bits import PackedBits
from rbmx.errors import DivergedError
from rbmx.jobs.fixed_point import add_up, in_units
from rbmx.jobs.settings import JobSettings
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.training.penalties import dropout, in_python
from rbmx.training.starting import initial_offsets

__all__ = ["ShardResult", "ShardState", "Statistics", "shard_key", "shard_statistics", "train_shard"]

STATISTICS_ROWS = 1000  # real-valued rows are summed by blocks of this many global rows

Report = Callable[[int], object]


@dataclass(eq=False)
class ShardState:
    """What a shard leaves to its next round besides the weights.

    Attributes:
        chains: hidden states of its persistent chains, None for CD.
        velocity: of its own updates, None without momentum or where it starts anew in each round.
    """

    chains: Rows | None = None
    velocity: RBMParams | None = None


@dataclass(frozen=True, eq=False)
class ShardResult:
    """What training gave: the shard's weights, its state, its rows and minibatches."""

    params: RBMParams
    state: ShardState
    rows: int
    minibatches: int


@dataclass(frozen=True, eq=False)
class Statistics:
    """Positive minus negative phase, summed over rows: int64 in units of 2^-32, shaped as the parameters."""

    weight: NDArray[np.int64]
    visible_bias: NDArray[np.int64]
    hidden_bias: NDArray[np.int64]
    rows: int

    @classmethod
    def of(cls, arrays: Iterable[NDArray[Any]], rows: int) -> Statistics:
        """The statistics in three arrays, weight first."""
        weight, visible_bias, hidden_bias = arrays
        return cls(weight, visible_bias, hidden_bias, rows)


def shard_key(seed: int, shard: int, round_number: int) -> Key:
    """The key of a shard in a round: of its order, its noise and its first chains."""
    return Key(seed).fold_in(Purpose.SHARD).fold_in(shard).fold_in(round_number)


def train_shard(
    weights: RBMParams,
    state: ShardState,
    rows: Rows,
    settings: JobSettings,
    key: Key,
    *,
    round_number: int = 0,
    report: Report | None = None,
) -> ShardResult:
    """Contrastive divergence on the rows of one shard: settings.local_epochs passes from `weights` on.

    Args:
        weights: of the round; not changed.
        state: what this shard's last round left; ShardState() at first. Not changed.
        rows: PackedBits or float32 (rows, n_visible).
        settings: of the job.
        key: shard_key(seed, shard, round).
        round_number: from 0; decides the learning rate.
        report: called now and then with the minibatches done.

    Raises:
        DivergedError: a weight left the usable range.
    """
    config = settings.config
    params = weights.copy()
    backend = backend_for(params, config.engine, reproducible=True)
    kept = _begin(state, params, settings, key, rows)
    noise, shuffle = key.fold_in(Purpose.TRAINING), key.fold_in(Purpose.SHUFFLE)
    step = 0
    for epoch in range(settings.local_epochs):
        order = permutation(len(rows), shuffle.fold_in(epoch)) if config.shuffle else np.arange(len(rows))
        rate = settings.learning_rate(round_number, epoch)
        batches = Batches(
            order,
            config.batch_size,
            config.sampler.k,
            config.update(rate),
            noise,
            step,
            penalties=in_python(config.penalties),
            dropout=dropout(config.penalties),
        )
        outcome = backend.train(params, rows, batches, kept, _from(step, report))
        if outcome.exception is not None:
            raise outcome.exception
        if outcome.name == "diverged":
            raise DivergedError(
                f"weights diverged in round {round_number + 1} at minibatch {step + outcome.batches} of the shard, "
                f"learning rate {rate:g} of {config.optimizer}, {config.batch_size} rows a "
                "minibatch; lower the learning rate"
            )
        step += outcome.batches
    return ShardResult(params, ShardState(kept.chains, kept.velocity), len(rows), step)


def shard_statistics(
    weights: RBMParams, rows: Rows, settings: JobSettings, key: Key, *, first_row: int, where: str = "shard"
) -> Statistics:
    """The sum over a shard's rows of positive minus negative phase after k Gibbs steps.

    Noise belongs to global rows, and sums are integers: added over any shards of the same rows they give the same
    bytes, for real-valued rows where the shards begin at multiples of 1,000 rows.

    Args:
        weights: of the round.
        rows: PackedBits or float32 (rows, n_visible).
        settings: of the job; its sampler says k.
        key: shard_key(seed, 0, round) for all shards alike.
        first_row: global number of the first row.
        where: what errors call the shard.

    Raises:
        DivergedError: sums that are not finite, or too large for their units.
    """
    backend = backend_for(weights, settings.config.engine, reproducible=True)
    n_hidden, n_visible = weights.weight.shape
    total = [np.zeros(shape, np.int64) for shape in ((n_hidden, n_visible), (n_visible,), (n_hidden,))]
    start = 0
    while start < len(rows):
        stop = min(len(rows), start + STATISTICS_ROWS - (first_row + start) % STATISTICS_ROWS)
        found = backend.cd_statistics(
            weights, rows[start:stop], settings.config.sampler.k, key.fold_in(Purpose.TRAINING), first_row + start
        )
        for sums, part in zip(total, (found.weight, found.visible, found.hidden), strict=True):
            add_up(sums, in_units(part, where), where)
        start = stop
    return Statistics.of(total, len(rows))


def _from(step: int, report: Report | None) -> Report | None:
    """The report of a pass that begins at a minibatch."""
    return None if report is None else lambda done: report(step + done)


def _begin(state: ShardState, params: RBMParams, settings: JobSettings, key: Key, rows: Rows) -> State:
    """Chains, moments and offsets to start the round with, in memory of their own."""
    config = settings.config
    chains = state.chains
    if chains is None:
        chains = config.sampler.initial_chains(params, config.batch_size, key.fold_in(Purpose.CHAINS))
    elif isinstance(chains, PackedBits):
        chains = PackedBits(chains.words.copy(), chains.n_units)
    else:
        chains = chains.copy()
    velocity, update = None, config.update(1.0)
    if update.has_velocity:
        velocity = params.zeros() if state.velocity is None else state.velocity.copy()
    squares = params.zeros() if update.has_squares else None
    offsets = initial_offsets(params, [rows], config.engine) if config.centering else None
    return State(velocity, chains, squares, offsets)
