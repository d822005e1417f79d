"""What mrjob says of a job that runs: progress, the job's id, and the lines that explain a failure."""

from __future__ import annotations

import logging
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rbmx.jobs import spark

__all__ = ["Listener", "listening", "most_telling"]

LAST_RECORDS = 100  # of the log, for failures that leave no error there
MAP_PROGRESS = re.compile(r"map +(\d+)%")
HADOOP_JOB = re.compile(r"Running job: (job_\d+_\d+)")
TASK_ERROR = re.compile(r"^\w*(?:Error|Exception)\b.*|^rbmx: .*|.*\bSIGKILL\b.*")
COMMAND = re.compile(r": Command '.*' returned non-zero exit status \d+\.?$", re.DOTALL)  # pages of it


class Listener(logging.Handler):
    """Hears mrjob's log.

    Args:
        on_progress: called with the share of the map work that is done.
    """

    def __init__(self, on_progress: Callable[[float], object]) -> None:
        super().__init__(logging.DEBUG)
        self.on_progress = on_progress
        self.errors: list[str] = []
        self.last: deque[str] = deque(maxlen=LAST_RECORDS)
        self.job: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a record."""
        text = record.getMessage()
        if match := MAP_PROGRESS.search(text):
            self.on_progress(int(match[1]) / 100)
        if match := spark.TASK_PROGRESS.search(text):
            self.on_progress(int(match[1]) / int(match[2]))
        if spark.WAITING in text:
            warnings.warn(f"rbmx: Spark waits for a worker that is free: {text.strip()}", stacklevel=2)
        if match := HADOOP_JOB.search(text):
            self.job = match[1]
        self.last.append(text)
        if record.levelno >= logging.ERROR or "failed with state" in text:
            self.errors.append(text)


@contextmanager
def listening(on_progress: Callable[[float], object] = lambda _: None) -> Iterator[Listener]:
    """A block in which a Listener hears mrjob."""
    logger, listener = logging.getLogger("mrjob"), Listener(on_progress)
    before = logger.level
    logger.addHandler(listener)
    logger.setLevel(min(before or logging.INFO, logging.INFO))
    try:
        yield listener
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)


def most_telling(error: Exception, heard: Sequence[str]) -> str:
    """The line of the log that explains an error best, else the error's own words."""
    lines = [line.strip().removeprefix("STDERR: ") for text in heard for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if TASK_ERROR.match(line)]
    last = (telling or lines or [""])[-1]
    own = COMMAND.sub("", str(error)) or type(error).__name__
    return f"{last} ({own})" if last and last not in own else own
