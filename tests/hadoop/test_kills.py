"""Processes and machines lost in mid job: the weights are those of a job that nobody disturbed.

Each prints a line with what was lost, the seconds until the job ended, and its sha256 (pytest -s shows them).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.hadoop.healing import heal, wait
from tests.hadoop.nodes import ONE_SHORT, THREE
from tests.hadoop.slow_job import SlowJob, at_work, master, tasks
from tests.hadoop.user import User, digest, finish
from tools.hadoop import processes
from tools.hadoop.cluster import Cluster
from tools.hadoop.layout import Layout
from tools.hadoop.timeline import timelines

pytestmark = pytest.mark.hadoop


@pytest.fixture(autouse=True)
def healed(up: Layout) -> Iterator[None]:
    """Each test leaves a whole cluster with nothing to do."""
    yield
    heal(Cluster(up))


def kill_process(cluster: Cluster, pid: int) -> str:
    victim = processes.identify(pid)
    assert victim is not None
    processes.end([victim])
    return f"pid {pid}"


def kill_map(cluster: Cluster, maps: list[processes.Container]) -> str:
    return f"a map's Python, {kill_process(cluster, maps[0].pid)} on node {maps[0].node}"


def kill_nodemanager(cluster: Cluster, maps: list[processes.Container], *, with_containers: bool = False) -> str:
    """One that has a map, and not the job's master."""
    spared = master(cluster).node
    assert wait(lambda: any(each.node != spared for each in tasks(cluster, "mapper")), 60)
    node = next(each.node for each in tasks(cluster, "mapper") if each.node != spared)
    cluster.kill(f"nm{node}", with_containers=with_containers)
    return f"nm{node}" + (" and all in its containers" if with_containers else " alone")


def kill_node(cluster: Cluster, maps: list[processes.Container]) -> str:
    return kill_nodemanager(cluster, maps, with_containers=True)


def kill_datanode(cluster: Cluster, maps: list[processes.Container]) -> str:
    """That of a node with a map: the job's output is written there first."""
    cluster.kill(f"dn{maps[0].node}")
    return f"dn{maps[0].node}"


def kill_master(cluster: Cluster, maps: list[processes.Container]) -> str:
    return f"the job's master, {kill_process(cluster, master(cluster).pid)}"


def stop_map(cluster: Cluster, maps: list[processes.Container]) -> str:
    """It hangs: nothing but the task's timeout notices."""
    os.kill(maps[0].pid, signal.SIGSTOP)
    return f"a map's Python, pid {maps[0].pid}, stopped"


Blow = Callable[[Cluster, list[processes.Container]], str]


def disturb(user: User, slow_job: SlowJob, blow: Blow, *words: str, kind: str = "mapper") -> None:
    """Strike in mid round, and find the weights of a round that nobody disturbed."""
    cluster = Cluster(user.layout)
    with slow_job.going_on(user, *words) as (process, model):
        struck = blow(cluster, at_work(cluster, process, kind))
        began = time.monotonic()
        _, said = finish(process)
    seconds = time.monotonic() - began
    again, found = work_done_again(cluster), digest(model)
    print(f"\n{struck}: ended {seconds:.1f} s later, done again: {', '.join(again) or 'nothing'}; sha256 {found}")
    assert found == slow_job.digests[1]
    assert len(said.splitlines()) == 1  # of the round
    assert again or blow is kill_datanode  # or nothing was hit


def work_done_again(cluster: Cluster) -> list[str]:
    """Of the last job: the tasks that had more than one attempt, and its master if there was a second one."""
    applications = "/ws/v1/cluster/apps"
    last = max(str(each["id"]) for each in cluster.get("rm", applications)["apps"]["app"])
    told = timelines(cluster, [last.replace("application", "job")])[0]
    again = [task["type"].lower() for task in told["tasks"] if len(task["attempts"]) > 1]
    masters = cluster.get("rm", f"{applications}/{last}/appattempts")["appAttempts"]["appAttempt"]
    return again + ["master"] * (len(masters) > 1)


@THREE
def test_undisturbed(user: User, slow_job: SlowJob) -> None:
    began = time.monotonic()
    with slow_job.going_on(user) as (process, model):
        finish(process)
    print(f"\nundisturbed: {time.monotonic() - began:.1f} s, sha256 {digest(model)}, inline {slow_job.digests[1]}")
    assert digest(model) == slow_job.digests[1]
    assert len(user.files("/slow")) == 3
    assert user.hadoop("fs", "-stat", "%r", "/slow/shard-00000-of-00003").strip() == "2"


@ONE_SHORT
def test_a_killed_map_on_one_node(user: User, slow_job: SlowJob) -> None:
    disturb(user, slow_job, kill_map)


@THREE
@pytest.mark.parametrize("blow", [kill_map, kill_node, kill_nodemanager, kill_datanode, kill_master])
def test_a_loss_in_mid_map(user: User, slow_job: SlowJob, blow: Blow) -> None:
    disturb(user, slow_job, blow)


@THREE
def test_a_map_that_hangs(user: User, slow_job: SlowJob) -> None:
    disturb(user, slow_job, stop_map, "-D", "mapreduce.task.timeout=15000")


@THREE
def test_a_killed_reducer(user: User, slow_job: SlowJob) -> None:
    def kill_reducer(cluster: Cluster, reducers: list[processes.Container]) -> str:
        return f"the reducer's Python, {kill_process(cluster, reducers[0].pid)}"

    disturb(user, slow_job, kill_reducer, kind="reducer")
