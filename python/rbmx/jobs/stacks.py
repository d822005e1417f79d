"""rbmx.jobs.train_stack: all layers of a stack, and the net that they make, in one job a round."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmx.backends import Rows, as_array, backend_for
from rbmx.data import Dataset, Encoding, open_source
from rbmx.data.labelled import as_labels
from rbmx.data.opening import UNSET, Unset
from rbmx.errors import DataError, JobError
from rbmx.files import require_writable
from rbmx.jobs.archive import shipped
from rbmx.jobs.engine import Engine, Runner
from rbmx.jobs.inputs import Inputs, open_inputs, reading_options, require_width
from rbmx.jobs.job_file import layers_from, network_from
from rbmx.jobs.one_job import run_job
from rbmx.jobs.records import Record
from rbmx.jobs.rounds import at_work, job_settings, require_same_reading, same_shards
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.stack_round import FineTuning, StackRecord, StackRound, load_stack_round, save_stack_round
from rbmx.jobs.step import merged_record
from rbmx.params import RBMParams
from rbmx.training.backprop import Network
from rbmx.training.greedy import initial_stack
from rbmx.training.measuring import VALIDATION_ROWS, first_rows

__all__ = ["StackOutcome", "train_stack"]

WATCHED_ROWS = 1000
DEFAULT_EPOCHS = 10


@dataclass(frozen=True, eq=False)
class StackOutcome:
    """What a job over a stack leaves.

    Attributes:
        layers: the trained RBMs, from the data up.
        network: the tuned net, None without tuning.
        history: a record a round.
        job: where it stands; `resume` goes on from it.
    """

    layers: list[RBMParams]
    network: Network | None
    history: list[StackRecord]
    job: StackRound


def train_stack(
    data: Any,
    sizes: Sequence[int] | None = None,
    *,
    epochs: int | Unset = UNSET,
    rounds: int = 1,
    shards: int | None = None,
    fine_tune: FineTuning | Literal["autoencoder", "classifier"] | None = None,
    n_classes: int | None = None,
    labels: ArrayLike | None = None,
    units: str | Sequence[str] | None = None,
    per_layer: Sequence[Mapping[str, Any]] = (),
    runner: Runner = "inline",
    label: Literal["first", "last"] | Unset | None = UNSET,
    binarize: float | Literal["sample"] | None = None,
    scale: float | None = None,
    on_bad_row: Literal["raise", "skip"] | Unset = UNSET,
    validation: Any = None,
    checkpoint: str | Path | None = None,
    resume: str | Path | StackRound | None = None,
    conf_paths: Sequence[str] = (),
    jobconf: dict[str, str] | None = None,
    options: Sequence[str] = (),
    maps: int | None = None,
    ship: bool = True,
    on_round_end: Callable[[StackRound, StackRecord], object] | None = None,
    **settings: Any,
) -> StackOutcome:
    """Train a stack over shards: one job a round, in which each task trains all layers on its shard, one after another.

    A task trains layer 1 for `epochs` passes over its shard, hands its rows up, trains layer 2, and so on to the top
    (Hinton, Osindero and Teh 2006), then tunes the whole net by backprop where that is asked for, and gives all
    weights, which are averaged by rows. What a job costs before it works is paid once, not once a layer. A round after
    the first starts from the average: the layers train on, or, where a net was tuned, the net is tuned on. The outcome
    depends on the shards and the seed alone, not on the engine, the number of tasks or tasks that were lost: the same
    bytes.

    Args:
        data: as in train_rounds.
        sizes: units of each level, from the data up; not with `resume`.
        epochs: passes over its shard that a task makes for each layer in a round, 10 unless given.
        rounds: in all.
        shards: how many; None: 4, or as many as `data` holds.
        fine_tune: "autoencoder", "classifier" or a FineTuning with its settings.
        n_classes: of a classifier; None: of a FineTuning.
        labels: of a classifier: an integer for each row of an array; CSV text and shards have their own.
        units: unit types, as in rbmx.training.greedy.initial_stack.
        per_layer: settings that differ in layers, from the data up: [{"lr": 0.001}, {}, {"epochs": 20}].
        runner, label, binarize, scale, on_bad_row, conf_paths, jobconf, options, maps, ship: as in train_rounds.
        validation: data to measure after each round, or (data, labels) for a classifier.
        checkpoint: a file, replaced whole after each round.
        resume: such a file, or its job: goes on to `rounds` in all; what belongs to its settings is refused beside it.
        on_round_end: called after each round, when it is saved, with what the next one starts from.
        settings: of job_settings: batch_size, lr, k, momentum, seed, propagate, weighting, ...; CD unless a sampler is
            named.

    Raises:
        ValueError: settings that make no sense.
        DataError, DivergedError, JobError: a round failed; one line that names the shard. The checkpoint holds the one
            before.
    """
    if (resume is None) == (sizes is None):
        raise ValueError("sizes: expected the units of each level, or resume=, which knows them")
    if resume is not None:
        column = None if isinstance(label, Unset) else str(label)
        how_read = {"label": column, "binarize": binarize, "scale": scale, "on_bad_row": on_bad_row}
        nets = {"fine_tune": fine_tune, "n_classes": n_classes, "units": units, "per_layer": per_layer or None}
        _refuse_beside_resume({"epochs": epochs, **nets, **how_read, **settings})
    epochs = DEFAULT_EPOCHS if isinstance(epochs, Unset) else epochs
    on_bad_row = "raise" if isinstance(on_bad_row, Unset) else on_bad_row
    if checkpoint is not None:
        require_writable(checkpoint)
    earlier = load_stack_round(resume) if isinstance(resume, (str, Path)) else resume
    told = None if isinstance(label, Unset) else label
    tuning = earlier.tuning if earlier is not None else _tuning(fine_tune, n_classes)
    layers = [] if sizes is None else initial_stack(sizes, units=units, seed=settings.get("seed", 0))
    if earlier is not None:
        reading = earlier.settings
        shards = same_shards(shards, reading.shards)
    else:
        unbounded = layers[0].visible != "bernoulli"
        encoding = Encoding(binarize, scale, settings.get("seed", 0), unbounded=unbounded)
        reading = JobSettings(encoding=encoding, label=told, on_bad_row=on_bad_row)
    classifies = tuning is not None and tuning.network == "classifier"
    with at_work(runner, shards, conf_paths=conf_paths, jobconf=jobconf, options=options, maps=maps) as engine:
        unlabelled = earlier is None and isinstance(label, Unset)
        inputs = open_inputs(
            data, shards, engine, reading, refuse_csv=unlabelled, labels=labels, keep_labels=classifies
        )
        if earlier is not None:
            require_same_reading(reading, inputs.head)
            job = earlier.with_rounds(rounds)
        else:
            common = {"sampler": "cd", "rounds": rounds, "local_epochs": epochs, **settings}
            common |= {"label": told, "on_bad_row": on_bad_row}
            common |= {"kind": inputs.head.kind, "encoding": inputs.head.encoding}
            plans = _plans(len(layers), inputs.shards, common, per_layer)
            job = StackRound(layers, tuple(replace(plan, shards=shards) for plan in plans), tuning)
        require_width(inputs.head, job)
        monitor = _Monitor(job, inputs.head, validation)
        if runner == "hadoop" and ship:
            engine = shipped(engine)
        if checkpoint is not None:
            save_stack_round(checkpoint, job)
        while job.number < rounds:
            job, record = _round(job, inputs, engine, monitor, checkpoint)
            if on_round_end is not None:
                on_round_end(job, record)
    return StackOutcome(job.layers, job.network, job.history, job)


def _refuse_beside_resume(given: dict[str, Any]) -> None:
    names = [name for name, value in given.items() if value is not None and not isinstance(value, Unset)]
    if names:
        raise ValueError(
            "resume: the earlier job's settings hold; only rounds, data and the engine can be given beside it, got "
            f"{', '.join(names)}"
        )


def _tuning(asked: FineTuning | str | None, n_classes: int | None) -> FineTuning | None:
    if asked is None or isinstance(asked, FineTuning):
        if n_classes is not None:
            raise ValueError(f"n_classes: is for fine_tune='classifier', got {n_classes}")
        return asked
    return FineTuning(asked, n_classes=n_classes)  # type: ignore[arg-type]


def _plans(
    layers: int, shards: int, common: dict[str, Any], per_layer: Sequence[Mapping[str, Any]]
) -> list[JobSettings]:
    """The settings of each layer's training."""
    if per_layer and len(per_layer) != layers:
        raise ValueError(f"per_layer: expected settings for each of {layers} layers, got {len(per_layer)}")
    plans = []
    for own in per_layer or [{}] * layers:
        changed = dict(own)
        if "epochs" in changed:
            changed["local_epochs"] = changed.pop("epochs")
        plans.append(job_settings(shards=shards, **{**common, **changed}))
    return plans


def _round(
    job: StackRound, inputs: Inputs, engine: Engine, monitor: _Monitor, checkpoint: str | Path | None
) -> tuple[StackRound, StackRecord]:
    """The job after one more round, kept."""
    started = time.perf_counter()
    round_file = engine.folder / "round.safetensors"
    try:
        save_stack_round(round_file, job)
        lines, _ = run_job(engine, job, round_file, inputs)
        merged, _ = merged_record(lines)
        following = _following(job, merged)
    except (DataError, ArithmeticError, JobError) as error:
        left = "" if checkpoint is None else f"; {checkpoint} holds the stack after round {job.number}"
        raise type(error)(f"round {job.number + 1}: {error}{left}") from error
    seconds = time.perf_counter() - started
    in_turn = sum if engine.runner == "inline" else max
    parts_of_shards = merged.facts["seconds"].values()
    record = StackRecord(
        following.number,
        sum(merged.facts["rows"].values()),
        seconds,
        len(merged.facts["rows"]),
        in_turn([sum(parts.values()) for parts in parts_of_shards]),
        *monitor.measure(following),
        in_turn([parts.get("tune", 0.0) for parts in parts_of_shards]),
    )
    following = replace(following, history=[*job.history, record])
    if checkpoint is not None:
        save_stack_round(checkpoint, following)
    return following, record


def _following(job: StackRound, merged: Record) -> StackRound:
    """The round that starts from the average."""
    layers = layers_from(merged.tensors, [(layer.visible, layer.hidden) for layer in job.layers])
    network = None
    if job.tuning is not None:
        shape = job.network or job.tuning.begin(job.layers)
        network = network_from(merged.tensors, [layer.activation for layer in shape.layers])
    return replace(job, layers=layers, network=network, number=job.number + 1)


class _Monitor:
    """Rows at the driver, with labels for a classifier, that each round is measured on."""

    def __init__(self, job: StackRound, head: Dataset, validation: Any) -> None:
        self._classifies = job.tuning is not None and job.tuning.network == "classifier"
        self._seen = self._taken(job, head, WATCHED_ROWS)
        self._unseen: tuple[Rows, NDArray[np.int64] | None] | None = None
        if validation is not None:
            data, labels = validation if isinstance(validation, tuple) else (validation, None)
            dataset = open_source(data, **reading_options(job.settings, data))
            require_width(dataset, job)
            if labels is not None:
                dataset = dataset.with_labels(labels)
            self._unseen = self._taken(job, dataset, VALIDATION_ROWS)

    def measure(self, job: StackRound) -> tuple[float, float | None]:
        """Loss per row of what was seen and of what was not."""
        return self._loss(job, *self._seen), None if self._unseen is None else self._loss(job, *self._unseen)

    def _taken(self, job: StackRound, dataset: Dataset, limit: int) -> tuple[Rows, NDArray[np.int64] | None]:
        rows = first_rows(dataset, limit)
        if not self._classifies:
            return rows, None
        parts: list[NDArray[np.int64]] = []
        for block in dataset.source.blocks():
            if block.labels is None:
                raise DataError(f"{dataset.name}: no labels, and a classifier is measured by them")
            parts.append(block.labels)
            if sum(map(len, parts)) >= len(rows):
                break
        classes = 0 if job.tuning is None else job.tuning.n_classes or 0
        return rows, as_labels(np.concatenate(parts)[: len(rows)], classes)

    def _loss(self, job: StackRound, rows: Rows, labels: NDArray[np.int64] | None) -> float:
        if job.network is not None and job.tuning is not None:
            target = rows if labels is None else labels
            return replace(job.network, reproducible=True).loss(rows, target, str(job.tuning.loss)) / len(rows)
        states = rows
        pairs = [(layer, backend_for(layer, job.settings.config.engine, reproducible=True)) for layer in job.layers]
        for layer, backend in pairs:
            states = backend.hidden_mean(layer, states)
        for layer, backend in reversed(pairs):
            states = backend.visible_mean(layer, states)
        error = as_array(rows) - as_array(states)
        return float(np.square(error).sum(dtype=np.float64)) / len(rows)
