"""Gaussian units: s real, of variance 1, or of a variance that is learned with the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rbmx.rng import Draws
from rbmx.units.base import Bools, Real, UnitType

__all__ = ["LOG_VARIANCE_LIMIT", "Gaussian", "LearnedGaussian"]

LOG_VARIANCE_LIMIT = 30.0  # of the log variance on both sides: variances from 1e-13 to 1e13
_HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))


class Gaussian(UnitType):
    """U(s) = s^2 / 2; cumulant x^2 / 2 + log(2 pi) / 2; p(s | x) = N(x, 1)."""

    kind = "gaussian"
    usage = "gaussian or gaussian(learned)"
    domain = "finite values"
    curvature = (1.0, 1.0)

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> UnitType:
        """No argument, or "learned"."""
        return LearnedGaussian() if list(arguments) == ["learned"] else super().parse(arguments)

    def energy(self, state: Real) -> Real:
        """sum s^2 / 2."""
        return np.asarray((state * state).sum(axis=-1) / 2)

    def cumulant(self, x: Real) -> Real:
        """sum x^2 / 2 + log(2 pi) / 2."""
        return np.asarray((x * x / 2 + _HALF_LOG_2PI).sum(axis=-1))

    def mean(self, x: Real) -> Real:
        """x."""
        return x

    def sample(self, x: Real, draws: Draws) -> Real:
        """x + standard normal."""
        return x + draws.normal(*x.shape)

    def contains(self, values: Real) -> Bools:
        """Finite values."""
        return np.isfinite(values)

    def start_at(self, mean: Real, rows: Real) -> Real:
        """The mean itself: it is finite whatever the data."""
        return mean


class LearnedGaussian(Gaussian):
    """s = exp(z / 2) r with r as in Gaussian: t(s) = exp(-z / 2) s, U(s) = t^2 / 2, p(s | x) = N(exp(z / 2) x, exp(z)).

    z, the log variance, is learned beside the weights, one number a unit. Weights and biases see t(s), data in units
    of their own deviation, so that their scale is that of Gaussian units of variance 1 whatever the data's is.
    (Krizhevsky 2009, "Learning multiple layers of features from tiny images", section 1.4, with b in units of sigma;
    z instead of sigma as in Cho, Ilin and Raiko 2011.) A variance cannot blow up: z starts at the data's log variance,
    moves by a clipped gradient at a rate of its own (rbmx.backends.reference), and stays in [-30, 30].

    Args:
        log_variance: z, (units,); None: 0.
    """

    visible_only = "a hidden unit's variance is a scale of its weights and need not be learned"

    def __init__(self, log_variance: Real | None = None) -> None:
        z = 0.0 if log_variance is None else np.clip(log_variance, -LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT)
        self._half_log_variance: Real = np.asarray(z / 2)
        self._deviation: Real = np.asarray(np.exp(z / 2))

    @property
    def name(self) -> str:
        """gaussian(learned)."""
        return "gaussian(learned)"

    def statistic(self, state: Real) -> Real:
        """exp(-z / 2) s."""
        return np.asarray(state / self._deviation)

    def energy(self, state: Real) -> Real:
        """sum t^2 / 2."""
        return super().energy(self.statistic(state))

    def cumulant(self, x: Real) -> Real:
        """sum x^2 / 2 + log(2 pi) / 2 + z / 2."""
        return np.asarray((x * x / 2 + _HALF_LOG_2PI + self._half_log_variance).sum(axis=-1))

    def mean(self, x: Real) -> Real:
        """exp(z / 2) x."""
        return np.asarray(x * self._deviation)

    def sample(self, x: Real, draws: Draws) -> Real:
        """exp(z / 2) (x + standard normal)."""
        return np.asarray(super().sample(x, draws) * self._deviation)

    def scaled(self, log_variance: Real) -> UnitType:
        """With these log variances."""
        return LearnedGaussian(log_variance)

    def select(self, units: Bools) -> UnitType:
        """With their log variances."""
        return self if self._half_log_variance.ndim == 0 else LearnedGaussian(2 * self._half_log_variance[units])

    def learned(self, n_units: int) -> Bools:
        """All."""
        return np.ones(n_units, bool)

    def log_variance_slope(self, state: Real, x: Real) -> Real:
        """(t^2 - x t - 1) / 2."""
        t = self.statistic(state)
        return np.asarray((t * t - x * t - 1) / 2)

    def start_at(self, mean: Real, rows: Real) -> Real:
        """The mean in units of the deviation."""
        return self.statistic(mean)
