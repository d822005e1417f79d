""".npy files as a source: read block by block, so that the resident memory stays one block."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.data.arrays import ArraySource
from rbmx.data.source import IndexedSource, as_rows
from rbmx.errors import DataError

__all__ = ["NpySource", "open_npy"]


class NpySource(IndexedSource):
    """Rows of a C-ordered .npy file."""

    def __init__(self, path: str, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int, name: str) -> None:
        super().__init__(name, shape[0], int(np.prod(shape[1:], dtype=np.int64)))
        self._path = path
        self._dtype = dtype
        self._offset = offset

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop, read from the file."""
        count = (stop - start) * self.n_visible
        offset = self._offset + start * self.n_visible * self._dtype.itemsize
        values = np.fromfile(self._path, self._dtype, count, offset=offset)
        if values.size != count:
            raise DataError(f"{self.name}: ends inside rows {start} to {stop}: was it changed?")
        return as_rows(values.reshape(stop - start, self.n_visible), self.name)


def open_npy(path: str | os.PathLike[str], *, name: str | None = None) -> IndexedSource:
    """The source of a .npy file; pickled objects are refused, column order is memory-mapped."""
    file = os.fspath(path)
    name = name or file
    try:
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{name}: not a readable .npy file ({error})") from error
    if not isinstance(mapped, np.memmap):
        raise DataError(f"{name}: expected a .npy file with one array")
    if not mapped.flags.c_contiguous:
        return ArraySource(mapped, name=name)
    as_rows(mapped[:1], name)
    return NpySource(file, mapped.dtype, mapped.shape, mapped.offset, name)
