"""How the learning rate changes over epochs: schedule(epoch, epochs) is a factor, epoch counted from 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rbmx.arguments import check_types

__all__ = ["ExponentialDecay", "Forgotten", "LinearDecay", "Schedule", "factor_of"]

Schedule = Callable[[int, int], float]


def factor_of(schedule: Schedule | None, epoch: int, epochs: int) -> float:
    """What the rate is multiplied by in an epoch counted from 0; ValueError where a schedule gives no such number."""
    factor = 1.0 if schedule is None else float(schedule(epoch, epochs))
    if not (factor >= 0 and math.isfinite(factor)):
        raise ValueError(f"schedule: expected a factor of 0 or more in epoch {epoch} (from 0), got {factor}")
    return factor


@dataclass(frozen=True)
class LinearDecay:
    """From 1 in the first epoch down a line that would reach `end` after the last.

    Attributes:
        end: 0 <= end <= 1.
    """

    end: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 <= self.end <= 1:
            raise ValueError(f"end: expected 0 <= end <= 1, got {self.end}")

    def __call__(self, epoch: int, epochs: int) -> float:
        """1 - (1 - end) * epoch / epochs."""
        return 1 - (1 - self.end) * min(epoch, epochs) / max(epochs, 1)


@dataclass(frozen=True)
class ExponentialDecay:
    """rate ** epoch.

    Attributes:
        rate: 0 < rate <= 1.
    """

    rate: float

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.rate <= 1:
            raise ValueError(f"rate: expected 0 < rate <= 1, got {self.rate}")

    def __call__(self, epoch: int, epochs: int) -> float:
        """Rate ** epoch."""
        return self.rate**epoch


@dataclass(frozen=True)
class Forgotten:
    """Stands in a loaded model for a schedule that was a function, which no file can hold.

    Attributes:
        name: of the function.
    """

    name: str

    def __call__(self, epoch: int, epochs: int) -> float:
        """Always an error: going on without the schedule would be another run."""
        raise ValueError(f"schedule: the function {self.name!r} is not in the model file: pass it again")
