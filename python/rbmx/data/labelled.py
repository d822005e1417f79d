"""Rows beside the one-hot states of their labels: what the top layer of a labelled stack sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.bits import PackedBits
from rbmx.data.dataset import Dataset
from rbmx.data.encoding import Encoded, Encoding
from rbmx.data.source import Block
from rbmx.errors import DataError

__all__ = ["Labelled", "as_labels", "labelled", "one_hot"]


def as_labels(labels: Any, n_classes: int, n_rows: int | None = None) -> NDArray[np.int64]:
    """`labels` as int64 (rows,), each one of the classes 0 to n_classes - 1.

    Raises:
        DataError: another shape, another number than the data have rows, or a label that is no class.
    """
    values = np.asarray(labels)
    if values.ndim != 1 or not values.size:
        raise DataError(f"labels: expected one integer a row, (rows,), got shape {values.shape}")
    if values.dtype.kind not in "biuf" or not np.array_equal(values, np.floor(values)):
        raise DataError(f"labels: expected integers from 0 to {n_classes - 1}, got {values.dtype} {values[:3]}")
    if n_rows is not None and len(values) != n_rows:
        raise DataError(f"labels: expected {n_rows}, one for each row of the data, got {len(values)}")
    wrong = (values < 0) | (values >= n_classes)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"labels: row {row}: {values[row]:g} is none of the classes 0 to {n_classes - 1}")
    return values.astype(np.int64)


def one_hot(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.uint8]:
    """uint8 (rows, n_classes): 1 in the label's column, 0 elsewhere."""
    return np.asarray(labels[:, None] == np.arange(n_classes), np.uint8)


def labelled(dataset: Dataset, labels: Any, n_classes: int) -> Dataset:
    """The dataset of these rows beside their labels; DataError as in as_labels."""
    source = Labelled(dataset, as_labels(labels, n_classes, dataset.n_rows), n_classes)
    return Dataset(source, Encoding(unbounded=dataset.kind == "real"))


class Labelled:
    """A source: the rows of a dataset, each with the one-hot state of its label behind.

    Args:
        dataset: bits or real values.
        labels: int64 (rows,), 0 to n_classes - 1, by global row number.
        n_classes: columns added.
    """

    in_memory = False

    def __init__(self, dataset: Dataset, labels: NDArray[np.int64], n_classes: int) -> None:
        self.dataset, self.labels, self.n_classes = dataset, labels, n_classes
        self.name = dataset.name
        self.n_visible = dataset.n_visible + n_classes

    @property
    def n_rows(self) -> int | None:
        """Rows of the dataset."""
        return self.dataset.n_rows

    @property
    def n_blocks(self) -> int | None:
        """Blocks of the dataset."""
        return self.dataset.n_blocks

    @property
    def redrawn(self) -> bool:
        """Whether each epoch draws the dataset's rows anew."""
        return self.dataset.redrawn

    def in_epoch(self, epoch: int) -> Labelled:
        """The rows of an epoch, beside the same labels."""
        return Labelled(self.dataset.in_epoch(epoch), self.labels, self.n_classes)

    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order."""
        for first_row, rows in self.dataset.blocks():
            yield self._beside(first_row, rows)

    def read_block(self, i: int) -> Block:
        """Block i of n_blocks."""
        return self._beside(*self.dataset.read_block(i))

    def place(self, row: int, column: int) -> str:
        """Where a value stands, in words."""
        if column >= self.dataset.n_visible:
            return f"row {row}, class {column - self.dataset.n_visible} of the label"
        return self.dataset.source.place(row, column)

    def _beside(self, first_row: int, rows: Encoded) -> Block:
        labels = self.labels[first_row : first_row + len(rows)]
        if len(labels) < len(rows):
            raise DataError(f"labels: expected one for each row, got {len(self.labels)}; {self.name} has more rows")
        hot = one_hot(labels, self.n_classes)
        if isinstance(rows, PackedBits):
            return Block(first_row, PackedBits.pack(np.concatenate([rows.unpack(), hot], axis=1).astype(np.bool_)))
        return Block(first_row, np.concatenate([rows, hot.astype(np.float32)], axis=1))
