"""Every row once an epoch, in an order that the seed alone decides, in a window of bounded size."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.bits import PackedBits
from rbmx.data import open_source
from rbmx.data.source import IndexedSource
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training import TrainConfig, train
from rbmx.training.feed import Feed

WIDTH = 20


def numbered(n: int) -> Any:
    """Row i holds the bits of i, so that a row tells its number."""
    return (np.arange(n)[:, None] >> np.arange(WIDTH) & 1).astype(np.uint8)


class Blocks(IndexedSource):
    """Numbered rows in blocks of a chosen size, read by number."""

    def __init__(self, n: int, block_rows: int) -> None:
        super().__init__("numbered rows", n, WIDTH)
        self.block_rows = block_rows

    def read_rows(self, start: int, stop: int) -> PackedBits:
        return PackedBits(np.arange(start, stop, dtype=np.uint64)[:, None], WIDTH)


def feed(source: Any, batch_size: int, buffer_rows: int, *, shuffle: bool = True, seed: int = 1) -> Feed:
    return Feed(
        open_source(source), batch_size=batch_size, shuffle=shuffle, key=Key(seed), buffer_bytes=8 * buffer_rows
    )


def visited(feed: Feed, epoch: int, skip_rows: int = 0) -> list[int]:
    order: list[int] = []
    for window in feed.windows(epoch, skip_rows):
        assert isinstance(window.rows, PackedBits)
        order.extend(window.rows.words[window.order, 0].tolist())
    return order


sizes = st.tuples(st.integers(1, 120), st.integers(1, 40), st.integers(1, 15), st.integers(1, 130))


@given(sizes=sizes, shuffle=st.booleans(), iterator=st.booleans())
def test_every_row_comes_exactly_once_an_epoch(sizes: tuple[int, int, int, int], shuffle: bool, iterator: bool) -> None:
    n, block_rows, batch_size, buffer_rows = sizes
    source: Any = Blocks(n, block_rows)
    if iterator:
        rows = numbered(n)
        source = lambda: iter([rows[i : i + block_rows] for i in range(0, n, block_rows)])  # noqa: E731
    f = feed(source, batch_size, buffer_rows, shuffle=shuffle)
    orders = [visited(f, epoch) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(n))
        if not shuffle:
            assert order == list(range(n))
    again = feed(source, batch_size, buffer_rows, shuffle=shuffle)
    assert [visited(again, epoch) for epoch in (2, 0, 1)] == [orders[2], orders[0], orders[1]]


@given(sizes=sizes, skip=st.integers(0, 130))
def test_skipping_rows_gives_the_rest_of_the_same_order(sizes: tuple[int, int, int, int], skip: int) -> None:
    n, block_rows, batch_size, buffer_rows = sizes
    source = Blocks(n, block_rows)
    whole = visited(feed(source, batch_size, buffer_rows), 1)
    assert visited(feed(source, batch_size, buffer_rows), 1, skip) == whole[skip:]


@given(sizes=sizes)
def test_all_windows_but_the_last_hold_whole_minibatches_and_none_is_larger_than_the_buffer(
    sizes: tuple[int, int, int, int],
) -> None:
    """A block or a minibatch may be larger than the buffer asked for; nothing else makes a window grow."""
    n, block_rows, batch_size, buffer_rows = sizes
    windows = list(feed(Blocks(n, block_rows), batch_size, buffer_rows).windows(0))
    assert all(len(window.order) % batch_size == 0 for window in windows[:-1])
    bound = max(buffer_rows, batch_size) + batch_size + block_rows
    assert all(len(window.rows) <= min(n, bound) for window in windows)


def test_shuffling_differs_between_epochs_and_seeds_and_is_the_same_for_one_seed() -> None:
    for buffer_rows in (1000, 60):
        f = feed(Blocks(500, 16), 10, buffer_rows)
        first, second = visited(f, 0), visited(f, 1)
        other = visited(feed(Blocks(500, 16), 10, buffer_rows, seed=2), 0)
        assert len({tuple(first), tuple(second), tuple(other), tuple(range(500))}) == 4
        assert visited(feed(Blocks(500, 16), 10, buffer_rows), 0) == first


@given(sizes=sizes)
def test_a_window_knows_the_numbers_of_its_rows(sizes: tuple[int, int, int, int]) -> None:
    """Also where rows are kept for the next window."""
    n, block_rows, batch_size, buffer_rows = sizes
    for window in feed(Blocks(n, block_rows), batch_size, buffer_rows).windows(0):
        assert isinstance(window.rows, PackedBits)
        assert window.rows.words[:, 0].tolist() == window.numbers.tolist()


def test_rows_of_distant_blocks_meet_in_a_window() -> None:
    """Streamed rows are shuffled by blocks first: the mean distance of neighbours is that of random rows, n / 3."""
    order = np.array(visited(feed(Blocks(4000, 50), 10, 800), 0))
    distance = np.abs(np.diff(order)).mean()
    assert 1000 < distance < 1600
    assert abs(np.corrcoef(order, np.arange(4000))[0, 1]) < 0.3


def test_each_row_comes_at_each_place_equally_often() -> None:
    """2400 epochs of 6 rows: 400 expected in each of 36 cells, chi-square of 25 degrees beyond 65 once in 50,000."""
    f = feed(numbered(6), 2, 100)
    counts = np.zeros((6, 6))
    for epoch in range(2400):
        counts[visited(f, epoch), range(6)] += 1
    assert ((counts - 400) ** 2 / 400).sum() < 65


# ---- sources and memory


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Any]:
    rows = np.random.default_rng(0).integers(0, 2, (5000, 30)).astype(np.uint8)
    np.save(tmp_path / "rows.npy", rows)
    np.savetxt(tmp_path / "rows.csv", rows, fmt="%d", delimiter=",")
    return {
        "array": rows,
        "floats": rows.astype(np.float64),
        "packed": PackedBits.pack(rows),
        "npy": tmp_path / "rows.npy",
        "memory map": np.load(tmp_path / "rows.npy", mmap_mode="r"),
        "csv": open_source(tmp_path / "rows.csv", label=None),
        "list of blocks": [rows[:77], rows[77:4000], rows[4000:]],
        "function": lambda: iter(np.array_split(rows, 9)),
    }


def test_all_sources_of_the_same_rows_give_the_same_bytes_where_they_fit_the_buffer(sources: dict[str, Any]) -> None:
    results = {}
    for name, source in sources.items():
        params = RBMParams.initial(30, 20, key=Key(1))
        train(params, source, TrainConfig(epochs=2, batch_size=30, seed=6))
        results[name] = params.weight.tobytes()
    assert len(set(results.values())) == 1, {name: hash(value) for name, value in results.items()}


def test_a_source_that_streams_gives_the_same_bytes_in_every_run_and_not_those_of_a_resident_one(
    sources: dict[str, Any],
) -> None:
    def bytes_of(source: Any, buffer: int) -> bytes:
        params = RBMParams.initial(30, 20, key=Key(1))
        train(params, source, TrainConfig(epochs=2, batch_size=30, seed=6, buffer_bytes=buffer))
        return params.weight.tobytes()

    streamed = bytes_of(sources["npy"], 8 * 500)
    assert streamed == bytes_of(sources["npy"], 8 * 500) == bytes_of(sources["array"], 8 * 500)
    assert streamed != bytes_of(sources["npy"], 1 << 20)


def test_an_iterator_that_can_be_read_once_trains_for_one_epoch() -> None:
    rows = np.random.default_rng(0).integers(0, 2, (5000, 30)).astype(np.uint8)
    params = RBMParams.initial(30, 20, key=Key(1))
    result = train(params, iter(np.array_split(rows, 7)), TrainConfig(epochs=1, monitor_rows=100))
    assert result.history[0].rows == 5000


def test_memory_is_bounded_by_the_buffer_and_not_by_the_data(tmp_path: Path) -> None:
    """An 80 MB file of real values through a buffer of 2 MB: blocks of 4096 rows of 800 bytes are 3.3 MB.

    Window, block, its float32 copy and the raw bytes of the file: under 25 MB, a third of the file, in all.
    """
    path = tmp_path / "big.npy"
    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(100_000, 200))
    mapped[:] = 0.5
    mapped.flush()
    del mapped
    tracemalloc.start()
    try:
        f = Feed(open_source(path), batch_size=100, shuffle=True, key=Key(1), buffer_bytes=2 << 20)
        rows = sum(len(window.order) for window in f.windows(0))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 100_000
    assert peak < 25e6


def test_the_last_minibatch_of_the_epoch_is_the_only_short_one() -> None:
    """Rows that fill no minibatch go to the next window: 57 rows in batches of 10 take 6 steps, streamed or no."""
    for buffer in (1, 8 * 25, 1 << 20):
        params = RBMParams.initial(WIDTH, 4, key=Key(1))
        result = train(params, Blocks(57, 7), TrainConfig(epochs=2, batch_size=10, buffer_bytes=buffer))
        assert (result.state.step, result.state.epoch) == (12, 2)


def test_a_changed_expectation_is_noticed() -> None:
    """The property bites: a feed that forgets the rest of each window loses rows."""

    class Forgetful(Feed):
        def windows(self, epoch: int, skip_rows: int = 0) -> Any:
            for window in super().windows(epoch, skip_rows):
                yield type(window)(window.rows, window.order[: len(window.order) // 10 * 10], window.numbers)

    make: Callable[..., Feed] = Forgetful
    f = make(open_source(Blocks(57, 7)), batch_size=10, shuffle=True, key=Key(1), buffer_bytes=200)
    assert sorted(visited(f, 0)) != list(range(57))
