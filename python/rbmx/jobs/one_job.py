"""One job of a round: run on an engine, its results merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rbmx.jobs.engine import Engine
from rbmx.jobs.inputs import Inputs
from rbmx.jobs.records import write_record
from rbmx.jobs.work import Job, reduce_job

__all__ = ["run_job"]

MAP_ONLY = ("hadoop",)  # engines on which a single shard goes without a reduce task, which costs seconds there


def run_job(
    engine: Engine,
    job: Job,
    round_file: Path,
    inputs: Inputs,
    *,
    on_progress: Callable[[float], object] = lambda _: None,
) -> tuple[list[bytes], dict[str, int]]:
    """The lines of the job's reducer, and the job's own counters.

    What a reduce task would do for a single shard is done here, where such a task costs seconds.

    Args:
        engine: where it runs.
        job: what `round_file` holds.
        round_file: what tasks are told.
        inputs: what they read.
        on_progress: hears the share of the map work done, where the engine tells.

    Raises:
        JobError: the engine failed; the message holds the cause it gave.
    """
    alone = engine.runner in MAP_ONLY and inputs.shards == 1
    lines, counters = engine.run(
        round_file, inputs.paths, splits=inputs.splits, reduces=not alone, on_progress=on_progress
    )
    if alone:
        lines = [write_record(record) for record in reduce_job(lines, job)]
    return lines, counters
