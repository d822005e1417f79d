"""Where training begins: biases and variances under which visible units alone are distributed as the data, offsets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rbmx.backends import Offsets, Rows, as_array, backend_for
from rbmx.errors import DataError
from rbmx.params import RBMParams
from rbmx.training.measuring import BIAS_ROWS, log_odds, means
from rbmx.units.base import Real

__all__ = ["initial_offsets", "start_at_data"]

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
    mean, variance, count = _moments(blocks)
    if params.log_variance is not None:
        learned = params.visible_unit.learned(params.n_visible)
        constant = np.flatnonzero(learned & (variance == 0))
        if constant.size:
            column = int(constant[0])
            raise DataError(
                f"{name}: column {column} (counted from 0) is {mean[column]:g} in every row: no variance to learn"
            )
        params.log_variance[...] = np.where(learned, np.log(np.where(learned, variance, 1.0)), 0.0)
    bias = params.visible_unit.start_at(mean, count)
    far = np.flatnonzero(~(np.abs(bias) <= LARGEST_BIAS))
    if far.size:
        column = int(far[0])
        raise DataError(
            f"{name}: column {column} (counted from 0) has a mean of {mean[column]:g}, a bias of {bias[column]:.4g}, "
            f"and biases lie within {LARGEST_BIAS:g}: subtract the mean from the column, or scale it"
        )
    params.visible_bias[...] = bias


def initial_offsets(params: RBMParams, blocks: Iterable[Rows], engine: str = "auto") -> Offsets:
    """Where the offsets of centred gradients start: the data's means, and those of the hidden units given them."""
    mean = means(blocks)[None, :]
    visible = params.visible_unit.statistic(mean.astype(np.float64))[0].astype(np.float32)
    backend = backend_for(params, engine, reproducible=True)  # BLAS would vary by machine
    return Offsets(visible, backend.hidden_mean(params, mean)[0])


def _moments(blocks: Iterable[Rows]) -> tuple[Real, Real, Real]:
    """Mean and variance of each column's known values in the first rows, and how many (Chan, Golub, LeVeque 1983)."""
    mean, spread, count, rows = np.zeros(1), np.zeros(1), np.zeros(1), 0
    for block in blocks:
        part = as_array(block[: BIAS_ROWS - rows]).astype(np.float64)
        known = ~np.isnan(part)
        new = known.sum(axis=0)
        part_mean = np.where(known, part, 0).sum(axis=0) / np.maximum(new, 1)
        part_spread = (np.where(known, part - part_mean, 0) ** 2).sum(axis=0)
        share = new / np.maximum(count + new, 1)
        ahead = part_mean - mean
        mean, spread, count = mean + ahead * share, spread + part_spread + ahead**2 * count * share, count + new
        rows += len(part)
        if rows == BIAS_ROWS:
            break
    return mean, spread / count, count
