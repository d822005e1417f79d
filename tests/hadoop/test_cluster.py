"""The real Hadoop: up on one and on three nodes, a job whose output is exact, and nothing left after down."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.hadoop import network, processes
from tools.hadoop.assemble import assemble, is_assembled, streaming_jar
from tools.hadoop.cluster import Cluster
from tools.hadoop.daemons import names
from tools.hadoop.errors import ClusterError
from tools.hadoop.java import find_java
from tools.hadoop.layout import REPOSITORY, Layout
from tools.hadoop.ports import check_free, node_port
from tools.hadoop.timeline import timelines

pytestmark = pytest.mark.hadoop

BASE = 26000
COUNT = "import sys\nfor word in sys.stdin.read().split():\n    print(word, 1, sep='\\t')\n"
SUM = """\
import collections, sys
total = collections.Counter()
for line in sys.stdin:
    word, count = line.split("\\t")
    total[word] += int(count)
for word in sorted(total):
    print(word, total[word], sep="\\t")
"""


def command(layout: Layout, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tools.hadoop", name, "--folder", str(layout.folder), *arguments]
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)


def client(layout: Layout, *arguments: str) -> bytes:
    done = subprocess.run([layout.hadoop, *arguments], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def traces(layout: Layout) -> list[str]:
    """Every process, other than this one, whose command line or working folder names the run folder."""
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


@pytest.fixture(scope="module")
def jars() -> Path:
    """The folder of Hadoop's jars, fetched if need be."""
    kept = Layout.of(REPOSITORY / "build" / "hadoop")
    try:
        find_java()
        if not is_assembled(kept):
            kept.folder.mkdir(parents=True, exist_ok=True)
            assemble(kept)
    except ClusterError as error:
        pytest.skip(f"no Hadoop here: {error}")
    return kept.lib


@pytest.fixture(scope="module", params=[1, 3], ids=["1 node", "3 nodes"])
def up(request: pytest.FixtureRequest, jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    """A cluster of its own that is up; torn down afterwards whatever the tests did to it."""
    layout = Layout.of(tmp_path_factory.mktemp("cluster"))
    layout.lib.symlink_to(jars)
    done = command(layout, "up", "--nodes", str(request.param), "--base", str(BASE))
    assert done.returncode == 0, done.stderr
    yield layout
    Cluster(layout).stop()


def nodes_of(layout: Layout) -> int:
    settings = Cluster(layout).settings
    assert settings is not None
    return settings.nodes


def test_all_daemons_run_and_say_so(up: Layout) -> None:
    cluster = Cluster(up)
    nodes = nodes_of(up)
    assert set(cluster.daemons()) - {"network"} == set(names(nodes))
    assert cluster.missing() == []
    assert command(up, "status").returncode == 0
    assert cluster.get("rm", "/ws/v1/cluster/metrics")["clusterMetrics"]["activeNodes"] == nodes
    for node in range(nodes):
        assert cluster.get(f"nm{node}", "/ws/v1/node/info")["nodeInfo"]["nodeHealthy"] is True


def test_up_again_is_harmless_and_other_settings_are_refused(up: Layout) -> None:
    nodes, before = nodes_of(up), Cluster(up).daemons()
    same = command(up, "up", "--nodes", str(nodes), "--base", str(BASE))
    assert same.returncode == 0
    assert same.stdout.startswith(f"already up: NODES={nodes}, PROFILE=default, BASE={BASE}\n")
    other = command(up, "up", "--nodes", "2", "--base", str(BASE))
    assert other.returncode == 1
    assert f"a cluster with NODES={nodes}, PROFILE=default, BASE={BASE} is up" in other.stderr
    assert Cluster(up).daemons() == before


def test_a_file_comes_back_as_it_went(up: Layout, tmp_path: Path) -> None:
    content = random.Random(0).randbytes(1_000_003)
    (tmp_path / "file").write_bytes(content)
    client(up, "fs", "-put", str(tmp_path / "file"), "here")
    assert client(up, "fs", "-cat", "/user/hadoop/here") == content
    replicas = client(up, "fs", "-stat", "%r", "here")
    assert int(replicas) == min(nodes_of(up), 2)


def test_a_streaming_job_counts_words_exactly_and_leaves_its_timeline(up: Layout, tmp_path: Path) -> None:
    chosen = random.Random(1).choices([f"word{i}" for i in range(200)], k=20_000)
    (tmp_path / "text").write_text("\n".join(" ".join(chosen[i : i + 10]) for i in range(0, len(chosen), 10)) + "\n")
    (tmp_path / "count.py").write_text(COUNT)
    (tmp_path / "sum.py").write_text(SUM)
    client(up, "fs", "-put", str(tmp_path / "text"), "text")
    files = f"{tmp_path}/count.py,{tmp_path}/sum.py"
    run = ["-mapper", f"{sys.executable} -S count.py", "-reducer", f"{sys.executable} -S sum.py"]
    client(up, "jar", str(streaming_jar(up)), "-files", files, "-input", "text", "-output", "counts", *run)
    expected = "".join(f"{word}\t{count}\n" for word, count in sorted(Counter(chosen).items()))
    assert client(up, "fs", "-cat", "counts/part-*").decode() == expected

    told = timelines(Cluster(up))[-1]
    assert told["state"] == "SUCCEEDED"
    assert [task["type"] for task in told["tasks"]] == ["MAP", "MAP", "REDUCE"]
    moments = [told["masters"][0], told["start"]]
    moments += [max(task["attempts"][0]["finish"] for task in told["tasks"] if task["type"] == "MAP")]
    reduce = told["tasks"][-1]["attempts"][0]
    moments += [reduce["start"], reduce["shuffled"], reduce["merged"], reduce["finish"], told["finish"]]
    assert moments == sorted(moments)
    assert moments[0] > 0
    with pytest.raises(ClusterError, match="no job job_1_0001 in the history: expected one of job_"):
        timelines(Cluster(up), ["job_1_0001"])


def test_nobody_outside_reaches_the_shuffle(up: Layout) -> None:
    if network.way() is None:
        pytest.skip("this user may not make a network namespace: the cluster is in the machine's own network")
    address = ("127.0.0.1", node_port(BASE, 0, "NodeManager's shuffle"))
    with socket.socket() as outside, pytest.raises(ConnectionRefusedError):
        outside.connect(address)
    inside = f"import socket; socket.create_connection({address})"
    subprocess.run([up.enter, sys.executable, "-c", inside], check=True, timeout=20)


def test_a_killed_node_comes_back(up: Layout) -> None:
    cluster, last = Cluster(up), nodes_of(up) - 1
    before = cluster.pid(f"nm{last}")
    cluster.kill(f"nm{last}", with_containers=True)
    assert cluster.missing() == [f"nm{last}"]
    assert command(up, "status").returncode == 1
    assert cluster.restart(f"nm{last}") != before
    deadline = time.monotonic() + 60
    while cluster.missing() or not answers(cluster, f"nm{last}"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def answers(cluster: Cluster, name: str) -> bool:
    try:
        return bool(cluster.get(name, "/ws/v1/node/info"))
    except OSError:
        return False


# From here on the cluster goes down: the order of these tests is that of the file.


def test_down_ends_even_what_a_killed_nodemanager_has_left(up: Layout) -> None:
    cluster = Cluster(up)
    job = ["-input", "here", "-output", "never", "-mapper", "sleep 300", "-reducer", "cat"]
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


def test_down_again_is_harmless(up: Layout) -> None:
    again = command(up, "down")
    assert (again.returncode, again.stdout) == (0, f"nothing of {up.run} is up\n")


def test_a_taken_port_is_named_where_the_network_is_shared(up: Layout) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", BASE + 6))
        listener.listen()
        taken = command(up, "up", "--base", str(BASE), "--private", "no")
    assert taken.returncode == 1
    assert f"port {BASE + 6} is taken and the ResourceManager's web server needs it" in taken.stderr
    assert traces(up) == []
