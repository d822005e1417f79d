"""A cluster goes down: the last tests on it, in the order of the file, and of this file among the others."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.hadoop.nodes import ONE_AND_THREE, ONE_AND_THREE_SHORT
from tests.hadoop.user import BASE, command, nodes_of
from tools.hadoop import processes
from tools.hadoop.assemble import streaming_jar
from tools.hadoop.cluster import Cluster
from tools.hadoop.layout import Layout
from tools.hadoop.ports import check_free

pytestmark = pytest.mark.hadoop


def traces(layout: Layout) -> list[str]:
    """Every other process whose command line or working folder names the run folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                said = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                if str(layout.run) in said or os.readlink(entry / "cwd").startswith(str(layout.run)):
                    found.append(said)
            except OSError:
                continue
    return found


@ONE_AND_THREE_SHORT
def test_down_ends_even_what_a_killed_nodemanager_has_left(up: Layout) -> None:
    cluster = Cluster(up)
    subprocess.run([up.hadoop, "fs", "-put", __file__, "lines"], check=True, timeout=120)
    job = ["-input", "lines", "-output", "never", "-mapper", "sleep 300", "-reducer", "cat"]
    waiting = subprocess.Popen(
        [up.hadoop, "jar", str(streaming_jar(up)), *job], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 90
        while not (sleeping := [each for each in cluster.containers() if each.command.endswith("/sleep 300")]):
            assert waiting.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        waiting.kill()
        waiting.wait()
    victim = processes.identify(sleeping[0].pid)
    assert victim is not None
    cluster.kill(f"nm{sleeping[0].node}")
    time.sleep(0.5)
    assert processes.is_alive(victim)

    expected = sorted(set(cluster.daemons()) - {"network"})
    down = command(up, "down")
    assert (down.returncode, down.stdout) == (0, f"stopped: {', '.join(expected)}\n")
    assert not processes.is_alive(victim)
    assert traces(up) == []
    check_free(BASE, nodes_of(up))
    assert sorted(path.name for path in up.run.iterdir()) == [
        *("bin", "cluster.json", "etc", "logs", "mrjob.conf", "share")
    ]


@ONE_AND_THREE_SHORT
def test_down_again_is_harmless(up: Layout) -> None:
    again = command(up, "down")
    assert (again.returncode, again.stdout) == (0, f"nothing of {up.run} is up\n")


@ONE_AND_THREE
def test_a_taken_port_is_named_where_the_network_is_shared(up: Layout) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", BASE + 6))
        listener.listen()
        taken = command(up, "up", "--base", str(BASE), "--private", "no")
    assert taken.returncode == 1
    assert f"port {BASE + 6} is taken and the ResourceManager's web server needs it" in taken.stderr
    assert traces(up) == []
