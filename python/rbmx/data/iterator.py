"""Iterators and iterables of blocks as a source: whatever the user's own code produces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.data.csr import is_sparse
from rbmx.data.source import Block, SequentialSource, as_rows
from rbmx.errors import DataError

__all__ = ["IteratorSource", "dense"]

Parts = Callable[[], Iterable[Any]] | Iterable[Any]


class IteratorSource(SequentialSource):
    """Blocks from a function that returns an iterable, an iterable, or an iterator (one pass only).

    Args:
        parts: gives arrays, torch tensors or sparse matrices of shape (rows, n_visible).
        name: what errors call the data.
        first_of_tuple: take the first of a tuple or list, as loaders of (images, labels) need.
    """

    def __init__(self, parts: Parts, *, name: str = "data", first_of_tuple: bool = False) -> None:
        self._first_of_tuple = first_of_tuple
        self.one_pass = isinstance(parts, Iterator)
        self._spent = False
        self._parts = parts
        started = self._start()
        head = next(started, None)
        if head is None:
            raise DataError(f"{name}: expected at least one block, the iterator gave none")
        super().__init__(name, None, self._rows(head, 0, name).shape[1])
        self._head = head if self.one_pass else None
        self._rest = started if self.one_pass else None

    def blocks(self) -> Iterator[Block]:
        """A new pass. The first block of a one-pass iterator can be looked at again and again."""
        if self._spent:
            raise DataError(
                f"{self.name}: an iterator gives its blocks once, and a second pass was asked for; "
                "pass a function that returns a new iterator, a list of blocks, or an array"
            )
        n_rows = 0
        for i, part in enumerate(self._pass()):
            values = self._rows(part, i, self.name)
            if values.shape[1] != self.n_visible:
                raise DataError(
                    f"{self.name}: block {i} has {values.shape[1]} columns, expected {self.n_visible} as in block 0"
                )
            yield Block(n_rows, values)
            n_rows += values.shape[0]
        if self.n_rows not in (None, n_rows):
            raise DataError(f"{self.name}: {n_rows} rows in this pass, {self.n_rows} in the last")
        self.n_rows = n_rows

    def _start(self) -> Iterator[Any]:
        return iter(self._parts() if callable(self._parts) else self._parts)

    def _pass(self) -> Iterator[Any]:
        if self._rest is None:
            yield from self._start()
            return
        yield self._head
        if self._spent:
            raise DataError(f"{self.name}: two passes over one iterator at the same time")
        self._spent = True
        self._head = None
        yield from self._rest

    def _rows(self, part: Any, i: int, name: str) -> NDArray[Any]:
        if self._first_of_tuple and isinstance(part, (tuple, list)) and part:
            part = part[0]
        return as_rows(dense(part), f"{name}: block {i}")


def dense(part: Any) -> NDArray[Any]:
    """What arrays, torch tensors and sparse matrices hold, without a copy where it can be."""
    if is_sparse(part):
        values: NDArray[Any] = part.toarray()
        return values
    if hasattr(part, "detach"):
        from rbmx.data.torch import tensor_values

        return tensor_values(part)
    return np.asarray(part)
