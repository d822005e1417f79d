"""Other readers of CSV files, each used as its authors advise: a path in, one array out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["PEERS", "Reader", "load_peers"]

Reader = Callable[[], npt.NDArray[Any]]


def _loadtxt(path: Path, dtype: type[Any], threads: int, n_fields: int) -> Reader:
    return lambda: np.loadtxt(path, delimiter=",", dtype=dtype)


def _fromstring(path: Path, dtype: type[Any], threads: int, n_fields: int) -> Reader:
    """One flat text: the ends of lines become commas before the clock starts."""
    text = path.read_text(encoding="ascii").rstrip("\n").replace("\n", ",")
    wide = np.int32 if dtype is np.uint8 else dtype

    def read() -> npt.NDArray[Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a text that ends early is a DeprecationWarning
            return np.fromstring(text, wide, sep=",").reshape(-1, n_fields)

    return read


def _pandas(path: Path, dtype: type[Any], threads: int, n_fields: int) -> Reader:
    import pandas

    return lambda: pandas.read_csv(path, header=None, dtype=dtype, engine="c").to_numpy()


def _pyarrow(path: Path, dtype: type[Any], threads: int, n_fields: int) -> Reader:
    """A table of columns, stacked to one array."""
    import pyarrow
    import pyarrow.csv

    pyarrow.set_cpu_count(threads)
    column = pyarrow.from_numpy_dtype(dtype)
    reading = pyarrow.csv.ReadOptions(use_threads=threads > 1, autogenerate_column_names=True)
    converting = pyarrow.csv.ConvertOptions(column_types={f"f{i}": column for i in range(n_fields)})

    def read() -> npt.NDArray[Any]:
        table = pyarrow.csv.read_csv(path, read_options=reading, convert_options=converting)
        return np.column_stack([part.to_numpy() for part in table.columns])

    return read


PEERS: dict[str, Callable[[Path, type[Any], int, int], Reader]] = {
    "np.loadtxt": _loadtxt,
    "np.fromstring": _fromstring,
    "pandas": _pandas,
    "pyarrow": _pyarrow,
}


def load_peers(path: Path, dtype: type[Any], threads: int) -> tuple[dict[str, Reader], dict[str, str]]:
    """The readers that work here, by name, and why the others do not."""
    with path.open("rb") as file:
        n_fields = file.readline().count(b",") + 1
    readers: dict[str, Reader] = {}
    left_out: dict[str, str] = {}
    for name, peer in PEERS.items():
        try:
            readers[name] = peer(path, dtype, threads, n_fields)
        except ImportError as error:
            left_out[name] = str(error)
    return readers, left_out
