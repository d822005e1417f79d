"""How far a job over shards is, on stderr: a bar on a terminal, a line per round elsewhere."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tqdm import tqdm

from rbmx.cli.progress import wants_bar
from rbmx.jobs.driver import RoundWatcher

if TYPE_CHECKING:
    from rbmx.jobs.inputs import Inputs
    from rbmx.jobs.round import Round
    from rbmx.training.history import RoundRecord

__all__ = ["RoundsProgress"]


class RoundsProgress(RoundWatcher):
    """Says where a job is.

    Args:
        show: True for the bar, False for nothing, None for the bar on a terminal only.
        as_json: a line of JSON per round on stdout too.
    """

    def __init__(self, show: bool | None, *, as_json: bool) -> None:
        self.silent = show is False
        self.as_bar = wants_bar(show)
        self.as_json = as_json
        self.job: Round | None = None
        self.bar: tqdm[None] | None = None
        self.shards = 0

    def on_start(self, job: Round, inputs: Inputs) -> None:
        """Remember the job; draw the bar where it stands."""
        self.job = job
        self.shards = inputs.shards
        if self.as_bar:
            self.bar = tqdm(initial=job.number, total=job.settings.rounds, unit=" rounds", dynamic_ncols=True)

    def on_map(self, job: Round, share: float) -> None:
        """Say how many shards of the round are done."""
        if self.bar is not None:
            done = f"{share * self.shards:.0f}/{self.shards} shards"
            self.bar.set_description_str(f"round {job.number + 1}/{job.settings.rounds}, {done}")
            self.bar.update(job.number + share - self.bar.n)

    def on_round_end(self, job: Round, record: RoundRecord) -> None:
        """Say what the round brought."""
        self.job = job
        if self.as_json:
            print(json.dumps(record.to_json()), flush=True)
        if self.bar is not None:
            self.bar.set_postfix_str(f"error {record.reconstruction_error:.4f}", refresh=False)
            self.bar.update(job.number - self.bar.n)
        elif not self.silent:
            print(_line(job, record), file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the bar where it stands, and the cursor below it."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _line(job: Round, record: RoundRecord) -> str:
    text = (
        f"round {record.epoch}/{job.settings.rounds}: {record.shards} shards, {record.rows} rows, "
        f"reconstruction error {record.reconstruction_error:.5f}, free energy {record.free_energy:.3f}"
    )
    if record.validation_reconstruction_error is not None:
        text += f", validation error {record.validation_reconstruction_error:.5f}"
    return (
        f"{text}, {record.seconds:.1f} s (shards {record.work_seconds:.1f} s, fixed cost {record.fixed_seconds:.1f} s)"
    )
