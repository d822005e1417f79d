"""Terms added to the objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["L2", "weight_decay"]


@dataclass(frozen=True)
class L2:
    """decay / 2 * sum of squared weights; biases are free.

    Attributes:
        decay: 0 or more; each step takes lr * decay * weight off the weight.
    """

    decay: float

    def __post_init__(self) -> None:
        if not (self.decay >= 0 and math.isfinite(self.decay)):
            raise ValueError(f"decay: expected 0 or more, got {self.decay}")


def weight_decay(penalties: Sequence[L2]) -> float:
    """The total decay of all L2 terms."""
    for penalty in penalties:
        if not isinstance(penalty, L2):
            raise ValueError(f"penalties: expected L2(...), got {penalty!r}")
    return sum(penalty.decay for penalty in penalties)
