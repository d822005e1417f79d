"""The reduce side of a job: the shards' results in, their merge and what each shard keeps out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from rbmx.errors import DataError, DivergedError
from rbmx.jobs.merge import ArrayMean, ArraySum, Merged, accumulator, in_order
from rbmx.jobs.records import Failure, Record, Result, failure_record, read_record, result_from, state_record
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.shard import ShardResult, ShardState, Statistics
from rbmx.params import PARAMETERS
from rbmx.tensors import params_from, params_to

__all__ = ["merged_from", "reduce_arrays", "reduce_round"]


def reduce_round(lines: Iterable[bytes], settings: JobSettings) -> Iterator[Record]:
    """Records of kind "state" for each shard that keeps something, then one of kind "merged".

    Where a shard failed there is one "failure" record for each reason, and no merge. Memory: the sum, and the results
    that arrive before their turn.
    """
    total = accumulator(settings)
    return _reduced(lines, total.add, lambda: _merged_record(total.merged()), lambda result: _kept(result, settings))


def reduce_arrays(lines: Iterable[bytes], total: ArrayMean | ArraySum) -> Iterator[Record]:
    """One record of kind "merged", or of kind "failure" for each reason."""
    return _reduced(lines, total.add, total.record)


def _reduced(
    lines: Iterable[bytes],
    add: Callable[[Result], object],
    merged: Callable[[], Record],
    kept: Callable[[Result], Iterable[Record]] = lambda _: (),
) -> Iterator[Record]:
    failures: list[Record] = []
    results = _results(lines, failures)
    try:
        for result in in_order(results):
            add(result)
            yield from kept(result)
        if not failures:
            yield merged()
    except (DataError, DivergedError) as error:
        for _ in results:  # a missing shard may be one whose failure is still to be read
            pass
        if not failures:
            kind = "diverged" if isinstance(error, DivergedError) else "data"
            yield failure_record(Failure(str(error), kind))
    yield from failures


def _results(lines: Iterable[bytes], failures: list[Record]) -> Iterator[Result]:
    for line in lines:
        record = read_record(line)
        if record.kind == "failure":
            failures.append(record)
        else:
            yield result_from(record)


def _kept(result: Result, settings: JobSettings) -> Iterator[Record]:
    trained = result.content
    if isinstance(trained, ShardResult):
        velocity = trained.state.velocity if settings.momentum_rule == "keep" else None
        if trained.state.chains is not None or velocity is not None:
            yield state_record(result.name.text, ShardState(trained.state.chains, velocity))


def _merged_record(merged: Merged) -> Record:
    facts = {"rows": merged.rows, "seconds": merged.seconds}
    if merged.statistics is not None:
        return Record("merged", facts, {name: getattr(merged.statistics, name) for name in PARAMETERS})
    if merged.params is None:
        raise AssertionError("a merge without weights or statistics")
    facts |= {"visible": merged.params.visible, "hidden": merged.params.hidden}
    velocity = {} if merged.velocity is None else params_to("velocity.", merged.velocity)
    return Record("merged", facts, params_to("", merged.params) | velocity)


def merged_from(record: Record, settings: JobSettings) -> Merged:
    """The outcome in a record of kind "merged"."""
    facts, tensors = record.facts, record.tensors
    if settings.merge == "gradient":
        statistics = Statistics.of((tensors[name] for name in PARAMETERS), sum(facts["rows"].values()))
        return Merged(None, None, statistics, facts["rows"], facts["seconds"])
    params = params_from("", tensors, facts["visible"], facts["hidden"])
    return Merged(params, params_from("velocity.", tensors), None, facts["rows"], facts["seconds"])
