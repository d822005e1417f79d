"""Spins: s in {-1, 1}, p(s = 1 | x) = 1 / (1 + exp(-2 x))."""

from __future__ import annotations

import numpy as np

from rbmx.rng import Draws
from rbmx.units.base import Bools, Real, UnitType

__all__ = ["Spin"]


class Spin(UnitType):
    """U(s) = 0 on {-1, 1}; cumulant log(2 cosh x)."""

    kind = usage = "spin"
    domain = "values in [-1, 1]"

    def energy(self, state: Real) -> Real:
        """0."""
        return np.zeros(state.shape[:-1])

    def cumulant(self, x: Real) -> Real:
        """sum log(exp(x) + exp(-x))."""
        return np.asarray(np.logaddexp(x, -x).sum(axis=-1))

    def mean(self, x: Real) -> Real:
        """tanh(x)."""
        return np.asarray(np.tanh(x))

    def sample(self, x: Real, draws: Draws) -> Real:
        """1 where u < (1 + mean) / 2, else -1."""
        return np.where(draws.uniform(*x.shape) < np.exp(-np.logaddexp(0.0, -2 * x)), 1.0, -1.0)

    def contains(self, values: Real) -> Bools:
        """Values in [-1, 1]."""
        return (values >= -1) & (values <= 1)

    def states(self, n_units: int) -> list[Real]:
        """-1 and 1."""
        return [np.array([[-1.0], [1.0]])] * n_units
