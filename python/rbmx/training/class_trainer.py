"""Training a classification RBM: epochs of minibatches, validated, with the best parameters kept."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import check_types, items
from rbmx.backends import Rows, as_array
from rbmx.backends.native import permutation
from rbmx.data import open_source
from rbmx.errors import DataError, DivergedError
from rbmx.rng import Draws, Key, Purpose
from rbmx.samplers import CD, PCD
from rbmx.training.callbacks import StopTraining, require_callbacks, tell_epoch
from rbmx.training.class_rbm import (
    UNLABELLED,
    ClassOffsets,
    ClassRBMParams,
    Objective,
    gradient,
    log_probabilities,
)
from rbmx.training.measuring import log_odds, means
from rbmx.training.optimizers import SGD
from rbmx.training.passes import require_passes
from rbmx.training.penalties import L2, Dropout, dropout, total
from rbmx.training.schedules import Schedule, factor_of
from rbmx.units import unit_type

__all__ = ["ClassConfig", "ClassRecord", "ClassTrainer", "class_log_probabilities", "labelled_rows"]

LARGEST_BIAS = 2047.0
MONITOR_ROWS = 1000
SCORED_ROWS = 1000  # whose classes are told at once
AVERAGED = 10  # minibatches that the sliding mean of parameters takes in at once


@dataclass(frozen=True)
class ClassConfig:
    """Settings of a run.

    Attributes:
        epochs, batch_size, shuffle, seed: as in TrainConfig.
        objective: what is ascended.
        sampler: CD(k) or PCD(k, chains), of what is generative in it. Few chains are cheap, and enough beside an exact
            discriminative gradient.
        optimizer: SGD, with or without momentum.
        penalties: L2 (of both weights) and Dropout.
        schedule: factor of the learning rate, schedule(epoch, epochs).
        centering: the rate by which offsets of hidden units follow their means (rbmx.training.class_rbm): without
            offsets a step along U moves all hidden units alike, and only small rates are stable. 0: plain gradients.
        averaging: validated and left are sliding means of the parameters that forget at this rate a minibatch,
            0 <= averaging < 1 (0.999: they remember 1,000); 0: the parameters of the last minibatch.
        patience: epochs without a lower validation error that are borne; None: all epochs are run.
    """

    epochs: int = 20
    batch_size: int = 100
    objective: Objective = field(default_factory=Objective)
    sampler: CD | PCD = field(default_factory=CD)
    optimizer: SGD = field(default_factory=SGD)
    penalties: tuple[L2 | Dropout, ...] = ()
    schedule: Schedule | None = None
    centering: float = 0.01
    averaging: float = 0.0
    shuffle: bool = True
    seed: int = 0
    patience: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        require_passes(self)
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience: expected 1 or more epochs, got {self.patience}")
        if not isinstance(self.sampler, CD | PCD):
            raise ValueError(f"sampler: expected CD or PCD, got {self.sampler!r}")
        if not isinstance(self.optimizer, SGD):
            raise ValueError(f"optimizer: expected SGD, got {self.optimizer!r}")
        if not 0 <= self.centering <= 1:
            raise ValueError(f"centering: expected a rate from 0 (plain gradients) to 1, got {self.centering}")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging: expected 0 <= averaging < 1, got {self.averaging}")
        object.__setattr__(self, "penalties", tuple(items("penalties", self.penalties, "penalties")))
        for penalty in self.penalties:
            if not isinstance(penalty, L2 | Dropout):
                raise ValueError(f"penalties: expected L2 or Dropout, got {penalty!r}")

    def learning_rate(self, epoch: int) -> float:
        """The rate of an epoch counted from 0."""
        return self.optimizer.lr * factor_of(self.schedule, epoch, self.epochs)


@dataclass(frozen=True)
class ClassRecord:
    """One epoch.

    Attributes:
        epoch: counted from 1.
        rows: rows visited.   seconds: time spent in training, without the measurements.
        learning_rate: of this epoch.
        error: share of misclassified rows among the first 1,000 labelled training rows.
        log_loss: their mean of -log p(y | x), nats.
        validation_error, validation_log_loss: the same of the validation rows, or None.
    """

    epoch: int
    rows: int
    seconds: float
    learning_rate: float
    error: float
    log_loss: float
    validation_error: float | None = None
    validation_log_loss: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return dataclasses.asdict(self)


def labelled_rows(
    data: Any, labels: Any, params: ClassRBMParams, *, unlabelled: bool = False
) -> tuple[Rows, NDArray[np.int64]]:
    """Rows in memory and their labels.

    Args:
        data: anything rbmx.data.open_source takes, of values in [0, 1].
        labels: whole numbers from 0 to n_classes - 1, one a row; with `unlabelled`, -1 where the class is not known.
        params: the machine they are for.
        unlabelled: as above.

    Raises:
        DataError: rows of another width, values outside [0, 1], labels that are no classes, or not one a row.
    """
    dataset = open_source(data, unit=unit_type("bernoulli"))
    if dataset.n_visible != params.n_visible:
        raise DataError(
            f"{dataset.name}: expected rows of {params.n_visible} values (n_visible), got {dataset.n_visible}"
        )
    rows = dataset.load()
    if not len(rows):
        raise DataError(f"{dataset.name}: expected at least one row")
    found = np.asarray(labels)
    if found.shape != (len(rows),):
        raise DataError(f"labels: expected one for each of {len(rows)} rows, got {found.shape}")
    if found.dtype.kind not in "iu" and not (found.dtype.kind == "f" and np.array_equal(found, np.floor(found))):
        raise DataError(f"labels: expected whole numbers from 0 to {params.n_classes - 1}, got {found.dtype}")
    bad = (found < (UNLABELLED if unlabelled else 0)) | (found >= params.n_classes)
    if bad.any():
        row = int(bad.argmax())
        hint = "; -1, of a row without a label, needs a weight beta" if found[row] == UNLABELLED else ""
        raise DataError(f"labels: row {row}: expected 0 to {params.n_classes - 1}, got {found[row]}{hint}")
    if (found == UNLABELLED).all():
        raise DataError("labels: expected at least one that is known, all are -1")
    return rows, found.astype(np.int64)


def class_log_probabilities(params: ClassRBMParams, rows: Rows) -> NDArray[np.float32]:
    """log p(y | x) of every class, (rows, n_classes), some rows at a time."""
    parts = [
        log_probabilities(params, as_array(rows[start : start + SCORED_ROWS]))
        for start in range(0, len(rows), SCORED_ROWS)
    ]
    return np.asarray(np.concatenate(parts), np.float32)


class ClassTrainer:
    """A run; callbacks with on_epoch_end(trainer, record) may read params, config and history, or raise StopTraining.

    Args:
        params: changed in place: they end as the parameters of the best epoch by validation error where there is
            `patience`, also when the run is interrupted or fails, else as those of the last.
        rows, labels: of labelled_rows.
        config: the settings.
        validation: rows and labels to measure after each epoch.
        callbacks: as above.
        progress: a line an epoch on stderr; None: where stderr is a terminal.
    """

    def __init__(
        self,
        params: ClassRBMParams,
        rows: Rows,
        labels: NDArray[np.int64],
        config: ClassConfig,
        *,
        validation: tuple[Rows, NDArray[np.int64]] | None = None,
        callbacks: Sequence[Any] = (),
        progress: bool | None = None,
    ) -> None:
        if config.patience is not None and validation is None:
            raise ValueError("patience: stops on the validation error; pass validation=")
        self.params, self.config = params, config
        self.history: list[ClassRecord] = []
        self._rows, self._labels, self._validation = rows, labels, validation
        self._callbacks = require_callbacks(callbacks)
        self._progress = sys.stderr.isatty() if progress is None else progress
        self._key = Key(config.seed)
        self._step = self._averaged = 0  # minibatches so far, and those in the sliding mean
        self._live = params.copy() if config.averaging else params
        self._slope, self._velocity = params.zeros(), params.zeros() if config.optimizer.momentum else None
        self._offsets = self._initial_offsets() if config.centering else None
        self._chains = self._initial_chains()

    def run(self) -> list[ClassRecord]:
        """Train; the records.

        Raises:
            DivergedError: a bias passed 2047; params are those before the epoch, of the best one with `patience`.
            ValueError: a schedule gave no factor of 0 or more.
        """
        if self.config.objective.has_chains and not self.params.visible_bias.any():
            for params in (self.params, self._live):
                params.visible_bias[...] = log_odds([self._rows])
        best: tuple[float, float] | None = None
        kept, waited = self.params, 0
        try:
            with self._bar() as bar:
                for epoch in range(self.config.epochs):
                    record = self._run_epoch(epoch)
                    self.history.append(record)
                    if bar is not None:
                        bar.set_postfix_str(_in_words(record))
                        bar.update()
                    if self.config.patience is not None:
                        reached = (record.validation_error or 0.0, record.validation_log_loss or 0.0)
                        waited += 1
                        if best is None or reached < best:
                            best, kept, waited = reached, self.params.copy(), 0
                    tell_epoch(self._callbacks, self)
                    if waited and waited == self.config.patience:
                        break
        except StopTraining:
            pass
        finally:
            _copy(kept, self.params)
        return self.history

    def _run_epoch(self, epoch: int) -> ClassRecord:
        config, n = self.config, len(self._rows)
        started, before = time.perf_counter(), (self._live.copy(), self.params.copy())
        rate = config.learning_rate(epoch)
        key = self._key.fold_in(Purpose.SHUFFLE).fold_in(epoch)
        order = permutation(n, key) if config.shuffle else np.arange(n)
        for start in range(0, n, config.batch_size):
            self._learn(order[start : start + config.batch_size], rate)
            if not np.abs(self._live.hidden_bias).max() <= LARGEST_BIAS:
                for kept, params in zip(before, (self._live, self.params), strict=True):
                    _copy(kept, params)
                raise DivergedError(
                    f"weights diverged at minibatch {self._step} (epoch {epoch + 1}) with learning rate {rate:g}: "
                    "a hidden bias passed 2047; lower the learning rate"
                )
        self._average()
        seconds = time.perf_counter() - started
        known = np.flatnonzero(self._labels != UNLABELLED)[:MONITOR_ROWS]
        seen = self._measure(self._rows[known], self._labels[known])
        unseen = (None, None) if self._validation is None else self._measure(*self._validation)
        return ClassRecord(epoch + 1, n, seconds, rate, *seen, *unseen)

    def _learn(self, chosen: NDArray[np.int64], rate: float) -> None:
        """One minibatch: velocity = momentum * velocity + rate * slope, parameters += velocity."""
        config, live, slope = self.config, self._live, self._slope
        self._chains = gradient(
            live,
            as_array(self._rows[chosen]),
            self._labels[chosen],
            config.objective,
            gibbs_steps=config.sampler.k,
            key=self._key.fold_in(Purpose.TRAINING).fold_in(self._step),
            out=slope,
            rate=rate,
            dropout=dropout(config.penalties),
            chains=self._chains,
            offsets=self._offsets,
        )
        self._step += 1
        decay, momentum = np.float32(rate * total(config.penalties, L2)), np.float32(config.optimizer.momentum)
        for name in live.names:
            parameter, change = getattr(live, name), getattr(slope, name)
            if decay and name.endswith("weight"):
                change -= decay * parameter
            if self._velocity is not None:
                velocity = getattr(self._velocity, name)
                velocity *= momentum
                velocity += change
                change = change + momentum * velocity if config.optimizer.nesterov else velocity
            parameter += change
        if self._step % AVERAGED == 0:
            self._average()

    def _average(self) -> None:
        """Take the minibatches since the last time into the sliding mean, as many of the last parameters."""
        steps, self._averaged = self._step - self._averaged, self._step
        if not (self.config.averaging and steps):
            return
        # a young mean forgets faster: it shall not remember the start
        left = min(self.config.averaging**steps, self._step / (self._step + 10 * steps))
        for name in self.params.names:
            mean = getattr(self.params, name)
            mean += np.float32(1 - left) * (getattr(self._live, name) - mean)

    def _measure(self, rows: Rows, labels: NDArray[np.int64]) -> tuple[float, float]:
        """Share of rows misclassified, and mean of -log p(y | x)."""
        found = class_log_probabilities(self.params, rows)
        wrong = found.argmax(axis=1) != labels
        return float(wrong.mean()), float(-found[np.arange(len(labels)), labels].mean(dtype=np.float64))

    def _initial_offsets(self) -> ClassOffsets:
        """The means of the data, and of hidden units with input 0."""
        known = self._labels[self._labels != UNLABELLED]
        share = np.bincount(known, minlength=self.params.n_classes) / len(known)
        hidden = np.full(self.params.n_hidden, 0.5, np.float32)
        return ClassOffsets(means([self._rows]), share.astype(np.float32), hidden, self.config.centering)

    def _initial_chains(self) -> NDArray[np.float32] | None:
        """Hidden states of the persistent chains: fair coins."""
        sampler = self.config.sampler
        if not isinstance(sampler, PCD) or not self.config.objective.has_chains:
            return None
        n = self.config.batch_size if sampler.chains is None else sampler.chains
        coins = Draws(self._key.fold_in(Purpose.CHAINS), 0, 0, 0).uniform(n, self.params.n_hidden)
        return (coins < 0.5).astype(np.float32)

    def _bar(self) -> AbstractContextManager[Any]:
        if not self._progress:
            return nullcontext()
        from tqdm import tqdm

        bar: AbstractContextManager[Any] = tqdm(total=self.config.epochs, unit=" epochs", file=sys.stderr)
        return bar


def _copy(source: ClassRBMParams, target: ClassRBMParams) -> None:
    for name in source.names:
        getattr(target, name)[...] = getattr(source, name)


def _in_words(record: ClassRecord) -> str:
    unseen = "" if record.validation_error is None else f", validation {record.validation_error:.2%}"
    return f"error {record.error:.2%}{unseen}"
