"""A source under an encoding: what training and scoring read."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmx.bits import PackedBits
from rbmx.data.arrays import PackedSource
from rbmx.data.encoding import Encoded, Encoding, Kind
from rbmx.data.row_labels import RowLabels
from rbmx.data.shards import ShardSource
from rbmx.data.source import Binarizing, Block, Redrawn, Source
from rbmx.errors import DataError
from rbmx.units import UnitType

__all__ = ["Dataset", "EncodedBlock"]


@dataclass(frozen=True, eq=False)
class EncodedBlock:
    """Consecutive rows as bits or float32, under their global numbers, and their labels where there are any."""

    first_row: int
    values: Encoded
    labels: NDArray[np.int64] | None = None


class Dataset:
    """Encoded blocks of a source, under its global row numbers.

    Attributes:
        source: the rows.
        encoding: the rule that turns them into bits or real values.
        unit: whose states the encoded values must be; None: not checked.
        missing: whether NaN is a missing entry; a row without any entry is an error.
        kind: "bits" (blocks are PackedBits) or "real" (blocks are float32), settled at the start.
    """

    def __init__(
        self,
        source: Source,
        encoding: Encoding | None = None,
        unit: UnitType | None = None,
        *,
        missing: bool = False,
    ) -> None:
        self.encoding = encoding or Encoding()
        self.unit, self.missing = unit, missing
        threshold = self.encoding.binarize
        self._reads_bits = (isinstance(threshold, float) and isinstance(source, Binarizing)) or isinstance(
            source, ShardSource
        )
        if isinstance(threshold, float) and isinstance(source, Binarizing):
            source = source.binarized(threshold)
        self.source = source
        self.kind: Kind = self._settle_kind()

    def of(self, unit: UnitType, *, missing: bool = False) -> Dataset:
        """The same rows as states of these units."""
        same = copy(self)
        same.unit, same.missing = unit, missing
        return same

    @property
    def redrawn(self) -> bool:
        """Whether each epoch draws its rows anew."""
        return isinstance(self.source, Redrawn) and self.source.redrawn

    def in_epoch(self, epoch: int) -> Dataset:
        """The rows of an epoch, counted from 0: the same in all epochs but of a source that draws them anew."""
        if not (isinstance(self.source, Redrawn) and self.source.redrawn):
            return self
        drawn = copy(self)
        drawn.source = self.source.in_epoch(epoch)
        return drawn

    def with_labels(self, labels: ArrayLike) -> Dataset:
        """The same rows with a label each.

        Raises:
            DataError: as many labels as rows are needed, all integers.
        """
        same = copy(self)
        same.source = RowLabels(self.source, labels)
        return same

    def _settle_kind(self) -> Kind:
        if self.encoding.binarize is not None:
            return "bits"
        if self.encoding.scale is not None or self.encoding.unbounded:
            return "real"
        # Data in memory are asked to the end; elsewhere the first block speaks for all, and one
        # that later proves it wrong is an error with a remedy.
        for block in self.source.blocks():
            if self.encoding.kind_of(block.values) == "real":
                return "real"
            if not self.source.in_memory or not _may_be_real(block):
                break
        return "bits"

    @property
    def name(self) -> str:
        """What errors call the data."""
        return self.source.name

    @property
    def n_visible(self) -> int:
        """Units in a row."""
        return self.source.n_visible

    @property
    def n_rows(self) -> int | None:
        """Rows; None where only a pass tells. A CSV file is indexed at the first question."""
        return self.source.n_rows

    @property
    def n_blocks(self) -> int | None:
        """Blocks; None where they cannot be read by number."""
        return self.source.n_blocks

    @property
    def one_pass(self) -> bool:
        """Whether only the first block can be looked at before the one pass over all."""
        return bool(getattr(self.source, "one_pass", False))

    def describe(self) -> str:
        """The data in words: name, size and encoding."""
        rows = "rows" if self.n_rows is None else f"{self.n_rows} rows"
        return f"{self.name}: {rows} of {self.n_visible}, {self.encoding.describe()}"

    def blocks(self) -> Iterator[tuple[int, Encoded]]:
        """(first row, encoded rows) of all blocks in natural order; each call is a new pass."""
        for block in self.encoded_blocks():
            yield block.first_row, block.values

    def encoded_blocks(self) -> Iterator[EncodedBlock]:
        """All blocks in natural order, encoded, with their labels where the source has them."""
        for block in self.source.blocks():
            yield EncodedBlock(block.first_row, self._encode(block), block.labels)

    def read_block(self, i: int) -> tuple[int, Encoded]:
        """(first row, encoded rows) of block i."""
        block = self.source.read_block(i)
        return block.first_row, self._encode(block)

    def load(self) -> Encoded:
        """All rows in memory: an eighth of a byte per bit, four bytes per real value."""
        return self.load_labelled().values

    def load_labelled(self) -> EncodedBlock:
        """All rows in memory, with their labels where the source has them; packed bits without labels are shared."""
        if isinstance(self.source, PackedSource):
            for _ in self.encoded_blocks():  # which checks them
                pass
            return EncodedBlock(0, self.source.bits.contiguous(), None)
        labels: list[NDArray[np.int64] | None] = []
        if self.n_rows is None:
            parts = []
            for block in self.encoded_blocks():
                parts.append(_plain(block.values))
                labels.append(block.labels)
            rows = np.concatenate(parts)
        else:
            bits = self.kind == "bits"
            width = -(-self.n_visible // 64) if bits else self.n_visible
            rows = np.empty((self.n_rows, width), np.uint64 if bits else np.float32)
            for block in self.encoded_blocks():
                rows[block.first_row : block.first_row + len(block.values)] = _plain(block.values)
                labels.append(block.labels)
        known = [part for part in labels if part is not None]
        values = PackedBits(rows, self.n_visible) if self.kind == "bits" else rows
        return EncodedBlock(0, values, np.concatenate(known) if known else None)

    def _encode(self, block: Block) -> Encoded:
        if self._reads_bits and isinstance(block.values, PackedBits):
            return block.values
        encoded = self.encoding.encode(block, self.name, kind=self.kind, missing=self.missing, place=self.source.place)
        if self.missing and not isinstance(encoded, PackedBits):
            self._require_known_rows(encoded, block.first_row)
        if self.unit is not None and self.unit.kind != "bernoulli":  # whose range the encoding sees to
            self._require_states(encoded, block.first_row, self.unit)
        return encoded

    def _require_known_rows(self, values: NDArray[np.float32], first_row: int) -> None:
        unknown = np.isnan(values).all(axis=1)
        if unknown.any():
            where = self.source.place(first_row + int(unknown.argmax()), 0)
            raise DataError(f"{self.name}: {where}: all values of the row are NaN: it says nothing; leave it out")

    def _require_states(self, encoded: Encoded, first_row: int, unit: UnitType) -> None:
        values = encoded.unpack() if isinstance(encoded, PackedBits) else encoded
        found = unit.check(values.astype(np.float64), missing=self.missing)
        if found is not None:
            value = values[found.row, found.column].item()
            where = self.source.place(first_row + found.row, found.column)
            raise DataError(f"{self.name}: {where}: value {value!r}: {found.unit} units take {found.expected}")


def _plain(part: Encoded) -> NDArray[Any]:
    return part.words if isinstance(part, PackedBits) else part


def _may_be_real(block: Block) -> bool:
    return not isinstance(block.values, PackedBits) and block.values.dtype.kind == "f"
