"""`rbmx train-stack`: what rbmx.jobs.train_stack gives, from words; and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rbmx.cli import main
from rbmx.data import open_source
from rbmx.jobs import FineTuning, load_stack_round, train_stack
from rbmx.training import SGD
from tests.jobs.data import digest, stripes

WORDS = ["--layers", "20,12,6", "--shards", "3", "--batch-size", "36", "--lr", "0.2", "--epochs", "2", "--seed", "7"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = stripes()
    np.savetxt(tmp_path / "rows.csv", np.column_stack([rows[:, 0], rows]), fmt="%d", delimiter=",")
    return tmp_path / "rows.csv"


def test_words_are_the_arguments_of_train_stack(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "stack.safetensors"
    tuned = ["--fine-tune", "classifier", "--classes", "2", "--tuning-epochs", "3", "--tuning-lr", "0.3"]
    assert main(["train-stack", str(table), "--label", "first", *WORDS, *tuned, "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{out}: 20-12-6, 1 round, tuned as classifier, loss ")
    assert said.err.startswith("round 1/1: 3 shards, 120 rows, ")
    expected = train_stack(
        stripes(),
        [20, 12, 6],
        shards=3,
        batch_size=36,
        lr=0.2,
        epochs=2,
        seed=7,
        propagate="sample",
        labels=stripes()[:, 0],
        fine_tune=FineTuning("classifier", epochs=3, batch_size=36, optimizer=SGD(0.3, 0.9), n_classes=2),
    )
    found = load_stack_round(out)
    assert list(map(digest, found.layers)) == list(map(digest, expected.layers))
    assert found.network is not None and expected.network is not None
    assert np.array_equal(found.network.flat(), expected.network.flat())


def test_a_job_goes_on_from_its_output(table: Path, tmp_path: Path) -> None:
    once, twice = tmp_path / "once.safetensors", tmp_path / "twice.safetensors"
    reading = ["train-stack", str(table), "--label", "first"]
    assert main([*reading, *WORDS, "--rounds", "2", "-o", str(twice)]) == 0
    assert main([*reading, *WORDS, "-o", str(once)]) == 0
    assert main([*reading, "--resume", "--rounds", "2", "-o", str(once)]) == 0
    assert load_stack_round(once).number == load_stack_round(twice).number == 2


def test_shards_are_cut_with_labels_and_at_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = stripes(250)
    np.savetxt(tmp_path / "rows.csv", np.column_stack([rows[:, 0], rows]), fmt="%d", delimiter=",")
    words = ["shard", str(tmp_path / "rows.csv"), "--label", "first", "-n", "2", "-o", str(tmp_path / "shards")]
    assert main([*words, "--keep-labels", "--block-rows", "100"]) == 0
    blocks = list(open_source(tmp_path / "shards").encoded_blocks())
    assert [block.first_row for block in blocks] == [0, 100]
    assert np.array_equal(np.concatenate([block.labels for block in blocks]), rows[:, 0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "x"], "--layers: say how many units the levels have: --layers 784,500,250,30"),
        (["--layers", "20,six", "-o", "x"], "expected units of each level, such as 784,500,250,30, got '20,six'"),
        (WORDS, "-o: say where the stack goes"),
        ([*WORDS, "-o", "x", "--fine-tune", "classifier"], "--classes: say how many labels there are"),
        (["-o", "x", "--resume", "--lr", "0.5"], "--lr: a resumed job keeps its own; leave it out"),
        ([*WORDS, "-o", "x", "--resume"], "--layers: a resumed job keeps its own; leave it out"),
    ],
)
def test_what_is_missing_is_said(
    table: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["train-stack", str(table), "--label", "first", *words])
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2
    assert message in capsys.readouterr().err
