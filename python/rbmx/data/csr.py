"""Compressed sparse rows (scipy) as a source: dense one block at a time."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from rbmx.data.source import IndexedSource
from rbmx.errors import DataError

__all__ = ["CSRSource", "is_sparse"]


def is_sparse(data: object) -> bool:
    """Whether `data` is a scipy sparse matrix or array, without importing scipy."""
    return type(data).__module__.startswith("scipy.sparse")


class CSRSource(IndexedSource):
    """Rows of a scipy sparse matrix; other formats than CSR are converted once."""

    in_memory = True

    def __init__(self, matrix: Any, *, name: str = "data") -> None:
        if matrix.ndim != 2 or matrix.dtype.kind not in "biuf" or 0 in matrix.shape:
            raise DataError(
                f"{name}: expected a real sparse matrix with at least one row and one column, "
                f"got {matrix.dtype} {matrix.shape}"
            )
        super().__init__(name, int(matrix.shape[0]), int(matrix.shape[1]))
        self._matrix = matrix.tocsr()

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop, dense."""
        dense: NDArray[Any] = self._matrix[start:stop].toarray()
        return dense
