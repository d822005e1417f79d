"""Epochs of a net: minibatches or a full-batch search, watched and measured, whoever does the arithmetic."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import check_types
from rbmx.data import Dataset
from rbmx.errors import DivergedError
from rbmx.rng import Key, Purpose
from rbmx.training.callbacks import EarlyStopping, ProgressBar, StopTraining, require_callbacks, tell, tell_epoch
from rbmx.training.feed import Feed, Window
from rbmx.training.history import TuningRecord
from rbmx.training.minimizing import METHODS, minimize
from rbmx.training.passes import require_passes
from rbmx.training.schedules import Schedule, factor_of

__all__ = ["BLOCK_ROWS", "FineTuner", "Learner", "Places", "TuningConfig", "Vector"]

BLOCK_ROWS = 1000

Vector = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class TuningConfig:
    """What decides how a net is tuned, beside its optimizer.

    Attributes:
        epochs: passes over the data; iterations of "lbfgs" and "cg".
        batch_size: rows of a minibatch; a gradient is the mean over those that there are.
        method: "minibatches", "lbfgs" or "cg"; the last two take gradients of all rows, block by block.
        weight_decay: half of it times the squares of all weights is added to the mean loss.
        schedule: schedule(epoch, epochs) -> factor of the rate, epoch from 0.
        shuffle: a new seeded order each epoch.
        seed: decides order, noise and dropout.
        patience: stop when validation_loss has not improved for so many epochs, and go back to the best one.
        buffer_bytes: data up to this size stay in memory; larger ones stream through a buffer of this size.
        first_epoch: how many epochs are done already, for a run that goes on: orders, noise and schedule go on as well.
    """

    epochs: int = 10
    batch_size: int = 100
    method: str = "minibatches"
    weight_decay: float = 0.0
    schedule: Schedule | None = None
    shuffle: bool = True
    seed: int = 0
    patience: int | None = None
    buffer_bytes: int = 1 << 30
    first_epoch: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require_passes(self)
        if self.method not in ("minibatches", *METHODS):
            raise ValueError(f"method: expected minibatches, {', '.join(METHODS)}, got {self.method!r}")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}")
        if self.schedule is not None and self.method != "minibatches":
            raise ValueError(f"schedule: {self.method} searches along lines and has no rate")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience: expected 1 or more epochs, got {self.patience}")
        if self.buffer_bytes < 1:
            raise ValueError(f"buffer_bytes: expected a positive size, got {self.buffer_bytes}")
        if not 0 <= self.first_epoch <= self.epochs:
            raise ValueError(f"first_epoch: expected 0 to {self.epochs}, the epochs in all, got {self.first_epoch}")
        if self.first_epoch and self.method != "minibatches":
            raise ValueError(f"first_epoch: {self.method} starts anew from the parameters; leave it out")

    def factor(self, epoch: int) -> float:
        """Of the rate in an epoch counted from 0."""
        return factor_of(self.schedule, epoch, self.epochs)


class Learner(Protocol):
    """A net with its loss and optimizer, as a FineTuner sees it. Places are indices into the window it holds."""

    @property
    def lr(self) -> float:
        """The rate at present, before a schedule."""
        ...

    @property
    def has_validation(self) -> bool:
        """Whether validate() measures anything."""
        ...

    def take(self, window: Window) -> None:
        """Hold the rows of a window."""
        ...

    def learn(self, places: Places, factor: float, epoch: int, first: int) -> None:
        """One minibatch, whose noise belongs to rows `first` and on of the epoch."""
        ...

    def take_loss(self) -> float:
        """The loss summed over all rows learned since this was asked last."""
        ...

    def loss_and_gradient(self, places: Places, first: int) -> tuple[float, Vector]:
        """Sums over rows at the present parameters."""
        ...

    def flat(self) -> Vector:
        """All parameters in one vector."""
        ...

    def set_flat(self, vector: Vector) -> None:
        """The parameters that flat() gave."""
        ...

    def decaying(self) -> Vector:
        """1 where flat() has a weight, 0 where it has a bias."""
        ...

    def validate(self) -> tuple[float, float] | None:
        """Mean loss and mean error of the validation rows, or None."""
        ...


class FineTuner:
    """The run behind the nets' fit; callbacks receive it and may read learner, config, dataset, history."""

    recorded = tuple(TuningRecord.__dataclass_fields__)
    checks_likelihood = False
    rows_begun = 0

    def __init__(
        self,
        learner: Learner,
        dataset: Dataset,
        config: TuningConfig,
        *,
        callbacks: Sequence[Any] = (),
        progress: bool | None = None,
    ) -> None:
        self.learner, self.dataset, self.config = learner, dataset, config
        self.history: list[TuningRecord] = []
        if config.patience is not None and not self.has_validation:
            raise ValueError("patience: expected validation= beside it")
        full = config.method != "minibatches"
        self._feed = Feed(
            dataset,
            batch_size=BLOCK_ROWS if full else config.batch_size,
            shuffle=config.shuffle and not full,
            key=Key(config.seed).fold_in(Purpose.SHUFFLE),
            buffer_bytes=config.buffer_bytes,
        )
        show = sys.stderr.isatty() if progress is None else progress
        self._callbacks = [
            # first, so that it has the best parameters whatever the callbacks of others raise
            *([] if config.patience is None else [_BackToBest("validation_loss", config.patience)]),
            *require_callbacks(callbacks),
            *([ProgressBar()] if show else []),
        ]

    @property
    def has_validation(self) -> bool:
        """Whether rows of validation are measured after each epoch."""
        return self.learner.has_validation

    @property
    def rows_left(self) -> int | None:
        """Rows to visit; None where only a pass, or a search, tells."""
        n_rows = self.dataset.n_rows
        if n_rows is None or self.config.method != "minibatches":
            return None
        return n_rows * (self.config.epochs - self.config.first_epoch)

    def run(self) -> list[TuningRecord]:
        """Tune until config.epochs epochs are done, or a callback stops it.

        Raises:
            DivergedError: a loss that is not finite; the parameters are those at the start of the epoch.
        """
        try:
            self._call("on_train_start")
            if self.config.method == "minibatches":
                for epoch in range(self.config.first_epoch, self.config.epochs):
                    self._run_epoch(epoch)
            elif self.config.epochs:
                self._search()
        except StopTraining:
            pass
        finally:
            self._call("on_train_end")
        return self.history

    def _run_epoch(self, epoch: int) -> None:
        before, factor = self.learner.flat(), self.config.factor(epoch)
        rate = self.learner.lr * factor
        started, rows = time.perf_counter(), 0
        for window in self._feed.windows(epoch):
            self.learner.take(window)
            for start in range(0, len(window.order), self.config.batch_size):
                places = window.order[start : start + self.config.batch_size]
                self.learner.learn(places, factor, epoch, rows)
                rows += len(places)
                self._call("on_batches", rows, self.dataset.n_rows)
        loss = self.learner.take_loss() / max(rows, 1)
        seconds = time.perf_counter() - started
        if not math.isfinite(loss):
            self.learner.set_flat(before)
            raise DivergedError(f"loss {loss} in epoch {epoch + 1} at learning rate {rate:g}; lower it")
        self._record(epoch + 1, rows, seconds, rate, loss)

    def _search(self) -> None:
        """All rows in natural order for each evaluation, in blocks: memory is bounded by a block's activations."""
        decay = self.config.weight_decay * self.learner.decaying()
        visited, started = 0, time.perf_counter()
        reached = self.learner.flat()

        def mean(vector: Vector) -> tuple[float, Vector]:
            nonlocal visited
            self.learner.set_flat(vector)
            total, gradient, rows = 0.0, np.zeros_like(vector), 0
            for window in self._feed.windows(0):
                self.learner.take(window)
                for start in range(0, len(window.order), BLOCK_ROWS):
                    places = window.order[start : start + BLOCK_ROWS]
                    loss, slope = self.learner.loss_and_gradient(places, rows)
                    total, rows = total + loss, rows + len(places)
                    gradient += slope
            visited += rows
            self._call("on_batches", visited, None)
            return total / rows + float(decay @ vector**2) / 2, gradient / rows + decay * vector

        def accepted(iteration: int, vector: Vector, value: float) -> None:
            nonlocal visited, started, reached
            self.learner.set_flat(vector)
            reached = vector
            loss = value - float(decay @ vector**2) / 2
            self._record(iteration, visited, time.perf_counter() - started, 0.0, loss)
            visited, started = 0, time.perf_counter()

        try:
            found = minimize(mean, reached, method=self.config.method, iterations=self.config.epochs, callback=accepted)
            reached = found.vector
        finally:  # an interrupt in a line search leaves the net where the last line ended
            self.learner.set_flat(reached)

    def _record(self, epoch: int, rows: int, seconds: float, rate: float, loss: float) -> None:
        measured = self.learner.validate() or (None, None)
        self.history.append(TuningRecord(epoch, rows, seconds, rows / max(seconds, 1e-9), rate, loss, *measured))
        tell_epoch(self._callbacks, self)

    def _call(self, method: str, *arguments: Any) -> None:
        tell(self._callbacks, method, self, *arguments)


class _BackToBest(EarlyStopping):
    """Stops early, and ends with the parameters of the best epoch."""

    def on_epoch_end(self, trainer: Any, record: Any) -> None:
        """Keep the parameters where they are the best so far."""
        before = self.best
        try:
            super().on_epoch_end(trainer, record)
        finally:
            if self.best != before:
                self._kept = trainer.learner.flat()

    def on_train_end(self, trainer: Any) -> None:
        """Go back to them."""
        if self.best is not None:
            trainer.learner.set_flat(self._kept)
