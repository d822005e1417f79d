"""rbmx.jobs.train_dbn: a deep belief net over shards, layer by layer, each layer in rounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rbmx.data import Encoding
from rbmx.data.opening import UNSET, Unset
from rbmx.errors import CheckpointError
from rbmx.files import require_writable
from rbmx.jobs.archive import shipped
from rbmx.jobs.driver import RoundWatcher, run_rounds
from rbmx.jobs.engine import Runner
from rbmx.jobs.inputs import open_inputs
from rbmx.jobs.round import Round, load_round
from rbmx.jobs.rounds import at_work, begin, go_on, job_settings, same_shards
from rbmx.jobs.settings import JobSettings
from rbmx.params import RBMParams
from rbmx.training.greedy import initial_stack
from rbmx.training.history import EpochRecord, record_from_json

__all__ = ["DBNResult", "train_dbn"]

PLAN = "dbn"  # under this name Round.extra keeps what the whole job was asked for,
HISTORIES = "dbn histories"  # and under this one the records of the layers below, as JSON


@dataclass(frozen=True, eq=False)
class DBNResult:
    """What training layer by layer leaves.

    Attributes:
        layers: the trained RBMs, from the data up.
        histories: a record a round, for each layer.
        job: the last round of the top layer, with the layers below.
    """

    layers: list[RBMParams]
    histories: list[list[EpochRecord]]
    job: Round


def train_dbn(
    data: Any,
    sizes: Sequence[int],
    *,
    rounds: int = 5,
    units: str | Sequence[str] | None = None,
    per_layer: Sequence[Mapping[str, Any]] = (),
    shards: int | None = None,
    runner: Runner = "inline",
    label: Literal["first", "last"] | Unset | None = UNSET,
    binarize: float | Literal["sample"] | None = None,
    scale: float | None = None,
    on_bad_row: Literal["raise", "skip"] = "raise",
    validation: Any = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    conf_paths: Sequence[str] = (),
    jobconf: dict[str, str] | None = None,
    options: Sequence[str] = (),
    maps: int | None = None,
    ship: bool = True,
    watcher: RoundWatcher | None = None,
    **settings: Any,
) -> DBNResult:
    """Train a stack over shards, layer by layer, each in `rounds` rounds on what the trained ones below hand up.

    The shards are cut, and put on HDFS, once for all layers. Against train_stack, every layer is averaged after each
    round, so that the next one is trained on the same features in every shard, at the cost of a job a round and layer.

    Args:
        data, shards, runner, label, binarize, scale, on_bad_row, validation: as in train_rounds.
        conf_paths, jobconf, options, maps, ship, watcher: as there.
        sizes: units of each level, from the data up.
        rounds: of each layer.
        units: unit types, as in rbmx.training.greedy.initial_stack.
        per_layer: settings that differ in layers, from the data up: [{"lr": 0.001}, {}, {"rounds": 10}].
        checkpoint: a model file, replaced whole after each round: the layer under training and those below.
        resume: go on from the checkpoint, in the middle of the stack, to the bit; the other arguments are as before.
        settings: of job_settings: local_epochs, batch_size, lr, propagate ("mean" or "sample"), seed, ...

    Raises:
        ValueError: settings that make no sense, or others than those of the job that is resumed.
        DataError, DivergedError, JobError: a round failed; the checkpoint holds the one before.
    """
    seed = settings.get("seed", 0)
    layers = initial_stack(sizes, units=units, seed=seed)
    if per_layer and len(per_layer) != len(layers):
        raise ValueError(f"per_layer: expected settings for each of {len(layers)} layers, got {len(per_layer)}")
    if resume and checkpoint is None:
        raise ValueError("resume: expected checkpoint= beside it, the file to go on from")
    if checkpoint is not None:
        require_writable(checkpoint)
    told = None if isinstance(label, Unset) else label
    common = {"rounds": rounds, "label": told, "on_bad_row": on_bad_row, **settings}
    own: list[dict[str, Any]] = [{**common, **changes} for changes in (per_layer or [{}] * len(layers))]
    asked = json.dumps(
        {
            "sizes": list(sizes),
            "units": [(layer.visible, layer.hidden) for layer in layers],
            "settings": [_in_one_place(plan) for plan in own],
        }
    )
    earlier = _earlier(checkpoint, asked) if resume and checkpoint is not None else None
    encoding = Encoding(binarize, scale, seed, unbounded=layers[0].visible != "bernoulli")
    reading = JobSettings(encoding=encoding, label=told, on_bad_row=on_bad_row)
    if earlier is not None:
        shards = same_shards(shards, earlier.settings.shards)
    done = [] if earlier is None else list(earlier.lower)
    histories = [] if earlier is None else _histories(earlier)
    with at_work(runner, shards, conf_paths=conf_paths, jobconf=jobconf, options=options, maps=maps) as engine:
        inputs = open_inputs(data, shards, engine, reading, refuse_csv=isinstance(label, Unset))
        if runner == "hadoop" and ship:
            engine = shipped(engine)
        for i in range(len(done), len(layers)):
            if earlier is not None and i == len(earlier.lower):
                job = go_on(earlier, earlier.settings.rounds, inputs)
            else:
                plan = replace(job_settings(shards=inputs.shards, **own[i]), shards=shards)
                extra = {PLAN: asked, HISTORIES: _as_json(histories)}
                job = begin(layers[i], plan, inputs, lower=done, extra=extra)
            result = run_rounds(job, inputs, engine, validation=validation, checkpoint=checkpoint, watcher=watcher)
            done = [*done, result.params]
            histories.append(result.history)
    return DBNResult(done, histories, result.job)


def _earlier(checkpoint: str | Path, asked: str) -> Round:
    """The round to go on from.

    Raises:
        CheckpointError: no round of such a job.
        ValueError: other settings.
    """
    job = load_round(checkpoint)
    if not {PLAN, HISTORIES} <= job.extra.keys():
        raise CheckpointError(f"{checkpoint}: expected a model of train_dbn, this one was trained as a single layer")
    if changed := list(_changed(json.loads(job.extra[PLAN]), json.loads(asked))):
        raise ValueError(f"resume: {checkpoint} was begun with other settings: {'; '.join(changed)}")
    return job


def _in_one_place(plan: dict[str, Any]) -> dict[str, Any]:
    """A layer's settings as JSON values before they are made to fit shards, and how they are to fit."""
    fitting = {name: plan.get(name) for name in ("split_batch", "rate_scale")}
    return {**job_settings(shards=1, **plan).to_dict(), **fitting}


def _changed(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """What differs between two values of JSON, by its place."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from _changed(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from _changed(one, other, f"{name}[{i}]")
    elif before != now:
        yield f"{name} {before}, got {now}"


def _as_json(histories: Sequence[Sequence[EpochRecord]]) -> str:
    return json.dumps([[record.to_json() for record in history] for history in histories])


def _histories(job: Round) -> list[list[EpochRecord]]:
    """Of the layers below the one under training."""
    kept = json.loads(job.extra[HISTORIES])
    return [[record_from_json(record) for record in history] for history in kept]
