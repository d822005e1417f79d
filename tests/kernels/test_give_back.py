"""What a run that diverges gives back, where it kept it: in memory, in a file, and where no file can be written."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rbmx.backends import Batches, State, Update
from rbmx.backends.native import NativeBackend
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key

SMALL, LARGE = (40, 30), (900, 700)  # with momentum the large one has 5 MB to keep, above the 4 MiB held in memory
MOMENTUM = Update(4000.0, first=0.5)
FILES = "/proc/self/fd"  # of this process
ADAM = Update(1e-3, rule="adam", first=0.9, second=0.999, epsilon=1e-8)


@pytest.fixture
def little_disk() -> Iterator[None]:
    """Files may grow to 1 MiB, as on a disk that runs full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _rows(n_visible: int, n_rows: int = 60) -> PackedBits:
    return PackedBits.pack(np.random.default_rng(0).random((n_rows, n_visible)) < 0.4)


def _start(size: tuple[int, int], update: Update) -> tuple[RBMParams, State]:
    params, key = RBMParams.initial(*size, key=Key(1), std=0.1), Key(2)
    velocity = RBMParams.initial(*size, key=key, std=1e-3) if update.has_velocity else None
    squares = params.zeros() if update.has_squares else None
    if squares is not None:
        squares.weight[...] = 0.01  # a velocity over squares of zero would jump
    return params, State(velocity=velocity, squares=squares)


def _gives_back(size: tuple[int, int], update: Update) -> None:
    """The rate of `update` is for one visible unit: the limit is on the sum of a unit's weights."""
    update = replace(update, learning_rate=update.learning_rate / size[0])
    params, state = _start(size, update)
    before = [kept.copy() for kept in state.learning(params)]
    rows = _rows(size[0])
    outcome = NativeBackend().train(params, rows, Batches(np.arange(60), 5, 1, update, Key(3), 0), state)
    assert (outcome.name, outcome.batches > 1) == ("diverged", True)
    for live, kept in zip(state.learning(params), before, strict=True):
        for name in live.names:
            np.testing.assert_array_equal(getattr(live, name), getattr(kept, name), name)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    "update",
    [MOMENTUM, replace(MOMENTUM, first=0.0), replace(ADAM, learning_rate=8000.0)],
    ids=["momentum", "plain", "adam"],
)
def test_parameters_and_moments_come_back(
    size: tuple[int, int], update: Update, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _gives_back(size, update)
    assert os.listdir(tmp_path) == []


def test_they_come_back_where_there_is_no_folder_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere/at/all")
    _gives_back(LARGE, MOMENTUM)


@pytest.mark.usefixtures("little_disk")
def test_they_come_back_where_the_disk_runs_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    _gives_back(LARGE, MOMENTUM)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.isdir(FILES), reason=f"needs {FILES}")
@pytest.mark.parametrize(("size", "kept_in_a_file"), [(SMALL, False), (LARGE, True)])
def test_only_what_is_large_is_kept_in_a_file(
    size: tuple[int, int], kept_in_a_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A nameless file of the folder for temporary files, open while the call runs."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    seen: list[bool] = []

    def look(_: int) -> None:
        seen.append(any(os.path.realpath(f"{FILES}/{name}").startswith(str(tmp_path)) for name in os.listdir(FILES)))
        raise StopIteration

    resting = replace(ADAM, learning_rate=0.0)
    params, state = _start(size, resting)
    order = np.zeros(2_000_000, np.int64)  # a row is there as often as it takes to be asked
    outcome = NativeBackend().train(params, _rows(size[0]), Batches(order, 100, 5, resting, Key(3), 0), state, look)
    assert (outcome.name, seen) == ("interrupted", [kept_in_a_file])
    assert os.listdir(tmp_path) == []


def test_what_a_run_keeps_in_place_may_lie_anywhere() -> None:
    """Arrays that begin at no multiple of a cache line train to the same bytes."""
    results = []
    for offset in (0, 1, 5, 13):
        params, state = _start((70, 93), ADAM)
        kept = state.learning(params)
        for learning in kept:
            shifted = np.empty(learning.weight.size + 16, np.float32)[offset : offset + learning.weight.size]
            shifted = shifted.reshape(learning.weight.shape)
            shifted[...] = learning.weight
            learning.weight = shifted
        NativeBackend().train(params, _rows(70), Batches(np.arange(60), 7, 1, ADAM, Key(3), 0), state)
        results.append([getattr(learning, name).tobytes() for learning in kept for name in learning.names])
    assert all(result == results[0] for result in results)
