"""What a task tells its engine while it works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Watch", "share_done"]

NOTICE_SECONDS = 5.0


class Watch:
    """What a task tells its engine, this one nobody, and a clock of the parts of its work.

    Attributes:
        seconds: by name of a part, since `restart`; a part within another is taken from it.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._part: str | None = None
        self._since = 0.0

    def restart(self) -> None:
        """All parts at zero."""
        self.seconds = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A block that is timed under this name."""
        outer = self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    def _switch(self, name: str | None) -> str | None:
        now, before = time.perf_counter(), self._part
        if before is not None:
            self.seconds[before] = self.seconds.get(before, 0.0) + now - self._since
        self._part, self._since = name, now
        return before

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
