"""Data from wherever it lies, block by block: arrays, tensors, files, iterators, and MNIST."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbmx.bits import PackedBits
    from rbmx.data.csv import read_csv
    from rbmx.data.dataset import Dataset
    from rbmx.data.encoding import Encoding
    from rbmx.data.idx import read_idx
    from rbmx.data.mnist_files import mnist, mnist_path
    from rbmx.data.opening import open_source
    from rbmx.data.source import Block, Source

__all__ = [
    "Block",
    "Dataset",
    "Encoding",
    "PackedBits",
    "Source",
    "mnist",
    "mnist_path",
    "open_source",
    "read_csv",
    "read_idx",
]

_MODULES = {
    "Block": "rbmx.data.source",
    "Dataset": "rbmx.data.dataset",
    "Encoding": "rbmx.data.encoding",
    "PackedBits": "rbmx.bits",
    "Source": "rbmx.data.source",
    "mnist": "rbmx.data.mnist_files",
    "mnist_path": "rbmx.data.mnist_files",
    "open_source": "rbmx.data.opening",
    "read_csv": "rbmx.data.csv",
    "read_idx": "rbmx.data.idx",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
