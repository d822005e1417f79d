"""Rectified linear units: s >= 0 with p(s | x) ~ exp(x s - s^2 / 2), a normal cut off at zero."""

from __future__ import annotations

import numpy as np

from rbmx.rng import Draws
from rbmx.units import half_normal
from rbmx.units.base import Bools, Real, UnitType

__all__ = ["ReLU"]

MIDDLE = 2.0**-33  # of a draw's interval: keeps u off 0


class ReLU(UnitType):
    """U(s) = s^2 / 2 on s >= 0; cumulant log(sqrt(2 pi) exp(x^2 / 2) Phi(x)), Phi the normal distribution function.

    The most probable state is max(0, x). The noisy rectified linear units of Nair and Hinton (2010) draw
    max(0, x + N(0, sigmoid(x))), which no energy has as its conditional: energy, mean and samples could not agree.
    These have the same shape with all of them exact.
    """

    kind = usage = "relu"
    domain = "finite values of 0 or more"
    curvature = (1.0, np.inf)

    def energy(self, state: Real) -> Real:
        """sum s^2 / 2."""
        return np.asarray((state * state).sum(axis=-1) / 2)

    def cumulant(self, x: Real) -> Real:
        """sum log integral of exp(x s - s^2 / 2) over s >= 0."""
        return np.asarray(half_normal.log_integral(x).sum(axis=-1))

    def mean(self, x: Real) -> Real:
        """x + phi(x) / Phi(x)."""
        return half_normal.mean(x)

    def sample(self, x: Real, draws: Draws) -> Real:
        """The quantile at u."""
        return half_normal.quantile(x, draws.uniform(*x.shape) + MIDDLE)

    def contains(self, values: Real) -> Bools:
        """Finite values of 0 or more."""
        return np.isfinite(values) & (values >= 0)
