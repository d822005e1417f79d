"""What a task tells its engine while it works."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Watch", "share_done"]

NOTICE_SECONDS = 5.0


class Watch:
    """What a task tells its engine; this one tells nobody."""

    def status(self, text: str) -> None:
        """That the task is alive, and what it does."""

    def count(self, counter: str, amount: int) -> None:
        """Add to a counter of the job."""


def share_done(watch: Watch, what: str, total: int) -> Callable[[int], None]:
    """A function that is told how much of `total` is done, and says so every few seconds."""
    last = time.monotonic()

    def report(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= NOTICE_SECONDS:
            last = time.monotonic()
            watch.status(f"{what}: {100 * done // max(total, 1)} %")

    return report
