"""What a split does in a round: contrastive divergence layer by layer, then backprop.

Torch is imported for nets of one's own alone.
A pure function of (weights, rows, settings, round), so a task that is lost and run again changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbmx.bits import PackedBits
from rbmx.data.labelled import as_labels
from rbmx.errors import DataError
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.shard import shard_key
from rbmx.jobs.stack_work import TUNING, train_greedily, tune
from rbmx.jobs.watch import Watch
from rbmx.paper.rows import Rows, grey_levels
from rbmx.paper.split_job import SplitJob
from rbmx.paper.weights import Weights
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.tensors import Tensors
from rbmx.training import SGD, TrainConfig
from rbmx.training.backprop import Affine, Network

__all__ = ["SplitTask", "train_split"]

BRIGHT = 0.5  # a pixel above it is on, for contrastive divergence; backprop sees the grey levels


@dataclass(frozen=True, eq=False)
class SplitTask:
    """What all steps of a split's training need.

    Attributes:
        job: the round.
        values: grey levels (rows, pixels).
        labels: (rows,).
        key: of the split in the round.
        watch: hears of progress.
        where: what errors and notices call the split.
    """

    job: SplitJob
    values: NDArray[np.float32]
    labels: NDArray[np.int64]
    key: Key
    watch: Watch
    where: str


def train_split(job: SplitJob, split: int, rows: Rows, watch: Watch, own_file: str | None = None) -> Weights:
    """The weights of a split.

    Args:
        job: the round.
        split: its number.
        rows: of the split, in an order of their own.
        watch: hears of progress.
        own_file: the module of a class of nets of the user's own.

    Raises:
        DataError: a label that is none of the net's outputs.
        DivergedError: names the split.
        JobError: a class of nets of one's own that cannot be had here.
    """
    settings = job.settings
    where = f"split {split} of {settings.splits}"
    values = grey_levels(rows.values)
    try:
        labels = as_labels(rows.labels, settings.node_seq[-1])
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    task = SplitTask(job, values, labels, shard_key(settings.seed, split, job.number), watch, where)
    arrays = dict(job.weights.arrays)
    if job.number == 0 and settings.epochs:
        arrays |= _pretrained(task)
    if settings.own_class is None:
        arrays = _tuned(task, arrays)
    else:
        from rbmx.paper.own_net import tune_own_net

        arrays = tune_own_net(task, arrays, task.key.fold_in(TUNING), own_file)
    return Weights(arrays, len(values))


def _pretrained(task: SplitTask) -> Tensors:
    """Every layer by contrastive divergence, on bits that the ones below hand up."""
    settings, start = task.job.settings, task.job.weights.arrays
    config = TrainConfig(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        optimizer=SGD(settings.learn_rate, settings.momentum),
        centering=0.0,
        seed=settings.seed,
        reproducible=True,
    )
    plan = JobSettings(config, rounds=1, local_epochs=settings.epochs, propagate="sample")
    layers = []
    for i, n_visible in enumerate(settings.node_seq[:-1]):
        weight, bias = (start[f"layers.{i}.{name}"] for name in ("weight", "bias"))
        layers.append(RBMParams(weight, np.zeros(n_visible, np.float32), bias))
    bits = PackedBits.pack(task.values > BRIGHT)
    trained = train_greedily(layers, [plan] * len(layers), bits, task.key, where=task.where, watch=task.watch)
    arrays: Tensors = {}
    for i, layer in enumerate(trained):
        arrays |= {f"layers.{i}.weight": layer.weight, f"layers.{i}.bias": layer.hidden_bias}
    return arrays


def _tuned(task: SplitTask, arrays: Tensors) -> Tensors:
    """The whole net by backprop in NumPy: what Net.forward is in torch."""
    settings = task.job.settings
    count = len(settings.node_seq) - 1
    network = Network(
        [
            Affine(
                arrays[f"layers.{i}.weight"].copy(),
                arrays[f"layers.{i}.bias"].copy(),
                "relu" if i + 1 < count else "log_softmax",
            )
            for i in range(count)
        ]
    )
    tune(
        network,
        task.values,
        task.labels,
        loss="nll",
        optimizer=SGD(settings.learn_rate, settings.momentum),
        epochs=settings.tuning_epochs,
        batch_size=settings.batch_size,
        key=task.key.fold_in(TUNING),
        where=task.where,
        watch=task.watch,
    )
    named = enumerate(network.layers)
    return {f"layers.{i}.{name}": getattr(layer, name) for i, layer in named for name in ("weight", "bias")}
