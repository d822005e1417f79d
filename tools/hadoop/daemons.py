"""The daemons: their names, how each is started, and when the cluster is ready."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.hadoop.archive import jvm_flags
from tools.hadoop.configuration import USER
from tools.hadoop.errors import ClusterError
from tools.hadoop.java import Java
from tools.hadoop.layout import Layout
from tools.hadoop.processes import NAME, launch

__all__ = ["check_running", "kind_of", "names", "node_of", "spawn", "title", "wait_until"]


@dataclass(frozen=True)
class Kind:
    """A kind of daemon: what people call it, its class, and its heap in MB."""

    title: str
    main: str
    heap: int


SERVER = "org.apache.hadoop.{}.server.{}"
KINDS = {
    "nn": Kind("NameNode", SERVER.format("hdfs", "namenode.NameNode"), 256),
    "rm": Kind("ResourceManager", SERVER.format("yarn", "resourcemanager.ResourceManager"), 256),
    "dn": Kind("DataNode", SERVER.format("hdfs", "datanode.DataNode"), 192),
    "nm": Kind("NodeManager", SERVER.format("yarn", "nodemanager.NodeManager"), 256),
    "jhs": Kind("JobHistoryServer", "org.apache.hadoop.mapreduce.v2.hs.JobHistoryServer", 192),
}


def names(nodes: int) -> list[str]:
    """The short names of all daemons: nn, rm, jhs, and dn<i>, nm<i> for each node."""
    return ["nn", "rm", "jhs", *(f"{kind}{node}" for kind in ("dn", "nm") for node in range(nodes))]


def node_of(name: str) -> int | None:
    """The node of dn<i> and nm<i>; None for the others."""
    digits = name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) if digits else None


def kind_of(name: str) -> Kind:
    """The kind of a daemon by its short name."""
    return KINDS[name.rstrip("0123456789")]


def title(name: str) -> str:
    """What people call a daemon: "NodeManager of node 2"."""
    node = node_of(name)
    return kind_of(name).title + ("" if node is None else f" of node {node}")


def spawn(layout: Layout, java: Java, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a daemon in the cluster's network."""
    kind, node = kind_of(name), node_of(name)
    configuration = layout.configuration if node is None else layout.node_configuration(node)
    flags = [flag.replace("@name@", "-".join([name, *arguments])) for flag in jvm_flags(layout, java)]
    command = [
        *(str(layout.enter), str(java.binary), *flags, f"-Xmx{kind.heap}m", layout.mark, f"{NAME}{name}"),
        *(f"-Dhadoop.log.dir={layout.logs}", f"-Dyarn.log.dir={layout.logs}", f"-Djava.io.tmpdir={layout.temporary}"),
        *("-cp", f"{layout.lib}/*:{configuration}", kind.main, *arguments),
    ]
    environment = {
        "JAVA_HOME": str(java.home),
        "HADOOP_HOME": str(layout.run),
        "HADOOP_CONF_DIR": str(configuration),
        "HADOOP_USER_NAME": USER,
    }
    return launch(command, layout.run, layout.log(name), environment)


def last_words(layout: Layout, name: str) -> str:
    """The line of a daemon's log that says best why it ended: the last exception or error, else the last line."""
    try:
        lines = [line.strip() for line in layout.log(name).read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "no log"
    telling = [line for line in lines if not line.startswith("at ") and ("Exception" in line or "ERROR" in line)]
    return (telling or lines or ["empty log"])[-1][:400]


def check_running(layout: Layout, started: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """A ClusterError about the first daemon that has ended."""
    for name, daemon in started.items():
        if (status := daemon.poll()) is not None:
            words = last_words(layout, name)
            raise ClusterError(f"the {title(name)} ended with exit status {status}: {words} (log: {layout.log(name)})")


def wait_until(
    layout: Layout,
    name: str,
    ready: Callable[[], Any],
    started: Mapping[str, subprocess.Popen[bytes]],
    *,
    seconds: float,
) -> None:
    """Ask `ready` until it is true; a ClusterError when a daemon ends first, or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        check_running(layout, started)
        try:
            if ready():
                return
        except (OSError, LookupError, ValueError):  # not listening, or not all of its answers are there
            pass
        time.sleep(0.1)
    raise ClusterError(
        f"the {title(name)} was not ready after {seconds:g} s: {last_words(layout, name)} (log: {layout.log(name)})"
    )
