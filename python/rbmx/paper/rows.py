"""Lines of CSV text on their way through the mapper: to a split, to a block of rows, to numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.data.csv import CsvText
from rbmx.errors import DataError
from rbmx.jobs.records import Record

__all__ = ["BLOCK_LINES", "Line", "Rows", "block_record", "digest_of", "grey_levels", "load_lines", "rows_of"]

BLOCK_LINES = 1000  # lines of a split that a task collects before it hands them on


@dataclass(frozen=True)
class Line:
    """A line of CSV text.

    Attributes:
        number: in the task's input, from 1.
        digest: of its text, which says to which split it goes and where in it.
        text: without the end of the line.
    """

    number: int
    digest: int
    text: bytes


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a split: grey levels (rows, n), uint8 or float32, labels int64 (rows,), digests uint64 (rows,)."""

    values: NDArray[Any]
    labels: NDArray[np.int64]
    digests: NDArray[np.uint64]


def digest_of(text: bytes) -> int:
    """64 bits of a line: a row's split depends on what it holds, not on which task reads it."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def grey_levels(values: NDArray[Any]) -> NDArray[np.float32]:
    """value / 255, float32."""
    return np.asarray(values, np.float32) / np.float32(255)


def load_lines(lines: Sequence[Line], n_values: int, where: str) -> Rows:
    """The numbers in lines: the label first, then grey levels.

    Raises:
        DataError: names `where`, the line and what is wrong with it.
    """
    try:
        return _load(lines, n_values, where)
    except DataError:
        for line in lines if len(lines) > 1 else ():  # the one at fault names itself
            load_lines([line], n_values, where)
        raise


def _load(lines: Sequence[Line], n_values: int, where: str) -> Rows:
    first = f"{where}, line {lines[0].number}"
    try:
        source = CsvText(b"".join(line.text + b"\n" for line in lines), label="first", name=first)
        if source.n_visible != n_values:
            raise DataError(
                f"{first}: {source.n_visible + 1} fields, expected a label and {n_values} values; has the file its "
                "labels, in its first column?"
            )
        blocks = list(source.blocks())
    except DataError as error:
        message = str(error).replace(f"{first}: line 1, ", f"{first}, ")
        raise DataError(message if lines[0].number == 1 else message.partition("; is line 1 a header?")[0]) from None
    values = np.concatenate([block.values for block in blocks])
    if not (values.min() >= 0 and values.max() <= 255):
        raise DataError(f"{first}: expected grey levels from 0 to 255, got {values.min():g} to {values.max():g}")
    labels = np.concatenate([block.labels for block in blocks])
    return Rows(values, labels, np.array([line.digest for line in lines], np.uint64))


def block_record(rows: Rows) -> Record:
    """Rows on their way to the reducer."""
    return Record("rows", {}, {"values": rows.values, "labels": rows.labels, "digests": rows.digests})


def rows_of(records: Sequence[Record]) -> Rows:
    """The rows of a split, in the order of their digests: the same whichever tasks read them."""
    values, labels, digests = (
        np.concatenate([record.tensors[name] for record in records]) for name in ("values", "labels", "digests")
    )
    order = np.argsort(digests, kind="stable")
    return Rows(values[order], labels[order], digests[order])
