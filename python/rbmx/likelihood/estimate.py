"""A number with the method that gave it and the interval it claims."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Estimate"]


class Estimate(NamedTuple):
    """An estimate in nats; low = high = value where the method is exact.

    Attributes:
        value: the estimate.
        low, high: ends of its interval.
        method: how it was found, in words.
    """

    value: float
    low: float
    high: float
    method: str
