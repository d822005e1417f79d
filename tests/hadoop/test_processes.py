"""Whose process is whose."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.hadoop.layout import Layout
from tools.hadoop.processes import NAME, Process, containers, daemons, end, identify, is_alive

SLEEP = "import time; time.sleep(60)"
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python that sleeps, with arguments."""
    started: list[subprocess.Popen[bytes]] = []

    def sleeping(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-S", "-c", SLEEP, *arguments]
        started.append(subprocess.Popen(command, cwd=cwd, env=os.environ | environment))
        return started[-1]

    yield sleeping
    for process in started:
        process.kill()
        process.wait()


def test_a_process_is_alive_until_it_ends_even_if_nobody_waits_for_it(start: Start) -> None:
    process = start()
    known = identify(process.pid)
    assert known is not None
    assert is_alive(known)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its pid is still there
    assert not is_alive(known)
    assert identify(process.pid) is None


def test_a_recycled_pid_is_not_killed(start: Start) -> None:
    process = start()
    known = identify(process.pid)
    assert known is not None
    end([Process(known.pid, known.started - 1)])  # the pid as it was before it went to somebody else
    time.sleep(0.1)
    assert process.poll() is None
    end([known])
    assert process.wait(timeout=5) == -9


def test_daemons_are_known_by_the_mark_of_their_run_folder(layout: Layout, tmp_path: Path, start: Start) -> None:
    other = Layout.of(tmp_path / "other")
    ours = start(layout.mark, f"{NAME}nm1")
    theirs = start(other.mark, f"{NAME}nm1")
    start(f"{layout.mark}/below", f"{NAME}nm2")
    start(f"{NAME}nm3")
    assert {name: process.pid for name, process in daemons(layout).items()} == {"nm1": ours.pid}
    assert {name: process.pid for name, process in daemons(other).items()} == {"nm1": theirs.pid}


def test_containers_are_known_by_their_folder_or_by_what_yarn_told_them(layout: Layout, start: Start) -> None:
    name = "container_1_0001_01_000002"
    application = layout.node(1) / "local" / "usercache" / "hadoop" / "appcache" / "application_1_0001"
    (application / name).mkdir(parents=True)
    by_folder = start("mapper", cwd=application / name)
    by_environment = start("moved", LOCAL_DIRS=str(application), CONTAINER_ID=name)
    start("user", cwd=layout.run)
    start("other", LOCAL_DIRS="/elsewhere/node1/local", CONTAINER_ID=name)
    found = {container.pid: container for container in containers(layout)}
    assert found.keys() == {by_folder.pid, by_environment.pid}
    assert {(each.node, each.container) for each in found.values()} == {(1, name)}
    assert found[by_folder.pid].command.endswith("mapper")
