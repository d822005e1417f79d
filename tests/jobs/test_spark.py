"""Jobs on Spark, on local cores and on a standalone master and worker: any other engine's bytes, and clear errors."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbmx.checkpoint import load_checkpoint
from rbmx.data import open_source
from rbmx.errors import JobError
from rbmx.jobs import Round, RoundWatcher, train_rounds, write_shards
from rbmx.jobs.engine import Engine
from rbmx.jobs.inputs import Inputs
from rbmx.jobs.round import save_round
from rbmx.jobs.rounds import begin, job_settings
from rbmx.jobs.splits import Splits
from rbmx.jobs.step import outcome_of
from rbmx.params import RBMParams
from rbmx.rng import Key
from tests.jobs import spark_standalone as standalone
from tests.jobs.data import digest

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason='needs pyspark: pip install "rbmx[spark]"'),
    pytest.mark.skipif(shutil.which("java") is None and "JAVA_HOME" not in os.environ, reason="needs Java 17"),
]

ROWS, VISIBLE, HIDDEN = 800, 64, 24
QUICK: dict[str, Any] = {"sampler": "pcd", "momentum": 0.5, "momentum_rule": "keep", "rounds": 2, "seed": 3}
SLOW = ("--hidden", "256", "--rounds", "1", "--local-epochs", "300")  # a second or more of work for each shard
PATIENCE = 300.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return (np.random.default_rng(0).random((ROWS, VISIBLE)) < 0.3).astype(np.uint8)


@pytest.fixture(scope="module")
def shards(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    write_shards(open_source(rows), 4, folder)
    return folder


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[standalone.Standalone]:
    """A standalone master and worker."""
    with standalone.standalone(tmp_path_factory.mktemp("spark")) as found:
        yield found


@pytest.fixture(scope="module")
def conf(spark: standalone.Standalone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An mrjob.conf that says where it is."""
    path = tmp_path_factory.mktemp("conf") / "mrjob.conf"
    path.write_text(
        f'runners: {{spark: {{spark_master: "{spark.master}", jobconf: {{spark.executor.memory: 512m}}}}}}\n'
    )
    return path


@pytest.fixture(scope="module")
def expected(shards: Path) -> str:
    return digest(train_rounds(shards, HIDDEN, **QUICK).params)


def test_local_processes_and_local_spark_give_the_bytes_of_one_process(shards: Path, expected: str) -> None:
    """Two rounds with persistent chains and a velocity for each shard."""
    assert digest(train_rounds(shards, HIDDEN, runner="local", **QUICK).params) == expected
    options = ["--spark-master", "local[2]"]
    assert digest(train_rounds(shards, HIDDEN, runner="spark", options=options, **QUICK).params) == expected


def test_a_standalone_spark_gives_the_same_bytes(shards: Path, conf: Path, expected: str) -> None:
    heard: list[float] = []

    class Watcher(RoundWatcher):
        def on_map(self, job: Round, share: float) -> None:
            heard.append(share)

    found = train_rounds(shards, HIDDEN, runner="spark", conf_paths=[str(conf)], watcher=Watcher(), **QUICK)
    assert digest(found.params) == expected
    assert heard == [0.25, 0.5, 0.75, 1.0] * 2


def test_rows_of_text_give_the_same_bytes_on_every_spark_that_splits_them_alike(
    rows: np.ndarray, conf: Path, tmp_path: Path
) -> None:
    text = tmp_path / "rows.csv"
    np.savetxt(text, rows, fmt="%d", delimiter=",")

    def trained(*options: str, conf_paths: Sequence[str] = ()) -> list[str]:
        dataset = open_source(text, label=None)
        inputs = Inputs([str(text)], Splits(), 2, dataset, len(rows))
        job = begin(RBMParams.initial(VISIBLE, HIDDEN, key=Key(0)), job_settings(shards=2, rounds=1), inputs)
        save_round(tmp_path / "round.safetensors", job)
        engine = Engine("spark", tmp_path, conf_paths, options=options)
        lines, counters = engine.run(tmp_path / "round.safetensors", inputs.paths, splits=Splits())
        assert (counters["shards"], counters["rows"]) == (2, ROWS)
        merged, states = outcome_of(lines, job.settings)
        assert sorted(merged.rows.values()) == [ROWS // 2 - 1, ROWS // 2 + 1]  # a row at the cut is the first split's
        assert merged.params is not None
        return [digest(merged.params), *sorted(states)]

    assert trained("--spark-master", "local[2]") == trained(conf_paths=[str(conf)])


def test_with_nothing_said_it_runs_and_the_console_stays_quiet(shards: Path, tmp_path: Path) -> None:
    done = finished(start(shards, tmp_path, "--hidden", "8", "--rounds", "1"))
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"round 1/1: 4 shards, {ROWS} rows, ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors"]


@pytest.fixture(scope="module")
def expected_slow(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What SLOW gives without Spark."""
    folder = tmp_path_factory.mktemp("slow")
    done = finished(start(shards, folder, *SLOW, runner="inline"))
    assert done.returncode == 0, done.stderr
    return model_digest(folder)


def test_a_python_killed_on_local_cores_changes_nothing(shards: Path, tmp_path: Path, expected_slow: str) -> None:
    process = start(shards, tmp_path, *SLOW)
    task = first(process, lambda: standalone.python_tasks(process.pid))
    time.sleep(0.3)
    os.kill(task, signal.SIGKILL)
    done = finished(process)
    assert done.returncode == 0, done.stderr
    assert model_digest(tmp_path) == expected_slow


def test_a_python_killed_on_a_worker_changes_nothing(
    shards: Path, tmp_path: Path, spark: standalone.Standalone, conf: Path, expected_slow: str
) -> None:
    process = start(shards, tmp_path, *SLOW, "-c", str(conf))
    task = first(process, lambda: standalone.python_tasks(spark.worker))
    assert standalone.environment_of(task)["RBMX_NUM_THREADS"] == "1"
    time.sleep(0.3)
    os.kill(task, signal.SIGKILL)
    done = finished(process)
    assert done.returncode == 0, done.stderr
    assert model_digest(tmp_path) == expected_slow
    logs = "".join(path.read_text() for path in spark.folder.glob("work/app-*/*/stderr"))
    assert "Python worker exited unexpectedly" in logs


def test_an_executor_killed_changes_nothing(
    shards: Path, tmp_path: Path, spark: standalone.Standalone, conf: Path, expected_slow: str
) -> None:
    process = start(shards, tmp_path, *SLOW, "-c", str(conf))
    first(process, lambda: standalone.python_tasks(spark.worker))
    (executor,) = standalone.executors(spark.worker)
    os.kill(executor, signal.SIGKILL)
    (another,) = [first(process, lambda: [pid for pid in standalone.executors(spark.worker) if pid != executor])]
    done = finished(process)
    assert done.returncode == 0, done.stderr
    assert another != executor
    assert model_digest(tmp_path) == expected_slow


def test_interrupted_it_leaves_no_process_and_keeps_the_last_round(shards: Path, tmp_path: Path) -> None:
    process = start(shards, tmp_path, *SLOW)
    first(process, lambda: standalone.python_tasks(process.pid))
    below = standalone.descendants(process.pid)
    process.send_signal(signal.SIGINT)
    done = finished(process)
    assert done.returncode == 130
    assert "model.safetensors holds the model after round 0" in done.stderr
    end = time.monotonic() + 30
    while left := [pid for pid in below if Path(f"/proc/{pid}/cmdline").exists() and standalone.command_of(pid)]:
        assert time.monotonic() < end, [standalone.command_of(pid) for pid in left]
        time.sleep(0.2)


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="needs a Python without mrjob: the one below a venv")
def test_a_python_without_the_packages_is_named(shards: Path) -> None:
    bare = str(Path(sys.base_prefix) / "bin" / "python3")
    with pytest.raises(JobError, match=r'the tasks\' Python has no (mrjob|rbmx): pip install "rbmx\[hadoop\]" for it'):
        train_rounds(shards, HIDDEN, runner="spark", options=["--python-bin", bare], rounds=1)


def test_a_python_that_is_not_there_is_named(shards: Path) -> None:
    with pytest.raises(JobError, match="round 1: spark: a worker has no Python at /nowhere/python: "):
        train_rounds(shards, HIDDEN, runner="spark", options=["--python-bin", "/nowhere/python"], rounds=1)


def start(shards: Path, folder: Path, *words: str, runner: str = "spark") -> subprocess.Popen[str]:
    """`rbmx train-mr` in a folder of its own, with nobody's configuration."""
    command = [sys.executable, "-m", "rbmx", "train-mr", str(shards), "-r", runner, "-o", "model.safetensors", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RBMX_", "MRJOB_"))}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"HOME": str(folder)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for it, and take what it said."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def first(process: subprocess.Popen[str], found: Callable[[], list[int]]) -> int:
    """The first process that is found while the job runs."""
    end = time.monotonic() + PATIENCE
    while not (pids := found()):
        assert process.poll() is None, f"the job ended first: {process.communicate()}"
        assert time.monotonic() < end
        time.sleep(0.05)
    return pids[0]


def model_digest(folder: Path) -> str:
    return digest(load_checkpoint(folder / "model.safetensors").params)
