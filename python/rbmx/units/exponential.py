"""Truncated exponential units: s in [0, 1], p(s | x) ~ exp(x s)."""

from __future__ import annotations

import numpy as np

from rbmx.rng import Draws
from rbmx.units.base import Bools, Real, UnitType

__all__ = ["Exponential"]

_SERIES_BELOW = 0.5
# 1 / (1 - exp(-x)) - 1 / x = 1/2 + sum of B_2k / (2k)! x^(2k - 1), by Bernoulli's numbers
_SERIES = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)
_TINY = 1e-300  # stands for 0 in quotients whose limit it has


class Exponential(UnitType):
    """U(s) = 0 on [0, 1]; cumulant log((exp(x) - 1) / x).

    Larochelle, Bengio, Louradour and Lamblin (2009), "Exploring strategies for training deep neural networks",
    section 3.4.
    """

    kind = usage = "exponential"
    domain = "values in [0, 1]"

    def energy(self, state: Real) -> Real:
        """0."""
        return np.zeros(state.shape[:-1])

    def cumulant(self, x: Real) -> Real:
        """sum max(x, 0) + log((1 - exp(-|x|)) / |x|)."""
        a = np.maximum(np.abs(x), _TINY)
        return np.asarray((np.maximum(x, 0) + np.log(-np.expm1(-a) / a)).sum(axis=-1))

    def mean(self, x: Real) -> Real:
        """1 / (1 - exp(-x)) - 1 / x, 1/2 at 0."""
        a = np.maximum(np.abs(x), _SERIES_BELOW)
        far = -1 / np.expm1(-a) - 1 / a
        near = np.zeros_like(x)
        for coefficient in reversed(_SERIES):
            near = near * x * x + coefficient
        return np.where(np.abs(x) < _SERIES_BELOW, 0.5 + near * x, np.where(x > 0, far, 1 - far))

    def sample(self, x: Real, draws: Draws) -> Real:
        """The quantile at u, measured from the end that is likelier."""
        u = draws.uniform(*x.shape)
        a = np.maximum(np.abs(x), _TINY)
        fraction = np.where(x > 0, 1 - u, u)
        distance = np.minimum(-np.log1p(fraction * np.expm1(-a)) / a, 1.0)
        return np.asarray(np.where(x > 0, 1 - distance, distance))

    def contains(self, values: Real) -> Bools:
        """Values in [0, 1]."""
        return np.asarray((values >= 0) & (values <= 1))
