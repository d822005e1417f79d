"""What ends a job: one clear error, the last round kept, and a resumed job that comes to the same weights."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hadoop.healing import heal, running, wait
from tests.hadoop.nodes import ONE
from tests.hadoop.slow_job import SlowJob, at_work
from tests.hadoop.user import User, digest, finish
from tools.hadoop.cluster import Cluster
from tools.hadoop.layout import Layout

pytestmark = [pytest.mark.hadoop, ONE]

ONE_ATTEMPT = ["-D", "mapreduce.map.maxattempts=1", "-D", "mapreduce.reduce.maxattempts=1"]
HOME = "/user/hadoop"


@pytest.fixture(autouse=True)
def healed(up: Layout) -> Iterator[None]:
    """Each test leaves a whole cluster with nothing to do."""
    yield
    heal(Cluster(up))


def check_kept(slow_job: SlowJob, model: Path, said: str) -> None:
    """One line of error, and the model of the round before."""
    print(f"\n{said}")
    assert len(said.splitlines()) == 1
    assert len(said) < 600
    assert said.startswith("rbmx: round 2: hadoop: ")
    assert said.endswith(f"; {model} holds the model after round 1\n")
    assert digest(model) == slow_job.digests[0]


def check_resumed(user: User, slow_job: SlowJob, model: Path) -> None:
    """What is left of the job, inline, for speed: engines give the same bytes."""
    words = ["train-mr", str(slow_job.shards), "--rounds", "2", "--resume", "-o", str(model)]
    user.rbmx(*words)
    print(f"resumed: sha256 {digest(model)}")
    assert digest(model) == slow_job.digests[1]


def test_a_full_hdfs_in_mid_round(user: User, slow_job: SlowJob) -> None:
    cluster = Cluster(user.layout)
    with slow_job.going_on(user, *ONE_ATTEMPT) as (process, model):
        at_work(cluster, process, "mapper")
        user.hadoop("dfsadmin", "-setSpaceQuota", "1k", HOME)
        try:
            _, said = finish(process, 1)
        finally:
            user.hadoop("dfsadmin", "-clrSpaceQuota", HOME)
    check_kept(slow_job, model, said)
    assert "HDFS is out of space: The DiskSpace quota of /user/hadoop is exceeded" in said
    assert not [path for path in user.files(f"{HOME}/.rbmx") if "rbmx-job" in path]

    user.rbmx(*slow_job.second_round(user, model))  # where it failed
    print(f"resumed: sha256 {digest(model)}")
    assert digest(model) == slow_job.digests[1]


def test_a_full_hdfs_before_anything_is_there(user: User, slow_job: SlowJob) -> None:
    user.hadoop("fs", "-mkdir", "/full")
    user.hadoop("dfsadmin", "-setSpaceQuota", "1k", "/full")
    (user.folder / "rows.csv").write_text("1,0\n0,1\n")
    _, said = user.rbmx("shard", "rows.csv", "--label", "none", "-n", "2", "-o", "hdfs:///full/shards", status=1)
    print(f"\n{said}")
    assert said.startswith("rbmx: hdfs:///full/shards: HDFS is out of space: ")
    assert len(said.splitlines()) == 1
    assert user.files("/full") == []


def test_a_namenode_that_goes_down_in_mid_round(user: User, slow_job: SlowJob) -> None:
    cluster = Cluster(user.layout)
    with slow_job.going_on(user, *ONE_ATTEMPT) as (process, model):
        at_work(cluster, process, "mapper")
        cluster.kill("nn")
        _, said = finish(process, 1)
    check_kept(slow_job, model, said)
    heal(cluster)
    check_resumed(user, slow_job, model)


def test_a_mapper_that_dies_in_every_attempt(user: User, slow_job: SlowJob) -> None:
    stub = user.folder / "python"
    stub.write_text("#!/bin/sh\nsleep 1\nexit 3\n")
    stub.chmod(0o755)
    with slow_job.going_on(user, "--python-bin", str(stub)) as (process, model):
        _, said = finish(process, 1)
    check_kept(slow_job, model, said)
    assert "a task's Python ended without a word, with exit status 3" in said
    check_resumed(user, slow_job, model)


def test_ctrl_c_in_mid_round(user: User, slow_job: SlowJob) -> None:
    cluster = Cluster(user.layout)
    with slow_job.going_on(user) as (process, model):
        at_work(cluster, process, "mapper")
        assert len(running(cluster)) == 1
        _, said = finish(process, 130, after=signal.SIGINT)
    print(f"\n{said}")
    assert said == (
        f"rbmx: interrupted; {model} holds the model after round 1; go on with:\n"
        f"  rbmx train-mr hdfs:///slow -r hadoop -c {user.conf} --rounds 2 --resume -o {model}\n"
    )
    assert digest(model) == slow_job.digests[0]
    assert wait(lambda: not running(cluster), 30)
    applications = cluster.get("rm", "/ws/v1/cluster/apps")["apps"]["app"]
    assert max(applications, key=lambda each: str(each["id"]))["finalStatus"] == "KILLED"
    check_resumed(user, slow_job, model)
