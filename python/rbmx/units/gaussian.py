"""Gaussian units of variance 1: s real, p(s | x) = N(x, 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmx.rng import Draws
from rbmx.units.base import Real

__all__ = ["Gaussian"]


class Gaussian:
    """U(s) = s^2 / 2; cumulant x^2 / 2 + log(2 pi) / 2."""

    name = "gaussian"

    def energy(self, state: Real) -> Real:
        """s^2 / 2."""
        return np.asarray(state * state / 2)

    def cumulant(self, x: Real) -> Real:
        """x^2 / 2 + log(2 pi) / 2."""
        return np.asarray(x * x / 2 + np.log(2 * np.pi) / 2)

    def mean(self, x: Real) -> Real:
        """x."""
        return x

    def variance(self, x: Real) -> Real:
        """1."""
        return np.ones_like(x)

    def sample(self, x: Real, draws: Draws) -> Real:
        """x + standard normal."""
        return x + draws.normal(*x.shape)

    def check(self, values: NDArray[np.generic]) -> str | None:
        """Values are finite."""
        return None if np.all(np.isfinite(values)) else "finite values"
