"""How the shards of a round become one: an average of weights, or a sum of statistics.

Results are taken in the order of their shards whatever the order of arrival, so sums are the same to the byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.errors import DataError
from rbmx.jobs.fixed_point import add_up
from rbmx.jobs.records import Arrays, Record, Result
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.shard import ShardResult, Statistics
from rbmx.params import PARAMETERS, RBMParams
from rbmx.tensors import Tensors, params_to

__all__ = ["ArrayMean", "ArraySum", "Average", "Merged", "Sum", "in_order", "merge"]


@dataclass(frozen=True, eq=False)
class Merged:
    """A round's outcome.

    Attributes:
        params: the averaged weights, None where statistics were summed.
        velocity: the averaged velocity, None without momentum or where it is not averaged.
        statistics: the summed statistics, None where weights were averaged.
        rows: rows of each shard, by name.
        seconds: of the work of each shard, by name.
    """

    params: RBMParams | None
    velocity: RBMParams | None
    statistics: Statistics | None
    rows: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)


def in_order(results: Iterable[Result]) -> Iterator[Result]:
    """The results by shard, each as soon as it is its turn; a second copy of one is left out.

    Raises:
        DataError: a shard missing, two different results of one shard, or shards of different data sets.
    """
    waiting: dict[str, Result] = {}
    seen: dict[str, int] = {}
    next_number, of = 0, None
    for result in results:
        name, digest = result.name, _digest(result)
        if seen.setdefault(name.text, digest) != digest:
            raise DataError(f"shard {name.text}: two results that differ; is a part of the data given twice?")
        if (len(seen) > 1 and (name.of is None) != (of is None)) or (of is not None and name.of != of):
            raise DataError(f"shard {name.text}: of {name.of}, expected shards of {of}: mixed data sets?")
        of = name.of
        if name.number is not None and name.number < next_number:
            continue
        waiting[name.text] = result
        while of is not None and (ready := waiting.pop(_numbered(next_number), None)) is not None:
            yield ready
            next_number += 1
    if of is not None and (waiting or next_number != of):
        missing = islice((str(i) for i in range(of) if _numbered(i) not in seen), 10)
        raise DataError(f"shards: {of} expected, without result: {', '.join(missing)}")
    for text in sorted(waiting):
        yield waiting[text]


def merge(results: Iterable[Result], settings: JobSettings) -> Merged:
    """The outcome of a round: sum_s n_s w_s / sum_s n_s, or the sum of the shards' statistics.

    Args:
        results: of all shards, in any order.
        settings: of the job.

    Raises:
        DataError: results that do not make a whole (in_order), or none.
    """
    total = accumulator(settings)
    for result in in_order(results):
        total.add(result)
    return total.merged()


def accumulator(settings: JobSettings) -> Average | Sum:
    """What adds up the results of a round."""
    return Sum() if settings.merge == "gradient" else Average(settings)


class Average:
    """The weighted mean of weights, added up in float64 in the order of the calls."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._rows: dict[str, int] = {}
        self._seconds: dict[str, dict[str, float]] = {}
        self._share = 0.0
        self._params: _Total | None = None
        self._velocity: _Total | None = None

    def add(self, result: Result) -> None:
        """One shard's weights."""
        trained = result.content
        if not isinstance(trained, ShardResult):
            raise DataError(f"shard {result.name.text}: expected weights to average, got statistics")
        share = float(trained.rows) if self._settings.weighting == "rows" else 1.0
        self._params = self._params or _Total(trained.params)
        self._params.add(trained.params, share, result.name.text)
        if trained.state.velocity is not None and self._settings.momentum_rule == "average":
            self._velocity = self._velocity or _Total(trained.state.velocity)
            self._velocity.add(trained.state.velocity, share, result.name.text)
        self._share += share
        self._rows[result.name.text] = trained.rows
        self._seconds[result.name.text] = result.seconds

    def merged(self) -> Merged:
        """The mean of what was added."""
        if self._params is None:
            raise DataError("shards: no result to average: is the input empty?")
        velocity = None if self._velocity is None else self._velocity.mean(self._share)
        return Merged(self._params.mean(self._share), velocity, None, self._rows, self._seconds)


class Sum:
    """The sum of statistics: integers, so the order does not matter."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._seconds: dict[str, dict[str, float]] = {}
        self._total: list[NDArray[np.int64]] | None = None

    def add(self, result: Result) -> None:
        """One shard's statistics; DivergedError where the sum is too large for its units."""
        found = result.content
        if not isinstance(found, Statistics):
            raise DataError(f"shard {result.name.text}: expected statistics to sum, got weights")
        parts = [getattr(found, name) for name in PARAMETERS]
        self._total = self._total or [np.zeros_like(part) for part in parts]
        for total, part in zip(self._total, parts, strict=True):
            _require_shape(part, total, result.name.text)
            add_up(total, part, f"shard {result.name.text} and those before it")
        self._rows[result.name.text] = found.rows
        self._seconds[result.name.text] = result.seconds

    def merged(self) -> Merged:
        """The sum of what was added."""
        if self._total is None:
            raise DataError("shards: no statistics to sum: is the input empty?")
        statistics = Statistics.of(self._total, sum(self._rows.values()))
        return Merged(None, None, statistics, self._rows, self._seconds)


class ArrayMean:
    """The weighted mean of arrays by name, added up in float64 in the order of the calls."""

    def __init__(self, weighting: str) -> None:
        self._weighting = weighting
        self._about = _About()
        self._share = 0.0
        self._total: _ArrayTotal | None = None

    def add(self, result: Result) -> None:
        """One shard's arrays."""
        found = _arrays_of(result)
        share = float(found.rows) if self._weighting == "rows" else 1.0
        self._total = self._total or _ArrayTotal(found.tensors)
        self._total.add(found.tensors, share, result.name.text)
        self._share += share
        self._about.add(result, found)

    def record(self) -> Record:
        """The mean of what was added."""
        if self._total is None:
            raise DataError("shards: no result to average: is the input empty?")
        return Record("merged", self._about.facts, self._total.mean(self._share))


class ArraySum:
    """The sum of int64 arrays by name: the order does not matter."""

    def __init__(self) -> None:
        self._about = _About()
        self._total: Tensors | None = None

    def add(self, result: Result) -> None:
        """One shard's arrays; DivergedError where the sum is too large for its units."""
        found = _arrays_of(result)
        self._total = self._total or {name: np.zeros_like(part) for name, part in found.tensors.items()}
        for name, total in self._total.items():
            part = found.tensors[name]
            _require_shape(part, total, result.name.text)
            add_up(total, part, f"shard {result.name.text} and those before it")
        self._about.add(result, found)

    def record(self) -> Record:
        """The sum of what was added."""
        if self._total is None:
            raise DataError("shards: nothing to sum: is the input empty?")
        return Record("merged", self._about.facts, self._total)


class _About:
    """Rows and seconds of each shard, and the sums of their further numbers."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {"rows": {}, "seconds": {}, "sums": {}}

    def add(self, result: Result, found: Arrays) -> None:
        self.facts["rows"][result.name.text] = found.rows
        self.facts["seconds"][result.name.text] = result.seconds
        sums = self.facts["sums"]
        for name, value in found.sums.items():
            sums[name] = sums.get(name, 0) + value


class _ArrayTotal:
    """A weighted sum of arrays by name in float64."""

    def __init__(self, like: Tensors) -> None:
        self._like = like
        self._sums = {name: np.zeros(array.shape) for name, array in like.items()}

    def add(self, tensors: Tensors, share: float, who: str) -> None:
        for name, total in self._sums.items():
            _require_shape(tensors[name], total, who)
            total += tensors[name].astype(np.float64) * share

    def mean(self, share: float) -> Tensors:
        return {name: (total / share).astype(self._like[name].dtype) for name, total in self._sums.items()}


class _Total:
    """A weighted sum of parameters in float64."""

    def __init__(self, like: RBMParams) -> None:
        self._like = like
        self._total = _ArrayTotal(params_to("", like))

    def add(self, params: RBMParams, share: float, who: str) -> None:
        self._total.add(params_to("", params), share, who)

    def mean(self, share: float) -> RBMParams:
        mean: dict[str, Any] = self._total.mean(share)
        return replace(self._like, **mean)


def _require_shape(part: NDArray[Any], total: NDArray[Any], who: str) -> None:
    if part.shape != total.shape:
        raise DataError(f"shard {who}: expected arrays of {total.shape}, got {part.shape}")


def _arrays_of(result: Result) -> Arrays:
    if not isinstance(result.content, Arrays):
        raise DataError(f"shard {result.name.text}: expected arrays, got {type(result.content).__name__}")
    return result.content


def _digest(result: Result) -> int:
    content = result.content
    if isinstance(content, Arrays):
        arrays = [content.tensors[name] for name in sorted(content.tensors)]
    elif isinstance(content, Statistics):
        arrays = [getattr(content, name) for name in PARAMETERS]
    else:
        arrays = [getattr(content.params, name) for name in content.params.names]
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
    return crc


def _numbered(number: int) -> str:
    return f"{number:06d}"
