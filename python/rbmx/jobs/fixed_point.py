"""Sums as integers in units of 2^-32: added up in any order they give the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.errors import DivergedError

__all__ = ["FIXED_POINT", "LARGEST", "add_up", "in_units"]

FIXED_POINT = 2.0**32  # of bits, statistics are multiples of 2^-15, so exact
LARGEST = 2.0**30  # of a sum: two of them still fit int64, so that one too many is seen and not wrapped


def in_units(sums: NDArray[Any], what: str) -> NDArray[np.int64]:
    """Sums rounded to units of 2^-32.

    Raises:
        DivergedError: one is not finite, or LARGEST or more in size.
    """
    if not np.abs(sums).max(initial=0) < LARGEST:  # nan too
        raise DivergedError(f"{what}: sums passed {LARGEST:g}")
    return np.rint(sums.astype(np.float64) * FIXED_POINT).astype(np.int64)


def add_up(total: NDArray[np.int64], part: NDArray[np.int64], what: str) -> None:
    """total += part, both of in_units or sums of such.

    Raises:
        DivergedError: the total is LARGEST or more in size.
    """
    total += part
    if not np.abs(total.astype(np.float64)).max(initial=0) < LARGEST * FIXED_POINT:
        raise DivergedError(f"{what}: sums passed {LARGEST:g}")
