"""The map side of a round: lines in, one sealed result for each shard out.

A line is a whole shard (rbmx shard), or a row of CSV text; the rows that one task is given are then its shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from rbmx.data.shards import contains_shards, looks_like_shards
from rbmx.errors import DataError, DivergedError
from rbmx.jobs.reading import Given, read_shard_line, read_text
from rbmx.jobs.records import Failure, Record, Result, failure_record, result_record
from rbmx.jobs.watch import Watch
from rbmx.jobs.work import Job, work_on

__all__ = ["Mapper"]

HEAD_BYTES = 64  # tell shards from text
MIXED = "input: shard lines and CSV rows in one split; give one kind of data"


class Mapper:
    """One map task of a job.

    Args:
        job: the round under way, of whatever kind.
        watch: hears of progress and counts.
    """

    def __init__(self, job: Job, watch: Watch | None = None) -> None:
        self._job = job
        self._watch = watch or Watch()
        self._text: list[bytes] = []

    def line(self, line: bytes) -> Iterator[Record]:
        """The results that a line completes."""
        if not looks_like_shards(line):
            self._text.append(line if line.endswith(b"\n") else line + b"\n")
            return
        if self._text:
            yield failure_record(Failure(MIXED))
            return
        yield self._guarded(lambda: self._shard(line))

    def end(self) -> Iterator[Record]:
        """The results that are complete when the input ends."""
        if self._text:
            yield self._guarded(self._split)

    def stream(self, stream: BinaryIO) -> Iterator[Record]:
        """All results of a task's input, which is read at once where it is text: cheaper than row by row."""
        head = stream.read(HEAD_BYTES)
        if looks_like_shards(head):
            for line in chain([head + stream.readline()], stream):
                yield from self.line(line)
        elif head:
            self._text.append(head + stream.read())
        yield from self.end()

    def _guarded(self, work: Callable[[], Result]) -> Record:
        """The result, or the failure: bad data would be as bad at the next attempt."""
        try:
            result = work()
        except DivergedError as error:
            return failure_record(Failure(str(error), "diverged"))
        except (DataError, ValueError) as error:
            self._watch.count("failed shards", 1)
            return failure_record(Failure(str(error)))
        self._watch.count("shards", 1)
        self._watch.count("rows", result.content.rows)
        for part, seconds in result.seconds.items():
            self._watch.count(f"milliseconds {part}", round(1000 * seconds))
        return result_record(result)

    def _shard(self, line: bytes) -> Result:
        self._watch.restart()
        with self._watch.part("read"):
            given = read_shard_line(line, self._job)
        return self._result(given)

    def _split(self) -> Result:
        self._watch.restart()
        with self._watch.part("read"):
            text, self._text = b"".join(self._text), []
            if contains_shards(text):
                raise DataError(MIXED)
            given = read_text(text, self._job)
            self._watch.count("bad rows", given.bad_rows)
        return self._result(given)

    def _result(self, given: Given) -> Result:
        with self._watch.part("train"):
            content = work_on(self._job, given, self._watch)
        return Result(given.name, content, self._watch.seconds)
