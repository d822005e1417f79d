"""A split's part: contrastive divergence in the first round, backprop in every one, from the driver's weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbmx.errors import CheckpointError, DivergedError
from rbmx.jobs.records import read_record, write_record
from rbmx.jobs.watch import Watch
from rbmx.paper.rows import Line, Rows, block_record, digest_of, load_lines, rows_of
from rbmx.paper.split_job import SplitJob, SplitSettings, load_split_job, save_split_job
from rbmx.paper.split_work import train_split
from rbmx.paper.weights import Weights
from tests.paper.data import CLASSES, SIDE, table

SIZES = (SIDE * SIDE, 12, CLASSES)
SETTINGS = SplitSettings(SIZES, 0.05, 0.8, 20, epochs=1, tuning_epochs=2, splits=2, seed=0)


def job(number: int = 0, **changes: Any) -> SplitJob:
    rng = np.random.default_rng(0)
    arrays = {}
    for i, (n_in, n_out) in enumerate(pairwise(SIZES)):
        arrays[f"layers.{i}.weight"] = rng.normal(0, 0.1, (n_out, n_in)).astype(np.float32)
        arrays[f"layers.{i}.bias"] = np.zeros(n_out, np.float32)
    return SplitJob(Weights(arrays), replace(SETTINGS, **changes), number)


def rows(count: int = 100) -> Rows:
    values = table(count, 0)
    return Rows(values[:, 1:].astype(np.uint8), values[:, 0], np.arange(count, dtype=np.uint64))


def content(weights: Weights) -> bytes:
    return b"".join(weights.arrays[name].tobytes() for name in sorted(weights.arrays))


def test_a_task_that_runs_again_gives_the_same_bytes() -> None:
    first, again = (train_split(job(), 1, rows(), Watch()) for _ in range(2))
    assert content(first) == content(again)
    assert first.rows == 100
    assert content(train_split(job(), 0, rows(), Watch())) != content(first)


def test_layers_are_trained_by_contrastive_divergence_in_the_first_round_only() -> None:
    without = train_split(job(epochs=0), 1, rows(), Watch())
    assert content(train_split(job(), 1, rows(), Watch())) != content(without)
    later = [train_split(job(number=1, epochs=epochs), 1, rows(), Watch()) for epochs in (0, 1)]
    assert content(later[0]) == content(later[1])


def test_the_drivers_weights_are_where_a_split_begins() -> None:
    """Rates too small to move a weight of 0.1 by more than 1e-6."""
    start = job(learn_rate=1e-9, momentum=0.0)
    found = train_split(start, 0, rows(), Watch())
    for name, array in start.weights.arrays.items():
        assert np.abs(found.arrays[name] - array).max() < 1e-6


def lines(count: int = 10) -> list[Line]:
    texts = [b",".join(b"%d" % value for value in row) for row in table(count, 2)]
    return [Line(i + 1, digest_of(text), text) for i, text in enumerate(texts)]


def test_rows_stand_in_the_order_of_their_digests_whichever_blocks_they_came_in() -> None:
    given = lines()
    blocks = [given[:3], given[3:4], given[4:]]

    def through(order: list[int]) -> Rows:
        records = [write_record(block_record(load_lines(blocks[i], SIZES[0], "part"))) for i in order]
        return rows_of([read_record(record) for record in records])

    one, other = through([0, 1, 2]), through([2, 0, 1])
    assert np.array_equal(one.values, other.values) and np.array_equal(one.labels, other.labels)
    by_digest = sorted(given, key=lambda line: line.digest)
    assert one.labels.tolist() == [int(line.text.split(b",")[0]) for line in by_digest]
    assert one.values[0].tolist() == [int(value) for value in by_digest[0].text.split(b",")[1:]]


def test_a_round_survives_its_file(tmp_path: Path) -> None:
    given = job(number=3, own_class="Mine")
    save_split_job(tmp_path / "round", given)
    again = load_split_job(tmp_path / "round")
    assert (again.settings, again.number) == (given.settings, 3)
    assert content(again.weights) == content(given.weights)
    (tmp_path / "other").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="other: expected an rbmx model"):
        load_split_job(tmp_path / "other")


OWN = """
import torch
from rbmx.paper import Net

class Dropping(Net):
    def __init__(self, node_seq):
        super().__init__(node_seq, seed=0)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, x):
        return super().forward(self.dropout(x))
"""


@pytest.fixture
def own_file(tmp_path: Path) -> str:
    pytest.importorskip("torch")
    path = tmp_path / "dropping.py"
    path.write_text(OWN)
    return str(path)


def test_a_net_with_dropout_gives_the_same_bytes_when_its_task_runs_again(own_file: str) -> None:
    """And leaves torch's own generator where it was."""
    import torch

    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first, again = (train_split(job(own_class="Dropping"), 1, rows(), Watch(), own_file) for _ in range(2))
    assert content(first) == content(again)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert content(train_split(job(own_class="Dropping"), 0, rows(), Watch(), own_file)) != content(first)


def test_a_net_of_ones_own_that_diverges_names_its_split(own_file: str) -> None:
    diverging = job(own_class="Dropping", learn_rate=1e30, epochs=0)
    with pytest.raises(
        DivergedError, match=r"split 1 of 2: the net: loss (nan|inf) in epoch \d at learning rate 1e\+30"
    ):
        train_split(diverging, 1, rows(), Watch(), own_file)
