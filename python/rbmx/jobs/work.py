"""The kinds of jobs over shards: what the tasks of each make of a shard, and its reducer of their results."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from rbmx.jobs.full_batch import GradientJob, load_gradient_job, shard_gradient
from rbmx.jobs.job_file import FORMAT as OF_JOBS
from rbmx.jobs.layer_work import train_layer
from rbmx.jobs.merge import ArrayMean, ArraySum
from rbmx.jobs.reading import Given
from rbmx.jobs.records import Content, Record
from rbmx.jobs.reducer import reduce_arrays, reduce_round
from rbmx.jobs.round import Round, load_round
from rbmx.jobs.stack_round import StackRound, load_stack_round
from rbmx.jobs.stack_work import train_layers
from rbmx.jobs.watch import Watch
from rbmx.model_file import read_facts
from rbmx.stack_checkpoint import FORMAT as OF_STACKS

__all__ = ["Job", "load_job", "reduce_job", "work_on"]

Job = Round | StackRound | GradientJob


def load_job(path: str | os.PathLike[str]) -> Job:
    """What a job's file holds, of whatever kind.

    Raises:
        CheckpointError: none of ours.
    """
    found = read_facts(path).get("format")
    if found == OF_STACKS:
        return load_stack_round(path)
    if found == OF_JOBS:
        return load_gradient_job(path)
    return load_round(path)


def work_on(job: Job, given: Given, watch: Watch) -> Content:
    """A shard's result: a pure function of the job and the shard.

    Raises:
        DataError, ValueError, DivergedError: what no second attempt would mend.
    """
    if isinstance(job, StackRound):
        return train_layers(job, given, watch)
    if isinstance(job, GradientJob):
        return shard_gradient(job, given)
    return train_layer(job, given, watch)


def reduce_job(lines: Iterable[bytes], job: Job) -> Iterator[Record]:
    """The reducer's records for the results of all shards."""
    if isinstance(job, StackRound):
        return reduce_arrays(lines, ArrayMean(job.settings.weighting))
    if isinstance(job, GradientJob):
        return reduce_arrays(lines, ArraySum())
    return reduce_round(lines, job.settings)
