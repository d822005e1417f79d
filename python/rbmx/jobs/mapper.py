"""The map side of a round: lines in, one sealed result for each shard out.

A line is a whole shard (rbmx shard), or a row of CSV text; the rows that one task is given are then its shard.
"""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rbmx.backends import Rows, backend_for
from rbmx.bits import PackedBits
from rbmx.data.csv import CsvText
from rbmx.data.dataset import Dataset
from rbmx.data.shards import looks_like_shards, read_shard
from rbmx.errors import DataError, DivergedError
from rbmx.jobs.records import Failure, Name, Record, Result, failure_record, result_record
from rbmx.jobs.round import Round
from rbmx.jobs.shard import shard_key, shard_statistics, train_shard
from rbmx.rng import Key, Purpose

__all__ = ["Mapper", "Watch", "propagate"]

NOTICE_SECONDS = 5.0


class Watch:
    """What a task tells its engine; this one tells nobody."""

    def status(self, text: str) -> None:
        """That the task is alive, and what it does."""

    def count(self, counter: str, amount: int) -> None:
        """Add to a counter of the job."""


class Mapper:
    """One map task of a round.

    Args:
        job: the round under way.
        watch: hears of progress and counts.
    """

    def __init__(self, job: Round, watch: Watch | None = None) -> None:
        self._job = job
        self._watch = watch or Watch()
        self._text: list[bytes] = []
        self._clock = _Clock()

    def line(self, line: bytes) -> Iterator[Record]:
        """The results that a line, without its newline, completes."""
        if not looks_like_shards(line):
            self._text.append(line)
            return
        if self._text:
            yield failure_record(Failure("input: shard lines and CSV rows in one split; give one kind of data"))
            return
        yield self._guarded(lambda: self._shard(line))

    def end(self) -> Iterator[Record]:
        """The results that are complete when the input ends."""
        if self._text:
            yield self._guarded(self._split)

    def lines(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """All results of a task's input."""
        for line in lines:
            yield from self.line(line.rstrip(b"\r\n"))
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
        settings = self._job.settings
        with self._clock.part("read"):
            shard = read_shard(line)
            header = shard.header
            name = Name(f"{header.shard:06d}", header.shard, header.of)
            rows: Rows
            if isinstance(shard.values, PackedBits):
                rows = shard.values
            else:
                rows = settings.encoding.encode(shard.block, shard.name, kind=settings.kind)
        return self._result(name, rows, header.shard, header.first_row, shard.name)

    def _split(self) -> Result:
        settings = self._job.settings
        where = _split_name()
        with self._clock.part("read"):
            text = b"\n".join([*self._text, b""])
            self._text = []
            if settings.merge == "gradient":
                raise DataError(f'{where}: merge="gradient" needs rows with global numbers: make shards by rbmx shard')
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # skipped lines are counted below
                source = CsvText(text, label=settings.label, on_bad_row=settings.on_bad_row, name=where)
                self._require_width(source.n_visible, where)
                dataset = Dataset(source, settings.encoding)
                rows = dataset.load()
            self._watch.count("bad rows", getattr(dataset.source, "n_skipped", 0))
            if (settings.kind == "bits") != isinstance(rows, PackedBits):
                raise DataError(f"{where}: expected {settings.kind} as in the first rows; say --binarize or --scale")
            digest = hashlib.blake2b(text, digest_size=8)
        return self._result(Name(digest.hexdigest()), rows, int(digest.hexdigest(), 16), 0, where)

    def _result(self, name: Name, rows: Rows, number: int, first_row: int, where: str) -> Result:
        job, settings, seed = self._job, self._job.settings, self._job.settings.config.seed
        self._require_width(rows.n_units if isinstance(rows, PackedBits) else rows.shape[1], where)
        with self._clock.part("train"):
            upper = propagate(job, rows, first_row)
            if settings.merge == "gradient":
                key = shard_key(seed, 0, job.number)
                found = shard_statistics(job.params, upper, settings, key, first_row=first_row)
                return Result(name, found, self._clock.seconds)
            report = self._reporter(where, len(rows))
            key = shard_key(seed, number, job.number)
            state = job.state_of(name.text)
            trained = train_shard(job.params, state, upper, settings, key, round_number=job.number, report=report)
        return Result(name, trained, self._clock.seconds)

    def _require_width(self, n_values: int, where: str) -> None:
        expected = self._job.n_visible
        if n_values != expected:
            raise DataError(
                f"{where}: has {n_values} values in a row, expected {expected}, the visible units of the model"
            )

    def _reporter(self, where: str, rows: int) -> Callable[[int], None]:
        settings = self._job.settings
        total = settings.local_epochs * -(-rows // settings.config.batch_size)
        self._watch.status(f"round {self._job.number + 1}: {where}: training on {rows} rows")
        last = time.monotonic()

        def report(minibatches: int) -> None:
            nonlocal last
            if time.monotonic() - last >= NOTICE_SECONDS:
                last = time.monotonic()
                self._watch.status(f"round {self._job.number + 1}: {where}: {100 * minibatches // max(total, 1)} %")

        return report


def propagate(job: Round, rows: Rows, first_row: int) -> Rows:
    """The rows as the frozen lower layers hand them up: means, or bits drawn at the rows' global numbers."""
    for i, layer in enumerate(job.lower):
        backend = backend_for(layer, job.settings.config.engine, reproducible=True)
        if job.settings.propagate == "mean":
            rows = backend.hidden_mean(layer, rows)
        else:
            key = Key(job.settings.config.seed).fold_in(Purpose.SAMPLING).fold_in(i)
            rows = backend.sample_hidden(layer, rows, key, first_row)
    return rows


class _Clock:
    """Seconds spent on each part of the work since the last result."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        if name == "read":
            self.seconds = {}
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - started


def _split_name() -> str:
    """How errors call a split: its file and offset where the engine tells them."""
    file = os.environ.get("mapreduce_map_input_file")  # noqa: SIM112
    start = os.environ.get("mapreduce_map_input_start")  # noqa: SIM112
    return "input" if file is None else f"{file} from byte {start}"
