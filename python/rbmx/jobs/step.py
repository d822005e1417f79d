"""From a round and what its job gave to the next round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from rbmx.errors import DataError, DivergedError, JobError
from rbmx.jobs.fixed_point import FIXED_POINT
from rbmx.jobs.merge import Merged
from rbmx.jobs.records import Record, read_record, state_from
from rbmx.jobs.reducer import merged_from
from rbmx.jobs.round import Round
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.shard import ShardState, Statistics
from rbmx.params import PARAMETERS, RBMParams

__all__ = ["error_of", "merged_record", "next_round", "outcome_of"]

LARGEST = 2047.0


def outcome_of(lines: Iterable[bytes], settings: JobSettings) -> tuple[Merged, dict[str, ShardState]]:
    """What the reducer's lines say: the merge, and what each shard keeps.

    Raises:
        DataError, DivergedError: a shard failed so.
        JobError: no merge among the lines, or more than one.
    """
    merged, states = merged_record(lines)
    return merged_from(merged, settings), dict(state_from(record) for record in states)


def merged_record(lines: Iterable[bytes]) -> tuple[Record, list[Record]]:
    """The record of the merge among the reducer's lines, and those of what each shard keeps.

    Raises:
        DataError, DivergedError: a shard failed so.
        JobError: no merge among the lines, or more than one.
    """
    records = [read_record(line) for line in lines]
    failures, merged, states = (
        [record for record in records if record.kind == kind] for kind in ("failure", "merged", "state")
    )
    if failures:
        raise error_of(failures)
    if len(merged) != 1:
        raise JobError(f"reducer: expected one merge, got {len(merged)}; one reducer must see all shards")
    return merged[0], states


def next_round(job: Round, merged: Merged, states: dict[str, ShardState]) -> Round:
    """The round after `job`: the average (with outer momentum), or one step along the summed gradient."""
    number = job.number + 1
    if merged.statistics is not None:
        params, velocity = _gradient_step(job, merged.statistics)
        return replace(job, params=params, velocity=velocity, number=number)
    if merged.params is None:
        raise ValueError("merged: expected weights or statistics")
    _require_shape(merged.params, job.params)
    params, outer = merged.params, None
    if job.settings.outer_momentum:
        params, outer = _outer_step(job, merged.params)
    velocity = merged.velocity if job.settings.momentum_rule == "average" else None
    return replace(job, params=params, velocity=velocity, outer_velocity=outer, states=states, number=number)


def _outer_step(job: Round, mean: RBMParams) -> tuple[RBMParams, RBMParams]:
    """w + u, u = momentum u + (mean - w): a heavy ball over rounds."""
    moved, velocity = job.params.copy(), job.params.zeros()
    before = job.outer_velocity or job.params.zeros()
    for name in moved.names:
        old = getattr(job.params, name).astype(np.float64)
        change = job.settings.outer_momentum * getattr(before, name).astype(np.float64) + (getattr(mean, name) - old)
        getattr(velocity, name)[...] = change
        getattr(moved, name)[...] = old + getattr(velocity, name)
    return moved, velocity


def _gradient_step(job: Round, statistics: Statistics) -> tuple[RBMParams, RBMParams | None]:
    """One update: velocity = momentum velocity + rate (sum / rows - decay w), w += velocity."""
    config = job.settings.config
    rate, momentum = job.settings.learning_rate(job.number), config.update(1.0).first
    moved, velocity = job.params.copy(), job.params.zeros()
    before = job.velocity or job.params.zeros()
    for name in PARAMETERS:
        old = getattr(job.params, name).astype(np.float64)
        gradient = getattr(statistics, name).astype(np.float64) / (FIXED_POINT * statistics.rows)
        if name == "weight":
            gradient -= config.weight_decay * old
        getattr(velocity, name)[...] = momentum * getattr(before, name).astype(np.float64) + rate * gradient
        getattr(moved, name)[...] = old + getattr(velocity, name)
        if not np.abs(getattr(moved, name)).max() < LARGEST:
            raise DivergedError(
                f"weights diverged in round {job.number + 1} with learning rate {rate:g}; lower the learning rate"
            )
    return moved, velocity if momentum else None


def _require_shape(params: RBMParams, expected: RBMParams) -> None:
    if params.weight.shape != expected.weight.shape:
        raise DataError(f"reducer: expected weights of {expected.weight.shape}, got {params.weight.shape}")


def error_of(failures: list[Record]) -> Exception:
    """One error for all shards that failed."""
    first = failures[0].facts
    more = "" if len(failures) == 1 else f" (and {len(failures) - 1} more shards failed)"
    kind = DivergedError if first["error"] == "diverged" else DataError
    return kind(f"{first['message']}{more}")
