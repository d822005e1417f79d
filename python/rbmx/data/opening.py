"""open_source: one door for everything that holds rows."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from rbmx.bits import PackedBits
from rbmx.data.arrays import ArraySource, PackedSource
from rbmx.data.csr import CSRSource, is_sparse
from rbmx.data.dataset import Dataset
from rbmx.data.encoding import Encoding
from rbmx.data.files import open_stream
from rbmx.data.idx import looks_like_idx, open_idx
from rbmx.data.iterator import IteratorSource
from rbmx.data.npy import open_npy
from rbmx.data.shards import ShardSource, looks_like_shards, shard_paths
from rbmx.data.source import Source
from rbmx.errors import DataError
from rbmx.units import UnitType

__all__ = ["UNSET", "Unset", "file_format", "open_source"]

FileFormat = Literal["csv", "idx", "npy", "shards"]
NPY_MAGIC = b"\x93NUMPY"


class Unset:
    """The type of UNSET: an argument that was not given, where None means something."""

    def __repr__(self) -> str:
        return "nothing"


UNSET = Unset()


def open_source(
    data: object,
    *,
    label: Literal["first", "last"] | Unset | None = UNSET,
    binarize: float | Literal["sample"] | None = None,
    scale: float | None = None,
    seed: int = 0,
    unbounded: bool = False,
    unit: UnitType | None = None,
    missing: bool = False,
    name: str | None = None,
    on_bad_row: Literal["raise", "skip"] = "raise",
) -> Dataset:
    """The rows of `data`, ready to train on.

    Args:
        data: an array of any real dtype (images are flattened), a memory map, PackedBits, a scipy
            sparse matrix, a torch tensor, Dataset or DataLoader, the path of an IDX or CSV file
            (.gz too) or of a .npy file, a list of blocks, an iterator of blocks or a function that
            returns one, an own Source, a folder or file of shards (rbmx shard), or a Dataset of ours, which is
            returned as it is.
        label: for CSV, and required there: the column of the labels, "first", "last" or None.
        binarize: a threshold (1 where the raw value is greater), "sample" or None; see Encoding.
        scale: what values are divided by: 255 for grey levels.
        seed: of the draws of binarize="sample".
        unbounded: real values of any size.
        unit: the visible units that the rows are states of: values that are none are an error. Other units than
            Bernoulli take real values of any size as far as this check goes.
        missing: NaN in real values is a missing entry, of a softmax its whole group, and stays; else it is an error.
        name: what errors call the data; the path by default.
        on_bad_row: for CSV: "raise", or "skip" to leave bad lines out, counted and reported.
    """
    unbounded = unbounded or (unit is not None and not unit.binary and binarize is None)
    encoding = Encoding(binarize=binarize, scale=scale, seed=seed, unbounded=unbounded)
    is_csv = isinstance(data, (str, os.PathLike)) and file_format(data) == "csv"
    if not is_csv and (not isinstance(label, Unset) or on_bad_row != "raise"):
        option = "on_bad_row" if isinstance(label, Unset) else "label"
        raise ValueError(f"{option}: is for CSV files, and {_kind_in_words(data)} was given")
    if isinstance(data, Dataset):
        if encoding not in (Encoding(), Encoding(unbounded=True)) or name is not None:
            raise ValueError("binarize, scale, seed, name: the Dataset given has its own")
        return data if unit is None else data.of(unit, missing=missing)
    if is_csv:
        from rbmx.data.csv import CsvSource, check_label

        path: Any = data
        good_label = check_label(label, os.fspath(path))
        source: Source = CsvSource(path, label=good_label, on_bad_row=on_bad_row, name=name)
    else:
        source = _source_of(data, name)
    if isinstance(source, ShardSource):
        encoding = _encoding_of_shards(source, encoding)
    if isinstance(source, PackedSource):
        if encoding.binarize is not None or encoding.scale is not None:
            raise ValueError("binarize, scale: the data are packed bits already")
        encoding = Encoding()
    return Dataset(source, encoding, unit, missing=missing)


def file_format(path: str | os.PathLike[str]) -> FileFormat:
    """What a file holds, by its first bytes and, where they leave it open, by its name."""
    file = os.fspath(path)
    if os.path.isdir(file) and shard_paths(file):
        return "shards"
    with open_stream(file) as stream:
        head = stream.read(512)
    if looks_like_shards(head):
        return "shards"
    stem = os.path.basename(file).lower().removesuffix(".gz")
    if head.startswith(NPY_MAGIC) or stem.endswith(".npy"):
        if head.startswith(NPY_MAGIC) and file.lower().endswith(".gz"):
            raise DataError(f"{file}: a gzipped .npy file cannot be read by blocks: unzip it")
        return "npy"
    if looks_like_idx(head) or stem.endswith((".idx", "-ubyte", ".ubyte")):
        return "idx"
    if not stem.endswith((".csv", ".txt")) and b"\0" in head:
        raise DataError(f"{file}: expected an IDX, .npy or CSV file, got other binary data")
    return "csv"


def _source_of(data: Any, name: str | None) -> Source:
    if isinstance(data, (str, os.PathLike)):
        found = file_format(data)
        if found == "shards":
            return ShardSource(shard_paths(data), name=name or os.fspath(data))
        return (open_idx if found == "idx" else open_npy)(data, name=name)
    name = name or "data"
    if isinstance(data, np.ndarray):
        return ArraySource(data, name=name)
    if isinstance(data, PackedBits):
        return PackedSource(data, name=name)
    if is_sparse(data):
        return CSRSource(data, name=name)
    if isinstance(data, Source):
        return data
    if "torch" in sys.modules and _is_torch(data):
        from rbmx.data.torch import open_torch

        return open_torch(data, name=name)
    if hasattr(data, "__array__"):
        return ArraySource(np.asarray(data), name=name)
    if isinstance(data, (list, tuple)) and not _holds_blocks(data):
        return ArraySource(_array_of_rows(data, name), name=name)
    if callable(data) or (isinstance(data, Iterable) and not isinstance(data, (dict, set, bytes))):
        return IteratorSource(data, name=name)
    raise TypeError(
        "data: expected an array, a tensor, a sparse matrix, a path or an iterator of blocks, "
        f"got {type(data).__name__}"
    )


def _encoding_of_shards(source: ShardSource, asked: Encoding) -> Encoding:
    """The shards' own rule, or the one asked for where they hold raw values."""
    own = source.header.encoding
    plain = (Encoding(), Encoding(unbounded=True)) if source.header.dtype == "bits" else (Encoding(),)
    if asked in (*plain, own):
        return own
    if source.header.dtype == "bits" or own != Encoding():
        raise ValueError(f"binarize, scale: {source.name} was sharded with {own.describe()}; expected none of them")
    return asked


def _is_torch(data: object) -> bool:
    torch = sys.modules["torch"]
    kinds = (torch.Tensor, torch.utils.data.Dataset, torch.utils.data.DataLoader)
    return isinstance(data, kinds)


def _holds_blocks(data: list[Any] | tuple[Any, ...]) -> bool:
    return len(data) > 0 and len(getattr(data[0], "shape", ())) >= 2


def _array_of_rows(data: list[Any] | tuple[Any, ...], name: str) -> np.ndarray[Any, Any]:
    try:
        return np.array(data)
    except ValueError as error:
        raise DataError(f"{name}: expected rows of one length ({error})") from error


def _kind_in_words(data: object) -> str:
    return os.fspath(data) if isinstance(data, (str, os.PathLike)) else type(data).__name__
