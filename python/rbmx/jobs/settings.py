"""What all tasks of a job are told, as one frozen value that ships with the weights."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from rbmx.arguments import check_types
from rbmx.data.encoding import Encoding, Kind
from rbmx.samplers import CD, PCD
from rbmx.training import L2, SGD, TrainConfig

__all__ = ["JobSettings"]

CHOICES = {
    "merge": ("average", "gradient"),
    "weighting": ("rows", "uniform"),
    "momentum_rule": ("average", "keep", "reset"),
    "propagate": ("mean", "sample"),
    "on_bad_row": ("raise", "skip"),
    "kind": ("bits", "real"),
}


@dataclass(frozen=True)
class JobSettings:
    """Settings of a job over shards.

    Attributes:
        config: how a shard trains: its batch size and rate are those of one shard, config.epochs is
            rounds * local_epochs, so that a schedule runs over the whole job.
        rounds: of the whole job.
        local_epochs: passes over its shard that a task makes in a round.
        merge: "average": tasks train, the weights are averaged. "gradient": tasks sum the statistics of one
            contrastive divergence step over all their rows, and a round is one update of the weights.
        weighting: "rows": a shard counts as its rows do; "uniform": all count alike.
        momentum_rule: what becomes of the shards' velocities: "average": one, averaged as the weights are; "keep": each
            shard goes on with its own; "reset": each round begins at rest, which Adam and RMSProp must. Offsets of
            centred gradients, and the mean activities of Sparsity, begin at the shard's rows in every round.
        outer_momentum: of the averaged weights: they move by outer_momentum times their last move, plus the change
            that the average asks for.
        kind: what the data are, as the driver found: "bits" or "real"; frozen layers come after.
        encoding: how raw values become visible units.
        label: of CSV rows: "first", "last" or None.
        on_bad_row: of CSV rows: "raise" or "skip".
        propagate: what a frozen lower layer hands up: "mean" (real values) or "sample" (bits).
        shards: how many were asked for, so that a resumed job cuts its data alike; None: the default.
    """

    config: TrainConfig = field(default_factory=TrainConfig)
    rounds: int = 5
    local_epochs: int = 1
    merge: Literal["average", "gradient"] = "average"
    weighting: Literal["rows", "uniform"] = "rows"
    momentum_rule: Literal["average", "keep", "reset"] = "average"
    outer_momentum: float = 0.0
    kind: Kind = "bits"
    encoding: Encoding = field(default_factory=Encoding)
    label: Literal["first", "last"] | None = None
    on_bad_row: Literal["raise", "skip"] = "raise"
    propagate: Literal["mean", "sample"] = "mean"
    shards: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.rounds < 0:
            raise ValueError(f"rounds: expected 0 or more, got {self.rounds}")
        if self.local_epochs < 1:
            raise ValueError(f"local_epochs: expected 1 or more, got {self.local_epochs}")
        if not 0 <= self.outer_momentum < 1:
            raise ValueError(f"outer_momentum: expected 0 <= outer_momentum < 1, got {self.outer_momentum}")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        config = self.config
        if not isinstance(config.sampler, CD | PCD):
            raise ValueError(f"sampler: shards train by CD or PCD, got {config.sampler}")
        if config.schedule is not None and not dataclasses.is_dataclass(config.schedule):
            raise ValueError(
                "schedule: tasks read their settings from a file, which holds no function; expected LinearDecay, "
                f"ExponentialDecay or None, got {config.schedule!r}"
            )
        if self.merge == "gradient":
            self._check_gradient()
        elif config.update(1.0).has_squares and self.momentum_rule != "reset":
            raise ValueError(
                f"momentum_rule: the moments of {type(config.optimizer).__name__} belong to the weights of one shard "
                f"and start anew in each round; expected 'reset', got {self.momentum_rule!r}"
            )

    def _check_gradient(self) -> None:
        if not isinstance(self.config.sampler, CD):
            raise ValueError('sampler: merge="gradient" restarts its chains at the data each round; expected CD(k)')
        config = self.config
        plain = isinstance(config.optimizer, SGD) and not config.optimizer.nesterov and not config.centering
        if not plain or not all(isinstance(penalty, L2) for penalty in config.penalties):
            raise ValueError(
                'config: merge="gradient" makes one step of SGD along the plain gradient, with L2 alone; '
                'other optimizers, penalties and centering need merge="average"'
            )
        if self.local_epochs != 1:
            raise ValueError(f'local_epochs: merge="gradient" makes one pass a round, got {self.local_epochs}')

    def learning_rate(self, round_number: int, local_epoch: int = 0) -> float:
        """The rate of an epoch of a round, both counted from 0."""
        return self.config.learning_rate(round_number * self.local_epochs + local_epoch)

    def with_rounds(self, rounds: int) -> JobSettings:
        """The same job with another number of rounds in all."""
        config = dataclasses.replace(self.config, epochs=rounds * self.local_epochs)
        return dataclasses.replace(self, rounds=rounds, config=config)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**plain, "config": self.config.to_dict(), "encoding": self.encoding.to_json()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> JobSettings:
        """The settings that to_dict gave."""
        config, encoding = TrainConfig.from_dict(values["config"]), Encoding.from_json(values["encoding"])
        return cls(**{**values, "config": config, "encoding": encoding})
