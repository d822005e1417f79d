"""What timings say about the cost of work: a straight line through them, and steps between neighbours."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rbmx.bench.harness import Timing

__all__ = ["LinearFit", "Step", "fit_line", "steps_between_neighbours"]


@dataclass(frozen=True)
class LinearFit:
    """seconds = fixed + per_unit * x; the largest residual is relative to the measured seconds."""

    fixed: float
    per_unit: float
    largest_residual: float


def fit_line(seconds: Mapping[int, float]) -> LinearFit:
    """The line with the least squares of relative residuals, so that short and long runs count alike."""
    if len(seconds) < 3:
        raise ValueError(f"seconds: expected three points or more for a line, got {len(seconds)}")
    x = np.array(list(seconds), np.float64)
    y = np.array(list(seconds.values()), np.float64)
    fixed, per_unit = np.linalg.lstsq(np.column_stack([1 / y, x / y]), np.ones_like(y), rcond=None)[0]
    return LinearFit(float(fixed), float(per_unit), float(np.abs((fixed + per_unit * x) / y - 1).max()))


@dataclass(frozen=True)
class Step:
    """From one size to the next larger one: time per unit of work there over time per unit of work here."""

    smaller: int
    larger: int
    ratio: float


def steps_between_neighbours(
    timings: Mapping[int, Timing], work: Mapping[int, float], *, smallest: int = 1
) -> list[Step]:
    """A step for each two sizes that differ by one; its ratio is the median of the ratios of a round."""

    def ratio(a: int, b: int) -> float:
        rounds = zip(timings[a].seconds, timings[b].seconds, strict=True)
        return statistics.median(later / work[b] * work[a] / earlier for earlier, later in rounds)

    sizes: Sequence[int] = sorted(timings)
    return [Step(a, b, ratio(a, b)) for a, b in itertools.pairwise(sizes) if b == a + 1 and a >= smallest]
