"""A number with the method that gave it and the interval it claims."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbmx.rng import Draws, Key

__all__ = ["Estimate", "log_mean", "lognormal_mean"]

SIGMAS = 3.0  # of an interval
MARKOV = 6.6  # nats: P(mean > e^6.6 E[mean]) is below 0.00135, that of three sigmas
FEW_EFFECTIVE = 10.0  # below it a handful of chains carry the mean
PIVOTS = 4000  # draws that the quantiles of an interval are read from


class Estimate(NamedTuple):
    """An estimate in nats; low = high = value where the method is exact.

    Attributes:
        value: the estimate.
        low, high: ends of its interval.
        method: how it was found, in words.
        standard_error: of the value; 0 where the method is exact.
        effective_sample_size: chains that carry a mean of weights, (sum w)^2 / sum w^2; None where there are none.
    """

    value: float
    low: float
    high: float
    method: str
    standard_error: float = 0.0
    effective_sample_size: float | None = None

    def log_likelihood(self, free_energy: float) -> Estimate:
        """-F - log Z for this log Z and a mean free energy F of rows."""
        mean = -free_energy
        return self._replace(value=mean - self.value, low=mean - self.high, high=mean - self.low)


def log_mean(log_weights: NDArray[np.float64], method: str) -> Estimate:
    """log of the mean of exp(log_weights) over independent chains, with an interval of three standard errors.

    With r the relative standard error of the mean, log(1 - 3 r) to log(1 + 3 r) beside the value. The lower end is
    never further than 6.6 nats off: a mean of positive numbers exceeds e^6.6 times its expectation once in 735 times
    (Markov), whatever their law. No such bound holds above: where few chains carry the mean, others that would weigh
    more may not have been met, and a warning says so.
    """
    top = float(log_weights.max())
    shares = np.exp(log_weights - top)
    mean, error = float(shares.mean()), float(shares.std(ddof=1)) / math.sqrt(len(shares))
    value, relative = top + math.log(mean), error / mean
    effective = _effective_sample_size(log_weights)
    low = value - MARKOV
    if SIGMAS * relative < 1:
        low = max(low, value + math.log1p(-SIGMAS * relative))
    if effective < min(FEW_EFFECTIVE, len(shares) / 2):
        warnings.warn(
            f"{method}: {effective:.1f} of {len(shares)} chains carry the estimate, so its interval is too narrow; "
            "take more temperatures",
            stacklevel=4,
        )
    return Estimate(value, low, value + math.log1p(SIGMAS * relative), method, relative, effective)


def lognormal_mean(log_weights: NDArray[np.float64], method: str) -> Estimate:
    """log E[exp(x)] = m + s^2 / 2 from a few values x that are normal: the log weights of a fine path nearly are.

    A log weight is the sum of many small and nearly independent steps, and where it is normal the second cumulant says
    what rare large weights would bring before any was met: with few chains this is far less biased than the log of
    their mean. The interval is one of 99 % and reaches further up than down: quantiles of m + Z s / sqrt(n X) +
    s^2 / (2 X) with Z normal and X chi-square over its n - 1 degrees of freedom (Krishnamoorthy and Mathew 2003,
    "Inferences on the means of lognormal distributions using generalized p-values and generalized confidence
    intervals").
    """
    n = len(log_weights)
    mean, variance = float(log_weights.mean()), float(log_weights.var(ddof=1))
    error = math.sqrt(variance / n + variance**2 / (2 * (n - 1)))
    of_mean, of_variance = _pivots(n)
    low, high = mean + np.quantile(math.sqrt(variance) * of_mean + variance * of_variance, (0.005, 0.995))
    effective = _effective_sample_size(log_weights)
    return Estimate(mean + variance / 2, float(low), float(high), method, error, effective)


@lru_cache(maxsize=8)
def _pivots(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Z / sqrt(n X) and 1 / (2 X): the same draws always, so that an interval is a function of its weights."""
    normals = Draws(Key(0), 0, 0, 0).normal(PIVOTS, n)
    x = np.square(normals[:, 1:]).sum(axis=1) / (n - 1)
    return normals[:, 0] / np.sqrt(n * x), 0.5 / x


def _effective_sample_size(log_weights: NDArray[np.float64]) -> float:
    shares = np.exp(log_weights - log_weights.max())
    return float(shares.sum()) ** 2 / float(np.square(shares).sum())
