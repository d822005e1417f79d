"""rbmx on a real Hadoop of one node: the bytes of training in one process, whichever way the job is run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hadoop.nodes import ONE, ONE_SHORT
from tests.hadoop.user import User, digest
from tests.jobs.data import stripes
from tools.hadoop.cluster import Cluster

pytestmark = pytest.mark.hadoop

NEW_JOB = ["--hidden", "16", "--rounds", "2", "--local-epochs", "3", "--momentum", "0.5", "--seed", "7"]
READING = ["--label", "first", "--binarize", "127"]
HOME = "/user/hadoop/.rbmx"
ONE_ATTEMPT = ["-D", "mapreduce.map.maxattempts=1"]  # a failure is one at once


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 rows of 40 grey values, a label before each."""
    lines = [f"{i % 10}," + ",".join(str(255 * int(bit)) for bit in row) for i, row in enumerate(stripes(240, 40))]
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter of this minor version that has no packages."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    python = str(folder / "bin" / "python")
    absent = "import importlib.util as u; print([n for n in ('numpy', 'mrjob', 'rbmx') if u.find_spec(n)])"
    assert subprocess.check_output([python, "-c", absent], cwd=folder, text=True) == "[]\n"
    return python


def script(path: Path, *lines: str) -> str:
    """An executable shell script."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


def upload(user: User, path: Path, name: str) -> str:
    user.hadoop("fs", "-put", "-f", str(path), f"/{name}")
    return f"hdfs:///{name}"


@ONE_SHORT
def test_nodes_with_nothing_but_python_give_the_bytes_of_inline(user: User, table: Path, bare_python: str) -> None:
    """Known by HADOOP_HOME alone, without an mrjob.conf."""
    user.rbmx("shard", str(table), *READING, "-n", "3", "-o", "shards")
    said, _ = user.rbmx("shard", str(table), *READING, "-n", "3", "-o", "hdfs:///data/shards")
    assert said.startswith("hdfs:///data/shards: 3 shards of 240 rows, ")
    on_hdfs = user.files("/data/shards")
    assert on_hdfs == [f"/data/shards/{path.name}" for path in sorted((user.folder / "shards").iterdir())]

    user.rbmx("train-mr", "shards", *NEW_JOB, "-o", "inline.safetensors")
    words = ["-r", "hadoop", "--python-bin", bare_python, "-o", "hadoop.safetensors"]
    said, rounds = user.rbmx("train-mr", "hdfs:///data/shards", *NEW_JOB, *words)
    assert said.startswith("hadoop.safetensors: 40-16, 2 rounds, ")
    assert [line.partition(":")[0] for line in rounds.splitlines()] == ["round 1/2", "round 2/2"]
    found = [digest(user.folder / name) for name in ("inline.safetensors", "hadoop.safetensors")]
    print(f"\ninline sha256 {found[0]}, hadoop sha256 {found[1]}")
    assert found[0] == found[1]


@ONE
def test_rounds_by_hand_give_the_same_bytes(user: User, table: Path) -> None:
    """As an ordinary MRJob and by plain streaming, one round after another."""
    user.rbmx("shard", str(table), *READING, "-n", "3", "-o", "shards")
    shards = upload(user, user.folder / "shards", "by-hand")
    user.rbmx("train-mr", "shards", *NEW_JOB, "-o", "inline.safetensors")
    user.rbmx("train-mr", "shards", *NEW_JOB, "--prepare", "-o", "streaming.safetensors")
    shutil.copy(user.folder / "streaming.safetensors", user.folder / "mrjob.safetensors")

    options = ["-r", "hadoop", "-c", user.conf, "--python-bin", sys.executable, "--round-file", "mrjob.safetensors"]
    lines, _ = user.run("rbmx.jobs.train_job", shards, *options)
    (user.folder / "part").write_text(lines)
    first, _ = user.rbmx("next-round", "mrjob.safetensors", "part")
    assert first == f"mrjob.safetensors: round 1 done, weights sha256 {digest(user.folder / 'mrjob.safetensors')}\n"

    for number in (1, 2):
        stream(user, f"/by-hand-{number}")
        user.rbmx("next-round", "streaming.safetensors", "part")
        if number == 1:
            found = [digest(user.folder / name) for name in ("mrjob.safetensors", "streaming.safetensors")]
            print(f"\nround 1: MRJob sha256 {found[0]}, streaming sha256 {found[1]}")
            assert found[0] == found[1]
    found = [digest(user.folder / name) for name in ("inline.safetensors", "streaming.safetensors")]
    print(f"\nround 2: inline sha256 {found[0]}, streaming sha256 {found[1]}")
    assert found[0] == found[1]


def stream(user: User, output: str) -> None:
    """A round by `hadoop jar`, its output in the file part."""
    jar = next((user.layout.run / "share" / "hadoop" / "tools" / "lib").iterdir())
    tasks = [f"{sys.executable} -m rbmx {kind} streaming.safetensors" for kind in ("mapper", "reducer")]
    whole_files = ["-D", "mapreduce.input.fileinputformat.split.minsize=1099511627776"]
    words = ["-files", "streaming.safetensors", "-D", "mapreduce.job.reduces=1", *whole_files, "-input", "/by-hand"]
    user.hadoop("jar", str(jar), *words, "-output", output, "-mapper", tasks[0], "-reducer", tasks[1])
    (user.folder / "part").write_text(user.hadoop("fs", "-cat", f"{output}/part-00000"))


@ONE
def test_a_local_table_is_put_on_hdfs_and_removed(user: User, table: Path) -> None:
    job = [*NEW_JOB, *READING, "--shards", "3", "--rounds", "1"]
    user.rbmx("train-mr", str(table), *job, "-o", "inline.safetensors")
    user.hadoop("fs", "-mkdir", "-p", f"{HOME}/env")
    before = user.files(HOME)
    user.rbmx("train-mr", str(table), *job, "-r", "hadoop", "-c", user.conf, "-o", "hadoop.safetensors")
    assert digest(user.folder / "hadoop.safetensors") == digest(user.folder / "inline.safetensors")
    added = sorted(set(user.files(HOME)) - set(before))
    assert all(path.startswith(f"{HOME}/env/rbmx-env-") and path.endswith(".tar.gz") for path in added)


@ONE
def test_text_in_splits_gives_the_same_bytes_twice_and_counts_bad_rows(user: User, table: Path) -> None:
    lines = table.read_text().splitlines()
    lines[100] = "1,2,3"
    lines[200] = lines[200].replace("255", "white", 1)
    (user.folder / "rows.csv").write_text("\n".join(lines) + "\n")
    text = upload(user, user.folder / "rows.csv", "bad-rows.csv")
    job = ["train-mr", text, *NEW_JOB, *READING, "--rounds", "1", "-r", "hadoop", "-c", user.conf]

    _, said = user.rbmx(*job, *ONE_ATTEMPT, "-o", "raise.safetensors", status=1)
    print(f"\n{said}")
    assert len(said.splitlines()) == 1
    assert "bad-rows.csv" in said

    found = []
    for name in ("first", "second"):
        user.rbmx(*job, "--on-bad-row", "skip", "-o", f"{name}.safetensors")
        found.append(digest(user.folder / f"{name}.safetensors"))
        counters = counters_of_last_job(Cluster(user.layout))
        assert counters["shards"] > 1
        assert (counters["rows"], counters["bad rows"]) == (238, 2)
    print(f"\ntext in {counters['shards']} splits: sha256 {found[0]}, again {found[1]}")
    assert found[0] == found[1]


def counters_of_last_job(cluster: Cluster) -> dict[str, int]:
    """The counters of rbmx, as the history server tells them."""
    jobs = "/ws/v1/history/mapreduce/jobs"
    last = max(cluster.get("jhs", jobs)["jobs"]["job"], key=lambda job: str(job["id"]))["id"]
    groups = cluster.get("jhs", f"{jobs}/{last}/counters")["jobCounters"]["counterGroup"]
    own = next(group["counter"] for group in groups if group["counterGroupName"] == "rbmx")
    return {counter["name"]: counter["totalCounterValue"] for counter in own}


@ONE
@pytest.mark.parametrize(
    ("python", "message"),
    [
        (
            ["RBMX_TASK_PYTHON=2.7", f'exec {sys.executable} "$@"'],
            "rbmx: this node's Python is {minor} ({python}), the job was built for 2.7: "
            "name one by python_bin in mrjob.conf or --python-bin",
        ),
        ([], "a node has no {stub}: name its Python by --python-bin, or python_bin in mrjob.conf"),
        (["exit 1"], "a task's Python ended without a word"),
    ],
    ids=["another version", "none", "one that dies"],
)
def test_a_node_without_the_python_says_so(user: User, table: Path, python: list[str], message: str) -> None:
    stub = user.folder / "python"
    if python:
        script(stub, *python)
    where = ["-r", "hadoop", "-c", user.conf, "--python-bin", str(stub), *ONE_ATTEMPT, "-o", "model.safetensors"]
    user.rbmx("shard", str(table), *READING, "-n", "3", "-o", "shards")
    _, said = user.rbmx("train-mr", "shards", *NEW_JOB, *where, status=1)
    print(f"\n{said}")
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert said.startswith("rbmx: round 1: hadoop: " + message.format(minor=minor, python=sys.executable, stub=stub))
    assert said.endswith("; model.safetensors holds the model after round 0\n")
    assert len(said) < 500
