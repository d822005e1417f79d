"""Rows in the order of an epoch: whole in memory where they fit the buffer, else a seeded window at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows
from rbmx.backends.native import permutation
from rbmx.bits import PackedBits
from rbmx.data import Dataset
from rbmx.rng import Key

__all__ = ["Feed", "Window"]


@dataclass(frozen=True, eq=False)
class Window:
    """Rows in memory and the order in which to visit them; all but the last hold whole minibatches.

    Attributes:
        rows: what is in memory.
        order: places in `rows`.
        numbers: the rows' global numbers.
    """

    rows: Rows
    order: NDArray[np.int64]
    numbers: NDArray[np.int64]


class Feed:
    """Epochs over a dataset.

    Data of at most `buffer_bytes` are loaded once, or once an epoch where each draws them anew, and shuffled as a
    whole. Larger data stream: blocks are read in a seeded order (in natural order where they cannot be read by number),
    collected to windows of about `buffer_bytes`, and each window is shuffled as a whole. Rows that do not fill a
    minibatch go to the next window.
    """

    def __init__(self, dataset: Dataset, *, batch_size: int, shuffle: bool, key: Key, buffer_bytes: int) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.key = key
        width = -(-dataset.n_visible // 64) * 8 if dataset.kind == "bits" else 4 * dataset.n_visible
        self.window_rows = max(batch_size, buffer_bytes // width)
        self._resident: Rows | None = None

    def windows(self, epoch: int, skip_rows: int = 0) -> Iterator[Window]:
        """The windows of an epoch (from 0), without its first `skip_rows` rows."""
        key = self.key.fold_in(epoch)
        if self._resident is not None:
            yield from self._skip(self._whole(self._resident, key), skip_rows)
            return
        yield from self._skip(self._stream(self.dataset.in_epoch(epoch), key), skip_rows)

    def _skip(self, windows: Iterator[Window], rows: int) -> Iterator[Window]:
        for window in windows:
            skipped = min(rows, len(window.order))
            rows -= skipped
            if skipped < len(window.order):
                yield Window(window.rows, window.order[skipped:], window.numbers)

    def _whole(self, rows: Rows, key: Key) -> Iterator[Window]:
        order = permutation(len(rows), key) if self.shuffle else np.arange(len(rows))
        yield Window(rows, order, np.arange(len(rows)))

    def _stream(self, dataset: Dataset, key: Key) -> Iterator[Window]:
        n_rows = dataset.n_rows
        if n_rows is not None and n_rows <= self.window_rows:
            yield from self._whole(self._keep(dataset, dataset.load()), key)
            return
        buffer = _Buffer(dataset, self.window_rows)
        index = 0
        for first_row, block in self._blocks(dataset, key):
            taken = buffer.take(block, first_row, 0)
            while taken < len(block):
                order = self._order(buffer.held, key, index)
                full = buffer.held // self.batch_size * self.batch_size
                yield Window(buffer.rows(), order[:full], buffer.numbers())
                buffer.keep(order[full:])
                index += 1
                taken = buffer.take(block, first_row, taken)
        if index == 0:  # a source of unknown length that fitted after all
            yield from self._whole(self._keep(dataset, buffer.copy()), key)
        else:
            yield Window(buffer.rows(), self._order(buffer.held, key, index), buffer.numbers())

    def _keep(self, dataset: Dataset, rows: Rows) -> Rows:
        """The rows, kept for the next epoch where these are the same ones."""
        if not dataset.redrawn:
            self._resident = rows
        return rows

    def _order(self, n: int, key: Key, window: int) -> NDArray[np.int64]:
        return permutation(n, key.fold_in(window)) if self.shuffle else np.arange(n)

    def _blocks(self, dataset: Dataset, key: Key) -> Iterator[tuple[int, Rows]]:
        n_blocks = dataset.n_blocks
        if n_blocks is None or not self.shuffle:
            yield from dataset.blocks()
        else:
            for i in permutation(n_blocks, key.fold_in(1 << 40)):
                yield dataset.read_block(int(i))


class _Buffer:
    """Memory for one window, taken once; the operating system gives pages as rows arrive."""

    def __init__(self, dataset: Dataset, capacity: int) -> None:
        self._units = dataset.n_visible
        self._bits = dataset.kind == "bits"
        width = -(-self._units // 64) if self._bits else self._units
        self._values: NDArray[Any] = np.empty((capacity, width), np.uint64 if self._bits else np.float32)
        self._numbers = np.empty(capacity, np.int64)
        self.held = 0

    def take(self, block: Rows, first_row: int, start: int) -> int:
        """Copy rows of the block from `start` on as long as there is room; the first row not taken."""
        values = block.words if isinstance(block, PackedBits) else block
        stop = min(len(values), start + len(self._values) - self.held)
        self._values[self.held : self.held + stop - start] = values[start:stop]
        self._numbers[self.held : self.held + stop - start] = np.arange(first_row + start, first_row + stop)
        self.held += stop - start
        return stop

    def keep(self, rows: NDArray[np.int64]) -> None:
        """Move these rows to the front and forget the others."""
        self._values[: len(rows)] = self._values[rows]
        self._numbers[: len(rows)] = self._numbers[rows]
        self.held = len(rows)

    def rows(self) -> Rows:
        """What is held, without a copy."""
        return self._as_rows(self._values[: self.held])

    def numbers(self) -> NDArray[np.int64]:
        """The global numbers of what is held, without a copy."""
        return self._numbers[: self.held]

    def copy(self) -> Rows:
        """What is held, in memory of its own."""
        return self._as_rows(self._values[: self.held].copy())

    def _as_rows(self, values: NDArray[Any]) -> Rows:
        return PackedBits(values, self._units) if self._bits else values
