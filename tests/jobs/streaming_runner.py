"""Hadoop streaming in small: the tasks of a round as processes, and whatever may happen to them.

A task is attempted until an attempt exits with status 0; the output of that attempt alone is committed. Then the values
of each key go to the reducer, in any order.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import Literal

__all__ = ["Fault", "StreamingRunner", "TaskError"]

Lines = list[bytes]
COUNTER = re.compile(rb"^reporter:counter:([^,]+,[^,]+),(-?\d+)$", re.MULTILINE)
PAGE = 4096  # the smallest pipe: what an attempt can be ahead of its reader
LIMIT = 120  # seconds for an attempt that nothing befalls: the test fails


@dataclass(frozen=True)
class Fault:
    """What befalls one attempt of a task.

    Attributes:
        kind: "kill" -9, or "hang" and then kill, once `byte` or `line` of the output is read; the output is lost.
            "cut": the output ends at `byte`, and is committed. "flip": one bit of that byte is changed, and it is
            committed. "twice": committed, and the next attempt's output too. "slow": another attempt is committed.
        byte, line: where in the output.
    """

    kind: Literal["kill", "hang", "cut", "flip", "twice", "slow"]
    byte: int = 0
    line: int = 0

    def spoil(self, output: bytes) -> bytes:
        """What is committed of an attempt's output."""
        if self.kind == "cut":
            return output[: self.byte]
        if self.kind == "flip":
            changed = bytearray(output)
            changed[self.byte] ^= 4
            return bytes(changed)
        return output


class TaskError(RuntimeError):
    """A task failed at all its attempts."""


@dataclass
class StreamingRunner:
    """A round of map and reduce.

    Attributes:
        mapper, reducer: their commands.
        plan: what befalls an attempt: (phase, task, attempt), counted from 0.
        arrival: brings the committed lines of the map tasks into the order the reducer sees.
        max_attempts: of a task.
        patience: seconds that a stopped attempt is waited for.
        counters: summed over committed attempts.
        fates: how attempts ended, exit statuses as subprocess tells them.
    """

    mapper: Sequence[str]
    reducer: Sequence[str]
    plan: Mapping[tuple[str, int, int], Fault] = field(default_factory=dict)
    arrival: Callable[[Lines], Lines] = list
    max_attempts: int = 4
    patience: float = 0.5
    counters: Counter[str] = field(default_factory=Counter)
    fates: dict[tuple[str, int, int], int] = field(default_factory=dict)

    def run(self, splits: Sequence[bytes]) -> Lines:
        """Map and reduce: the reducer's lines.

        Raises:
            TaskError: names the task and its last attempt's end.
        """
        return self.reduce(self.arrival(self.map(splits)))

    def map(self, splits: Sequence[bytes]) -> Lines:
        """The committed lines of a task for each split, two tasks at a time."""
        with ThreadPoolExecutor(2) as pool:
            outputs = list(pool.map(lambda task: self._task("map", self.mapper, *task), enumerate(splits)))
        return [line for output in outputs for line in output.splitlines()]

    def reduce(self, lines: Lines) -> Lines:
        """The lines of one reducer, which sees `lines` sorted by key alone."""
        pairs = sorted((line.partition(b"\t") for line in lines), key=lambda pair: pair[0])
        records = b"".join(b"%s\t%s\n" % (key, value) for key, _, value in pairs)
        return self._task("reduce", self.reducer, 0, records).splitlines()

    def _task(self, phase: str, command: Sequence[str], task: int, text: bytes) -> bytes:
        """The committed output of a task."""
        committed, last = b"", ""
        for attempt in range(self.max_attempts):
            place = (phase, task, attempt)
            fault = self.plan.get(place)
            output, errors, self.fates[place] = self._attempt(command, text, fault)
            if self.fates[place] or (fault and fault.kind in ("kill", "hang", "slow")):
                last = f"exit status {self.fates[place]}, {_last_line(errors)}"
                continue
            committed += output if fault is None else fault.spoil(output)
            if not (fault and fault.kind == "twice"):
                for name, amount in COUNTER.findall(errors):
                    self.counters[name.decode()] += int(amount)
                return committed
        raise TaskError(f"{phase} task {task} failed {self.max_attempts} times; the last time: {last}")

    def _attempt(self, command: Sequence[str], text: bytes, fault: Fault | None) -> tuple[bytes, bytes, int]:
        """Output, standard error and exit status of a process."""
        struck = fault is not None and fault.kind in ("kill", "hang")
        with TemporaryFile() as stdin, TemporaryFile() as stderr:
            stdin.write(text)
            stdin.seek(0)
            with subprocess.Popen(
                command,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                pipesize=PAGE if struck else -1,
            ) as process:
                try:
                    if fault is not None and struck:
                        self._strike(process, fault)
                    output, _ = process.communicate(timeout=LIMIT)
                finally:
                    process.kill()
            stderr.seek(0)
            return output, stderr.read(), process.returncode

    def _strike(self, process: subprocess.Popen[bytes], fault: Fault) -> None:
        """Read up to the place of the fault, then kill, or stop and, when patience has ended, kill."""
        assert process.stdout is not None
        n_bytes, n_lines = 0, 0
        while n_bytes < fault.byte or n_lines < fault.line:
            piece = process.stdout.read(max(fault.byte - n_bytes, 1))
            if not piece:
                break
            n_bytes, n_lines = n_bytes + len(piece), n_lines + piece.count(b"\n")
        if fault.kind == "hang":
            process.send_signal(signal.SIGSTOP)
            time.sleep(self.patience)
        process.kill()


def _last_line(errors: bytes) -> str:
    return (errors.decode("utf-8", "replace").splitlines() or ["no message"])[-1]
