"""Which port is whose: all below 32768, where Linux takes no ports for outgoing connections."""

from __future__ import annotations

import errno
import socket

from tools.hadoop.errors import ClusterError

__all__ = ["CENTRAL", "NODE", "check_base", "check_free", "node_port", "plan", "port"]

CENTRAL = {
    "NameNode": 0,
    "NameNode's web server": 1,
    "ResourceManager": 2,
    "ResourceManager's scheduler": 3,
    "ResourceManager's resource tracker": 4,
    "ResourceManager's administration": 5,
    "ResourceManager's web server": 6,
    "JobHistoryServer": 7,
    "JobHistoryServer's web server": 8,
    "JobHistoryServer's administration": 9,
}
NODE = {
    "DataNode": 0,
    "DataNode's web server": 1,
    "DataNode's RPC": 2,
    "NodeManager": 3,
    "NodeManager's localizer": 4,
    "NodeManager's web server": 5,
    "NodeManager's shuffle": 6,
}
LOWEST, HIGHEST = 1024, 32767


def port(base: int, owner: str) -> int:
    """The port of one of CENTRAL."""
    return base + CENTRAL[owner]


def node_port(base: int, node: int, owner: str) -> int:
    """The port of one of NODE on node 0, 1, ..."""
    return base + 10 + 10 * node + NODE[owner]


def plan(base: int, nodes: int) -> dict[int, str]:
    """Every port of a cluster and who needs it."""
    ports = {port(base, owner): f"the {owner}" for owner in CENTRAL}
    for node in range(nodes):
        ports |= {node_port(base, node, owner): f"the {owner} of node {node}" for owner in NODE}
    return ports


def check_base(base: int, nodes: int) -> None:
    """A ClusterError where the cluster's ports would leave 1024 .. 32767."""
    highest = max(plan(base, nodes))
    if base < LOWEST or highest > HIGHEST:
        raise ClusterError(f"BASE={base}: ports {base} to {highest} must lie within {LOWEST} to {HIGHEST}")


def check_free(base: int, nodes: int) -> None:
    """A ClusterError that names the first port that somebody else listens on."""
    for number, owner in plan(base, nodes).items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: a port in TIME_WAIT is free
            try:
                probe.bind(("127.0.0.1", number))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise ClusterError(
                        f"port {number} is taken and {owner} needs it: choose other ports with BASE= (now {base})"
                    ) from None
                raise ClusterError(
                    f"127.0.0.1:{number}, for {owner}, cannot be listened on: {error.strerror}"
                ) from None
