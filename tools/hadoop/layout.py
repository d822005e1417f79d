"""Where everything lies: the folder's lib is kept, its run folder is the cluster's HADOOP_HOME."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tools.hadoop.errors import ClusterError

__all__ = ["REPOSITORY", "Layout"]

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Layout:
    """Paths below `folder`; with `recording`, a second run folder in which JVMs write down the classes they load."""

    folder: Path
    recording: bool = False

    @classmethod
    def of(cls, folder: Path, *, recording: bool = False) -> Layout:
        """The layout below an absolute `folder`; a ClusterError where Hadoop's settings could not name the path."""
        folder = folder.resolve()
        if re.search(r"[\s,:;*$'\"&<>]", str(folder)):
            raise ClusterError(
                f"folder {folder}: Hadoop's settings cannot hold a path with spaces, quotes or any of ,:;*$&<>"
            )
        return cls(folder, recording)

    @property
    def lib(self) -> Path:
        """All jars, flat."""
        return self.folder / "lib"

    @property
    def run(self) -> Path:
        """HADOOP_HOME of the cluster."""
        return self.folder / ("recording" if self.recording else "run")

    @property
    def configuration(self) -> Path:
        """HADOOP_CONF_DIR of clients, NameNode, ResourceManager and history server."""
        return self.run / "etc" / "hadoop"

    def node_configuration(self, node: int) -> Path:
        """The configuration of one DataNode and NodeManager."""
        return self.run / "etc" / f"node{node}"

    def node(self, node: int) -> Path:
        """What one DataNode and NodeManager keep: blocks in data, containers in local."""
        return self.run / f"node{node}"

    @property
    def name(self) -> Path:
        """What the NameNode keeps."""
        return self.run / "name"

    @property
    def temporary(self) -> Path:
        """What daemons and clients keep for a while."""
        return self.run / "tmp"

    @property
    def logs(self) -> Path:
        """One log for each daemon, and node<i>/userlogs for the containers."""
        return self.run / "logs"

    def log(self, daemon: str) -> Path:
        """The log of a daemon by its short name."""
        return self.logs / f"{daemon}.log"

    @property
    def state(self) -> Path:
        """What runs: cluster.json."""
        return self.run / "cluster.json"

    @property
    def enter(self) -> Path:
        """The script that runs a command in the cluster's network."""
        return self.run / "bin" / "enter"

    @property
    def hadoop(self) -> Path:
        """The command for clients."""
        return self.run / "bin" / "hadoop"

    @property
    def class_lists(self) -> Path:
        """Where recording JVMs leave their lists of classes."""
        return self.run / "classes"

    @property
    def mark(self) -> str:
        """The argument by which a process of this cluster is known."""
        return f"-Dhadoop.home.dir={self.run}"
