"""A standalone Spark on loopback: a master and a worker, as processes of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120.0  # seconds; a busy machine takes a while to start a JVM
PORTS = range(20000, 32768)  # below those that the system hands out


@dataclass(frozen=True)
class Standalone:
    """A Spark that is up.

    Attributes:
        master: spark://127.0.0.1:PORT.
        worker: process of the worker; executors and their Pythons are below it.
        folder: logs, and the work folders of applications.
    """

    master: str
    worker: int
    folder: Path


@contextmanager
def standalone(folder: Path, *, cores: int = 2, memory: str = "1g") -> Iterator[Standalone]:
    """Start a master and a worker, wait until it is registered, and stop both at the end.

    Raises:
        RuntimeError: one of them died or was not ready in time; the message holds its log's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, page, worker_page = free_ports(3)
    master = f"spark://127.0.0.1:{port}"
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(
            _start(folder, "master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", str(page))
        )
        _wait(started[0], folder / "master.Master.log", lambda: _workers(page) is not None)
        work = ("-d", str(folder / "work"), "-c", str(cores), "-m", memory)
        words = ("--host", "127.0.0.1", "--webui-port", str(worker_page), *work, master)
        started.append(_start(folder, "worker.Worker", *words))
        _wait(started[1], folder / "worker.Worker.log", lambda: _workers(page) == 1)
        yield Standalone(master, started[1].pid, folder)
    finally:
        for process in reversed(started):
            _stop(process)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has, from a place of this process's own."""
    found: list[int] = []
    first = PORTS.start + os.getpid() * 7 % (len(PORTS) - 200)
    for port in range(first, PORTS.stop):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"no {count} free ports from {first} on")


def descendants(process: int) -> list[int]:
    """The processes below one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            children.setdefault(parent, []).append(int(entry.name))
    below, found = list(children.get(process, [])), []
    while below:
        found.append(below.pop())
        below += children.get(found[-1], [])
    return found


def python_tasks(process: int) -> list[int]:
    """The Pythons below a process that have rbmx's kernels loaded: they work on a shard, or did."""
    return [pid for pid in descendants(process) if b"pyspark.daemon" in _read(pid, "cmdline") and _has_kernels(pid)]


def executors(process: int) -> list[int]:
    """The executors below a worker."""
    return [pid for pid in descendants(process) if b"CoarseGrainedExecutorBackend" in _read(pid, "cmdline")]


def command_of(process: int) -> str:
    """Its command line, empty when it has ended."""
    return _read(process, "cmdline").replace(b"\0", b" ").decode("utf-8", "replace")


def environment_of(process: int) -> dict[str, str]:
    """What a process was started with."""
    return dict(word.split("=", 1) for word in _read(process, "environ").decode().split("\0") if "=" in word)


def _has_kernels(process: int) -> bool:
    return b"/_core." in _read(process, "maps")


def _read(process: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _start(folder: Path, daemon: str, *words: str) -> subprocess.Popen[bytes]:
    """spark-class becomes the JVM, so its process is the daemon's."""
    found = importlib.util.find_spec("pyspark")
    assert found is not None and found.origin is not None
    command = [str(Path(found.origin).parent / "bin" / "spark-class"), f"org.apache.spark.deploy.{daemon}", *words]
    environment = {
        **os.environ,
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
    }
    with open(folder / f"{daemon}.log", "wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)


def _workers(page: int) -> int | None:
    """How many workers the master has; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return None


def _wait(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        if process.poll() is not None:
            raise RuntimeError(f"Spark: a daemon ended with status {process.returncode}: {log}")
        if time.monotonic() > end:
            raise RuntimeError(f"Spark: a daemon was not ready in {PATIENCE:.0f} s: {log}")
        time.sleep(0.2)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a daemon, and what is below it if it does not do so itself."""
    below = descendants(process.pid)
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in below:
        if b"spark" in _read(pid, "cmdline"):
            os.kill(pid, signal.SIGKILL)
