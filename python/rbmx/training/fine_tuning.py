"""Epochs of a net: minibatches or a full-batch search, watched and measured; and the learner that is NumPy's."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows, as_array
from rbmx.backends.loop import move
from rbmx.data import Dataset, open_source
from rbmx.errors import DataError, DivergedError
from rbmx.rng import Key, Purpose
from rbmx.training.backprop import Network, flattened, require_loss
from rbmx.training.callbacks import EarlyStopping, ProgressBar, StopTraining, require_callbacks
from rbmx.training.config import MAX_BATCH
from rbmx.training.feed import Feed, Window
from rbmx.training.history import TuningRecord
from rbmx.training.minimizing import METHODS, minimize
from rbmx.training.optimizers import SGD, Optimizer, optimizer_from
from rbmx.training.schedules import Schedule

__all__ = [
    "BLOCK_ROWS",
    "Examples",
    "FineTuner",
    "Learner",
    "TuningConfig",
    "fine_tune",
    "open_examples",
]

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

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs: expected 0 or more, got {self.epochs}")
        if not 1 <= self.batch_size <= MAX_BATCH:
            raise ValueError(f"batch_size: expected 1 to {MAX_BATCH}, got {self.batch_size}")
        if self.method not in ("minibatches", *METHODS):
            raise ValueError(f"method: expected minibatches, {', '.join(METHODS)}, got {self.method!r}")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)):
            raise ValueError(f"weight_decay: expected 0 or more, got {self.weight_decay}")
        if self.schedule is not None and not callable(self.schedule):
            raise ValueError(f"schedule: expected a function of (epoch, epochs), got {self.schedule!r}")
        if self.schedule is not None and self.method != "minibatches":
            raise ValueError(f"schedule: {self.method} searches along lines and has no rate")
        if not 0 <= self.seed < 1 << 64:
            raise ValueError(f"seed: expected an integer from 0 to 2^64 - 1, got {self.seed}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience: expected 1 or more epochs, got {self.patience}")
        if self.buffer_bytes < 1:
            raise ValueError(f"buffer_bytes: expected a positive size, got {self.buffer_bytes}")

    def factor(self, epoch: int) -> float:
        """Of the rate in an epoch counted from 0."""
        factor = 1.0 if self.schedule is None else float(self.schedule(epoch, self.epochs))
        if not (factor >= 0 and math.isfinite(factor)):
            raise ValueError(f"schedule: expected a factor of 0 or more in epoch {epoch} (from 0), got {factor}")
        return factor


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows and what a net should make of them.

    Attributes:
        dataset: the rows.
        targets: (rows, ...) in the order of the rows' global numbers; None: the rows themselves.
    """

    dataset: Dataset
    targets: NDArray[Any] | None

    def of(self, window: Window) -> NDArray[Any] | None:
        """The targets of the rows in a window."""
        return None if self.targets is None else self.targets[window.numbers]


def open_examples(data: Any, targets: Any, *, n_in: int, unbounded: bool, name: str = "targets") -> Examples:
    """Data and targets that fit one another.

    Args:
        data: whatever rbmx.data.open_source takes.
        targets: an array of as many rows, or None: the rows themselves.
        n_in: values that a row must have.
        unbounded: real values of any size; else they are to lie in [0, 1].
        name: what errors call the targets.

    Raises:
        DataError: rows of another width.
        ValueError: targets of another length.
    """
    dataset = open_source(data, unbounded=unbounded)
    if dataset.n_visible != n_in:
        raise DataError(f"{dataset.name}: expected rows of {n_in} values, got {dataset.n_visible}")
    if targets is None:
        return Examples(dataset, None)
    wanted = np.asarray(targets)
    if dataset.n_rows is None:
        dataset = open_source(dataset.load(), unbounded=True)
    if wanted.ndim < 1 or len(wanted) != dataset.n_rows:
        raise ValueError(f"{name}: expected {dataset.n_rows}, one for each row of the data, got {wanted.shape}")
    return Examples(dataset, wanted)


class Learner(Protocol):
    """A net with its loss and optimizer, as a FineTuner sees it. Places are indices into the window it holds."""

    @property
    def lr(self) -> float:
        """The rate, before a schedule."""
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
            *require_callbacks(callbacks),
            *([ProgressBar()] if show else []),
            *([] if config.patience is None else [_BackToBest("validation_loss", config.patience)]),
        ]

    @property
    def has_validation(self) -> bool:
        """Whether rows of validation are measured after each epoch."""
        return self.learner.has_validation

    @property
    def rows_left(self) -> int | None:
        """Rows to visit; None where only a pass, or a search, tells."""
        n_rows = self.dataset.n_rows
        return None if n_rows is None or self.config.method != "minibatches" else n_rows * self.config.epochs

    def run(self) -> list[TuningRecord]:
        """Tune until config.epochs epochs are done, or a callback stops it.

        Raises:
            DivergedError: a loss that is not finite; the parameters are those at the start of the epoch.
        """
        try:
            self._call("on_train_start")
            if self.config.method == "minibatches":
                for epoch in range(self.config.epochs):
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
        rate = self.learner.lr * factor
        if not math.isfinite(loss):
            self.learner.set_flat(before)
            raise DivergedError(f"loss {loss} in epoch {epoch + 1} at learning rate {rate:g}; lower it")
        self._record(epoch + 1, rows, seconds, rate, loss)

    def _search(self) -> None:
        """All rows in natural order for each evaluation, in blocks: memory is bounded by a block's activations."""
        decay = self.config.weight_decay * self.learner.decaying()
        visited, started = 0, time.perf_counter()

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
            nonlocal visited, started
            self.learner.set_flat(vector)
            loss = value - float(decay @ vector**2) / 2
            self._record(iteration, visited, time.perf_counter() - started, 0.0, loss)
            visited, started = 0, time.perf_counter()

        found = minimize(
            mean, self.learner.flat(), method=self.config.method, iterations=self.config.epochs, callback=accepted
        )
        self.learner.set_flat(found.vector)

    def _record(self, epoch: int, rows: int, seconds: float, rate: float, loss: float) -> None:
        measured = self.learner.validate() or (None, None)
        self.history.append(TuningRecord(epoch, rows, seconds, rows / max(seconds, 1e-9), rate, loss, *measured))
        self._call("on_epoch_end", self.history[-1])

    def _call(self, method: str, *arguments: Any) -> None:
        for callback in self._callbacks:
            function = getattr(callback, method, None)
            if function is not None:
                function(self, *arguments)


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


def fine_tune(
    network: Network,
    data: Any,
    targets: Any = None,
    *,
    loss: str = "squared_error",
    optimizer: Optimizer | str = "sgd",
    validation: Any = None,
    callbacks: Sequence[Any] = (),
    progress: bool | None = None,
    **settings: Any,
) -> list[TuningRecord]:
    """Tune a net in place, in NumPy: the same bytes from the same seed, in float64 for one number of BLAS threads.

    Args:
        network: changed in place.
        data: whatever rbmx.data.open_source takes.
        targets: (rows, n_out) values, or labels (rows,) for "nll"; None: the rows themselves.
        loss: "squared_error", "cross_entropy" or "nll"; as in Network.loss_and_gradient.
        optimizer: "sgd", "nesterov", "adam", "rmsprop", one with settings, or "lbfgs" or "cg".
        validation: rows, or (rows, targets), measured after each epoch.
        callbacks: objects with any of the methods of rbmx.training.Callback.
        progress: a bar on stderr; None: where stderr is a terminal.
        settings: of a TuningConfig: epochs=, batch_size=, seed=, patience= ...

    Raises:
        DataError, ValueError: what does not fit, before any work.
        DivergedError: a loss that is not finite.
    """
    if optimizer in METHODS:
        settings["method"], optimizer = optimizer, SGD()
    config = TuningConfig(**settings)
    examples = _open(network, data, targets, loss)
    held_out = None
    if validation is not None:
        rows, wanted = validation if isinstance(validation, tuple) else (validation, None)
        held_out = _open(network, rows, wanted, loss)
    learner = _NetworkLearner(network, examples, loss, optimizer_from(optimizer), config.weight_decay, held_out)
    return FineTuner(learner, examples.dataset, config, callbacks=callbacks, progress=progress).run()


def _open(network: Network, data: Any, targets: Any, loss: str) -> Examples:
    require_loss(loss, network.layers[-1].activation)
    bounded = targets is None and network.layers[-1].activation == "sigmoid"
    examples = open_examples(data, targets, n_in=network.n_in, unbounded=not bounded)
    network.require_targets(examples.targets if targets is not None else np.zeros((1, network.n_in)), loss)
    return examples


class _NetworkLearner:
    """A Network with an optimizer's moments, in the dtype of its parameters."""

    def __init__(
        self,
        network: Network,
        examples: Examples,
        loss: str,
        optimizer: Optimizer,
        weight_decay: float,
        validation: Examples | None,
    ) -> None:
        self.network, self.lr = network, optimizer.lr
        self._examples, self._loss, self._validation = examples, loss, validation
        self._optimizer, self._weight_decay = optimizer, weight_decay
        self._parameters = [array for layer in network.layers for array in (layer.weight, layer.bias)]
        update = optimizer.update(optimizer.lr)
        self._velocity = [np.zeros_like(a) if update.has_velocity else None for a in self._parameters]
        self._squares = [np.zeros_like(a) if update.has_squares else None for a in self._parameters]
        self._steps = 0
        self._total = 0.0

    @property
    def has_validation(self) -> bool:
        return self._validation is not None

    def take(self, window: Window) -> None:
        self._rows: Rows = window.rows
        self._targets = self._examples.of(window)

    def learn(self, places: Places, factor: float, epoch: int, first: int) -> None:
        total, gradient = self._sums(places)
        self._total += total
        self._steps += 1
        slopes = [slope / -len(places) for pair in gradient for slope in pair]
        plain = self._optimizer.update(self.lr * factor)
        for i, (parameter, slope) in enumerate(zip(self._parameters, slopes, strict=True)):
            rule = replace(plain, weight_decay=self._weight_decay) if parameter.ndim == 2 else plain
            move(parameter, slope, self._velocity[i], self._squares[i], rule, self._steps)

    def take_loss(self) -> float:
        total, self._total = self._total, 0.0
        return total

    def loss_and_gradient(self, places: Places, first: int) -> tuple[float, Vector]:
        total, gradient = self._sums(places)
        return total, flattened(gradient)

    def flat(self) -> Vector:
        return self.network.flat()

    def set_flat(self, vector: Vector) -> None:
        for layer, other in zip(self.network.layers, self.network.unflat(vector).layers, strict=True):
            layer.weight[...], layer.bias[...] = other.weight, other.bias

    def decaying(self) -> Vector:
        return np.concatenate([np.full(array.size, float(array.ndim == 2)) for array in self._parameters])

    def validate(self) -> tuple[float, float] | None:
        if self._validation is None:
            return None
        total, wrong, rows = 0.0, 0.0, 0
        for first, block in self._validation.dataset.blocks():
            targets = self._validation.targets
            target = as_array(block) if targets is None else targets[first : first + len(block)]
            output = self.network.forward(block)
            total += self.network.loss(block, target, self._loss)
            rows += len(block)
            if self._loss == "nll":
                wrong += float((output.argmax(axis=1) != target).sum())
            else:
                wrong += float(np.square(output - target).sum(dtype=np.float64))
        return total / rows, wrong / rows

    def _sums(self, places: Places) -> tuple[float, Any]:
        rows = as_array(self._rows[places])
        target = rows if self._targets is None else self._targets[places]
        return self.network.loss_and_gradient(rows, target, self._loss)
