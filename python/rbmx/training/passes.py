"""What all trainings by minibatches have in common: so many epochs of such minibatches, at rates, from a seed."""

from __future__ import annotations

from typing import Protocol

from rbmx.training.schedules import Schedule

__all__ = ["MAX_BATCH", "Passes", "require_passes"]

MAX_BATCH = 65536


class Passes(Protocol):
    """Settings that TrainConfig, TuningConfig and ClassConfig share."""

    @property
    def epochs(self) -> int:
        """Passes over the data."""
        ...

    @property
    def batch_size(self) -> int:
        """Rows of a minibatch."""
        ...

    @property
    def schedule(self) -> Schedule | None:
        """The factor of the rate in an epoch."""
        ...

    @property
    def seed(self) -> int:
        """What decides the run."""
        ...


def require_passes(settings: Passes) -> None:
    """ValueError where one of them is out of its range."""
    if settings.epochs < 0:
        raise ValueError(f"epochs: expected 0 or more, got {settings.epochs}")
    if not 1 <= settings.batch_size <= MAX_BATCH:
        raise ValueError(f"batch_size: expected 1 to {MAX_BATCH}, got {settings.batch_size}")
    if settings.schedule is not None and not callable(settings.schedule):
        raise ValueError(f"schedule: expected a function of (epoch, epochs), got {settings.schedule!r}")
    if not 0 <= settings.seed < 1 << 64:
        raise ValueError(f"seed: expected an integer from 0 to 2^64 - 1, got {settings.seed}")
