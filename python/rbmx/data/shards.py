"""Virtual shards: a data set as lines of text, one line a shard, so that any engine can hand them out.

Rows keep their global numbers, so what a shard gives does not depend on who reads it. Values are stored as they come in
the smallest of three types (bits, uint8, float32); the encoding a data set was opened with stands in every header.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rbmx.bits import PackedBits
from rbmx.data.encoding import Encoding
from rbmx.data.source import Block, row_and_column
from rbmx.envelope import MAX_LINE_BYTES, header_of, seal, unseal
from rbmx.errors import DataError

__all__ = [
    "SHARD_TAG",
    "DType",
    "Shard",
    "ShardHeader",
    "ShardSource",
    "contains_shards",
    "looks_like_shards",
    "read_shard",
    "read_shard_header",
    "shard_bounds",
    "shard_file_name",
    "shard_paths",
    "write_shard",
]

SHARD_TAG = "rbmx-shard-1"
HEAD_BYTES = 4096
MAX_UNITS = 1 << 24
_DTYPES = {"bits": "<u8", "uint8": "|u1", "float32": "<f4"}
_LABEL = np.dtype("<i8")

DType = Literal["bits", "uint8", "float32"]


@dataclass(frozen=True)
class ShardHeader:
    """What a shard's line says before its values.

    Attributes:
        shard, of: number of the shard, from 0, and how many there are.
        first_row, rows: its rows in the global numbering.
        total_rows: rows of all shards.
        n_visible: values in a row.
        dtype: "bits", "uint8" or "float32".
        encoding: how the values become visible units.
        label: where the CSV file that the rows come from had its label: "first", "last" or None.
        labels: whether the labels stand behind the values.
    """

    shard: int
    of: int
    first_row: int
    rows: int
    total_rows: int
    n_visible: int
    dtype: DType
    encoding: Encoding
    label: str | None = None
    labels: bool = False

    def to_json(self) -> dict[str, Any]:
        """The header as JSON values; of shards without labels as it was before there were any."""
        values = {**self.__dict__, "encoding": self.encoding.to_json()}
        if not self.labels:
            del values["labels"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any], name: str) -> ShardHeader:
        """The header that to_json gave.

        Raises:
            DataError: a field is missing or out of range.
        """
        try:
            header = cls(**{**values, "encoding": Encoding.from_json(values["encoding"])})
            counts = (header.shard, header.of, header.first_row, header.rows, header.total_rows, header.n_visible)
            fits = (
                all(isinstance(n, int) and 0 <= n < 1 << 62 for n in counts)
                and header.shard < header.of
                and isinstance(header.labels, bool)
                and header.first_row + header.rows <= header.total_rows
                and 1 <= header.n_visible <= MAX_UNITS
                and header.dtype in _DTYPES
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{name}: damaged shard header: {type(error).__name__}: {error}") from None
        if not fits:
            raise DataError(f"{name}: damaged shard header: {values}")
        if header.rows == 0:
            raise DataError(f"{name}: damaged shard header: shard {header.shard} of {header.of} is empty")
        return header

    @property
    def data_set(self) -> dict[str, Any]:
        """What the shards of one data set have in common."""
        same = {name: getattr(self, name) for name in ("of", "total_rows", "n_visible", "label", "labels")}
        return {**same, "bits": self.dtype == "bits", "encoding": self.encoding.describe()}

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's values in the payload."""
        units = -(-self.n_visible // 64) if self.dtype == "bits" else self.n_visible
        return units * np.dtype(_DTYPES[self.dtype]).itemsize

    @property
    def label_bytes(self) -> int:
        """Bytes of a row's label in the payload."""
        return _LABEL.itemsize if self.labels else 0


@dataclass(frozen=True, eq=False)
class Shard:
    """A header and its rows, with their labels where header.labels says so."""

    header: ShardHeader
    values: PackedBits | NDArray[Any]
    labels: NDArray[np.int64] | None = None

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"shard {self.header.shard} of {self.header.of}"

    @property
    def block(self) -> Block:
        """The rows under their global numbers."""
        return Block(self.header.first_row, self.values, self.labels)


def write_shard(shard: Shard) -> bytes:
    """The shard's line, without a newline."""
    values = shard.values.words if isinstance(shard.values, PackedBits) else shard.values
    plain = np.ascontiguousarray(values).astype(_DTYPES[shard.header.dtype], copy=False)
    labels = b"" if shard.labels is None else shard.labels.astype(_LABEL, copy=False).tobytes()
    return seal(SHARD_TAG, shard.header.to_json(), plain.tobytes() + labels)


def read_shard(line: bytes | memoryview, name: str = "shard") -> Shard:
    """The shard that write_shard wrote.

    Raises:
        DataError: a damaged line.
    """
    values, payload = unseal(SHARD_TAG, line, name)
    header = ShardHeader.from_json(values, name)
    row_bytes = header.row_bytes + header.label_bytes
    if len(payload) != header.rows * row_bytes:
        raise DataError(f"{name}: damaged line: {header.rows} rows of {row_bytes} bytes, got {len(payload)} bytes")
    end = header.rows * header.row_bytes
    array = np.frombuffer(payload[:end], _DTYPES[header.dtype]).reshape(header.rows, -1)
    labels = np.frombuffer(payload[end:], _LABEL).astype(np.int64, copy=False) if header.labels else None
    if header.dtype != "bits":
        return Shard(header, array, labels)
    try:
        return Shard(header, PackedBits(array.astype(np.uint64, copy=False), header.n_visible), labels)
    except ValueError as error:
        raise DataError(f"{name}: damaged line: {error}") from None


def read_shard_header(start: bytes, name: str) -> ShardHeader:
    """The header from the first HEAD_BYTES of a line."""
    return ShardHeader.from_json(header_of(SHARD_TAG, start, name), name)


def looks_like_shards(head: bytes) -> bool:
    """Whether a file that starts with these bytes holds shard lines."""
    return head.startswith(SHARD_TAG.encode("ascii") + b" ")


def contains_shards(text: bytes) -> bool:
    """Whether a line of the text, other than the first, is a shard line."""
    return b"\n%s " % SHARD_TAG.encode("ascii") in text


def shard_bounds(rows: int, shards: int, block_rows: int = 1) -> list[int]:
    """First row of each shard and the end: shares of whole blocks of rows that differ by at most one block."""
    blocks = -(-rows // block_rows)
    if not 1 <= shards <= blocks:
        of = f"{rows}, the number of rows" if block_rows == 1 else f"{blocks}, the blocks of {block_rows} rows"
        raise ValueError(f"shards: expected 1 to {of}, got {shards}")
    return [min(rows, i * blocks // shards * block_rows) for i in range(shards + 1)]


def shard_file_name(shard: int, of: int) -> str:
    """The file of a shard inside its folder; names sort as numbers do."""
    return f"shard-{shard:05d}-of-{of:05d}"


def shard_paths(place: str | os.PathLike[str]) -> list[Path]:
    """The files of a folder of shards, of a glob or of one file, in the order of their names."""
    path = Path(place)
    if path.is_dir():
        return sorted(path.glob("shard-*"))
    return [path] if path.exists() else [Path(found) for found in sorted(glob.glob(os.fspath(place)))]


class ShardSource:
    """The rows of local shard files, in the order of their global numbers.

    Args:
        paths: files of one or more shard lines.
        name: what errors call them.
        whole: all shards of the data set are there; False: perhaps only the first of them.
    """

    in_memory = False

    def __init__(self, paths: Sequence[str | os.PathLike[str]], *, name: str, whole: bool = True) -> None:
        self.name = name
        self._places = sorted(_places(paths), key=lambda place: place.header.first_row)
        if not self._places:
            raise DataError(f"{name}: no shards: expected files named shard-NNNNN-of-NNNNN")
        if whole:
            _check_whole([place.header for place in self._places], name)
        self.header = self._places[0].header

    @property
    def n_visible(self) -> int:
        """Values in a row."""
        return self.header.n_visible

    @property
    def n_rows(self) -> int:
        """Rows of the shards that are there."""
        return sum(place.header.rows for place in self._places)

    @property
    def n_blocks(self) -> int:
        """Shards."""
        return len(self._places)

    def blocks(self) -> Iterator[Block]:
        """A block a shard."""
        for i in range(self.n_blocks):
            yield self.read_block(i)

    def read_block(self, i: int) -> Block:
        """Shard i."""
        place = self._places[i]
        with open(place.path, "rb") as stream:
            stream.seek(place.offset)
            line = stream.readline(MAX_LINE_BYTES)
        return read_shard(line, str(place.path)).block

    def place(self, row: int, column: int) -> str:
        """Where a value stands, in words."""
        return row_and_column(row, column)


@dataclass(frozen=True)
class _Place:
    path: Path
    offset: int
    header: ShardHeader


def _places(paths: Sequence[str | os.PathLike[str]]) -> Iterator[_Place]:
    for path in map(Path, paths):
        with open(path, "rb") as stream:
            offset = 0
            while start := stream.read(HEAD_BYTES):
                yield _Place(path, offset, read_shard_header(start, str(path)))
                stream.seek(offset)
                _skip_line(stream)
                offset = stream.tell()


def _skip_line(stream: BufferedReader) -> None:
    while (piece := stream.readline(1 << 20)) and not piece.endswith(b"\n"):
        pass


def _check_whole(headers: Sequence[ShardHeader], name: str) -> None:
    """DataError unless the shards are those of one data set, each once."""
    first = headers[0]
    for header in headers:
        if header.data_set != first.data_set:
            raise DataError(f"{name}: shards of different data sets: {first.data_set} and {header.data_set}")
    numbers = [h.shard for h in headers]
    if len(numbers) != first.of or numbers != list(range(len(numbers))):
        raise DataError(f"{name}: expected shards 0 to {first.of - 1}, each once, got {numbers}")
    next_row = 0
    for header in headers:
        if header.first_row != next_row:
            raise DataError(f"{name}: shard {header.shard} starts at row {header.first_row}, expected {next_row}")
        next_row += header.rows
    if next_row != first.total_rows:
        raise DataError(f"{name}: expected {first.total_rows} rows, got {next_row}")
