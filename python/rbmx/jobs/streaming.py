"""What a task owes Hadoop streaming: records alone on stdout, news on stderr, no more threads than its container."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from rbmx.backends.native import get_num_threads, set_num_threads
from rbmx.jobs.watch import Watch

__all__ = ["COUNTERS", "KEY", "StreamingWatch", "records_alone_on_stdout", "use_container_threads"]

KEY = b"round"  # one key: one reducer sees all shards
COUNTERS = "rbmx"  # the group of the job's counters


class StreamingWatch(Watch):
    """Progress and counters as lines on stderr that Hadoop understands."""

    def status(self, text: str) -> None:
        """Shown beside the task, and a sign of life."""
        print(f"reporter:status:{text}", file=sys.stderr, flush=True)

    def count(self, counter: str, amount: int) -> None:
        """Added to a counter of the job."""
        print(f"reporter:counter:{COUNTERS},{counter},{amount}", file=sys.stderr, flush=True)


@contextmanager
def records_alone_on_stdout() -> Iterator[BinaryIO]:
    """The real standard output; whatever else is printed meanwhile, by C code too, goes to standard error."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "wb") as records:
        os.dup2(2, 1)
        try:
            yield records
            records.flush()
        finally:
            sys.stdout.flush()
            ctypes.CDLL(None).fflush(None)
            os.dup2(records.fileno(), 1)


def use_container_threads() -> None:
    """As many threads as the container has cores, where the engine tells; never more than there are."""
    vcores = os.environ.get("mapreduce_map_cpu_vcores", "")  # noqa: SIM112
    if vcores.isdigit() and int(vcores):
        set_num_threads(min(int(vcores), get_num_threads()))
