"""Somebody at a cluster: rbmx and hadoop as they are typed, in a folder of one's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from rbmx.checkpoint import load_checkpoint
from rbmx.cli.model_facts import weights_digest
from tools.hadoop.cluster import Cluster
from tools.hadoop.configuration import USER
from tools.hadoop.layout import REPOSITORY, Layout

__all__ = ["BASE", "User", "command", "digest", "finish", "nodes_of"]

BASE = 26000  # of the ports of the tests' clusters: not what `make hadoop-up` takes
PATIENCE = 400.0  # seconds for a command; a round takes ten on a quiet machine, a minute on a crowded one


@dataclass(frozen=True)
class User:
    """A user of the cluster at `layout`, who keeps files in `folder`."""

    layout: Layout
    folder: Path

    @property
    def conf(self) -> str:
        """The cluster's mrjob.conf."""
        return str(self.layout.run / "mrjob.conf")

    def start(self, module: str, *words: str) -> subprocess.Popen[str]:
        """Start `python -m module`, knowing the cluster by HADOOP_HOME alone."""
        own = {"HADOOP_HOME": str(self.layout.run), "HADOOP_USER_NAME": USER, "RBMX_DEBUG": ""}
        return subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=self.folder,
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, module: str, *words: str, status: int = 0) -> tuple[str, str]:
        """What `python -m module` said on stdout and on stderr; its exit status must be `status`."""
        with self.start(module, *words) as process:
            try:
                return finish(process, status)
            finally:
                process.kill()

    def rbmx(self, *words: str, status: int = 0) -> tuple[str, str]:
        """What rbmx said on stdout and on stderr."""
        return self.run("rbmx", *words, status=status)

    def hadoop(self, *words: str) -> str:
        """What a command of Hadoop said on stdout."""
        command = [str(self.layout.hadoop), *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def files(self, folder: str) -> list[str]:
        """The paths of all files and folders below a folder on HDFS."""
        return sorted(line.split()[-1] for line in self.hadoop("fs", "-ls", "-R", folder).splitlines())


def finish(process: subprocess.Popen[str], status: int = 0, *, after: signal.Signals | None = None) -> tuple[str, str]:
    """Wait for a process, which gets a signal first if one is named: its stdout and stderr."""
    if after is not None:
        process.send_signal(after)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == status, f"exit status {process.returncode}\n{out}\n{err}"
    return out, err


def digest(model: Path) -> str:
    """sha256 of the weights in a model file."""
    return weights_digest(load_checkpoint(model).params)


def command(layout: Layout, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of tools.hadoop on a cluster."""
    line = [sys.executable, "-m", "tools.hadoop", name, "--folder", str(layout.folder), *arguments]
    return subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=200, check=False)


def nodes_of(layout: Layout) -> int:
    """How many nodes a cluster has."""
    settings = Cluster(layout).settings
    assert settings is not None
    return settings.nodes
