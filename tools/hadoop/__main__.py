"""A real Hadoop on loopback: up, down, status, cds; and for tests: pid, kill, restart, get."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tools.hadoop import network, processes
from tools.hadoop.assemble import assemble
from tools.hadoop.client import usage
from tools.hadoop.cluster import Cluster
from tools.hadoop.configuration import PROFILES, Settings
from tools.hadoop.errors import ClusterError
from tools.hadoop.java import find_java
from tools.hadoop.layout import REPOSITORY, Layout
from tools.hadoop.ports import check_base
from tools.hadoop.recording import record

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OPEN = (
    "no network of its own (it takes root or user namespaces): the shuffle and the jobs' masters "
    "listen on all addresses of this machine"
)


def up(options: argparse.Namespace) -> int:
    """Start the cluster, or say that it is up."""
    cluster = Cluster(Layout.of(options.folder, recording=options.recording))
    settings = Settings(options.nodes, options.profile, options.base)
    check_base(settings.base, settings.nodes)
    with cluster.lock():
        if cluster.daemons():
            cluster.check_same(settings)
            print(f"already up: {settings}\n{usage(cluster.layout)}")
            return 0
        if not options.inside:
            find_java()
            assemble(cluster.layout)
            if not options.recording and options.cds:
                record(cluster.layout, options.base)
            enter_private(options)
    if options.inside:
        network.raise_loopback()
    began = time.monotonic()
    with cluster.lock():
        print(f"starting Hadoop: {settings}", flush=True)
        cluster.start(settings, options.inside)
    memory = sum(processes.resident_mb(process) for process in cluster.daemons().values())
    print(f"up after {time.monotonic() - began:.1f} s, {memory:.0f} MB, in {cluster.layout.run}")
    print("in a network of its own, entered by bin/hadoop and bin/enter" if options.inside else OPEN)
    print(usage(cluster.layout))
    return 0


def enter_private(options: argparse.Namespace) -> None:
    """Start this command again in a network of its own, unless that is unwanted or not allowed."""
    if options.private == "no":
        return
    way = network.way()
    if way is None:
        if options.private == "yes":
            raise ClusterError(
                "PRIVATE=yes: this user may not make a network namespace (it takes root or user namespaces)"
            )
        return
    sys.stdout.flush()
    command = [*network.WAYS[way], sys.executable, "-m", "tools.hadoop", *sys.argv[1:], f"--inside={way}"]
    os.execvp(command[0], command)


def down(options: argparse.Namespace) -> int:
    """Stop what runs."""
    cluster = Cluster(Layout.of(options.folder, recording=options.recording))
    if not cluster.layout.folder.exists() and not cluster.daemons():
        stopped = []
    else:
        with cluster.lock():
            stopped = cluster.stop()
    print(f"stopped: {', '.join(stopped)}" if stopped else f"nothing of {cluster.layout.run} is up")
    return 0


def status(options: argparse.Namespace) -> int:
    """One line for each daemon; exit status 1 unless all run."""
    cluster = Cluster(Layout.of(options.folder))
    for name, process in sorted(cluster.daemons().items()):
        print(f"{name:8} pid {process.pid:7}  {processes.resident_mb(process):5.0f} MB")
    for name in cluster.missing():
        print(f"{name:8} down")
    return 1 if cluster.missing() else 0


def cds(options: argparse.Namespace) -> int:
    """Make the class archive."""
    layout = Layout.of(options.folder)
    with Cluster(layout).lock():
        assemble(layout)
        print(f"class archive: {record(layout, options.base)}")
    return 0


def pid(options: argparse.Namespace) -> int:
    """Print a daemon's pid."""
    print(Cluster(Layout.of(options.folder)).pid(options.name))
    return 0


def kill(options: argparse.Namespace) -> int:
    """SIGKILL a daemon."""
    Cluster(Layout.of(options.folder)).kill(options.name, with_containers=options.containers)
    return 0


def restart(options: argparse.Namespace) -> int:
    """Start a daemon again."""
    print(Cluster(Layout.of(options.folder)).restart(options.name))
    return 0


def get(options: argparse.Namespace) -> int:
    """Print what a daemon's web server answers."""
    print(json.dumps(Cluster(Layout.of(options.folder)).get(options.name, options.path), indent=2))
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m tools.hadoop", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(function: Callable[[argparse.Namespace], int], *, name: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(function=function)
        command.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "hadoop")
        if name:
            command.add_argument("name", help="nn, rm, jhs, dn0, nm0, dn1, nm1, ...")
        return command

    start = add(up)
    start.add_argument("--nodes", type=int, default=1, metavar="1|2|3")
    start.add_argument("--profile", default="default", metavar="|".join(PROFILES))
    start.add_argument("--base", type=int, default=21000, help="the first of the ports")
    start.add_argument("--private", choices=("auto", "yes", "no"), default="auto", help="a network of its own")
    start.add_argument("--cds", action="store_true", help="make the class archive first, if there is none")
    start.add_argument("--inside", choices=tuple(network.WAYS), default="", help=argparse.SUPPRESS)
    for command in (start, add(down)):
        command.add_argument("--recording", action="store_true", help=argparse.SUPPRESS)
    add(status)
    add(cds).add_argument("--base", type=int, default=21000, help="the first of the ports")
    for function in (pid, restart):
        add(function, name=True)
    add(kill, name=True).add_argument("--containers", action="store_true", help="what runs in its containers too")
    add(get, name=True).add_argument("path", help="such as /ws/v1/cluster/metrics")
    return top


def interrupt(number: int, frame: object) -> NoReturn:
    """Ctrl-C, SIGTERM and SIGHUP end a start, once: what was started is then taken down without another."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run a command; 1 after a ClusterError, 130 when interrupted."""
    for each in SIGNALS:
        signal.signal(each, interrupt)
    options = parser().parse_args()
    try:
        return int(options.function(options))
    except (ClusterError, OSError) as problem:
        print(f"hadoop: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hadoop: interrupted; what this command started has been taken down", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
