"""Softmax (Potts) units: groups of q, one of each group on, p(i | x) = exp(x_i) / sum_j exp(x_j)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rbmx.rng import Draws
from rbmx.units.base import IMAGINARY_ROWS, Bools, Real, UnitType

__all__ = ["Softmax"]

SUM_TOLERANCE = 1e-4  # of means in float32


class Softmax(UnitType):
    """U(s) = 0 on one-hot rows of each group; cumulant log sum exp(x) of each group.

    Args:
        categories: q, 2 or more.
    """

    kind = "softmax"
    usage = "softmax(categories)"
    binary = True

    def __init__(self, categories: int) -> None:
        if categories < 2:
            raise ValueError(f"softmax: expected 2 categories or more, got {categories}")
        self.group = categories
        self.domain = f"groups of {categories} values of 0 or more that sum to 1"

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> UnitType:
        """The number of categories."""
        if len(arguments) != 1 or not arguments[0].isdecimal():
            raise ValueError(f"expected {cls.usage}, got softmax({','.join(arguments)})")
        return cls(int(arguments[0]))

    @property
    def name(self) -> str:
        """softmax(q)."""
        return f"softmax({self.group})"

    def energy(self, state: Real) -> Real:
        """0."""
        return np.zeros(state.shape[:-1])

    def cumulant(self, x: Real) -> Real:
        """Sum over groups of log sum exp(x)."""
        return np.asarray(np.logaddexp.reduce(self._grouped(x), axis=-1).sum(axis=-1))

    def mean(self, x: Real) -> Real:
        """exp(x) / sum of the group's exp(x)."""
        grouped = self._grouped(x)
        return np.asarray(np.exp(grouped - np.logaddexp.reduce(grouped, axis=-1, keepdims=True)).reshape(x.shape))

    def sample(self, x: Real, draws: Draws) -> Real:
        """The first category whose cumulative probability exceeds u, a number at the group's first unit."""
        cumulative = self._grouped(self.mean(x)).cumsum(axis=-1)
        u = draws.uniform(*x.shape)[:, :: self.group, None]
        chosen = (u * cumulative[..., -1:] >= cumulative[..., :-1]).sum(axis=-1)
        return np.asarray(np.eye(self.group)[chosen].reshape(x.shape))

    def contains(self, values: Real) -> Bools:
        """Values in [0, 1] in groups that sum to 1."""
        sums = self._grouped(values).sum(axis=-1)
        whole = np.abs(sums - 1) <= SUM_TOLERANCE
        return np.asarray((values >= 0) & (values <= 1) & np.repeat(whole, self.group, axis=-1))

    def states(self, n_units: int) -> list[Real]:
        """The rows of the identity."""
        return [np.eye(self.group)] * (n_units // self.group)

    def start_at(self, mean: Real, rows: Real) -> Real:
        """log of the frequencies with two imaginary rows spread evenly."""
        return np.asarray(np.log((mean * rows + IMAGINARY_ROWS / self.group) / (rows + IMAGINARY_ROWS)))

    def _grouped(self, values: Real) -> Real:
        return values.reshape(*values.shape[:-1], -1, self.group)
