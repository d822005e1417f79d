"""A number with the method that gave it and the interval it claims."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "log_mean"]

SIGMAS = 3.0  # of an interval
MARKOV = 6.6  # nats: P(mean > e^6.6 E[mean]) is below 0.00135, that of three sigmas
FEW_EFFECTIVE = 10.0  # below it a handful of chains carry the mean


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
    effective = float(shares.sum()) ** 2 / float(np.square(shares).sum())
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
