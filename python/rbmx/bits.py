"""Rows of bits in 64-bit words: an eighth of a byte per unit instead of four or eight bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PackedBits"]

WORD_BITS = 64


@dataclass(frozen=True, eq=False)
class PackedBits:
    """Rows of bits: unit i of a row is bit i % 64 of its word i // 64; bits past n_units are 0.

    Attributes:
        words: uint64, (rows, ceil(n_units / 64)).
        n_units: units in a row.
    """

    words: NDArray[np.uint64]
    n_units: int

    def __post_init__(self) -> None:
        width = -(-self.n_units // WORD_BITS)
        if self.n_units < 1:
            raise ValueError(f"n_units: expected at least 1, got {self.n_units}")
        if self.words.dtype != np.uint64 or self.words.ndim != 2 or self.words.shape[1] != width:
            raise ValueError(
                f"words: expected uint64 (rows, {width}) for {self.n_units} units, "
                f"got {self.words.dtype} {self.words.shape}"
            )
        tail = self.n_units % WORD_BITS
        if tail and np.any(self.words[:, -1] >> np.uint64(tail)):
            raise ValueError(f"words: expected zeros behind the {self.n_units} units of a row")

    @classmethod
    def pack(cls, values: NDArray[Any]) -> PackedBits:
        """The bits of `values`, (rows, n_units) of any real dtype and only 0 and 1."""
        if values.ndim != 2:
            raise ValueError(f"values: expected (rows, n_units), got {values.shape}")
        bits = values
        if values.dtype != np.bool_:
            bits = values != 0
            if not np.array_equal(bits, values):
                raise ValueError("values: expected only 0 and 1")
        rows, n_units = bits.shape
        octets = np.zeros((rows, -(-n_units // WORD_BITS) * 8), np.uint8)
        octets[:, : -(-n_units // 8)] = np.packbits(bits, axis=1, bitorder="little")
        return cls(octets.view("<u8").astype(np.uint64, copy=False), n_units)

    @classmethod
    def concatenate(cls, parts: Sequence[PackedBits]) -> PackedBits:
        """The rows of `parts`, one after another; all have the same n_units."""
        widths = {part.n_units for part in parts}
        if len(widths) != 1:
            raise ValueError(f"parts: expected one number of units, got {sorted(widths)}")
        return cls(np.concatenate([part.words for part in parts]), widths.pop())

    def contiguous(self) -> PackedBits:
        """The same rows one after another in aligned memory: themselves where they lie so already."""
        return PackedBits(np.require(self.words, requirements=("C", "A")), self.n_units)

    def unpack(self) -> NDArray[np.uint8]:
        """The bits as uint8 zeros and ones, (rows, n_units)."""
        octets = np.ascontiguousarray(self.words).astype("<u8", copy=False).view(np.uint8)
        return np.unpackbits(octets, axis=1, count=self.n_units, bitorder="little")

    def __len__(self) -> int:
        return int(self.words.shape[0])

    def __getitem__(self, rows: slice | NDArray[Any]) -> PackedBits:
        """The chosen rows: a slice shares memory, an index array or mask copies."""
        return PackedBits(self.words[rows], self.n_units)
