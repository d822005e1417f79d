"""The half-line normal exp(x s - s^2 / 2) on s >= 0: its cumulant, mean and quantiles in float64.

One function carries all: g(a) = E[s | x = -a] for a >= 0. With phi and Phi the normal density and distribution,
Phi(-a) / phi(a) = 1 / (a + g(a)) (Mills' ratio), and g has no cancellation for large a, where it is near 1 / a.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

__all__ = ["log_cumulative", "log_integral", "mean", "quantile"]

Real = NDArray[np.float64]

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_FOLD = 2.0  # a in [0, inf) is folded to (a - _FOLD) / (a + _FOLD) in [-1, 1)
_DEGREE = 32
_CONTINUED = 400  # levels of the continued fraction that the fit is made from: exact to rounding for a >= 2
_NEWTON_STEPS = 7  # quadratic from a start that is at most 0.6 away: the last two change nothing


def _tail_mean_at(a: float) -> float:
    """g(a): 1 / (a + 2 / (a + 3 / ...)), and by erfc where that converges slowly (Abramowitz and Stegun 26.2.14)."""
    if a < 2:
        return math.exp(-a * a / 2) * math.sqrt(2 / math.pi) / math.erfc(a / math.sqrt(2)) - a
    below = a
    for level in range(_CONTINUED, 1, -1):
        below = a + level / below
    return 1 / below


def _fit() -> Real:
    """Chebyshev coefficients of (1 + a) g(a), which lies between 0.79 and 1.02."""

    def folded(y: Real) -> Real:
        a = _FOLD * (1 + y) / (1 - y)
        return np.array([(1 + ai) * _tail_mean_at(float(ai)) for ai in a])

    return np.asarray(chebyshev.chebinterpolate(folded, _DEGREE))  # type: ignore[type-var]


_COEFFICIENTS = _fit()


def _tail_mean(a: Real) -> Real:
    """g(a) for a >= 0."""
    return np.asarray(chebyshev.chebval((a - _FOLD) / (a + _FOLD), _COEFFICIENTS) / (1 + a))


def log_cumulative(t: Real) -> Real:
    """log Phi(t)."""
    a = np.abs(t)
    tail = -a * a / 2 - _HALF_LOG_2PI - np.log(a + _tail_mean(a))
    return np.where(t <= 0, tail, np.log1p(-np.exp(tail)))


def log_integral(x: Real) -> Real:
    """log of the integral over s >= 0 of exp(x s - s^2 / 2)."""
    a = np.abs(x)
    mills = np.log(a + _tail_mean(a))
    above = a * a / 2 + _HALF_LOG_2PI + np.log1p(-np.exp(-a * a / 2 - _HALF_LOG_2PI - mills))
    return np.where(x <= 0, -mills, above)


def mean(x: Real) -> Real:
    """E[s | x]."""
    a = np.abs(x)
    tail = _tail_mean(a)
    density = np.exp(-a * a / 2 - _HALF_LOG_2PI)
    return np.where(x <= 0, tail, a + density / (1 - density / (a + tail)))


def quantile(x: Real, u: Real) -> Real:
    """The s below which a fraction u lies, 0 < u < 1: log Phi(x - s) = log(1 - u) + log Phi(x)."""
    below = _inverse_log_cumulative(np.log1p(-u) + log_cumulative(x))
    return np.maximum(x - below, 0.0)


def _inverse_log_cumulative(y: Real) -> Real:
    """t with log Phi(t) = y < 0, by Newton on the lower half; log Phi is concave, so it comes from one side."""
    upper = y > -math.log(2)
    lower = np.where(upper, np.log(-np.expm1(np.where(upper, y, -1.0))), y)
    a = np.sqrt(np.maximum(-2 * (lower + math.log(2)), 0.0))
    for _ in range(_NEWTON_STEPS):
        slope = a + _tail_mean(a)
        a = np.maximum(a + (-a * a / 2 - _HALF_LOG_2PI - np.log(slope) - lower) / slope, 0.0)
    return np.where(upper, a, -a)
