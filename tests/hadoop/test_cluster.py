"""The real Hadoop: up on one and on three nodes, a job whose output is exact, a node that comes back."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.hadoop.nodes import ONE_AND_THREE, ONE_AND_THREE_SHORT
from tests.hadoop.user import BASE, command, nodes_of
from tools.hadoop import network
from tools.hadoop.assemble import streaming_jar
from tools.hadoop.cluster import Cluster
from tools.hadoop.daemons import names
from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import Layout
from tools.hadoop.ports import node_port
from tools.hadoop.timeline import timelines

pytestmark = pytest.mark.hadoop

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


def client(layout: Layout, *arguments: str) -> bytes:
    done = subprocess.run([layout.hadoop, *arguments], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@ONE_AND_THREE_SHORT
def test_all_daemons_run_and_say_so(up: Layout) -> None:
    cluster = Cluster(up)
    nodes = nodes_of(up)
    assert set(cluster.daemons()) - {"network"} == set(names(nodes))
    assert cluster.missing() == []
    assert command(up, "status").returncode == 0
    assert cluster.get("rm", "/ws/v1/cluster/metrics")["clusterMetrics"]["activeNodes"] == nodes
    for node in range(nodes):
        assert cluster.get(f"nm{node}", "/ws/v1/node/info")["nodeInfo"]["nodeHealthy"] is True


@ONE_AND_THREE
def test_up_again_is_harmless_and_other_settings_are_refused(up: Layout) -> None:
    nodes, before = nodes_of(up), Cluster(up).daemons()
    same = command(up, "up", "--nodes", str(nodes), "--base", str(BASE))
    assert same.returncode == 0
    assert same.stdout.startswith(f"already up: NODES={nodes}, PROFILE=default, BASE={BASE}\n")
    other = command(up, "up", "--nodes", "2", "--base", str(BASE))
    assert other.returncode == 1
    assert f"a cluster with NODES={nodes}, PROFILE=default, BASE={BASE} is up" in other.stderr
    assert Cluster(up).daemons() == before


@ONE_AND_THREE
def test_a_file_comes_back_as_it_went(up: Layout, tmp_path: Path) -> None:
    content = random.Random(0).randbytes(1_000_003)
    (tmp_path / "file").write_bytes(content)
    client(up, "fs", "-put", str(tmp_path / "file"), "here")
    assert client(up, "fs", "-cat", "/user/hadoop/here") == content
    replicas = client(up, "fs", "-stat", "%r", "here")
    assert int(replicas) == min(nodes_of(up), 2)


@ONE_AND_THREE
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


@ONE_AND_THREE
def test_nobody_outside_reaches_the_shuffle(up: Layout) -> None:
    if network.way() is None:
        pytest.skip("this user may not make a network namespace: the cluster is in the machine's own network")
    address = ("127.0.0.1", node_port(BASE, 0, "NodeManager's shuffle"))
    with socket.socket() as outside, pytest.raises(ConnectionRefusedError):
        outside.connect(address)
    inside = f"import socket; socket.create_connection({address})"
    subprocess.run([up.enter, sys.executable, "-c", inside], check=True, timeout=20)


@ONE_AND_THREE
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
