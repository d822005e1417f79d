"""The checkout's local Hadoop as a benchmark uses it: up, jobs, timelines, nodes held to a share of a core, down."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from rbmx.bench.contestant import peers_folder

__all__ = ["HadoopCluster", "running_cluster"]

CGROUPS = Path("/sys/fs/cgroup")
PERIOD = 100_000  # microseconds


class HadoopCluster:
    """A cluster that is up.

    Args:
        folder: of its files, with the jars in lib.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def conf(self) -> str:
        """The mrjob.conf of its clients."""
        return str(self.folder / "run" / "mrjob.conf")

    def pid(self, daemon: str) -> int:
        """The process of a daemon: nm0."""
        return int(_tool(self.folder, "pid", daemon))

    def nodes_held_to(self, cores: float, nodes: int) -> AbstractContextManager[bool]:
        """Hold each NodeManager and its containers to a share of a core; gives whether that is allowed."""
        return _held_to(cores, [self.pid(f"nm{i}") for i in range(nodes)])

    def last_jobs(self, n: int) -> list[dict[str, Any]]:
        """The timelines of the last n jobs, oldest first; see tools/hadoop/timeline.py."""
        found: list[dict[str, Any]] = json.loads(_tool(self.folder, module="tools.hadoop.timeline"))
        return found[-n:]


@contextmanager
def running_cluster(
    folder: Path, nodes: int, base: int = 23000, *, class_archive: bool = False
) -> Iterator[HadoopCluster]:
    """A cluster of its own in `folder`, taken down at the end; jars and class archive come from build/hadoop.

    class_archive: make the class archive there first, if there is none.
    """
    kept = peers_folder().parent / "build" / "hadoop"
    kept.mkdir(parents=True, exist_ok=True)
    if class_archive:
        _tool(kept, "cds", "--base", str(base))
    for shared in (kept / "lib", *kept.glob("classes-*.jsa")):
        link = folder / shared.name
        if shared.exists() and not link.exists():
            link.symlink_to(shared)
    _tool(folder, "up", "--nodes", str(nodes), "--base", str(base))
    try:
        yield HadoopCluster(folder)
    finally:
        _tool(folder, "down")


def _tool(folder: Path, *words: str, module: str = "tools.hadoop") -> str:
    """What python -m tools.hadoop prints; OSError with its message where it fails."""
    command = [sys.executable, "-m", module, *words[:1], "--folder", str(folder), *words[1:]]
    done = subprocess.run(command, cwd=peers_folder().parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command[2:])}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def _held_to(cores: float, pids: Sequence[int]) -> Iterator[bool]:
    """Hold each process, and all that it starts from now on, to a share of a core; yields whether that is allowed."""
    groups: list[Path] = []
    try:
        for pid in pids:
            groups.append(_group(f"rbmx-bench-{pid}", cores, pid))
        allowed = True
    except OSError:
        allowed = False
    try:
        yield allowed
    finally:
        for group in groups:
            _disband(group)


def _group(name: str, cores: float, pid: int) -> Path:
    """A control group of its own for a process: version 1 or 2 of the kernel's interface."""
    old = CGROUPS / "cpu"
    group = (old if old.is_dir() else CGROUPS) / name
    group.mkdir()
    quota = int(cores * PERIOD)
    if old.is_dir():
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    else:
        (group / "cpu.max").write_text(f"{quota} {PERIOD}")
    (group / "cgroup.procs").write_text(str(pid))
    return group


def _disband(group: Path) -> None:
    """Move what still runs to the parent and remove the group."""
    for pid in (group / "cgroup.procs").read_text().split():
        try:
            (group.parent / "cgroup.procs").write_text(pid)
        except OSError:
            continue  # it ended meanwhile
    group.rmdir()
