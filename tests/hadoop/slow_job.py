"""A job of two rounds over three shards whose tasks train long enough to be hit, and where they are hit."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from rbmx.data import open_source
from rbmx.jobs import train_rounds, write_shards
from tests.hadoop.user import User, digest
from tests.jobs.data import stripes
from tools.hadoop.cluster import Cluster
from tools.hadoop.processes import Container

__all__ = ["SlowJob", "at_work", "master", "wait_for"]

SHARDS = 3
SETTINGS = {"rounds": 2, "local_epochs": 8_000, "momentum": 0.5, "seed": 7}  # 2 s of processor time for each shard
TRAINING = 1.0  # seconds of processor time after which a map's Python has started up, and trains


@dataclass(frozen=True)
class SlowJob:
    """The shards, the model after the first of two rounds, and the digests after each, all made in this process."""

    shards: Path
    halfway: Path
    digests: tuple[str, str]

    @classmethod
    def prepare(cls, folder: Path) -> SlowJob:
        """Train inline."""
        shards, halfway, final = folder / "shards", folder / "halfway.safetensors", folder / "final.safetensors"
        write_shards(open_source(stripes(240, 40)), SHARDS, shards)
        train_rounds(str(shards), 32, at_most=1, checkpoint=halfway, **SETTINGS)
        train_rounds(str(shards), resume=halfway, rounds=2, checkpoint=final)
        return cls(shards, halfway, (digest(halfway), digest(final)))

    def upload(self, user: User) -> str:
        """Where the shards lie on HDFS, put there if need be."""
        if "/slow" not in user.files("/"):
            user.hadoop("fs", "-put", str(self.shards), "/slow")
        return "hdfs:///slow"

    @contextmanager
    def going_on(self, user: User, *words: str) -> Iterator[tuple[Popen[str], Path]]:
        """The second round on the cluster, under way: the process, and the model that it will replace."""
        model = user.folder / "model.safetensors"
        shutil.copy(self.halfway, model)
        with user.start("rbmx", *self.second_round(user, model), *words) as process:
            try:
                yield process, model
            finally:
                process.kill()  # only after a failed test does it still run

    def second_round(self, user: User, model: Path) -> list[str]:
        """The words of that."""
        where = ["train-mr", self.upload(user), "-r", "hadoop", "-c", user.conf]
        return [*where, "--rounds", "2", "--resume", "-o", str(model)]


def wait_for(found: Callable[[], list[Container]], process: Popen[str], what: str, *, every: float) -> list[Container]:
    """Ask until there are some; AssertionError where the job ends first."""
    deadline = time.monotonic() + 300
    while not (some := found()):
        assert process.poll() is None, f"the job ended before there was {what}: {process.communicate()}"
        assert time.monotonic() < deadline, f"no {what} in five minutes"
        time.sleep(every)
    return some


def tasks(cluster: Cluster, kind: str) -> list[Container]:
    """The Python processes of map or reduce tasks."""
    return [each for each in cluster.containers() if f"--{kind}" in each.command and not is_java(each)]


def at_work(cluster: Cluster, process: Popen[str], kind: str) -> list[Container]:
    """Wait until maps train, or until there is a reducer, which is soon done: their Python processes."""
    least, every = (TRAINING, 0.2) if kind == "mapper" else (0.0, 0.05)
    return wait_for(
        lambda: [task for task in tasks(cluster, kind) if processor_seconds(task.pid) >= least],
        process,
        f"a {kind} at work",
        every=every,
    )


def master(cluster: Cluster) -> Container:
    """The JVM of the job's master."""
    return next(each for each in cluster.containers() if "MRAppMaster" in each.command and is_java(each))


def is_java(process: Container) -> bool:
    """Whether it is a JVM, and not the shell around it either."""
    return process.command.split(" ")[0].endswith("/java")


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used; 0 where it has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
