"""Deep models on a real Hadoop of one node: the weights of one process, for stacks, gradients, the paper's scripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rbmx.jobs import load_stack_round, train_full_batch, train_stack
from rbmx.training.backprop import Network
from tests.hadoop.nodes import ONE, ONE_SHORT
from tests.hadoop.user import User
from tests.jobs.data import digest, stripes
from tests.paper.data import CLASSES, SIDE, table, write
from tests.paper.scripts import FIGURE_4, FIGURE_5, digits, for_nodes, run
from tools.hadoop.cluster import Cluster
from tools.hadoop.configuration import USER
from tools.hadoop.timeline import timelines

pytestmark = pytest.mark.hadoop

STACK = ["--layers", "40,16,8", "--epochs", "3", "--seed", "7", "--fine-tune", "classifier", "--classes", "10"]


@pytest.fixture
def rows_file(user: User) -> str:
    """240 rows of 40 bits, a label before each."""
    rows = stripes(240, 40)
    np.savetxt(user.folder / "rows.csv", np.column_stack([np.arange(240) % 10, rows]), fmt="%d", delimiter=",")
    return "rows.csv"


def known_by(user: User) -> dict[str, str]:
    return {"HADOOP_HOME": str(user.layout.run), "HADOOP_USER_NAME": USER}


@ONE_SHORT
def test_all_layers_of_a_stack_are_one_job(user: User, rows_file: str) -> None:
    user.rbmx("shard", rows_file, "--label", "first", "--keep-labels", "-n", "3", "-o", "shards")
    user.rbmx("shard", rows_file, "--label", "first", "--keep-labels", "-n", "3", "-o", "hdfs:///deep/shards")
    user.rbmx("train-stack", "shards", *STACK, "-o", "inline.safetensors")
    said, _ = user.rbmx("train-stack", "hdfs:///deep/shards", *STACK, "-r", "hadoop", "-o", "hadoop.safetensors")
    assert said.startswith("hadoop.safetensors: 40-16-8, 1 round, tuned as classifier, loss ")
    inline, hadoop = (load_stack_round(user.folder / f"{name}.safetensors") for name in ("inline", "hadoop"))
    assert [digest(layer) for layer in hadoop.layers] == [digest(layer) for layer in inline.layers]
    assert hadoop.network is not None and inline.network is not None
    assert hadoop.network.flat().tobytes() == inline.network.flat().tobytes()


@ONE
def test_a_single_shard_is_a_job_without_a_reduce_task(user: User, rows_file: str) -> None:
    stack = [rows_file, "--label", "first", "--shards", "1", *STACK]
    user.rbmx("train-stack", *stack, "-o", "inline.safetensors")
    user.rbmx("train-stack", *stack, "-r", "hadoop", "-o", "hadoop.safetensors")
    inline, hadoop = (load_stack_round(user.folder / f"{name}.safetensors") for name in ("inline", "hadoop"))
    assert hadoop.network is not None and inline.network is not None
    assert hadoop.network.flat().tobytes() == inline.network.flat().tobytes()
    job = timelines(Cluster(user.layout))[-1]
    assert [task["type"] for task in job["tasks"]] == ["MAP"]


@ONE
def test_gradients_over_shards_give_the_trajectory_of_one_process(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in known_by(user).items():
        monkeypatch.setenv(name, value)
    rows = stripes(2500, 40)
    start = Network.autoencoder_of(train_stack(rows, [40, 10], shards=1, epochs=1).layers)
    inline = train_full_batch(start, rows, iterations=1, shards=1)
    hadoop = train_full_batch(start, rows, iterations=1, shards=3, runner="hadoop")
    assert hadoop.network.flat().tobytes() == inline.network.flat().tobytes()
    assert [record.loss for record in hadoop.history] == [record.loss for record in inline.history]


@ONE_SHORT
def test_the_papers_script_gives_the_weights_of_inline(user: User) -> None:
    check(user.folder, user, FIGURE_5)


@ONE
def test_the_papers_script_without_a_guard_gives_them_too(user: User) -> None:
    check(user.folder, user, FIGURE_4)


def check(folder: Path, user: User, figure: str) -> None:
    write(folder / "train.csv", table(400, 0))
    write(folder / "test.csv", table(200, 1))
    script = for_nodes(figure, SIDE * SIDE, 20, 10, CLASSES)
    flags = ["train.csv", "--rounds", "1", "--splits", "3", "--tuning-epochs", "9"]
    inline = run(folder, script, *flags)
    hadoop = run(folder, script, "-r", "hadoop", *flags, **known_by(user))
    assert hadoop.status == 0, hadoop.err
    assert hadoop.out == inline.out
    assert hadoop.out.startswith("Accuracy: ")
    assert inline.err in hadoop.err
    assert hadoop.weights == inline.weights != b""


@ONE
def test_the_papers_script_reads_95_per_cent_of_the_digits_on_every_runner(user: User) -> None:
    """All 60,000 rows, [784, 500, 100, 10]: a minute or two each on a quiet machine."""
    digits(user.folder / "train.csv", "train")
    digits(user.folder / "test.csv", "test")
    script = for_nodes(FIGURE_5, 784, 500, 100, 10)
    found = {
        runner: run(user.folder, script, "-r", runner, "train.csv", timeout=1800, **known_by(user))
        for runner in ("inline", "local", "hadoop")
    }
    for runner, outcome in found.items():
        print(f"\n{runner}: {outcome.out}")
        assert outcome.status == 0, outcome.err
        assert float(outcome.out.split()[1]) > 95
    assert found["inline"].weights == found["local"].weights == found["hadoop"].weights != b""
