"""A number with the method that gave it and the interval it claims."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "log_mean", "lognormal_mean"]

SIGMAS = 3.0  # of an interval
MARKOV = 6.6  # nats: P(mean > e^6.6 E[mean]) is below 0.00135, that of three sigmas
FEW_EFFECTIVE = 10.0  # below it a handful of chains carry the mean
NORMAL_99 = 2.5758293035489004  # a normal variable stays within so many standard deviations 99 times in 100


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

    A log weight is the sum of many small and nearly independent steps (Crooks 1999 for the physics of it), and where it
    is normal the second cumulant says what rare large weights would bring before any was met: with few chains this is
    far less biased than the log of their mean. The interval is Student's at 99 %, of standard error
    sqrt(s^2 / n + s^4 / (2 (n - 1))).
    """
    n = len(log_weights)
    mean, variance = float(log_weights.mean()), float(log_weights.var(ddof=1))
    value, error = mean + variance / 2, math.sqrt(variance / n + variance**2 / (2 * (n - 1)))
    reach = _student_99(n - 1) * error
    return Estimate(value, value - reach, value + reach, method, error, _effective_sample_size(log_weights))


def _effective_sample_size(log_weights: NDArray[np.float64]) -> float:
    shares = np.exp(log_weights - log_weights.max())
    return float(shares.sum()) ** 2 / float(np.square(shares).sum())


def _student_99(freedom: int) -> float:
    """The 0.995 quantile of Student's t, by the expansion in 1 / freedom: three digits from 7 degrees on."""
    z = NORMAL_99
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + terms[0] / freedom + terms[1] / freedom**2 + terms[2] / freedom**3
