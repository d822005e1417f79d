"""Bernoulli units: s in {0, 1}, p(s = 1 | x) = 1 / (1 + exp(-x))."""

from __future__ import annotations

import numpy as np

from rbmx.rng import Draws
from rbmx.units.base import Bools, Real, UnitType

__all__ = ["Bernoulli"]


class Bernoulli(UnitType):
    """U(s) = 0 on {0, 1}; cumulant softplus(x)."""

    kind = usage = "bernoulli"
    domain = "values in [0, 1]"
    binary = True

    def energy(self, state: Real) -> Real:
        """0."""
        return np.zeros(state.shape[:-1])

    def cumulant(self, x: Real) -> Real:
        """sum log(1 + exp(x))."""
        return np.asarray(np.logaddexp(0.0, x).sum(axis=-1))

    def mean(self, x: Real) -> Real:
        """1 / (1 + exp(-x))."""
        return np.asarray(np.exp(-np.logaddexp(0.0, -x)))

    def sample(self, x: Real, draws: Draws) -> Real:
        """1 where u < mean."""
        return (draws.uniform(*x.shape) < self.mean(x)).astype(np.float64)

    def contains(self, values: Real) -> Bools:
        """Values in [0, 1]."""
        return (values >= 0) & (values <= 1)

    def states(self, n_units: int) -> list[Real]:
        """0 and 1."""
        return [np.array([[0.0], [1.0]])] * n_units
