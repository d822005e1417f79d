"""Checkpoints of a training in progress."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rbmx.checkpoint import Checkpoint, save_checkpoint
from rbmx.training import Callback, EpochRecord, Trainer

__all__ = ["Saver"]


class Saver(Callback):
    """A training callback that keeps a whole checkpoint at `path`.

    Args:
        path: the file; a write replaces it at once or not at all.
        every: epochs between two writes.
        history: the epochs before this run.
        extra: what the checkpoint tells beyond model, state and settings.
    """

    def __init__(self, path: Path, every: int, history: Sequence[EpochRecord], extra: Mapping[str, str]) -> None:
        self.path = path
        self.every = every
        self.history = tuple(history)
        self.extra = dict(extra)
        self.trainer: Trainer | None = None
        self.saved: Checkpoint | None = None
        self.interrupted = False

    def on_train_start(self, trainer: Trainer) -> None:
        """Remember whose state to save."""
        self.trainer = trainer

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """Save after every `every` epochs."""
        if record.epoch % self.every == 0:
            self.save()
            if self.interrupted:
                raise KeyboardInterrupt

    def save(self) -> Checkpoint:
        """Write the checkpoint of this moment; a Ctrl-C waits until it is there."""
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("save: training has not started")
        checkpoint = Checkpoint(
            params=trainer.params,
            state=trainer.state,
            config=trainer.config,
            history=(*self.history, *trainer.history),
            encoding=trainer.dataset.encoding,
            extra=self.extra,
        )
        with interrupts_held_back() as held:
            save_checkpoint(self.path, checkpoint)
        self.interrupted = bool(held)
        self.saved = checkpoint
        return checkpoint


@contextmanager
def interrupts_held_back() -> Iterator[list[int]]:
    """A block that Ctrl-C does not enter; the list tells afterwards whether one came.

    Only the main thread can be interrupted, and only it may say so.
    """
    held: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    before = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, before)
