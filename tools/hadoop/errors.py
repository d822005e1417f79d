"""The one exception that the user of the cluster sees."""

from __future__ import annotations

__all__ = ["ClusterError"]


class ClusterError(Exception):
    """What went wrong and what to do, as one sentence; with the log's path where there is a log."""
