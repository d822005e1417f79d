"""A shard's part in a round of a stack: all layers, one after another, then the whole net; one task, one job."""

from __future__ import annotations

from rbmx.backends import Rows
from rbmx.errors import DivergedError
from rbmx.jobs.job_file import layers_to, network_to
from rbmx.jobs.reading import Given, labels_of
from rbmx.jobs.records import Arrays
from rbmx.jobs.shard import ShardState, shard_key, train_shard
from rbmx.jobs.stack_round import FineTuning, StackRound
from rbmx.jobs.watch import Watch, share_done
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.training.ascent import ascend
from rbmx.training.backprop import Network
from rbmx.training.callbacks import Callback
from rbmx.training.fine_tuning import fine_tune
from rbmx.training.starting import start_at_data

__all__ = ["train_layers"]

TUNING = 1 << 32  # folded into a shard's key, where the layers have their numbers


def train_layers(job: StackRound, given: Given, watch: Watch) -> Arrays:
    """The shard's layers after greedy training on its rows, and the net after tuning.

    Raises:
        DataError: a classifier's labels are missing, or none of its classes.
        DivergedError: names the shard and the layer.
    """
    key = shard_key(job.settings.config.seed, given.number, job.number)
    where = f"round {job.number + 1}: {given.where}"
    labels = None
    if job.tuning is not None and job.tuning.network == "classifier":
        labels = labels_of(given, job.tuning.n_classes or 0)
    layers = _greedily(job, given, key, watch, where) if job.trains_layers else job.layers
    tensors = layers_to(layers)
    if job.tuning is not None:
        network = job.tuning.begin(layers) if job.network is None else job.network.copy()
        _tune(network, given.rows, labels, job.tuning, key.fold_in(TUNING), watch, where)
        tensors |= network_to(network)
    return Arrays(tensors, len(given.rows))


def _greedily(job: StackRound, given: Given, key: Key, watch: Watch, where: str) -> list[RBMParams]:
    """Each layer trained on what the trained ones below hand up."""
    rows: Rows = given.rows
    trained: list[RBMParams] = []
    for i, start in enumerate(job.layers):
        settings, layer = job.plans[i], start.copy()
        if settings.config.visible_bias == "data" and not layer.visible_bias.any():
            start_at_data(layer, [rows], given.where)
        what = f"{where}: layer {i + 1} of {len(job.layers)}"
        watch.status(f"{what}: training on {len(rows)} rows")
        batches = settings.local_epochs * -(-len(rows) // settings.config.batch_size)
        of_layer = key.fold_in(i)
        try:
            result = train_shard(
                layer,
                ShardState(),
                rows,
                settings,
                of_layer,
                round_number=job.number,
                report=share_done(watch, what, batches),
            )
        except DivergedError as error:
            raise DivergedError(f"{given.where}: layer {i + 1} of {len(job.layers)}: {error}") from None
        trained.append(result.params)
        if i + 1 < len(job.layers):
            rows = ascend(
                rows,
                [result.params],
                mode=settings.propagate,
                seed=of_layer.fold_in(Purpose.SAMPLING).seed,
                first_row=given.first_row,
                engine=settings.config.engine,
            )
    return trained


def _tune(network: Network, rows: Rows, labels: object, tuning: FineTuning, key: Key, watch: Watch, where: str) -> None:
    try:
        fine_tune(
            network,
            rows,
            labels,
            loss=str(tuning.loss),
            optimizer=tuning.optimizer,
            epochs=tuning.epochs,
            batch_size=tuning.batch_size,
            seed=key.seed,
            callbacks=[_Notice(watch, where, tuning.epochs)],
            progress=False,
        )
    except DivergedError as error:
        raise DivergedError(f"{where}: {error}") from None


class _Notice(Callback):
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
