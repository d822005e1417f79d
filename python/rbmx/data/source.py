"""What every source of rows offers: blocks of raw values under stable global row numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rbmx.bits import PackedBits
from rbmx.errors import DataError

__all__ = [
    "Binarizing",
    "Block",
    "IndexedSource",
    "Redrawn",
    "SequentialSource",
    "Source",
    "as_rows",
    "row_and_column",
    "rows_per_block",
]

BLOCK_ROWS = 4096
BLOCK_VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows: raw values (rows, n_visible) of any real dtype, or already packed bits.

    Attributes:
        first_row: global number of the first.
        values: the rows.
        labels: int64, one a row, where the source has them.
    """

    first_row: int
    values: NDArray[Any] | PackedBits
    labels: NDArray[np.int64] | None = None


@runtime_checkable
class Source(Protocol):
    """Rows that can be read block by block, in the same order and under the same numbers each time.

    A source of your own needs these eight names and goes straight into open_source.
    """

    @property
    def name(self) -> str:
        """What errors call the data."""
        ...

    @property
    def n_visible(self) -> int:
        """Values in a row."""
        ...

    @property
    def n_rows(self) -> int | None:
        """Rows, or None where only a full pass tells."""
        ...

    @property
    def n_blocks(self) -> int | None:
        """Blocks, or None where they cannot be read by number."""
        ...

    @property
    def in_memory(self) -> bool:
        """Whether a pass over all values costs next to nothing."""
        ...

    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order; a new pass with each call."""
        ...

    def read_block(self, i: int) -> Block:
        """Block i of n_blocks."""
        ...

    def place(self, row: int, column: int) -> str:
        """Where a value stands, in the words an error message uses."""
        ...


@runtime_checkable
class Binarizing(Protocol):
    """A source that can compare while it reads, which costs less than to compare what it has read."""

    def binarized(self, threshold: float) -> Source:
        """The same rows as packed bits: 1 where the value is greater than the threshold."""
        ...


@runtime_checkable
class Redrawn(Protocol):
    """A source whose rows may be random numbers, others in each epoch."""

    @property
    def redrawn(self) -> bool:
        """Whether they are."""
        ...

    def in_epoch(self, epoch: int) -> Source:
        """The rows of an epoch, counted from 0."""
        ...


def rows_per_block(n_visible: int) -> int:
    """Rows of a block: 4096, fewer where rows are so wide that a block would not be small."""
    return max(1, min(BLOCK_ROWS, BLOCK_VALUES // n_visible))


def row_and_column(row: int, column: int) -> str:
    """How errors name a place in data that have no lines."""
    return f"row {row}, column {column} (counted from 0)"


def as_rows(values: NDArray[Any], name: str) -> NDArray[Any]:
    """`values` as (rows, n_visible): dimensions behind the first are flattened, images to rows."""
    if values.dtype.kind not in "biuf":
        raise DataError(f"{name}: expected real numbers, got dtype {values.dtype} {values.shape}")
    if values.ndim < 2:
        raise DataError(f"{name}: expected (rows, n_visible), got shape {values.shape}")
    if values.size == 0:
        raise DataError(f"{name}: expected at least one row and one column, got {values.shape}")
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    return values.reshape(values.shape[0], -1)


class IndexedSource(ABC):
    """A source whose rows are read by number."""

    in_memory = False

    def __init__(self, name: str, n_rows: int, n_visible: int) -> None:
        self.name = name
        self.n_rows = n_rows
        self.n_visible = n_visible
        self.block_rows = rows_per_block(n_visible)

    @property
    def n_blocks(self) -> int:
        """Blocks of block_rows rows; the last may be shorter."""
        return -(-self.n_rows // self.block_rows)

    @abstractmethod
    def read_rows(self, start: int, stop: int) -> NDArray[Any] | PackedBits:
        """The values of rows start to stop."""

    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order."""
        for i in range(self.n_blocks):
            yield self.read_block(i)

    def read_block(self, i: int) -> Block:
        """Block i of n_blocks."""
        if not 0 <= i < self.n_blocks:
            raise IndexError(f"{self.name}: block {i} of {self.n_blocks}")
        start = i * self.block_rows
        return Block(start, self.read_rows(start, min(start + self.block_rows, self.n_rows)))

    def place(self, row: int, column: int) -> str:
        """Where a value stands, in words."""
        return row_and_column(row, column)


class SequentialSource(ABC):
    """A source that is read from its start to its end."""

    in_memory = False
    n_blocks: int | None = None

    def __init__(self, name: str, n_rows: int | None, n_visible: int) -> None:
        self.name = name
        self.n_rows = n_rows
        self.n_visible = n_visible

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order."""

    def read_block(self, i: int) -> Block:
        """Refused: blocks come one after another."""
        raise TypeError(f"{self.name}: read from start to end only; block {i} cannot be picked")

    def place(self, row: int, column: int) -> str:
        """Where a value stands, in words."""
        return row_and_column(row, column)
