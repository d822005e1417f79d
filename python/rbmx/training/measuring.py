"""What is measured beside training: the data's means before it, errors and energies between epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Backend, Rows, as_array
from rbmx.bits import PackedBits
from rbmx.data import Dataset
from rbmx.errors import DataError
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Key
from rbmx.samplers.clamped import complete, has_missing

__all__ = [
    "BIAS_ROWS",
    "MONITOR_STEPS",
    "VALIDATION_ROWS",
    "first_rows",
    "leading_blocks",
    "log_odds",
    "means",
    "reconstruction_and_energy",
]

SomeRows = TypeVar("SomeRows", PackedBits, Float32s, Rows)
BIAS_ROWS = 100_000
VALIDATION_ROWS = 10_000
MONITOR_STEPS = 10
VALUES_TOGETHER = 1 << 18  # of a step over many rows: float32 arrays of 1 MiB


def log_odds(blocks: Iterable[Rows]) -> Float32s:
    """log(p / (1 - p)) of each unit over the first BIAS_ROWS rows, one imaginary row on and one off added.

    NaN is left out. Rounded to 2^-10, so that the last bit of a machine's logarithm cannot show.
    """
    ones, known = _column_sums(blocks)
    odds = (ones + 1) / (known - ones + 1)
    return np.asarray(np.rint(np.log(odds) * 1024) / 1024, np.float32)


def means(blocks: Iterable[Rows]) -> Float32s:
    """The mean of each unit over the first BIAS_ROWS rows, rounded to 2^-15; NaN is left out."""
    sums, known = _column_sums(blocks)
    return np.asarray(np.rint(sums / known * 32768) / 32768, np.float32)


def _column_sums(blocks: Iterable[Rows]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sum of each column's known values, and how many there are."""
    sums, known, rows = np.zeros(1), np.zeros(1), 0
    for block in blocks:
        part = block[: BIAS_ROWS - rows]
        if isinstance(part, PackedBits):
            sums = sums + np.zeros(part.n_units)  # also of no rows
            for few in _in_parts(part, part.n_units):
                sums = sums + few.unpack().sum(axis=0, dtype=np.int64)
            known = known + len(part)
        else:
            sums = sums + np.nansum(part, axis=0, dtype=np.float64)
            known = known + (~np.isnan(part)).sum(axis=0)
        rows += len(part)
        if rows == BIAS_ROWS:
            break
    return sums, known


def leading_blocks(dataset: Dataset) -> Iterator[Rows]:
    """The blocks from the start on; the first alone where a source can be read only once."""
    for _, block in dataset.blocks():
        yield block
        if dataset.one_pass:
            return


def first_rows(dataset: Dataset, limit: int) -> Rows:
    """Up to `limit` rows from the start of a dataset."""
    parts: list[Rows] = []
    held = 0
    for block in leading_blocks(dataset):
        parts.append(block[: limit - held])
        held += len(parts[-1])
        if held >= limit:
            break
    if held == 0:
        raise DataError(f"{dataset.name}: expected at least one row")
    if isinstance(parts[0], PackedBits):
        return PackedBits.concatenate([part for part in parts if isinstance(part, PackedBits)])
    return np.concatenate([part for part in parts if not isinstance(part, PackedBits)])


def reconstruction_and_energy(backend: Backend, params: RBMParams, rows: Rows) -> tuple[float, float]:
    """Mean squared difference per unit between rows and E[v | E[h | v]], and mean free energy in nats.

    Rows with missing entries are completed by a clamped chain first, and the difference is that of the observed ones.
    """
    whole = complete(backend, params, as_array(rows), MONITOR_STEPS, Key(0)) if has_missing(rows) else rows
    widest, squares, known, energy = max(params.weight.shape), 0.0, 0, 0.0
    for few, few_whole in zip(_in_parts(rows, widest), _in_parts(whole, widest), strict=True):
        error = as_array(few) - backend.reconstruct(params, few_whole)
        squares += float(np.nansum(error * error, dtype=np.float64))
        known += error.size - int(np.isnan(error).sum())
        energy += float(np.sum(backend.free_energy(params, few_whole)))
    return squares / known if known else float("nan"), energy / len(rows)


def _in_parts(rows: SomeRows, widest: int) -> Iterator[SomeRows]:
    """The rows in turn, so many together that an array of `widest` values for each stays small."""
    together = max(1, VALUES_TOGETHER // widest)
    return (rows[start : start + together] for start in range(0, len(rows), together))
