"""IDX files, the format of MNIST: a magic number, the sizes, the values in big-endian order."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.data.files import is_gzip, open_stream
from rbmx.data.source import Block, IndexedSource, SequentialSource, Source, as_rows, rows_per_block
from rbmx.errors import DataError

__all__ = ["IdxHeader", "looks_like_idx", "open_idx", "read_idx"]

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_DIMENSIONS = 8
MAX_GZIP_RATIO = 1032  # deflate cannot do better


@dataclass(frozen=True)
class IdxHeader:
    """The dtype (big-endian) and shape of an IDX file, and where its values start."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def n_bytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize


def looks_like_idx(head: bytes) -> bool:
    """Whether a file that starts with `head` can be IDX."""
    return len(head) >= 4 and head[:2] == b"\0\0" and head[2] in DTYPES and head[3] > 0


def read_header(path: str | os.PathLike[str], stream: BufferedIOBase, name: str) -> IdxHeader:
    """Reads the header and checks it against the size of the file, before anything is allocated."""
    magic = stream.read(4)
    if not looks_like_idx(magic) or magic[3] > MAX_DIMENSIONS:
        raise DataError(
            f"{name}: not an IDX file: expected it to start with 00 00, a type and a number of "
            f"dimensions, got {magic.hex(' ') or 'nothing'}"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{name}: truncated: the IDX header ends after {4 + len(sizes)} bytes")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    header = IdxHeader(np.dtype(DTYPES[magic[2]]), shape, 4 + len(sizes))
    promised = header.offset + header.n_bytes
    size = os.path.getsize(path)
    if is_gzip(path):
        if promised > size * MAX_GZIP_RATIO:
            raise DataError(
                f"{name}: the header promises {shape} values, {promised} bytes: more than {size} bytes of gzip can hold"
            )
    elif size != promised:
        fault = "truncated" if size < promised else "longer than its header says"
        raise DataError(f"{name}: {fault}: {shape} values make {promised} bytes, the file has {size}")
    return header


def read_values(stream: BufferedIOBase, header: IdxHeader, first: int, n: int, name: str) -> NDArray[Any]:
    """The next n entries of the first dimension, in native byte order."""
    values = np.empty((n, *header.shape[1:]), header.dtype)
    target = values.reshape(-1).view(np.uint8).data
    filled = 0
    while filled < len(target):
        got = stream.readinto(target[filled:])
        if not got:
            entry = first + filled * n // len(target)
            raise DataError(f"{name}: truncated: ends inside entry {entry} of {header.shape[0]}")
        filled += got
    return values.astype(header.dtype.newbyteorder("="), copy=False)


def check_end(stream: BufferedIOBase, header: IdxHeader, name: str) -> None:
    """Nothing may follow the values; at the end of gzip data this also checks their CRC."""
    if stream.read(1):
        raise DataError(f"{name}: goes on behind the {header.shape} values its header promises")


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """A whole IDX file (.gz too) in the shape it says: (60000, 28, 28) uint8 for MNIST's images."""
    name = os.fspath(path)
    with open_stream(path) as stream:
        header = read_header(path, stream, name)
        values = read_values(stream, header, 0, header.shape[0], name)
        check_end(stream, header, name)
    return values


class IdxSource(IndexedSource):
    """Rows of a plain IDX file, read by number."""

    def __init__(self, path: str | os.PathLike[str], header: IdxHeader, name: str) -> None:
        super().__init__(name, header.shape[0], math.prod(header.shape[1:]))
        self._path = path
        self._header = header

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop, read from the file."""
        with open(self._path, "rb") as stream:
            row_bytes = self.n_visible * self._header.dtype.itemsize
            stream.seek(self._header.offset + start * row_bytes)
            values = read_values(stream, self._header, start, stop - start, self.name)
        return as_rows(values, self.name)


class IdxGzipSource(SequentialSource):
    """Rows of a gzipped IDX file, read from start to end."""

    def __init__(self, path: str | os.PathLike[str], header: IdxHeader, name: str) -> None:
        super().__init__(name, header.shape[0], math.prod(header.shape[1:]))
        self._path = path
        self._header = header

    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order, unzipped as they are read."""
        n_rows = self._header.shape[0]
        step = rows_per_block(self.n_visible)
        with open_stream(self._path) as stream:
            stream.read(self._header.offset)
            for first in range(0, n_rows, step):
                n = min(step, n_rows - first)
                values = read_values(stream, self._header, first, n, self.name)
                if first + n == n_rows:
                    check_end(stream, self._header, self.name)
                yield Block(first, as_rows(values, self.name))


def open_idx(path: str | os.PathLike[str], *, name: str | None = None) -> Source:
    """The source of an IDX file with two or more dimensions; .gz is read sequentially."""
    name = name or os.fspath(path)
    with open_stream(path) as stream:
        header = read_header(path, stream, name)
    if len(header.shape) < 2:
        raise DataError(f"{name}: expected rows of values, got shape {header.shape}: labels?")
    if 0 in header.shape:
        raise DataError(f"{name}: expected at least one row and one column, got {header.shape}")
    return (IdxGzipSource if is_gzip(path) else IdxSource)(path, header, name)
