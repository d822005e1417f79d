"""A shard's part in a round of a stack: all layers, one after another, then the whole net; one task, one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rbmx.backends import Rows
from rbmx.errors import DivergedError
from rbmx.jobs.job_file import layers_to, network_to
from rbmx.jobs.reading import Given, labels_of
from rbmx.jobs.records import Arrays
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.shard import ShardState, shard_key, train_shard
from rbmx.jobs.stack_round import StackRound
from rbmx.jobs.watch import Watch, share_done
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.training.ascent import ascend
from rbmx.training.backprop import Network
from rbmx.training.callbacks import Callback
from rbmx.training.fine_tuning import fine_tune
from rbmx.training.optimizers import Optimizer
from rbmx.training.starting import start_at_data

__all__ = ["TUNING", "Notice", "train_greedily", "train_layers", "tune"]

TUNING = 1 << 32  # folded into a shard's key, where the layers have their numbers


def train_layers(job: StackRound, given: Given, watch: Watch) -> Arrays:
    """The shard's layers after greedy training on its rows, and the net after tuning.

    Raises:
        DataError: a classifier's labels are missing, or none of its classes.
        DivergedError: names the shard and the layer.
    """
    key = shard_key(job.settings.config.seed, given.number, job.number)
    tuning, layers = job.tuning, job.layers
    classes = 0 if tuning is None else tuning.n_classes or 0
    labels = labels_of(given, classes) if classes else None
    if job.trains_layers:
        layers = train_greedily(
            layers,
            job.plans,
            given.rows,
            key,
            round_number=job.number,
            first_row=given.first_row,
            where=given.where,
            watch=watch,
        )
    tensors = layers_to(layers)
    if tuning is not None:
        network = tuning.begin(layers) if job.network is None else job.network.copy()
        with watch.part("tune"):
            tune(
                network,
                given.rows,
                labels,
                loss=str(tuning.loss),
                optimizer=tuning.optimizer,
                epochs=tuning.epochs,
                batch_size=tuning.batch_size,
                key=key.fold_in(TUNING),
                where=given.where,
                watch=watch,
            )
        tensors |= network_to(network)
    return Arrays(tensors, len(given.rows))


def train_greedily(
    layers: Sequence[RBMParams],
    plans: Sequence[JobSettings],
    rows: Rows,
    key: Key,
    *,
    round_number: int = 0,
    first_row: int = 0,
    where: str,
    watch: Watch,
) -> list[RBMParams]:
    """Each layer trained on what the trained ones below hand up; a pure function of all but `watch`.

    Args:
        layers: to start from, from the data up; not changed.
        plans: settings of each.
        rows: of a shard.
        key: of the shard in the round.
        round_number: from 0; decides the learning rates.
        first_row: global number of the first row.
        where: what errors and notices call the shard.
        watch: hears of progress.

    Raises:
        DivergedError: names the shard and the layer.
    """
    trained: list[RBMParams] = []
    for i, (start, plan) in enumerate(zip(layers, plans, strict=True)):
        config, layer, of_layer = plan.config, start.copy(), key.fold_in(i)
        if config.visible_bias == "data" and not layer.visible_bias.any():
            start_at_data(layer, [rows], where)
        what = f"{where}: layer {i + 1} of {len(layers)}"
        watch.status(f"{what}: training on {len(rows)} rows")
        report = share_done(watch, what, plan.local_epochs * -(-len(rows) // config.batch_size))
        try:
            found = train_shard(layer, ShardState(), rows, plan, of_layer, round_number=round_number, report=report)
        except DivergedError as error:
            raise DivergedError(f"{what}: {error}") from None
        trained.append(found.params)
        if i + 1 < len(layers):
            noise = of_layer.fold_in(Purpose.SAMPLING).seed
            up = [found.params]
            rows = ascend(rows, up, mode=plan.propagate, seed=noise, first_row=first_row, engine=config.engine)
    return trained


def tune(
    network: Network,
    rows: Rows,
    targets: object,
    *,
    loss: str,
    optimizer: Optimizer | str,
    epochs: int,
    batch_size: int,
    key: Key,
    where: str,
    watch: Watch,
) -> None:
    """A net by backprop on a shard's rows, in place; arguments as in rbmx.training.fine_tuning.fine_tune.

    Raises:
        DivergedError: names the shard.
    """
    notice = Notice(watch, where, epochs)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is an error
            fine_tune(
                replace(network, reproducible=True),  # the same arrays
                rows,
                targets,
                loss=loss,
                optimizer=optimizer,
                epochs=epochs,
                batch_size=batch_size,
                seed=key.seed,
                callbacks=[notice],
                progress=False,
            )
    except DivergedError as error:
        raise DivergedError(f"{where}: the net: {error}") from None


class Notice(Callback):
    """Says how far the tuning is."""

    def __init__(self, watch: Watch, where: str, epochs: int) -> None:
        self._report = share_done(watch, f"{where}: tuning the net", epochs)
        self._watch, self._what, self._done = watch, where, 0

    def on_train_start(self, trainer: object) -> None:
        """That it begins."""
        self._watch.status(f"{self._what}: tuning the net")

    def on_epoch_end(self, trainer: object, record: object) -> None:
        """How many epochs are done."""
        self._done += 1
        self._report(self._done)
