"""What is measured beside training: the data's means before it, errors and energies between epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Backend, Rows, as_array
from rbmx.bits import PackedBits
from rbmx.data import Dataset
from rbmx.errors import DataError
from rbmx.params import Float32s, RBMParams

__all__ = [
    "BIAS_ROWS",
    "VALIDATION_ROWS",
    "first_rows",
    "leading_blocks",
    "log_odds",
    "means",
    "reconstruction_and_energy",
]

BIAS_ROWS = 100_000
VALIDATION_ROWS = 10_000


def log_odds(blocks: Iterable[Rows]) -> Float32s:
    """log(p / (1 - p)) of each unit over the first BIAS_ROWS rows, one imaginary row on and one off added.

    Rounded to 2^-10, so that the last bit of a machine's logarithm cannot show.
    """
    ones, rows = _column_sums(blocks)
    odds = (ones + 1) / (rows - ones + 1)
    return np.asarray(np.rint(np.log(odds) * 1024) / 1024, np.float32)


def means(blocks: Iterable[Rows]) -> Float32s:
    """The mean of each unit over the first BIAS_ROWS rows, rounded to 2^-15."""
    sums, rows = _column_sums(blocks)
    return np.asarray(np.rint(sums / rows * 32768) / 32768, np.float32)


def _column_sums(blocks: Iterable[Rows]) -> tuple[NDArray[np.float64], int]:
    sums, rows = np.zeros(1), 0
    for block in blocks:
        part = as_array(block[: BIAS_ROWS - rows])
        sums = sums + part.sum(axis=0, dtype=np.float64)
        rows += len(part)
        if rows == BIAS_ROWS:
            break
    return sums, rows


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
    """Mean squared difference per unit between rows and E[v | E[h | v]], and mean free energy in nats."""
    error = as_array(rows) - backend.reconstruct(params, rows)
    energy = backend.free_energy(params, rows)
    return float(np.mean(error * error, dtype=np.float64)), float(np.mean(energy))
