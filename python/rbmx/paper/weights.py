"""Weights of a net as arrays by name, and their average over splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rbmx.tensors import Tensors

__all__ = ["Weights", "average"]


@dataclass(frozen=True, eq=False)
class Weights:
    """What a net has learned.

    Attributes:
        arrays: by the names of the net's state_dict.
        rows: that it was trained on, its weight in an average.
    """

    arrays: Tensors
    rows: int = 1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each array."""
        return {name: array.shape for name, array in self.arrays.items()}


def average(weights: Sequence[Weights]) -> Weights:
    """sum_s n_s w_s / sum_s n_s over splits s of n_s rows, in float64 and in the order given.

    Raises:
        ValueError: none, or weights of different nets.
    """
    if not weights:
        raise ValueError("weights: expected those of one split or more, got none; was MRDL.run() called?")
    first, rows = weights[0], sum(each.rows for each in weights)
    for each in weights:
        if each.shapes != first.shapes:
            raise ValueError(f"weights: expected arrays {first.shapes} in every split, got {each.shapes}")
    mean: Tensors = {}
    for name, like in first.arrays.items():
        total = np.zeros(like.shape)
        for each in weights:
            total += each.arrays[name].astype(np.float64) * each.rows
        mean[name] = np.asarray(total / rows, like.dtype)
    return Weights(mean, rows)
