"""Ctrl-C between minibatches only, so that parameters and training state always belong together."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["DeferredInterrupt"]


class DeferredInterrupt:
    """While it is entered, SIGINT waits for deliver(); a second one while the first waits acts at once.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._previous: Any = None
        self._pending: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> DeferredInterrupt:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):
                self._previous = previous
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            if kind is None:
                self.deliver()

    def deliver(self) -> None:
        """Call the handler that was there before for a signal that came meanwhile; by default it raises."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            self._previous(*pending)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._pending is not None:
            self.deliver()
        self._pending = (number, frame)
