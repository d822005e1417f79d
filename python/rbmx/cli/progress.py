"""How far a command is, on stderr: a bar on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from rbmx.training import Callback, EpochRecord, Trainer

__all__ = ["TrainingProgress", "counted", "with_bar"]

Item = TypeVar("Item")


class TrainingProgress(Callback):
    """A training callback that says where training is: one bar over all epochs.

    Args:
        show: True for the bar, False for nothing, None for the bar on a terminal only.
    """

    def __init__(self, show: bool | None) -> None:
        self.silent = show is False
        self.as_bar = wants_bar(show)
        self.bar: tqdm[None] | None = None
        self.error = ""
        self.epoch_rows: int | None = None  # of an epoch; some sources know after the first only

    def on_train_start(self, trainer: Trainer) -> None:
        """Draw the bar where training begins; a resumed run begins in the middle."""
        if self.as_bar:
            self.epoch_rows = trainer.dataset.n_rows
            done = self._rows_before(trainer) + trainer.state.epoch_rows
            self.bar = tqdm(initial=done, unit=" rows", unit_scale=True, dynamic_ncols=True)
            self._move(trainer, trainer.state.epoch_rows)

    def on_batches(self, trainer: Trainer, rows_done: int, rows_total: int | None) -> None:
        """Move the bar to `rows_done` rows of the current epoch."""
        self._move(trainer, rows_done)

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """Say what the epoch brought."""
        if self.as_bar:
            self.error = f", error {record.reconstruction_error:.4f}"
            self.epoch_rows = record.rows
            self._move(trainer, 0)
        elif not self.silent:
            print(_line(record, trainer.config.epochs), file=sys.stderr, flush=True)

    def _move(self, trainer: Trainer, rows_done: int) -> None:
        if self.bar is None:
            return
        epochs = trainer.config.epochs
        self.bar.total = None if self.epoch_rows is None else epochs * self.epoch_rows
        epoch = min(trainer.state.epoch + 1, epochs)
        self.bar.set_description_str(f"epoch {epoch}/{epochs}{self.error}", refresh=False)
        self.bar.update(self._rows_before(trainer) + rows_done - self.bar.n)

    def _rows_before(self, trainer: Trainer) -> int:
        return trainer.state.epoch * (self.epoch_rows or 0)

    def on_train_end(self, trainer: Trainer) -> None:
        """Leave the bar where it stands, and the cursor below it."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def wants_bar(show: bool | None) -> bool:
    """Whether --progress, --quiet or neither asks for a bar."""
    return sys.stderr.isatty() if show is None else show


def with_bar(items: Iterable[Item], show: bool | None, what: str, total: int | None = None) -> Iterator[Item]:
    """The items, with a bar over them where one is wanted."""
    return iter(tqdm(items, desc=what, total=total, disable=not wants_bar(show), leave=False))


@contextmanager
def counted(show: bool | None, what: str, total: int) -> Iterator[Callable[[int], object]]:
    """A function that is told how much of `total` is done, with a bar over it where one is wanted."""
    with tqdm(desc=what, total=total, unit_scale=True, disable=not wants_bar(show), leave=False) as bar:
        yield lambda done: bar.update(done - bar.n)


def _line(record: EpochRecord, epochs: int) -> str:
    text = (
        f"epoch {record.epoch}/{epochs}: reconstruction error {record.reconstruction_error:.5f}, "
        f"free energy {record.free_energy:.3f}"
    )
    if record.validation_reconstruction_error is not None:
        text += f", validation error {record.validation_reconstruction_error:.5f}"
    if record.log_likelihood is not None:
        interval = f"{record.log_likelihood_low:.1f} to {record.log_likelihood_high:.1f}"
        text += f", log-likelihood {record.log_likelihood:.1f} ({interval})"
    return f"{text}, {record.seconds:.2f} s, {record.rows_per_second:,.0f} rows/s"
