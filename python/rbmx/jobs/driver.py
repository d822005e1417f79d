"""Training in rounds over shards: run a job, merge, measure, keep; again."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rbmx.backends import Rows, backend_for
from rbmx.data import Dataset, open_source
from rbmx.errors import DataError, JobError
from rbmx.jobs.engine import Engine
from rbmx.jobs.inputs import Inputs, reading_options, require_width
from rbmx.jobs.one_job import run_job
from rbmx.jobs.reading import propagate
from rbmx.jobs.round import Round, save_round
from rbmx.jobs.step import next_round, outcome_of
from rbmx.params import RBMParams
from rbmx.training import TrainResult, TrainState
from rbmx.training.history import RoundRecord
from rbmx.training.measuring import VALIDATION_ROWS, first_rows, reconstruction_and_energy

__all__ = ["RoundWatcher", "RoundsResult", "run_rounds"]


class RoundWatcher:
    """What can watch a job over shards; override what you need."""

    def on_start(self, job: Round, inputs: Inputs) -> None:
        """Before the first round of this run."""

    def on_map(self, job: Round, share: float) -> None:
        """The share of the round's map work that is done, where the engine tells."""

    def on_round_end(self, job: Round, record: RoundRecord) -> None:
        """After each round; `job` is what the next one starts from, and is saved already."""


@dataclass(frozen=True, eq=False)
class RoundsResult(TrainResult):
    """Parameters, a state that counts, a record a round, and where the job stands.

    Attributes:
        job: the next round; save_round keeps it, and `resume` goes on from it.
    """

    job: Round


def run_rounds(
    job: Round,
    inputs: Inputs,
    engine: Engine,
    *,
    validation: Any = None,
    checkpoint: str | Path | None = None,
    watcher: RoundWatcher | None = None,
    at_most: int | None = None,
) -> RoundsResult:
    """Run a job's rounds that are left.

    Args:
        job: where it stands; not changed.
        inputs: the shards.
        engine: where tasks run.
        validation: data to measure after each round, never trained on.
        checkpoint: a model file, written at once and replaced after each round.
        watcher: hears of rounds.
        at_most: rounds to run now; 0 only writes the checkpoint. None: all that are left.

    Raises:
        DataError, DivergedError, JobError: a round failed; the checkpoint holds the one before.
    """
    watcher = watcher or RoundWatcher()
    loop = _Loop(engine, inputs, _Monitor(job, inputs.head, validation), watcher, checkpoint)
    if checkpoint is not None:
        save_round(checkpoint, job)
    watcher.on_start(job, inputs)
    last = job.settings.rounds if at_most is None else min(job.settings.rounds, job.number + at_most)
    while job.number < last:
        job = loop.run(job)
    state = TrainState(seed=job.settings.config.seed, epoch=job.number * job.settings.local_epochs)
    return RoundsResult(job.params, state, job.history, job)


class _Loop:
    """One round after another on an engine."""

    def __init__(
        self,
        engine: Engine,
        inputs: Inputs,
        monitor: _Monitor,
        watcher: RoundWatcher,
        checkpoint: str | Path | None,
    ) -> None:
        self._engine, self._inputs, self._monitor, self._watcher = engine, inputs, monitor, watcher
        self._checkpoint = checkpoint
        self._round_file = engine.folder / "round.safetensors"

    def run(self, job: Round) -> Round:
        """Run a round, and keep and report the next."""
        started = time.perf_counter()
        try:
            save_round(self._round_file, job)
            lines, counters = run_job(
                self._engine,
                job,
                self._round_file,
                self._inputs,
                on_progress=lambda share: self._watcher.on_map(job, share),
            )
            _tell_bad_rows(counters, job)
            merged, states = outcome_of(lines, job.settings)
            following = next_round(job, merged, states)
        except (DataError, ArithmeticError, JobError) as error:
            raise type(error)(f"round {job.number + 1}: {error}{self._what_is_left(job)}") from error
        seconds = time.perf_counter() - started
        in_turn = sum if self._engine.runner == "inline" else max
        rows = sum(merged.rows.values()) * job.settings.local_epochs
        record = RoundRecord(
            following.number,
            rows,
            seconds,
            rows / max(seconds, 1e-9),
            job.settings.learning_rate(job.number),
            *self._monitor.measure(following.params),
            shards=len(merged.rows),
            work_seconds=in_turn([sum(parts.values()) for parts in merged.seconds.values()]),
        )
        following = replace(following, history=[*job.history, record])
        if self._checkpoint is not None:
            save_round(self._checkpoint, following)
        self._watcher.on_round_end(following, record)
        return following

    def _what_is_left(self, job: Round) -> str:
        if self._checkpoint is None:
            return ""
        return f"; {self._checkpoint} holds the model after round {job.number}"


def _tell_bad_rows(counters: dict[str, int], job: Round) -> None:
    """A warning, in a job's first round, of the rows of CSV text that on_bad_row="skip" leaves out."""
    left_out = counters.get("bad rows", 0)
    if left_out and job.number == 0:
        warnings.warn(f"skipped {left_out} bad rows in each round", stacklevel=2)


class _Monitor:
    """Rows at the driver that each round is measured on."""

    def __init__(self, job: Round, head: Dataset, validation: Any) -> None:
        self._backend = backend_for(job.params, job.settings.config.engine, reproducible=True)
        self._rows = propagate(job, first_rows(head, job.settings.config.monitor_rows), 0)
        self._validation: Rows | None = None
        if validation is not None:
            unseen = open_source(validation, **reading_options(job.settings, validation))
            require_width(unseen, job)
            self._validation = propagate(job, first_rows(unseen, VALIDATION_ROWS), 0)

    def measure(self, params: RBMParams) -> tuple[float, float, float | None, float | None]:
        """Reconstruction error and free energy of monitor rows and of validation rows."""
        seen = reconstruction_and_energy(self._backend, params, self._rows)
        if self._validation is None:
            return (*seen, None, None)
        return (*seen, *reconstruction_and_energy(self._backend, params, self._validation))
