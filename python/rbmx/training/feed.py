"""Rows in the order of an epoch: whole in memory where they fit the buffer, else a seeded window at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    """Rows in memory and the order in which to visit them; all but the last hold whole minibatches."""

    rows: Rows
    order: NDArray[np.int64]


class Feed:
    """Epochs over a dataset.

    Data of at most `buffer_bytes` are loaded once and shuffled as a whole. Larger data stream: blocks are read in
    a seeded order (in natural order where they cannot be read by number), collected to windows of about
    `buffer_bytes`, and each window is shuffled as a whole. Rows that do not fill a minibatch go to the next window.
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
        yield from self._skip(self._stream(key), skip_rows)

    def _skip(self, windows: Iterator[Window], rows: int) -> Iterator[Window]:
        for window in windows:
            skipped = min(rows, len(window.order))
            rows -= skipped
            if skipped < len(window.order):
                yield Window(window.rows, window.order[skipped:])

    def _whole(self, rows: Rows, key: Key) -> Iterator[Window]:
        order = permutation(len(rows), key) if self.shuffle else np.arange(len(rows))
        yield Window(rows, order)

    def _stream(self, key: Key) -> Iterator[Window]:
        n_rows = self.dataset.n_rows
        if n_rows is not None and n_rows <= self.window_rows:
            self._resident = self.dataset.load()
            yield from self._whole(self._resident, key)
            return
        rest: Rows | None = None
        windows = self._collect(key)
        window = next(windows)
        index = 0
        for following in windows:
            rows = window if rest is None else _join([rest, window])
            full = len(rows) // self.batch_size * self.batch_size
            order = self._order(len(rows), key, index)
            yield Window(rows, order[:full])
            rest = rows[order[full:]]
            window, index = following, index + 1
        if index == 0 and n_rows is None:  # a source of unknown length that fitted after all
            self._resident = window
            yield from self._whole(window, key)
            return
        rows = window if rest is None else _join([rest, window])
        yield Window(rows, self._order(len(rows), key, index))

    def _order(self, n: int, key: Key, window: int) -> NDArray[np.int64]:
        return permutation(n, key.fold_in(window)) if self.shuffle else np.arange(n)

    def _collect(self, key: Key) -> Iterator[Rows]:
        parts: list[Rows] = []
        held = 0
        for block in self._blocks(key):
            if parts and held + len(block) > self.window_rows:
                yield _join(parts)
                parts, held = [], 0
            parts.append(block)
            held += len(block)
        yield _join(parts)

    def _blocks(self, key: Key) -> Iterator[Rows]:
        n_blocks = self.dataset.n_blocks
        if n_blocks is None or not self.shuffle:
            for _, block in self.dataset.blocks():
                yield block
        else:
            for i in permutation(n_blocks, key.fold_in(1 << 40)):
                yield self.dataset.read_block(int(i))[1]


def _join(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], PackedBits):
        words = np.concatenate([part.words for part in parts if isinstance(part, PackedBits)])
        return PackedBits(words, parts[0].n_units)
    return np.concatenate([part for part in parts if not isinstance(part, PackedBits)])
