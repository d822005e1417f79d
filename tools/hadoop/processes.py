"""Whose process is whose, read off the process table: no list of pids that could be stale, nobody else's process ended.

A daemon carries its cluster's mark and its own name on its command line; a container's process has its working folder,
or the place that YARN gave it, below a node's folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import Layout

__all__ = [
    "NAME",
    "Container",
    "Process",
    "containers",
    "daemons",
    "end",
    "identify",
    "is_alive",
    "launch",
    "resident_mb",
]

NAME = "-Drbmx.daemon="  # what a daemon's command line calls it
EXEC = 0.1  # seconds that an exec may take
KERNEL_THREAD = 0x00200000  # PF_KTHREAD of linux/sched.h
GONE = 20.0  # seconds a killed process may take to go


_LAUNCHED: list[subprocess.Popen[bytes]] = []  # Python warns when it forgets a child that still runs


class Process(NamedTuple):
    """A process: its pid, and when it started in ticks since the machine did (a recycled pid starts later)."""

    pid: int
    started: int


class Container(NamedTuple):
    """A process that a NodeManager started, or a child of one."""

    pid: int
    node: int
    container: str
    command: str


def launch(command: list[str], folder: Path, log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process that may outlive this one: in a session of its own, so that Ctrl-C does not reach it."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            env=os.environ | environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _LAUNCHED.append(child)
    return child


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; none where the process has gone or waits for its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # the name before may hold anything
    except OSError:
        return []
    return [] if fields[0] in "ZX" else fields


def identify(pid: int) -> Process | None:
    """The process that has this pid now; None where there is none or it has ended and waits for its parent."""
    fields = _stat(pid)
    return Process(pid, int(fields[19])) if fields else None


def is_alive(process: Process) -> bool:
    """Whether this very process still runs."""
    return identify(process.pid) == process


def resident_mb(process: Process) -> float:
    """Resident memory in MB; 0 for a process that has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def end(processes: Iterable[Process]) -> None:
    """SIGKILL the processes that are still the same, and wait until they are gone."""
    left = list(processes)
    for process in filter(is_alive, left):
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        except PermissionError:
            raise ClusterError(f"process {process.pid} of the cluster is another user's: stop it as them") from None
    deadline = time.monotonic() + GONE
    while left := [process for process in left if is_alive(process)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"process {left[0].pid} is still there {GONE:g} s after SIGKILL: the disk may hang")
        time.sleep(0.02)


def _all() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdecimal() and int(entry) != os.getpid())


def daemons(layout: Layout) -> dict[str, Process]:
    """The cluster's daemons that run, by short name."""
    found = {}
    for pid in _all():
        arguments = _arguments(pid)
        if layout.mark in arguments and (process := identify(pid)):
            name = next((word[len(NAME) :] for word in arguments if word.startswith(NAME)), "")
            found[name] = process
    return found


def _arguments(pid: int) -> list[str]:
    """The command line, read again where it is empty: for a moment of each exec it is."""
    deadline = time.monotonic() + EXEC
    while not any(arguments := _read(pid, "cmdline")) and time.monotonic() < deadline:
        fields = _stat(pid)
        if not fields or int(fields[6]) & KERNEL_THREAD:
            return []
        time.sleep(0.001)
    return arguments


def _read(pid: int, what: str) -> list[str]:
    """The strings of /proc/<pid>/cmdline or environ; none where the process has gone or is not ours to read."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def containers(layout: Layout) -> list[Container]:
    """Every process of a container: its working folder, or LOCAL_DIRS in its environment, lies in a node's folder."""
    found = []
    for pid in _all():
        place = _place(layout, pid)
        if place and identify(pid):
            found.append(Container(pid, *place, " ".join(_arguments(pid)).strip()))
    return found


def _place(layout: Layout, pid: int) -> tuple[int, str] | None:
    """The node and the container that a process belongs to."""
    nodes = f"{layout.run}/node"
    try:
        folder = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None
    if not folder.startswith(nodes):
        variables = dict(entry.partition("=")[::2] for entry in _read(pid, "environ"))
        folder = f"{variables.get('LOCAL_DIRS', '')}/{variables.get('CONTAINER_ID', '')}"
    if not folder.startswith(nodes):
        return None
    node, *parts = folder[len(nodes) :].split("/")
    container = next((part for part in parts if part.startswith("container_")), "")
    return (int(node), container) if node.isdecimal() and container else None
