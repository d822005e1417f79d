"""Main effects in a full factorial table: the analysis of variance of log time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Effect", "main_effects"]


@dataclass(frozen=True)
class Effect:
    """How much of the variation of log time one factor explains by itself.

    Attributes:
        of_effects: percent of the sum of squares of all main effects together, as the paper prints.
        of_total: percent of the total sum of squares; what is missing to 100 over all factors is interaction and noise.
        levels: geometric mean of the time at each level of the factor.
    """

    of_effects: float
    of_total: float
    levels: dict[int, float]


def main_effects(factors: Mapping[str, Sequence[int]], times: Mapping[tuple[int, ...], float]) -> dict[str, Effect]:
    """One Effect per factor; `times` holds every combination of their levels, in the order of the factors."""
    shape = tuple(len(levels) for levels in factors.values())
    if len(times) != math.prod(shape):
        raise ValueError(f"times: expected {math.prod(shape)} cells, got {len(times)}")
    logs = np.zeros(shape)
    for at in np.ndindex(shape):
        cell = tuple(levels[i] for levels, i in zip(factors.values(), at, strict=True))
        logs[at] = math.log(times[cell])
    total = float(((logs - logs.mean()) ** 2).sum())
    means = {
        name: logs.mean(axis=tuple(other for other in range(logs.ndim) if other != axis))
        for axis, name in enumerate(factors)
    }
    squares = {name: float(((mean - logs.mean()) ** 2).sum()) * logs.size / len(mean) for name, mean in means.items()}
    return {
        name: Effect(
            100 * squares[name] / sum(squares.values()),
            100 * squares[name] / total,
            {level: math.exp(mean) for level, mean in zip(levels, means[name], strict=True)},
        )
        for name, levels in factors.items()
    }
