"""Where a job over a stack of layers stands: all that the tasks of its next round need, in one file."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from rbmx.errors import CheckpointError
from rbmx.jobs.job_file import network_from, network_to
from rbmx.jobs.settings import JobSettings
from rbmx.params import RBMParams
from rbmx.stack_checkpoint import StackCheckpoint, load_stack, save_stack
from rbmx.training import SGD
from rbmx.training.backprop import Affine, Network, require_loss
from rbmx.training.optimizers import Adam, Optimizer, RMSProp, optimizer_from

__all__ = ["FineTuning", "StackRecord", "StackRound", "load_stack_round", "save_stack_round"]

KEY = "stack rounds"  # in StackCheckpoint.extra
OPTIMIZERS = {kind.__name__: kind for kind in (SGD, Adam, RMSProp)}


@dataclass(frozen=True)
class FineTuning:
    """How a task tunes the whole net after the layers were trained.

    Attributes:
        network: "autoencoder", the stack unrolled (Hinton and Salakhutdinov 2006), or "classifier", the stack with a
            softmax of the labels on top.
        epochs: passes over its shard that a task makes in a round.
        batch_size: rows of a minibatch of a shard.
        optimizer: "sgd", "nesterov", "adam", "rmsprop", or one with settings.
        loss: of a row; None: "squared_error" of an autoencoder, "nll" of a classifier.
        code: of an autoencoder: "linear" or "sigmoid".
        n_classes: of a classifier: labels are 0 to n_classes - 1.
    """

    network: Literal["autoencoder", "classifier"]
    epochs: int = 5
    batch_size: int = 100
    optimizer: Optimizer | str = field(default_factory=lambda: SGD(0.1, 0.9))
    loss: str | None = None
    code: str = "linear"
    n_classes: int | None = None

    def __post_init__(self) -> None:
        if self.network not in ("autoencoder", "classifier"):
            raise ValueError(f"fine_tune: expected 'autoencoder' or 'classifier', got {self.network!r}")
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError(
                f"fine_tune: expected 1 or more epochs and rows of a batch, got {self.epochs} and {self.batch_size}"
            )
        if self.code not in ("linear", "sigmoid"):
            raise ValueError(f"code: expected 'linear' or 'sigmoid', got {self.code!r}")
        classifies = self.network == "classifier"
        if classifies and (self.n_classes is None or self.n_classes < 2):
            raise ValueError(f"n_classes: a classifier needs 2 or more, got {self.n_classes}")
        if not classifies and self.n_classes is not None:
            raise ValueError(f"n_classes: an autoencoder has none, got {self.n_classes}")
        object.__setattr__(self, "optimizer", optimizer_from(self.optimizer))
        object.__setattr__(self, "loss", self.loss or ("nll" if classifies else "squared_error"))
        require_loss(str(self.loss), "log_softmax" if classifies else "sigmoid")

    def begin(self, layers: list[RBMParams]) -> Network:
        """The net of trained layers; a softmax on top starts at zero."""
        if self.network == "autoencoder":
            return Network.autoencoder_of(layers, code=self.code)
        width, classes = layers[-1].n_hidden, self.n_classes or 0
        head = Affine(np.zeros((classes, width), np.float32), np.zeros(classes, np.float32), "log_softmax")
        return Network.from_stack(layers, head)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        optimizer = {"type": type(self.optimizer).__name__, **dataclasses.asdict(self.optimizer)}  # type: ignore[arg-type]
        return {**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, "optimizer": optimizer}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FineTuning:
        """The settings that to_dict gave."""
        optimizer = dict(values["optimizer"])
        return cls(**{**values, "optimizer": OPTIMIZERS[optimizer.pop("type")](**optimizer)})


@dataclass(frozen=True)
class StackRecord:
    """One round of a job over a stack.

    Attributes:
        round: counted from 1.
        rows: of all shards.
        seconds: of the whole round.
        shards: how many took part.
        work_seconds: what the slowest of them worked; of all, where they work in turn (inline).
        loss: per row of the first rows: of the net, where it is tuned; else |v - v'|^2, v' the mean-field
            reconstruction through all layers.
        validation_loss: the same on validation rows, or None.
        tuning_seconds: the part of work_seconds that backprop took.
    """

    round: int
    rows: int
    seconds: float
    shards: int
    work_seconds: float
    loss: float
    validation_loss: float | None = None
    tuning_seconds: float = 0.0

    @property
    def fixed_seconds(self) -> float:
        """What the round took beyond the work: submitting, starting, merging."""
        return self.seconds - self.work_seconds


@dataclass(eq=False)
class StackRound:
    """A job over a stack between two rounds.

    Attributes:
        layers: the RBMs that every shard starts from, from the data up.
        plans: the settings of each layer's training; how rows are read is the same in all.
        tuning: of the whole net after that, or None.
        number: rounds done.
        network: the tuned net, None before the first round or without tuning.
        history: a record a round.
    """

    layers: list[RBMParams]
    plans: tuple[JobSettings, ...]
    tuning: FineTuning | None = None
    number: int = 0
    network: Network | None = None
    history: list[StackRecord] = field(default_factory=list)

    @property
    def settings(self) -> JobSettings:
        """How rows are read and weighted, and how many rounds there are."""
        return self.plans[0]

    @property
    def n_visible(self) -> int:
        """Values in a row of the data."""
        return self.layers[0].n_visible

    @property
    def trains_layers(self) -> bool:
        """Whether the next round trains the layers: a net that was tuned is tuned on."""
        return self.network is None

    def with_rounds(self, rounds: int) -> StackRound:
        """The same job with another number of rounds in all."""
        return replace(self, plans=tuple(plan.with_rounds(rounds) for plan in self.plans))


def save_stack_round(path: str | os.PathLike[str], job: StackRound) -> None:
    """Write the file, whole or not at all: a deep belief network (rbmx.DBN.load), and the job's own part."""
    network = job.network
    facts = {
        "plans": [plan.to_dict() for plan in job.plans],
        "tuning": None if job.tuning is None else job.tuning.to_dict(),
        "number": job.number,
        "activations": [] if network is None else [layer.activation for layer in network.layers],
        "history": [dataclasses.asdict(record) for record in job.history],
    }
    save_stack(
        path,
        StackCheckpoint(
            job.layers,
            states=[None] * len(job.layers),
            configs=[plan.config for plan in job.plans],
            histories=[[] for _ in range(len(job.layers) + 1)],
            encoding=job.settings.encoding,
            extra={KEY: json.dumps(facts)},
            arrays={} if network is None else network_to(network),
        ),
    )


def load_stack_round(path: str | os.PathLike[str]) -> StackRound:
    """Read what save_stack_round wrote.

    Raises:
        CheckpointError: another file, one that was not trained over shards, or a damaged one.
    """
    kept = load_stack(path)
    if KEY not in kept.extra:
        raise CheckpointError(
            f"{path}: expected a stack of rbmx.jobs.train_stack, this one was not trained over shards"
        )
    try:
        facts = json.loads(kept.extra[KEY])
        return StackRound(
            kept.layers,
            tuple(JobSettings.from_dict(plan) for plan in facts["plans"]),
            None if facts["tuning"] is None else FineTuning.from_dict(facts["tuning"]),
            facts["number"],
            network_from(kept.arrays, facts["activations"]),
            [StackRecord(**record) for record in facts["history"]],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged file of a job over a stack, {type(error).__name__}: {error}") from None
