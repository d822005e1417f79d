"""What happened in each epoch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = ["EpochRecord", "RoundRecord", "TuningRecord", "record_from_json"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: counted from 1 over the life of the model.
        rows: rows visited.
        seconds: time spent in training (without the measurements below).
        rows_per_second: rows / seconds.
        learning_rate: of this epoch.
        reconstruction_error: mean squared difference per unit between monitor rows and E[v | E[h | v]].
        free_energy: mean F(v) of the monitor rows, nats.
        validation_reconstruction_error, validation_free_energy: the same on validation rows, or None.
        log_likelihood, log_likelihood_low, log_likelihood_high: nats per row with an interval, where a
            LikelihoodMonitor found them.
    """

    epoch: int
    rows: int
    seconds: float
    rows_per_second: float
    learning_rate: float
    reconstruction_error: float
    free_energy: float
    validation_reconstruction_error: float | None = None
    validation_free_energy: float | None = None
    log_likelihood: float | None = None
    log_likelihood_low: float | None = None
    log_likelihood_high: float | None = None

    @property
    def free_energy_gap(self) -> float | None:
        """Mean F of validation rows less that of monitor rows: it grows where a model overfits (Hinton 2010)."""
        return None if self.validation_free_energy is None else self.validation_free_energy - self.free_energy

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return dataclasses.asdict(self)

    def in_words(self) -> str:
        """What the epoch reached."""
        likelihood = "" if self.log_likelihood is None else f", log-likelihood {self.log_likelihood:.1f}"
        return f"error {self.reconstruction_error:.4f}{likelihood}"


@dataclass(frozen=True)
class TuningRecord:
    """One epoch of a net: of minibatches, or one iteration of L-BFGS or conjugate gradient.

    Attributes:
        epoch: counted from 1.
        rows: rows visited.
        seconds: time spent in training (without validation).
        rows_per_second: rows / seconds.
        learning_rate: of this epoch; 0 where lines are searched.
        loss: mean over the rows as they were visited, with the noise and dropout of that.
        validation_loss: mean over validation rows, without any; None where there are none.
        validation_error: of validation rows: the share that is misclassified, or the mean squared error of a row.
    """

    epoch: int
    rows: int
    seconds: float
    rows_per_second: float
    learning_rate: float
    loss: float
    validation_loss: float | None = None
    validation_error: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return dataclasses.asdict(self)

    def in_words(self) -> str:
        """What the epoch reached."""
        validation = "" if self.validation_error is None else f", validation error {self.validation_error:.4g}"
        return f"loss {self.loss:.4g}{validation}"


@dataclass(frozen=True)
class RoundRecord(EpochRecord):
    """One round of training over shards: `epoch` counts rounds, `rows` the visits of all shards together.

    Attributes:
        shards: how many took part.
        work_seconds: what the slowest of them worked; of all, where they work in turn (inline).
    """

    shards: int = 1
    work_seconds: float = 0.0

    @property
    def fixed_seconds(self) -> float:
        """What the round took beyond that: submitting, starting, merging."""
        return self.seconds - self.work_seconds


def record_from_json(values: dict[str, Any]) -> EpochRecord:
    """The record that to_json gave."""
    return RoundRecord(**values) if "shards" in values else EpochRecord(**values)
