"""A source whose blocks carry labels that were given as an array of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmx.data.source import Block, Redrawn, Source
from rbmx.errors import DataError

__all__ = ["RowLabels"]


def _integers(labels: ArrayLike, name: str) -> NDArray[np.int64]:
    """Labels as int64, (rows,).

    Raises:
        DataError: other numbers than integers, or another shape.
    """
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise DataError(f"{name}: labels: expected one integer a row, got {array.dtype} {array.shape}")
    return array.astype(np.int64)


class RowLabels:
    """The rows of a source; labels[i] belongs to global row i.

    Args:
        source: the rows.
        labels: integers, one a row.

    Raises:
        DataError: labels that are no integers, or not as many as rows.
    """

    def __init__(self, source: Source, labels: ArrayLike) -> None:
        self._source = source
        self._labels = _integers(labels, source.name)
        self.name, self.n_visible, self.in_memory = source.name, source.n_visible, source.in_memory
        if source.n_rows is not None:
            self._require(source.n_rows)

    @property
    def n_rows(self) -> int | None:
        """Rows, or None where only a full pass tells."""
        return self._source.n_rows

    @property
    def n_blocks(self) -> int | None:
        """Blocks, or None where they cannot be read by number."""
        return self._source.n_blocks

    @property
    def redrawn(self) -> bool:
        """Whether each epoch draws the rows anew."""
        return isinstance(self._source, Redrawn) and self._source.redrawn

    def in_epoch(self, epoch: int) -> RowLabels:
        """The rows of an epoch, with the same labels."""
        source = self._source.in_epoch(epoch) if isinstance(self._source, Redrawn) else self._source
        return RowLabels(source, self._labels)

    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order, with their labels."""
        rows = 0
        for block in self._source.blocks():
            rows = block.first_row + len(block.values)
            yield self._with_labels(block)
        self._require(rows)

    def read_block(self, i: int) -> Block:
        """Block i of n_blocks, with its labels."""
        return self._with_labels(self._source.read_block(i))

    def place(self, row: int, column: int) -> str:
        """Where a value stands, in words."""
        return self._source.place(row, column)

    def _with_labels(self, block: Block) -> Block:
        end = block.first_row + len(block.values)
        if end > len(self._labels):
            self._require(end)
        return replace(block, labels=self._labels[block.first_row : end])

    def _require(self, rows: int) -> None:
        if len(self._labels) != rows:
            raise DataError(f"{self.name}: labels: expected one for each of {rows} rows, got {len(self._labels)}")
