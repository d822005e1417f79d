"""Where training begins: visible biases, and learned variances, under which units alone are distributed as the data."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rbmx.backends import Rows, as_array
from rbmx.errors import DataError
from rbmx.params import RBMParams
from rbmx.training.measuring import BIAS_ROWS, log_odds
from rbmx.units.base import Real

__all__ = ["start_at_data"]

LARGEST_BIAS = 2047.0


def start_at_data(params: RBMParams, blocks: Iterable[Rows], name: str = "data") -> None:
    """Set visible biases by the data's means (of Bernoulli units: log_odds), learned log variances by their variances.

    Args:
        params: changed in place.
        blocks: rows of data; the first 100,000 count.
        name: what errors call the data.

    Raises:
        DataError: a column whose variance is to be learned is constant, or a mean is too many deviations from zero.
    """
    if params.visible == "bernoulli":
        params.visible_bias[...] = log_odds(blocks)
        return
    mean, variance, rows = _moments(blocks)
    if params.log_variance is not None:
        learned = params.visible_unit.learned(params.n_visible)
        constant = np.flatnonzero(learned & (variance == 0))
        if constant.size:
            column = int(constant[0])
            raise DataError(
                f"{name}: column {column} (counted from 0) is {mean[column]:g} in every row: no variance to learn"
            )
        params.log_variance[...] = np.where(learned, np.log(np.where(learned, variance, 1.0)), 0.0)
    bias = params.visible_unit.start_at(mean, rows)
    far = np.flatnonzero(~(np.abs(bias) <= LARGEST_BIAS))
    if far.size:
        column = int(far[0])
        raise DataError(
            f"{name}: column {column} (counted from 0) has a mean of {mean[column]:g}, a bias of {bias[column]:.4g}, "
            f"and biases lie within {LARGEST_BIAS:g}: subtract the mean from the column, or scale it"
        )
    params.visible_bias[...] = bias


def _moments(blocks: Iterable[Rows]) -> tuple[Real, Real, int]:
    """Mean and variance of each column over the first rows, and how many (Chan, Golub and LeVeque 1983)."""
    mean, spread, rows = np.zeros(1), np.zeros(1), 0
    for block in blocks:
        part = as_array(block[: BIAS_ROWS - rows]).astype(np.float64)
        both = rows + len(part)
        ahead = part.mean(axis=0) - mean
        spread = spread + ((part - part.mean(axis=0)) ** 2).sum(axis=0) + ahead**2 * rows * len(part) / both
        mean = mean + ahead * len(part) / both
        rows = both
        if rows == BIAS_ROWS:
            break
    return mean, spread / rows, rows
