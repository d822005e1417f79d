"""Spark as mrjob runs it: what it is told where the user says nothing, and what its failures mean.

Each round is an application of its own, submitted from this machine in client mode. Whatever mrjob.conf or -D say wins.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rbmx.backends.native import get_num_threads
from rbmx.errors import JobError

__all__ = ["TASK_PROGRESS", "WAITING", "explained", "remove_leftovers", "words_for"]

ATTEMPTS = 4  # of a task on a local master, as on a cluster; Spark's own default there is one
CONNECT_SECONDS = 5.0
QUICK_JAVA = "-XX:TieredStopAtLevel=1"  # a round without work takes 8.5 s of processor time with it, 13.2 s without
TASK_PROGRESS = re.compile(r"Finished task .* in stage 0\.0 .*\((\d+)/(\d+)\)")
WAITING = "Initial job has not accepted any resources"

_REMEDY = 'pip install "rbmx[hadoop]" for it, or name another by --python-bin'
_MEANINGS = (
    (r"No module named '((?:rbmx|mrjob|numpy|safetensors)\b[\w.]*)'", f"the tasks' Python has no {{0}}: {_REMEDY}"),
    (r"Python in worker has different version: (\S+) than that in driver: (\S+?),", "the tasks' Python is {0}, the "
     "driver's {1}: name the same version by --python-bin"),
    (r'Cannot run program "(.+?)"', "a worker has no Python at {0}: name the one it has by --python-bin"),
    (r"Input path does not exist: (\S+)|File (\S+) does not exist", "a worker cannot see {0}: put the data on HDFS, or "
     "in a folder that all machines share"),
    (r"(OutOfMemoryError)", "Spark is out of memory: give it more by -D spark.driver.memory=4g (local) or "
     "-D spark.executor.memory=4g"),
    (r"(UnsupportedClassVersionError)", "this Java is too old for Spark: pyspark 4 takes Java 17 or newer"),
)  # fmt: skip


def words_for(runner: Any, folder: Path, *, remote: bool) -> list[str]:
    """The words for mrjob that fill in what the user left open.

    Args:
        runner: mrjob's, with the user's configuration.
        folder: of the driver, for what passes between it and Spark where both see one disk.
        remote: the data are at a URI, on a file system that Spark sees.

    Raises:
        JobError: there is no pyspark or Java, or no master answers.
    """
    told = runner._opts  # mrjob says what it was told nowhere else
    _require_spark()
    master = told["spark_master"] or f"local[{get_num_threads()},{ATTEMPTS}]"
    hosts = _hosts(master)
    _require_master(master, hosts)
    here = _is_here(master, hosts)
    words = ["--spark-master", master]
    if told["spark_tmp_dir"] is None:
        words += _temporary_folder(master, folder, here, remote)
    if told["python_bin"] is None:
        words += ["--python-bin", shlex.quote(sys.executable)]
    if told["bootstrap_mrjob"] is None:
        words += ["--no-bootstrap-mrjob"]
    jobconf, environment = told["jobconf"], told["cmdenv"]
    properties = {
        "spark.app.name": "rbmx train-mr",
        "spark.driver.defaultJavaOptions": QUICK_JAVA,
        "spark.executor.defaultJavaOptions": QUICK_JAVA,
        "spark.pyspark.driver.python": sys.executable,
        "spark.ui.enabled": "false",
    }
    variables = {"RBMX_NUM_THREADS": jobconf.get("spark.task.cpus", "1")}
    if here and "SPARK_LOCAL_IP" not in os.environ:
        variables["SPARK_LOCAL_IP"] = "127.0.0.1"  # listens for no other machine, and needs no resolvable hostname
    words += [word for key, value in properties.items() if key not in jobconf for word in ("-D", f"{key}={value}")]
    words += [
        word for name, value in variables.items() if name not in environment for word in ("--cmdenv", f"{name}={value}")
    ]
    return words


def explained(text: str) -> str | None:
    """What a failure means and what to do, where it is a common one."""
    for pattern, meaning in _MEANINGS:
        if match := re.search(pattern, text):
            return meaning.format(*(group for group in match.groups() if group))
    return None


def remove_leftovers(runner: Any) -> None:
    """Remove what a round left on a file system of the cluster; mrjob removes only what is local."""
    if "://" in (folder := runner._spark_tmp_dir):
        with suppress(OSError):  # the round is done all the same
            runner.fs.rm(folder)


def _hosts(master: str) -> list[tuple[str, int]]:
    """Names and ports of the masters in spark://name:port,name:port; none of other kinds of master."""
    if not master.startswith("spark://"):
        return []
    places = [place.rpartition(":") for place in master.removeprefix("spark://").split(",")]
    if not all(port.isdigit() for _, _, port in places):
        raise JobError(f"spark_master: expected spark://HOST:PORT, got {master}")
    return [(name, int(port)) for name, _, port in places]


def _is_here(master: str, hosts: list[tuple[str, int]]) -> bool:
    """Whether all of this Spark is on this machine."""
    if not hosts:
        return master.startswith("local")
    return all(name == "localhost" or name.startswith("127.") for name, _ in hosts)


def _require_spark() -> None:
    if find_spec("pyspark") is None:
        raise JobError('spark: needs pyspark: pip install "rbmx[spark]"')
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else "java"
    if shutil.which(java) is None:
        where = (
            f"JAVA_HOME={home} has no bin/java" if home else "there is no java on the PATH, and JAVA_HOME is not set"
        )
        raise JobError(f"spark: needs Java 17 or newer, and {where}")


def _require_master(master: str, hosts: list[tuple[str, int]]) -> None:
    """Ask at once: Spark itself goes on trying for a minute."""
    reason: OSError | None = None
    for place in hosts:
        try:
            socket.create_connection(place, CONNECT_SECONDS).close()
            return
        except OSError as error:
            reason = error
    if reason is not None:
        raise JobError(
            f"spark: cannot reach {master}: {reason.strerror or reason}; is it up (spark_master in mrjob.conf)?"
        )


def _temporary_folder(master: str, folder: Path, here: bool, remote: bool) -> list[str]:
    if here:
        return ["--spark-tmp-dir", str(folder)]
    if remote:
        return []  # mrjob takes the user's folder on HDFS
    raise JobError(
        f"spark: {master} is on other machines: set spark_tmp_dir in mrjob.conf to a folder that all of them share, or "
        "put the data on HDFS"
    )
