"""What can watch a run: progress, early stopping, checkpoints. Every method is optional."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import items, number, whole_number
from rbmx.training.history import EpochRecord, TuningRecord

if TYPE_CHECKING:
    from rbmx.training.trainer import Trainer

__all__ = [
    "RECORDED",
    "Callback",
    "EarlyStopping",
    "ProgressBar",
    "StopTraining",
    "WeightAverage",
    "require_callbacks",
    "tell",
    "tell_epoch",
]


RECORDED = (*EpochRecord.__dataclass_fields__, "free_energy_gap")

HOOKS = ("on_train_start", "on_batches", "on_epoch_end", "on_train_end")


class StopTraining(Exception):  # noqa: N818 - a request, not an error
    """Raised by a callback to end training after this epoch; the result is returned as usual."""


class Callback:
    """Base of callbacks; override what you need."""

    def on_train_start(self, trainer: Trainer) -> None:
        """Before the first minibatch."""

    def on_batches(self, trainer: Trainer, rows_done: int, rows_total: int | None) -> None:
        """A few times a second, or after each minibatch of the loop in Python: rows done, of how many if known.

        The parameters are in the hands of the run, in an order of its own: look at them in on_epoch_end.
        """

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """After each epoch."""

    def on_train_end(self, trainer: Trainer) -> None:
        """After the last epoch, also when training was stopped or failed."""


class EarlyStopping(Callback):
    """Stops when a measure of the records has not improved for `patience` epochs.

    Args:
        monitor: a field of EpochRecord, or of TuningRecord for nets: smaller is better, but for log_likelihood (with a
            LikelihoodMonitor before this callback), where larger is. Or "free_energy_gap", with a limit.
        patience: epochs without a new best that are borne.
        min_delta: an improvement smaller than this does not count.
        limit: a value as good as this is good enough, best or not: the gap of free energies grows from zero on, so
            EarlyStopping("free_energy_gap", limit=10.0) stops once it has been above 10 nats for `patience` epochs.
    """

    def __init__(
        self,
        monitor: str = "validation_reconstruction_error",
        patience: int = 5,
        min_delta: float = 0.0,
        limit: float | None = None,
    ) -> None:
        names = dict.fromkeys((*RECORDED, *TuningRecord.__dataclass_fields__))
        if monitor not in names:
            raise ValueError(f"monitor: expected one of {', '.join(names)}, got {monitor!r}")
        if whole_number("patience", patience) < 1:
            raise ValueError(f"patience: expected 1 or more epochs, got {patience}")
        number("min_delta", min_delta)
        self.monitor, self.patience, self.min_delta, self.limit = monitor, patience, min_delta, limit
        self.best: float | None = None
        self.waited = 0

    def on_train_start(self, trainer: Trainer) -> None:
        """Begin anew; ValueError where nothing will measure what is monitored."""
        self.best, self.waited = None, 0
        if self.monitor not in trainer.recorded:
            raise ValueError(f"monitor: expected one of {', '.join(trainer.recorded)}, got {self.monitor!r}")
        likelihood, gap = "likelihood" in self.monitor, self.monitor == "free_energy_gap"
        if likelihood and not trainer.checks_likelihood:
            raise ValueError(f"monitor: {self.monitor!r} is not measured; pass callbacks=[LikelihoodMonitor()] before")
        if (gap or self.monitor.startswith("validation")) and not trainer.has_validation:
            raise ValueError(f"monitor: {self.monitor!r} is not measured; pass validation=")

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """Compare with the best so far."""
        value = getattr(record, self.monitor)
        if value is None:
            return  # a likelihood, and not an epoch that is checked
        sign = -1.0 if "likelihood" in self.monitor else 1.0
        better = self.best is None or sign * value < sign * self.best - self.min_delta
        if better:
            self.best = value
        if better or (self.limit is not None and sign * value <= sign * self.limit):
            self.waited = 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            raise StopTraining


class WeightAverage(Callback):
    """Ends training with the mean of the parameters after each epoch from `start` on (Polyak and Juditsky 1992).

    Averages out what the last minibatches happened to hold; training itself goes on from its own parameters until then.
    A run that is resumed goes on from the mean.

    Args:
        start: the first epoch that counts, from 1.
    """

    def __init__(self, start: int) -> None:
        if whole_number("start", start) < 1:
            raise ValueError(f"start: expected an epoch from 1 on, got {start}")
        self.start, self.epochs = start, 0
        self._sums: dict[str, NDArray[np.float64]] = {}

    def on_train_start(self, trainer: Trainer) -> None:
        """Begin anew."""
        self.epochs, self._sums = 0, {}

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """Add the parameters of this epoch."""
        if record.epoch < self.start:
            return
        self.epochs += 1
        for name in trainer.params.names:
            array = getattr(trainer.params, name).astype(np.float64)
            self._sums[name] = self._sums[name] + array if name in self._sums else array

    def on_train_end(self, trainer: Trainer) -> None:
        """Put the mean in the parameters' place, where any epoch counted; a run that failed keeps its own."""
        if not trainer.finished:
            return
        for name, total in self._sums.items():
            getattr(trainer.params, name)[...] = total / self.epochs


def require_callbacks(callbacks: object) -> Sequence[Any]:
    """The callbacks; TypeError where they are no list, or one has none of the methods."""
    found = items("callbacks", callbacks, "callbacks")
    for callback in found:
        if isinstance(callback, type) or not any(hasattr(callback, hook) for hook in HOOKS):
            raise TypeError(f"callbacks: expected objects with any of {', '.join(HOOKS)}, got {callback!r}")
    return found


def tell(callbacks: Sequence[Any], method: str, trainer: Any, *arguments: Any) -> None:
    """Tell all callbacks that have the method; one that asks for an end gets it after the others have heard as well."""
    _tell(callbacks, method, lambda: (trainer, *arguments))


def tell_epoch(callbacks: Sequence[Any], trainer: Any) -> None:
    """Tell of the end of an epoch: the last record, to which the callbacks before may have added."""
    _tell(callbacks, "on_epoch_end", lambda: (trainer, trainer.history[-1]))


def _tell(callbacks: Sequence[Any], method: str, arguments: Callable[[], tuple[Any, ...]]) -> None:
    asked: StopTraining | None = None
    for callback in callbacks:
        function = getattr(callback, method, None)
        try:
            if function is not None:
                function(*arguments())
        except StopTraining as stop:
            asked = stop
    if asked is not None:
        raise asked


class ProgressBar(Callback):
    """Rows per second, time left and the last error, on stderr.

    Args:
        title: of the bar: which layer of a stack.
    """

    def __init__(self, title: str | None = None) -> None:
        self.title = title
        self._bar: Any = None
        self._base = 0

    def on_train_start(self, trainer: Trainer) -> None:
        """Open the bar."""
        from tqdm import tqdm

        self._base = -trainer.rows_begun
        self._bar = tqdm(
            desc=self.title, total=trainer.rows_left, unit=" rows", unit_scale=True, file=sys.stderr, leave=True
        )

    def on_batches(self, trainer: Trainer, rows_done: int, rows_total: int | None) -> None:
        """Move the bar."""
        self._bar.update(self._base + rows_done - self._bar.n)

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """Show the epoch's error."""
        self.on_batches(trainer, record.rows, record.rows)
        self._base += record.rows
        self._bar.set_postfix_str(f"epoch {record.epoch}/{trainer.config.epochs}, {record.in_words()}")

    def on_train_end(self, trainer: Trainer) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
