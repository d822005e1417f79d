"""Bernoulli units: s in {0, 1}, p(s = 1 | x) = 1 / (1 + exp(-x))."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmx.rng import Draws
from rbmx.units.base import Real

__all__ = ["Bernoulli"]


class Bernoulli:
    """U(s) = 0 on {0, 1}; cumulant softplus(x)."""

    name = "bernoulli"

    def energy(self, state: Real) -> Real:
        """0."""
        return np.zeros_like(state)

    def cumulant(self, x: Real) -> Real:
        """log(1 + exp(x))."""
        return np.logaddexp(0.0, x)

    def mean(self, x: Real) -> Real:
        """1 / (1 + exp(-x))."""
        return np.asarray(np.exp(-np.logaddexp(0.0, -x)))

    def variance(self, x: Real) -> Real:
        """mean (1 - mean)."""
        return np.asarray(np.exp(-np.logaddexp(0.0, -x) - np.logaddexp(0.0, x)))

    def sample(self, x: Real, draws: Draws) -> Real:
        """1 where u < mean."""
        return (draws.uniform(*x.shape) < self.mean(x)).astype(np.float64)

    def check(self, values: NDArray[np.generic]) -> str | None:
        """Values lie in [0, 1]."""
        return None if np.all((values >= 0) & (values <= 1)) else "values in [0, 1]"  # type: ignore[operator]
