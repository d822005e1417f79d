"""Arrays in memory, memory-mapped arrays and packed bits as sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.bits import PackedBits
from rbmx.data.source import IndexedSource, as_rows

__all__ = ["ArraySource", "PackedSource"]


class ArraySource(IndexedSource):
    """Rows of a NumPy array; blocks are views into it."""

    def __init__(self, values: NDArray[Any], *, name: str = "data") -> None:
        rows = as_rows(values, name)
        super().__init__(name, rows.shape[0], rows.shape[1])
        self.in_memory = not isinstance(values, np.memmap)
        self._rows = rows

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """A view of rows start to stop."""
        return self._rows[start:stop]


class PackedSource(IndexedSource):
    """Rows that are packed bits already: hidden samples of a layer, for one."""

    in_memory = True

    def __init__(self, bits: PackedBits, *, name: str = "data") -> None:
        super().__init__(name, len(bits), bits.n_units)
        self.bits = bits

    def read_rows(self, start: int, stop: int) -> PackedBits:
        """A view of rows start to stop."""
        return self.bits[start:stop]
