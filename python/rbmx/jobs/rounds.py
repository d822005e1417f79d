"""rbmx.jobs.train_rounds: one RBM trained over shards, in plain words."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rbmx.arguments import items, number, whole_number
from rbmx.backends.native import get_num_threads
from rbmx.data import Dataset, Encoding
from rbmx.data.opening import UNSET, Unset
from rbmx.errors import JobError
from rbmx.files import require_writable
from rbmx.jobs.archive import shipped
from rbmx.jobs.driver import RoundsResult, RoundWatcher, run_rounds
from rbmx.jobs.engine import Engine, Runner
from rbmx.jobs.inputs import DEFAULT_SHARDS, Inputs, open_inputs, require_width
from rbmx.jobs.reading import propagate
from rbmx.jobs.round import Round, load_round
from rbmx.jobs.settings import JobSettings
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.samplers import PCD, Sampler, sampler_from
from rbmx.training import L2, LinearDecay, TrainConfig
from rbmx.training.optimizers import Optimizer, optimizer_from
from rbmx.training.passes import MAX_BATCH
from rbmx.training.penalties import Penalty
from rbmx.training.schedules import Schedule
from rbmx.training.starting import start_at_data

if TYPE_CHECKING:
    from rbmx.jobs.round_job import RoundJob

__all__ = [
    "at_work",
    "begin",
    "go_on",
    "job_settings",
    "require_same_reading",
    "same_shards",
    "train_rounds",
]

LINEAR = LinearDecay()
SMALLEST_BATCH = 12  # rows: smaller ones cost likelihood at 16 shards (docs/shards.md, "When averaging is as good")
RATE_SCALES = {"none": 0.0, "sqrt": 0.5, "shards": 1.0}  # the exponent of the number of shards
OF_JOBS = {field.name for field in dataclasses.fields(JobSettings)} - {"config"}  # this function makes it


def job_settings(
    *,
    shards: int = DEFAULT_SHARDS,
    rounds: int = 5,
    local_epochs: int = 1,
    batch_size: int = 100,
    split_batch: bool = True,
    lr: float | None = None,
    rate_scale: Literal["none", "sqrt", "shards"] = "none",
    sampler: Sampler | str = "pcd",
    k: int | None = None,
    persistent: bool | None = None,
    optimizer: Optimizer | str = "sgd",
    momentum: float | None = None,
    penalties: Sequence[Penalty] = (),
    weight_decay: float = 0.0,
    centering: float = 0.0,
    schedule: Schedule | None = LINEAR,
    shuffle: bool = True,
    seed: int = 0,
    engine: str = "auto",
    visible_bias: str = "data",
    **others: Any,
) -> JobSettings:
    """The settings of a job in terms of one place: its batch and its rate are made to fit the shards.

    Args:
        shards: how many the data are cut into.
        rounds, local_epochs: rounds of the job, passes over its shard that a task makes in a round.
        batch_size: of one place.
        split_batch: a shard takes batch_size / shards rows a minibatch, so that it makes as many updates a pass as one
            place would, but not fewer than 12; False: batch_size.
        lr: learning rate of one place, None: the optimizer's own; where 12 rows a shard make the batch of all shards
            larger than batch_size, the rate grows as it does.
        rate_scale: the shards' rate is multiplied with 1 ("none"), the root of shards ("sqrt") or their number.
        sampler, k, persistent: as in RBM.fit; PCD without a number of chains keeps twice as many in each shard as
            its minibatch has rows: the small minibatches of many shards need the better negative phase.
        optimizer, momentum, penalties, weight_decay: as in RBM.fit; the moments of Adam and RMSProp start anew in each
            round (momentum_rule="reset").
        centering: as in TrainConfig, 0: plain gradients; offsets start at the shard's rows in each round.
        schedule, shuffle, seed, engine, visible_bias: as in TrainConfig.
        others: merge, weighting, momentum_rule, outer_momentum, encoding, label, on_bad_row, propagate of JobSettings.

    Raises:
        TypeError: a name that is none of a setting.
        ValueError: values that make no sense.
    """
    if unknown := sorted(set(others) - OF_JOBS):
        raise TypeError(f"{unknown[0]}: no setting of a job has this name")
    whole = {"shards": shards, "rounds": rounds, "local_epochs": local_epochs, "batch_size": batch_size}
    for name, value in whole.items():
        whole_number(name, value)
    if shards < 1:
        raise ValueError(f"shards: expected 1 or more, got {shards}")
    if rate_scale not in RATE_SCALES:
        raise ValueError(f"rate_scale: expected one of {', '.join(RATE_SCALES)}, got {rate_scale!r}")
    gradient = others.get("merge") == "gradient"
    if gradient and sampler == "pcd" and persistent is None:
        sampler = "cd"
    rows = max(min(SMALLEST_BATCH, batch_size), round(batch_size / shards)) if split_batch else batch_size
    larger = max(1.0, rows * shards / batch_size) if split_batch else 1.0
    chosen = optimizer_from(optimizer, lr=lr, momentum=momentum)
    if chosen.update(1.0).has_squares:
        others.setdefault("momentum_rule", "reset")
    decay = [L2(weight_decay)] if number("weight_decay", weight_decay) else []
    config = TrainConfig(
        centering=centering,
        epochs=rounds * local_epochs,
        batch_size=rows,
        sampler=_with_chains(sampler_from(sampler, k=k, persistent=persistent), rows),
        optimizer=replace(chosen, lr=chosen.lr * larger * shards ** RATE_SCALES[rate_scale]),
        penalties=(*items("penalties", penalties, "penalties"), *decay),
        schedule=schedule,
        shuffle=shuffle,
        seed=seed,
        engine=engine,
        reproducible=True,
        visible_bias=visible_bias,
    )
    return JobSettings(config=config, rounds=rounds, local_epochs=local_epochs, **others)


def _with_chains(sampler: Sampler, rows: int) -> Sampler:
    if isinstance(sampler, PCD) and sampler.chains is None:
        return replace(sampler, chains=min(2 * rows, MAX_BATCH))
    return sampler


def train_rounds(
    data: Any,
    n_hidden: int | None = None,
    *,
    shards: int | None = None,
    runner: Runner = "inline",
    label: Literal["first", "last"] | Unset | None = UNSET,
    binarize: float | Literal["sample"] | None = None,
    scale: float | None = None,
    on_bad_row: Literal["raise", "skip"] = "raise",
    visible: str = "bernoulli",
    hidden: str = "bernoulli",
    init_std: float = 0.01,
    lower: Sequence[RBMParams] = (),
    validation: Any = None,
    checkpoint: str | Path | None = None,
    resume: str | Path | Round | None = None,
    conf_paths: Sequence[str] = (),
    jobconf: dict[str, str] | None = None,
    options: Sequence[str] = (),
    maps: int | None = None,
    ship: bool = True,
    watcher: RoundWatcher | None = None,
    extra: dict[str, str] | None = None,
    at_most: int | None = None,
    rounds: int = 5,
    **settings: Any,
) -> RoundsResult:
    """Train an RBM over shards: each round every shard trains from the same weights, and the results are merged.

    The outcome depends on the data's shards and on the seed, not on the engine, the number of tasks or nodes, or on
    tasks that were lost and run again: one sha256.

    Args:
        data: an array, a path of CSV, IDX or .npy, a folder or glob of shards (rbmx shard), or an hdfs:// URI of shards
            or of CSV text.
        n_hidden: hidden units; not with `resume`.
        shards: how many; None: 4, or as many as `data` holds, or those of the job that is resumed.
        runner: "inline" (this process), "local" (processes), "hadoop" or "spark".
        label, binarize, scale, on_bad_row: how raw data are read, as for rbmx.data.open_source; CSV text wants a label.
        visible, hidden, init_std: of new parameters.
        lower: frozen layers below, from the data up; the model is trained on what they make of the data.
        validation: data to measure after each round, never trained on.
        checkpoint: a model file, replaced whole after each round.
        resume: a model file of an earlier run (or its Round), to go on from to the bit; `rounds` is the new total.
        conf_paths: mrjob.conf files; () takes the user's own.
        jobconf: Hadoop properties.
        options: further words for mrjob: --python-bin and its like.
        maps: map tasks on Hadoop, fewer than shards where nodes have few cores; None: one a shard. It changes no byte.
        ship: on Hadoop, send the code along; False where the nodes have rbmx.
        watcher: hears of rounds.
        extra: further facts for the model file.
        at_most: rounds to run now; 0 only writes the checkpoint, for rounds that are run by hand. None: all.
        rounds: in all.
        settings: of job_settings.

    Returns:
        RoundsResult(params, state, history, job), a record for each round in history.

    Raises:
        DataError, DivergedError, JobError: a round failed; the checkpoint holds the one before.
    """
    if resume is not None and (n_hidden is not None or settings or lower):
        raise ValueError("resume: the earlier run's settings hold; only rounds, data and the engine can be given")
    if resume is None and n_hidden is None:
        raise ValueError("n_hidden: say how many hidden units the model has")
    for name, value in {"n_hidden": n_hidden, "shards": shards, "rounds": rounds}.items():
        if value is not None:
            whole_number(name, value)
    if checkpoint is not None:
        require_writable(checkpoint)
    earlier = load_round(resume) if isinstance(resume, (str, Path)) else resume
    bottom = lower[0].visible if lower else visible
    encoding = Encoding(binarize, scale, settings.get("seed", 0), unbounded=bottom != "bernoulli")
    told = None if isinstance(label, Unset) else label
    reading = (
        earlier.settings if earlier is not None else JobSettings(encoding=encoding, label=told, on_bad_row=on_bad_row)
    )
    unlabelled = earlier is None and isinstance(label, Unset)
    if earlier is not None:
        shards = same_shards(shards, earlier.settings.shards)
    with at_work(runner, shards, conf_paths=conf_paths, jobconf=jobconf, options=options, maps=maps) as engine:
        inputs = open_inputs(data, shards, engine, reading, refuse_csv=unlabelled)
        if earlier is not None:
            job = go_on(earlier, rounds, inputs)
        else:
            plan = job_settings(shards=inputs.shards, rounds=rounds, label=told, on_bad_row=on_bad_row, **settings)
            plan = replace(plan, shards=shards)
            n_visible = lower[-1].n_hidden if lower else inputs.head.n_visible
            key = Key(plan.config.seed).fold_in(Purpose.INITIAL_WEIGHTS)
            params = RBMParams.initial(n_visible, n_hidden or 0, key=key, std=init_std, visible=visible, hidden=hidden)
            job = begin(params, plan, inputs, lower=lower, extra=extra)
        if runner == "hadoop" and ship and at_most != 0:
            engine = shipped(engine)
        return run_rounds(
            job, inputs, engine, validation=validation, checkpoint=checkpoint, watcher=watcher, at_most=at_most
        )


def begin(
    params: RBMParams,
    settings: JobSettings,
    inputs: Inputs,
    *,
    lower: Sequence[RBMParams] = (),
    extra: dict[str, str] | None = None,
) -> Round:
    """A new job: zero visible biases start at the means of the data, as in rbmx.train."""
    head = inputs.head
    settings = replace(settings, kind=head.kind, encoding=head.encoding)
    job = Round(params.copy(), settings, lower=tuple(lower), extra=dict(extra or {}))
    require_width(head, job)
    if settings.merge == "gradient" and params.log_variance is not None:
        raise ValueError(f"visible: merge='gradient' sums no statistics of variances; {params.visible} needs 'average'")
    if settings.config.visible_bias == "data" and not params.visible_bias.any():
        states = head if lower else head.of(params.visible_unit)
        start_at_data(job.params, (propagate(job, rows, first) for first, rows in states.blocks()), head.name)
    return job


def go_on(earlier: Round, rounds: int, inputs: Inputs) -> Round:
    """An earlier job with a new total of rounds.

    Raises:
        ValueError: these data are read in another way.
    """
    require_width(inputs.head, earlier)
    require_same_reading(earlier.settings, inputs.head)
    return replace(earlier, settings=earlier.settings.with_rounds(rounds))


def require_same_reading(before: JobSettings, head: Dataset) -> None:
    """ValueError where the data of a resumed job are read in another way."""
    if (before.kind, before.encoding) != (head.kind, head.encoding):
        raise ValueError(
            f"resume: the job was begun with {before.encoding.describe()} ({before.kind}), "
            f"{head.name} gives {head.encoding.describe()} ({head.kind})"
        )


def same_shards(asked: int | None, before: int | None) -> int | None:
    """The number of shards of a resumed job."""
    if asked is not None and before is not None and asked != before:
        raise ValueError(f"shards: the job was begun with {before}, got {asked}")
    return asked if before is None else before


@contextmanager
def at_work(
    runner: Runner,
    shards: int | None,
    *,
    conf_paths: Sequence[str] = (),
    jobconf: dict[str, str] | None = None,
    options: Sequence[str] = (),
    maps: int | None = None,
    job: type[RoundJob] | None = None,
) -> Iterator[Engine]:
    """An engine with temporary folders of its own, here and on HDFS."""
    own: dict[str, str] = {}
    if runner == "local":  # tasks share the cores
        own["mapreduce.map.cpu.vcores"] = str(max(1, get_num_threads() // (shards or get_num_threads())))
    with tempfile.TemporaryDirectory(prefix="rbmx-job-") as folder:
        engine = Engine(runner, Path(folder), tuple(conf_paths), own | (jobconf or {}), tuple(options), maps, job)
        try:
            yield engine
        except BaseException:
            with suppress(JobError):  # the first error is the one to tell
                engine.clean_up()
            raise
        engine.clean_up()
