"""The cluster of a run folder: start it, stop it, and reach into it while it runs.

cluster = Cluster(Layout.of(Path("build/hadoop")))
cluster.kill("nm1")                 # SIGKILL; its containers live on
cluster.restart("nm1")
cluster.containers(1)               # what runs in the containers of node 1
cluster.get("rm", "/ws/v1/cluster/metrics")
"""

from __future__ import annotations

import fcntl
import json
import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from tools.hadoop import network, processes
from tools.hadoop.archive import jvm_flags
from tools.hadoop.assemble import check_space
from tools.hadoop.client import write_client, write_script
from tools.hadoop.configuration import USER, Settings, write_configuration
from tools.hadoop.daemons import check_running, kind_of, names, node_of, spawn, wait_until
from tools.hadoop.errors import ClusterError
from tools.hadoop.java import Java, find_java
from tools.hadoop.layout import Layout
from tools.hadoop.ports import check_base, check_free, node_port, port
from tools.hadoop.processes import Container, Process

__all__ = ["Cluster"]

LIVE = "/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
READY = 180.0  # seconds until a daemon must be ready; on two idle cores three nodes take twenty


@dataclass(frozen=True)
class Cluster:
    """The cluster whose run folder `layout` names, up or not."""

    layout: Layout

    # -- what there is ------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings | None:
        """What the cluster was last started with; None where it never was."""
        try:
            return Settings(**json.loads(self.layout.state.read_text()))
        except FileNotFoundError:
            return None

    def daemons(self) -> dict[str, Process]:
        """The daemons that run, by name: nn, rm, jhs, dn0, nm0, ..., and network, which holds the private network."""
        return processes.daemons(self.layout)

    def missing(self) -> list[str]:
        """The daemons that should run and do not."""
        settings = self.settings
        running = self.daemons()
        return [name for name in names(settings.nodes if settings else 1) if name not in running]

    def check_same(self, settings: Settings) -> None:
        """A ClusterError where what runs is not a whole cluster with these settings."""
        if missing := self.missing():
            logs = ", ".join(f"{name} (log: {self.layout.log(name)})" for name in missing)
            raise ClusterError(
                f"a part of the cluster is up, without {logs}: stop it first, or restart what is missing"
            )
        if self.settings != settings:
            raise ClusterError(f"a cluster with {self.settings} is up: stop it before one with {settings} is started")

    def pid(self, name: str) -> int:
        """The pid of a daemon; a ClusterError where it does not run."""
        running = self.daemons()
        if name not in running:
            raise ClusterError(f"no {name} runs in {self.layout.run}: {', '.join(sorted(running)) or 'nothing'} does")
        return running[name].pid

    def containers(self, node: int | None = None) -> list[Container]:
        """The processes in the containers of one NodeManager, or of all: (pid, node, container, command)."""
        return [found for found in processes.containers(self.layout) if node in (None, found.node)]

    def url(self, name: str, path: str) -> str:
        """The address of a page of a daemon's web server, as it is within the cluster's network."""
        settings, node = self.settings or Settings(), node_of(name)
        owner = f"{kind_of(name).title}'s web server"
        number = port(settings.base, owner) if node is None else node_port(settings.base, node, owner)
        return f"http://127.0.0.1:{number}{path}"

    def get(self, name: str, path: str) -> Any:
        """The JSON that a daemon's web server has at `path`; OSError where it does not answer."""
        return network.get(self.layout, self.daemons().get("network"), self.url(name, path))

    # -- faults -------------------------------------------------------------------------------------------------------

    def kill(self, name: str, *, with_containers: bool = False) -> None:
        """SIGKILL a daemon; with its containers it is as if the node had lost power."""
        node = node_of(name)
        victims = [self.daemons()[name]] if self.pid(name) else []
        if with_containers and node is not None:
            victims += [found for c in self.containers(node) if (found := processes.identify(c.pid))]
        processes.end(victims)

    def restart(self, name: str) -> int:
        """Start a daemon that has ended, or kill it and start it again; its new pid."""
        settings = self.settings
        if settings is None or name not in names(settings.nodes):
            raise ClusterError(
                f"no daemon {name}: expected one of {', '.join(names(settings.nodes if settings else 1))}"
            )
        if name in self.daemons():
            self.kill(name)
        return spawn(self.layout, find_java(), name).pid

    # -- up and down --------------------------------------------------------------------------------------------------

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold off every other `up` and `down` on the same folder; a ClusterError where one is at work."""
        self.layout.folder.mkdir(parents=True, exist_ok=True)
        with self.layout.run.with_suffix(".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ClusterError(f"another start or stop is at work on {self.layout.run}: wait for it") from None
            yield

    def start(self, settings: Settings, namespace: str = "") -> None:
        """Start all daemons with an empty HDFS and wait until they are ready; take them down again if that fails.

        `namespace`: which of network.WAYS made the network of its own that this process is in, and that the cluster
        keeps; "" where it is the machine's.
        """
        java = find_java()
        check_base(settings.base, settings.nodes)
        check_space(self.layout.folder)
        network.check()
        check_free(settings.base, settings.nodes)
        try:
            self._write(settings, java, namespace)
            self._start_daemons(settings, java)
        except BaseException:
            self.stop()
            raise

    def _write(self, settings: Settings, java: Java, namespace: str) -> None:
        layout, jvm = self.layout, jvm_flags(self.layout, java)
        shutil.rmtree(layout.run, ignore_errors=True)
        layout.logs.mkdir(parents=True)
        layout.temporary.mkdir()
        if layout.recording:
            layout.class_lists.mkdir()
        layout.state.write_text(json.dumps(asdict(settings)))
        write_configuration(layout, settings, jvm)
        write_client(layout, settings, java, jvm)
        holder = network.hold(layout) if namespace else None
        write_script(layout.enter, network.enter_script(holder, user_namespace=namespace == "user"))

    def _start_daemons(self, settings: Settings, java: Java) -> None:
        layout, nodes = self.layout, range(settings.nodes)
        started = {"rm": spawn(layout, java, "rm")}
        if spawn(layout, java, "nn", "-format", "-force", "-nonInteractive").wait():
            raise ClusterError(f"the NameNode could not format its folder (log: {layout.log('nn')})")
        for name in ["nn", *(f"dn{node}" for node in nodes), *(f"nm{node}" for node in nodes)]:
            started[name] = spawn(layout, java, name)

        def wait(name: str, path: str, *keys: str | int, least: int = 0) -> None:
            def ready() -> bool:
                answer = self.get(name, path)
                for key in keys:
                    answer = answer[key]
                return not keys or answer >= least

            wait_until(layout, name, ready, started, seconds=READY)

        wait("nn", LIVE, "beans", 0, "NumLiveDataNodes", least=settings.nodes)
        # The history server sleeps for 10 s when it meets a NameNode that has no DataNodes yet.
        started["jhs"] = spawn(layout, java, "jhs")
        self._make_home()
        wait("rm", "/ws/v1/cluster/metrics", "clusterMetrics", "activeNodes", least=settings.nodes)
        wait("jhs", "/ws/v1/history/info")
        check_running(layout, started)

    def _make_home(self) -> None:
        """Make the folder that relative HDFS paths begin in."""
        url = self.url("nn", f"/webhdfs/v1/user/{USER}?op=MKDIRS&user.name={USER}")
        urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=30).close()

    def stop(self) -> list[str]:
        """End every daemon and container, remove HDFS and the nodes' folders; the names of the daemons. Logs stay.

        All by SIGKILL: nothing is kept that an orderly end would put in order, and a NodeManager may take 15 s for one.
        """
        running = self.daemons()
        while left := self.daemons():  # once more for what was just being started
            processes.end(left.values())
        while orphans := self.containers():
            processes.end(found for orphan in orphans if (found := processes.identify(orphan.pid)))
        for folder in (self.layout.name, self.layout.temporary, *self.layout.run.glob("node[0-9]")):
            shutil.rmtree(folder, ignore_errors=True)
        return sorted(name for name in running if name != "network")
