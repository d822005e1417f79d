"""A cluster made whole again after a test has hurt it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from tests.hadoop.user import command
from tools.hadoop import processes
from tools.hadoop.cluster import LIVE, Cluster

__all__ = ["heal", "running", "wait"]

ORPHANS = 20.0  # seconds that what is left of a job may take to end by itself
READY = 240.0  # seconds until restarted daemons must be known to their masters


def heal(cluster: Cluster) -> None:
    """Restart what is missing, end what is left of jobs, and wait until every node is there."""
    for name in cluster.missing():
        assert command(cluster.layout, "restart", name).returncode == 0
    wait(lambda: not running(cluster), ORPHANS)
    for application in running(cluster):
        subprocess.run([cluster.layout.hadoop, "application", "-kill", application], capture_output=True, check=True)
    wait(lambda: not cluster.containers(), ORPHANS)
    processes.end(found for left in cluster.containers() if (found := processes.identify(left.pid)))
    settings = cluster.settings
    assert settings is not None
    assert wait(lambda: _live(cluster) == (settings.nodes, settings.nodes, "Operational"), READY), (
        "not all nodes came back"
    )


def running(cluster: Cluster) -> list[str]:
    """The applications that YARN has not finished."""
    found = cluster.get("rm", "/ws/v1/cluster/apps?states=NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING")["apps"]
    return [each["id"] for each in (found or {}).get("app", [])]


def _live(cluster: Cluster) -> tuple[int, int, str]:
    """Live NodeManagers and DataNodes, and whether the NameNode refuses to write."""
    nodes = cluster.get("rm", "/ws/v1/cluster/metrics")["clusterMetrics"]["activeNodes"]
    state = cluster.get("nn", LIVE)["beans"][0]
    return nodes, state["NumLiveDataNodes"], state["FSState"]


def wait(done: Callable[[], bool], seconds: float) -> bool:
    """Ask until it is so; whether it is, in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if done():
                return True
        except (OSError, LookupError):  # a daemon that is just starting
            pass
        time.sleep(0.5)
    return False
