"""What travels between mapper, reducer and driver: one sealed line of text for each result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from rbmx.bits import PackedBits
from rbmx.envelope import seal, unseal
from rbmx.errors import DataError
from rbmx.jobs.shard import ShardResult, ShardState, Statistics
from rbmx.params import PARAMETERS
from rbmx.tensors import Tensors, params_from, params_to

__all__ = ["Arrays", "Content", "Failure", "Name", "Record", "Result", "read_record", "state_record", "write_record"]

TAG = "rbmx-result-1"


@dataclass(frozen=True)
class Name:
    """Which shard a result comes from.

    Attributes:
        text: "000003", or the digest of the bytes of a split of CSV text.
        number, of: of a numbered shard; None of a split.
    """

    text: str
    number: int | None = None
    of: int | None = None


@dataclass(frozen=True, eq=False)
class Arrays:
    """What a shard gave as arrays by name, to be averaged or added up, with further numbers to be added up."""

    tensors: Tensors
    rows: int
    sums: dict[str, float] = field(default_factory=dict)


Content = ShardResult | Statistics | Arrays


@dataclass(frozen=True, eq=False)
class Result:
    """What one shard gave in a round, and the seconds of each part of the work."""

    name: Name
    content: Content
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An error that no second attempt would mend, carried to the driver as a result is."""

    message: str
    kind: str = "data"


@dataclass(frozen=True, eq=False)
class Record:
    """A line's content: its kind, facts and arrays."""

    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    tensors: Tensors = field(default_factory=dict)


def write_record(record: Record) -> bytes:
    """The line, without a newline."""
    tensors = {name: np.ascontiguousarray(array) for name, array in record.tensors.items()}
    payload = safetensors.numpy.save(tensors) if tensors else b""
    return seal(TAG, {"kind": record.kind, **record.facts}, payload)


def read_record(line: bytes, name: str = "result") -> Record:
    """The record that write_record wrote.

    Raises:
        DataError: a line that is damaged or none of ours.
    """
    facts, payload = unseal(TAG, line, name)
    try:
        tensors = safetensors.numpy.load(payload) if payload else {}
        return Record(facts.pop("kind"), facts, tensors)
    except (safetensors.SafetensorError, KeyError) as error:
        raise DataError(f"{name}: damaged line: {error}") from None


def result_record(result: Result) -> Record:
    """A shard's result as a record."""
    facts: dict[str, Any] = {**vars(result.name), "rows": result.content.rows, "seconds": result.seconds}
    content = result.content
    if isinstance(content, Arrays):
        return Record("arrays", {**facts, "sums": content.sums}, content.tensors)
    if isinstance(content, Statistics):
        return Record("statistics", facts, {name: getattr(content, name) for name in PARAMETERS})
    facts |= {"minibatches": content.minibatches, "visible": content.params.visible, "hidden": content.params.hidden}
    units, tensors = _state_to(content.state)
    return Record("trained", facts | units, params_to("", content.params) | tensors)


def result_from(record: Record) -> Result:
    """The result in a record of kind "trained", "statistics" or "arrays".

    Raises:
        DataError: another kind, or parts missing.
    """
    facts, tensors = record.facts, record.tensors
    try:
        name = Name(facts["text"], facts["number"], facts["of"])
        if record.kind == "arrays":
            return Result(name, Arrays(tensors, facts["rows"], facts["sums"]), facts["seconds"])
        if record.kind == "statistics":
            sums = Statistics.of((tensors[part] for part in PARAMETERS), facts["rows"])
            return Result(name, sums, facts["seconds"])
        params = params_from("", tensors, facts["visible"], facts["hidden"])
        if record.kind != "trained" or params is None:
            raise DataError(f"result: expected a shard's weights or statistics, got {record.kind!r}")
        trained = ShardResult(params, _state_from(facts, tensors), facts["rows"], facts["minibatches"])
        return Result(name, trained, facts["seconds"])
    except KeyError as error:
        raise DataError(f"result: a {record.kind!r} line lacks {error}") from None


def failure_record(failure: Failure) -> Record:
    """A failure as a record."""
    return Record("failure", {"message": failure.message, "error": failure.kind})


def state_record(name: str, state: ShardState) -> Record:
    """What a shard leaves to its next round, as a record."""
    units, tensors = _state_to(state)
    return Record("state", {"text": name, **units}, tensors)


def state_from(record: Record) -> tuple[str, ShardState]:
    """Name and state of a record of kind "state"."""
    return record.facts["text"], _state_from(record.facts, record.tensors)


def _state_to(state: ShardState) -> tuple[dict[str, Any], Tensors]:
    tensors: Tensors = {} if state.velocity is None else params_to("velocity.", state.velocity)
    if isinstance(state.chains, PackedBits):
        return {"chain_units": state.chains.n_units}, tensors | {"chains": state.chains.words}
    if state.chains is not None:
        tensors["chains"] = state.chains
    return {}, tensors


def _state_from(facts: dict[str, Any], tensors: Tensors) -> ShardState:
    chains: Any = tensors.get("chains")
    if chains is not None and "chain_units" in facts:
        chains = PackedBits(chains, facts["chain_units"])
    return ShardState(chains, params_from("velocity.", tensors))
