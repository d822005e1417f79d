"""The settings of the cluster, by profile and number of nodes, and their files.

They lie in the site files, so that clients need no -D. Sizes are in MB, times in milliseconds where no unit is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import Layout
from tools.hadoop.ports import node_port, port

__all__ = ["PROFILES", "USER", "Settings", "Sites", "node_sites", "sites", "write_configuration"]

Sites = dict[str, dict[str, str]]
USER = "hadoop"  # mrjob finds the history of jobs of this user only
LOG4J = """\
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
# mrjob takes any other line on stderr of `hadoop fs -ls` for a failure
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
"""


@dataclass(frozen=True)
class Memory:
    """What YARN may give away on a node, and what it gives to a task."""

    node: int
    largest: int
    smallest: int
    task: int
    master: int


def _default(nodes: int) -> Memory:
    """Four tasks beside the application's master on one node, two or three on each of several."""
    return Memory(node=5120 if nodes == 1 else 3072, largest=4096, smallest=128, task=1024, master=512)


def _paper(nodes: int) -> Memory:
    """Table III of the paper; the master as Hadoop has it."""
    del nodes  # the table is for one node, whatever their number
    return Memory(node=10240, largest=8192, smallest=512, task=2048, master=1536)


PROFILES = {"default": _default, "paper": _paper}
CORES = 4  # Table III, and a fair number of tasks elsewhere


@dataclass(frozen=True)
class Settings:
    """What the user chooses."""

    nodes: int = 1
    profile: str = "default"
    base: int = 21000

    def __post_init__(self) -> None:
        if self.nodes not in (1, 2, 3):
            raise ClusterError(f"NODES={self.nodes}: expected 1, 2 or 3")
        if self.profile not in PROFILES:
            raise ClusterError(f"PROFILE={self.profile}: expected one of {', '.join(PROFILES)}")

    def __str__(self) -> str:
        return ", ".join(f"{name.upper()}={value}" for name, value in asdict(self).items())


def sites(layout: Layout, settings: Settings, jvm: tuple[str, ...]) -> Sites:
    """The settings that every process reads; `jvm` are the flags of the JVMs in containers."""
    nodes, memory = settings.nodes, PROFILES[settings.profile](settings.nodes)

    def address(owner: str) -> str:
        return f"127.0.0.1:{port(settings.base, owner)}"

    # The jars first and in the same order in every JVM, or a class archive is not accepted; then what a job brings.
    classpath = f"{layout.lib}/*:{layout.configuration}:job.jar/job.jar:job.jar/classes:job.jar/lib/*:./*"
    container = " ".join([*jvm, "-cp", classpath])
    return {
        "core-site": {
            "fs.defaultFS": f"hdfs://localhost:{settings.base}",
            "hadoop.tmp.dir": str(layout.temporary),
        },
        "hdfs-site": {
            "dfs.blocksize": str(32 * 2**20),
            "dfs.replication": str(min(nodes, 2)),
            "dfs.permissions.enabled": "false",
            "dfs.namenode.name.dir": f"file://{layout.name}",
            "dfs.namenode.http-address": address("NameNode's web server"),
            "dfs.namenode.rpc-bind-host": "127.0.0.1",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.namenode.safemode.extension": "0",
            # a lost DataNode is dead after 2 * 2 s + 10 * 1 s
            "dfs.heartbeat.interval": "1",
            "dfs.namenode.heartbeat.recheck-interval": "2000",
            # a writer that closes a file a moment before the DataNode has reported it would sleep for 400 ms
            "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "10",
        },
        "yarn-site": {
            "yarn.resourcemanager.hostname": "localhost",
            "yarn.resourcemanager.address": address("ResourceManager"),
            "yarn.resourcemanager.scheduler.address": address("ResourceManager's scheduler"),
            "yarn.resourcemanager.resource-tracker.address": address("ResourceManager's resource tracker"),
            "yarn.resourcemanager.admin.address": address("ResourceManager's administration"),
            "yarn.resourcemanager.webapp.address": address("ResourceManager's web server"),
            "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "100",
            "yarn.application.classpath": f"{layout.configuration},{layout.lib}/*",
            "yarn.node-attribute.fs-store.root-dir": f"file://{layout.temporary}/node-attributes",
            "yarn.nodemanager.hostname": "localhost",
            "yarn.scheduler.include-port-in-node-name": "true",  # several NodeManagers on one host
            "yarn.nodemanager.aux-services": "mapreduce_shuffle",
            "yarn.nodemanager.aux-services.mapreduce_shuffle.class": "org.apache.hadoop.mapred.ShuffleHandler",
            "yarn.nodemanager.resource.memory-mb": str(memory.node),
            "yarn.nodemanager.resource.cpu-vcores": str(CORES),
            "yarn.scheduler.minimum-allocation-mb": str(memory.smallest),
            "yarn.scheduler.maximum-allocation-mb": str(memory.largest),
            "yarn.scheduler.maximum-allocation-vcores": str(CORES),
            "yarn.nodemanager.vmem-check-enabled": "false",
            "yarn.nodemanager.delete.debug-delay-sec": "0",
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99",
            "yarn.log-aggregation-enable": "false",  # mrjob reads the logs where the tasks wrote them
            # a lost NodeManager or master is noticed in seconds, not in the default ten minutes
            "yarn.nm.liveness-monitor.expiry-interval-ms": "10000",
            "yarn.am.liveness-monitor.expiry-interval-ms": "30000",
            "yarn.client.nodemanager-connect.max-wait-ms": "3000",
            "yarn.client.nodemanager-connect.retry-interval-ms": "500",
        },
        "mapred-site": {
            "mapreduce.framework.name": "yarn",
            "mapreduce.application.classpath": f"{layout.lib}/*",
            "mapreduce.jobhistory.address": address("JobHistoryServer"),
            "mapreduce.jobhistory.webapp.address": address("JobHistoryServer's web server"),
            "mapreduce.jobhistory.admin.address": address("JobHistoryServer's administration"),
            "mapreduce.jobhistory.jhist.format": "json",
            "mapreduce.map.memory.mb": str(memory.task),
            "mapreduce.reduce.memory.mb": str(memory.task),
            "yarn.app.mapreduce.am.resource.mb": str(memory.master),
            # a streaming task's JVM only hands lines on: the rest of the container is for the task's own process
            "mapreduce.map.java.opts": "-Xmx256m",
            "mapreduce.reduce.java.opts": "-Xmx256m",
            "yarn.app.mapreduce.am.command-opts": "-Xmx320m",
            "mapreduce.admin.map.child.java.opts": container.replace("@name@", "@taskid@"),
            "mapreduce.admin.reduce.child.java.opts": container.replace("@name@", "@taskid@"),
            "yarn.app.mapreduce.am.admin-command-opts": container.replace("@name@", "master"),
            "mapreduce.task.io.sort.mb": "16",
            "mapreduce.client.submit.file.replication": str(nodes),
            "mapreduce.map.speculative": "false",
            "mapreduce.reduce.speculative": "false",
            "mapreduce.job.reduce.slowstart.completedmaps": "1.0",
            "mapreduce.client.completion.pollinterval": "100",
            "mapreduce.client.progressmonitor.pollinterval": "100",
            "yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms": "100",
        },
        "capacity-scheduler": {
            "yarn.scheduler.capacity.root.queues": "default",
            "yarn.scheduler.capacity.root.default.capacity": "100",
            "yarn.scheduler.capacity.maximum-am-resource-percent": "0.5",
        },
    }


def node_sites(layout: Layout, settings: Settings, node: int, common: Sites) -> Sites:
    """The settings of one DataNode and NodeManager: the common ones and its own ports and folders."""

    def address(owner: str) -> str:
        return f"127.0.0.1:{node_port(settings.base, node, owner)}"

    own: Sites = {
        "hdfs-site": {
            "dfs.datanode.data.dir": f"file://{layout.node(node)}/data",
            "dfs.datanode.address": address("DataNode"),
            "dfs.datanode.http.address": address("DataNode's web server"),
            "dfs.datanode.ipc.address": address("DataNode's RPC"),
            "dfs.datanode.hostname": "localhost",
        },
        "yarn-site": {
            "yarn.nodemanager.address": address("NodeManager"),
            "yarn.nodemanager.localizer.address": address("NodeManager's localizer"),
            "yarn.nodemanager.webapp.address": address("NodeManager's web server"),
            "yarn.nodemanager.local-dirs": f"{layout.node(node)}/local",
            "yarn.nodemanager.log-dirs": f"{layout.logs}/node{node}/userlogs",
        },
        "mapred-site": {"mapreduce.shuffle.port": str(node_port(settings.base, node, "NodeManager's shuffle"))},
    }
    return {site: values | own.get(site, {}) for site, values in common.items()}


def write_configuration(layout: Layout, settings: Settings, jvm: tuple[str, ...]) -> None:
    """Write the common configuration and that of each node."""
    common = sites(layout, settings, jvm)
    _write(layout.configuration, common)
    for node in range(settings.nodes):
        _write(layout.node_configuration(node), node_sites(layout, settings, node, common))


def _write(folder: Path, values: Sites) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for site, properties in values.items():
        (folder / f"{site}.xml").write_text(_xml(properties))
    (folder / "log4j.properties").write_text(LOG4J)
    for server in ("hdfs", "datanode", "secondary", "static"):  # the web servers look for these, and empty will do
        (folder / "webapps" / server).mkdir(parents=True, exist_ok=True)


def _xml(properties: Mapping[str, str]) -> str:
    lines = [f"<property><name>{escape(n)}</name><value>{escape(v)}</value></property>" for n, v in properties.items()]
    return "\n".join(["<configuration>", *lines, "</configuration>", ""])
