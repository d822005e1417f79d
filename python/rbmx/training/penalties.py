"""Terms added to the objective; biases are free of all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["L1", "L2", "Penalty", "total"]


@dataclass(frozen=True)
class _Decay:
    decay: float

    def __post_init__(self) -> None:
        if not (self.decay >= 0 and math.isfinite(self.decay)):
            raise ValueError(f"decay: expected 0 or more, got {self.decay}")


@dataclass(frozen=True)
class L1(_Decay):
    """decay * sum of |weight|: weights that the data do not hold up become exactly zero.

    Attributes:
        decay: 0 or more; after each step a weight moves lr * decay towards zero, and not past it.
    """


@dataclass(frozen=True)
class L2(_Decay):
    """decay / 2 * sum of squared weights.

    Attributes:
        decay: 0 or more; each step takes lr * decay * weight off the weight.
    """


Penalty = L1 | L2


def total(penalties: Sequence[Penalty], kind: type[Penalty]) -> float:
    """The sum of the decays of one kind."""
    return float(sum(penalty.decay for penalty in penalties if isinstance(penalty, kind)))
