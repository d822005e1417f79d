"""What Spark is told, and what its failures are said to mean; no Spark is needed."""

from __future__ import annotations

import logging
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rbmx.backends.native import get_num_threads
from rbmx.errors import JobError
from rbmx.jobs import spark
from rbmx.jobs.engine import Engine
from rbmx.jobs.mrjob_log import listening

FOLDER = Path("/folder")


@pytest.fixture(autouse=True)
def spark_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "find_spec", lambda name: name)
    monkeypatch.setattr(spark.shutil, "which", lambda name: name)
    monkeypatch.delenv("SPARK_LOCAL_IP", raising=False)


def runner(**told: Any) -> Any:
    """An mrjob runner that was told so much and no more."""
    nothing = {"spark_master": None, "spark_tmp_dir": None, "python_bin": None, "bootstrap_mrjob": None}
    return SimpleNamespace(_opts={**nothing, "jobconf": {}, "cmdenv": {}, **told})


def words(*, remote: bool = False, **told: Any) -> dict[str, str]:
    """The words as pairs: flags, and the keys of -D and --cmdenv."""
    found: dict[str, str] = {}
    line = iter(spark.words_for(runner(**told), FOLDER, remote=remote))
    for flag in line:
        if flag in ("-D", "--cmdenv"):
            key, _, value = next(line).partition("=")
            found[key] = value
        else:
            found[flag] = "" if flag.startswith("--no-") else next(line)
    return found


def test_with_nothing_said_it_runs_on_the_cores_of_this_machine() -> None:
    assert words() == {
        "--spark-master": f"local[{get_num_threads()},4]",
        "--spark-tmp-dir": "/folder",
        "--python-bin": sys.executable,
        "--no-bootstrap-mrjob": "",
        "spark.app.name": "rbmx train-mr",
        "spark.driver.defaultJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.executor.defaultJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.pyspark.driver.python": sys.executable,
        "spark.ui.enabled": "false",
        "RBMX_NUM_THREADS": "1",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def test_what_the_user_says_is_left_alone() -> None:
    jobconf = {"spark.ui.enabled": "true", "spark.app.name": "mine", "spark.task.cpus": "2"}
    found = words(
        spark_master="local[3]",
        spark_tmp_dir="/shared",
        python_bin=["/opt/python"],
        bootstrap_mrjob=True,
        jobconf=jobconf,
        cmdenv={"SPARK_LOCAL_IP": "10.0.0.1"},
    )
    assert found.pop("--spark-master") == "local[3]"
    assert found.pop("RBMX_NUM_THREADS") == "2"
    assert set(found) == {f"spark.{name}.defaultJavaOptions" for name in ("driver", "executor")} | {
        "spark.pyspark.driver.python"
    }


def test_mrjob_conf_and_properties_reach_the_words(tmp_path: Path) -> None:
    """By way of mrjob itself: a later conf wins over an earlier one, -D over both."""
    pytest.importorskip("mrjob")
    first, second = tmp_path / "first.conf", tmp_path / "second.conf"
    first.write_text('{"runners": {"spark": {"spark_master": "local[1]", "jobconf": {"spark.ui.enabled": "true"}}}}')
    second.write_text('{"runners": {"spark": {"spark_master": "local[2]", "cmdenv": {"RBMX_NUM_THREADS": "7"}}}}')
    engine = Engine("spark", tmp_path, [str(first), str(second)], {"spark.app.name": "mine"})
    found = engine._spark_words(remote=False)
    assert found[:2] == ["--spark-master", "local[2]"]
    assert not [word for word in found if word.startswith(("spark.ui", "spark.app.name", "RBMX_NUM_THREADS"))]


def test_a_master_that_answers_on_loopback_shares_the_disk() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        master = f"spark://127.0.0.1:{server.getsockname()[1]}"
        assert words(spark_master=master)["--spark-tmp-dir"] == "/folder"
        second = f"spark://127.0.0.1:{closed_port()},{master.removeprefix('spark://')}"
        assert words(spark_master=second)["--spark-master"] == second


def test_a_master_that_does_not_answer_is_named_at_once() -> None:
    master = f"spark://127.0.0.1:{closed_port()}"
    with pytest.raises(JobError, match=f"spark: cannot reach {master}: Connection refused"):
        words(spark_master=master)
    with pytest.raises(JobError, match="expected spark://HOST:PORT, got spark://nowhere"):
        words(spark_master="spark://nowhere")


def test_other_machines_need_a_folder_that_they_share_or_data_on_hdfs() -> None:
    with pytest.raises(JobError, match="spark: yarn is on other machines: set spark_tmp_dir"):
        words(spark_master="yarn")
    found = words(spark_master="yarn", remote=True)
    assert "--spark-tmp-dir" not in found and "SPARK_LOCAL_IP" not in found
    assert "--spark-tmp-dir" not in words(spark_master="yarn", spark_tmp_dir="/shared")


def test_without_pyspark_or_java_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setattr(spark.shutil, "which", lambda name: None)
    with pytest.raises(JobError, match="spark: needs Java 17 or newer, and JAVA_HOME=/nowhere has no bin/java"):
        words()
    monkeypatch.delenv("JAVA_HOME")
    with pytest.raises(JobError, match="there is no java on the PATH"):
        words()
    monkeypatch.setattr(spark, "find_spec", lambda name: None)
    with pytest.raises(JobError, match=r'spark: needs pyspark: pip install "rbmx\[spark\]"'):
        words()


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("ModuleNotFoundError: No module named 'rbmx.jobs'", "the tasks' Python has no rbmx.jobs: pip install"),
        (
            "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.12 than that in driver: 3.11, PySpark",
            "the tasks' Python is 3.12, the driver's 3.11: name",
        ),
        ('java.io.IOException: Cannot run program "/a/python": error=2', "a worker has no Python at /a/python: name"),
        ("InvalidInputException: Input path does not exist: file:/a", "a worker cannot see file:/a: put the data on"),
        ("java.io.FileNotFoundException: File file:/a/b does not exist", "a worker cannot see file:/a/b: put"),
        (
            "java.lang.OutOfMemoryError: Java heap space",
            "Spark is out of memory: give it more by -D spark.driver.memory",
        ),
        ("java.lang.UnsupportedClassVersionError: org/apache/spark", "this Java is too old for Spark: pyspark 4"),
    ],
)
def test_common_failures_are_explained(said: str, meaning: str) -> None:
    text = f"Exception in task 1.0\n{said}\n\tat org.apache.spark.Nowhere(Nowhere.scala:1)"
    assert str(spark.explained(text)).startswith(meaning)


def test_other_failures_are_not() -> None:
    assert spark.explained("ModuleNotFoundError: No module named 'mine'\nrbmx") is None


def test_what_spark_logs_is_heard_as_progress_and_a_lack_of_workers() -> None:
    heard: list[float] = []
    log = logging.getLogger("mrjob.logs.step")
    with listening(heard.append):
        log.info("  Finished task 2.0 in stage 0.0 (TID 2) in 35 ms on 127.0.0.1 (executor driver) (3/4)")
        log.info("  Finished task 0.0 in stage 1.0 (TID 4) in 35 ms on 127.0.0.1 (executor driver) (1/1)")
        with pytest.warns(UserWarning, match="Spark waits for a worker that is free: Initial job has not accepted"):
            log.warning("  Initial job has not accepted any resources; check your cluster UI")
    assert heard == [0.75]


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
