"""Cutting a data set into virtual shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.backends.native import permutation
from rbmx.bits import PackedBits
from rbmx.data.dataset import Dataset
from rbmx.data.shards import DType, Shard, ShardHeader, shard_bounds, shard_file_name, write_shard
from rbmx.data.source import Block
from rbmx.errors import DataError
from rbmx.files import write_atomically
from rbmx.rng import Key, Purpose

__all__ = ["cut", "write_shards"]

Values = PackedBits | NDArray[Any]


def write_shards(
    dataset: Dataset,
    shards: int,
    folder: Path,
    *,
    label: str | None = None,
    shuffle: int | None = None,
    labels: bool = False,
    block_rows: int = 1,
) -> list[Path]:
    """Write each shard as a file of one line into `folder`, which must be new or empty.

    Args:
        dataset: the rows, under the encoding that the shards will remember.
        shards: how many; they differ by at most one row, or block of rows.
        folder: made if it is not there.
        label: told in the headers: where a CSV file had its labels.
        shuffle: a seed: rows in a random order, which holds them all in memory. None: as they come.
        labels: keep the labels of the rows (those of a CSV file, or Dataset.with_labels).
        block_rows: shards begin at multiples of this many rows; 1,000 is what rbmx.jobs.train_full_batch asks for.

    Raises:
        ValueError: more shards than rows, or blocks of rows.
        DataError: labels are to be kept, and there are none.
        FileExistsError: the folder holds something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(17, "expected a new or an empty folder for the shards", str(folder))
    paths = []
    for shard in cut(dataset, shards, label=label, shuffle=shuffle, labels=labels, block_rows=block_rows):
        path = folder / shard_file_name(shard.header.shard, shard.header.of)
        write_atomically(path, write_shard(shard) + b"\n")
        paths.append(path)
    return paths


def cut(
    dataset: Dataset,
    shards: int,
    *,
    label: str | None = None,
    shuffle: int | None = None,
    labels: bool = False,
    block_rows: int = 1,
) -> Iterator[Shard]:
    """The shards one after another; one at a time is in memory unless `shuffle` wants all rows."""
    rows = _count(dataset)
    bounds = shard_bounds(rows, shards, block_rows)
    blocks = _blocks(dataset, labels)
    pieces = _pieces(blocks if shuffle is None else _shuffled(blocks, shuffle), bounds)
    for i, piece in enumerate(pieces):
        start = bounds[i]
        header = ShardHeader(
            shard=i,
            of=shards,
            first_row=start,
            rows=bounds[i + 1] - start,
            total_rows=rows,
            n_visible=dataset.n_visible,
            dtype=_dtype(piece.values),
            encoding=dataset.encoding,
            label=label,
            labels=labels,
        )
        yield Shard(header, piece.values, piece.labels)


def _count(dataset: Dataset) -> int:
    """The rows, by a pass over them where the source does not know."""
    known = dataset.n_rows
    return sum(len(block) for _, block in dataset.blocks()) if known is None else known


@dataclass(frozen=True, eq=False)
class _Piece:
    """Rows and, where they are kept, their labels."""

    values: Values
    labels: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | NDArray[Any]) -> _Piece:
        return _Piece(self.values[rows], None if self.labels is None else self.labels[rows])


def _blocks(dataset: Dataset, labels: bool) -> Iterator[_Piece]:
    """Bits as they are encoded, other rows as they lie, checked against the encoding."""
    if dataset.kind == "bits":
        for encoded in dataset.encoded_blocks():
            yield _Piece(encoded.values, _kept(encoded.labels, dataset.name) if labels else None)
        return
    for block in dataset.source.blocks():
        dataset.encoding.encode(block, dataset.name, kind=dataset.kind, place=dataset.source.place)
        yield _Piece(_smallest(block), _kept(block.labels, dataset.name) if labels else None)


def _kept(labels: NDArray[np.int64] | None, name: str) -> NDArray[np.int64]:
    if labels is None:
        raise DataError(f"{name}: labels are needed and the rows have none: say where they are: label= or labels=")
    return labels


def _smallest(block: Block) -> Values:
    """Raw values as uint8 where they come so, else as float32."""
    values = block.values
    if isinstance(values, PackedBits) or values.dtype == np.uint8:
        return values
    return values.astype(np.uint8 if values.dtype == np.bool_ else np.float32)


def _shuffled(blocks: Iterator[_Piece], seed: int) -> Iterator[_Piece]:
    rows = _joined(list(blocks))
    yield rows[permutation(len(rows), Key(seed).fold_in(Purpose.SHUFFLE))]


def _pieces(blocks: Iterator[_Piece], bounds: list[int]) -> Iterator[_Piece]:
    """The rows between neighbouring bounds."""
    held: list[_Piece] = []
    start, shard = 0, 0
    for block in blocks:
        taken = 0
        while taken < len(block):
            if shard + 1 == len(bounds):
                raise DataError(f"data: more than the {bounds[-1]} rows of the first pass")
            end = min(len(block), bounds[shard + 1] - start)
            held.append(block[taken:end])
            taken = end
            if start + taken == bounds[shard + 1]:
                yield _joined(held)
                held, shard = [], shard + 1
        start += len(block)
    if shard + 1 != len(bounds):
        raise DataError(f"data: {start} rows in the second pass, {bounds[-1]} in the first")


def _dtype(values: Values) -> DType:
    if isinstance(values, PackedBits):
        return "bits"
    return "uint8" if values.dtype == np.uint8 else "float32"


def _joined(parts: list[_Piece]) -> _Piece:
    labels = [part.labels for part in parts if part.labels is not None]
    return _Piece(_joined_values([part.values for part in parts]), np.concatenate(labels) if labels else None)


def _joined_values(parts: list[Values]) -> Values:
    bits = [part for part in parts if isinstance(part, PackedBits)]
    if bits:
        return PackedBits.concatenate(bits)
    arrays = [part for part in parts if not isinstance(part, PackedBits)]
    return np.concatenate(arrays) if len(arrays) > 1 else np.ascontiguousarray(arrays[0])
