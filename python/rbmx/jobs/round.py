"""Where a job over shards stands: all that the tasks of the next round need, in one model file.

The file is an ordinary rbmx model (rbmx score, sample and info read it); the job's own part lies in `extra` and
`arrays`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rbmx.backends import Rows
from rbmx.bits import PackedBits
from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rbmx.errors import CheckpointError
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.shard import ShardState
from rbmx.params import RBMParams
from rbmx.tensors import Tensors, params_from, params_to
from rbmx.training.history import EpochRecord

__all__ = ["KEY", "Round", "load_round", "save_round"]

KEY = "rounds"  # in Checkpoint.extra


@dataclass(eq=False)
class Round:
    """A job between two rounds.

    Attributes:
        params: the weights that every shard starts from.
        settings: of the job.
        number: rounds done.
        velocity: of all shards together: their average (momentum_rule="average"), or that of merge="gradient".
        outer_velocity: the last move of the averaged weights, None without outer momentum.
        states: what each shard left, by its name.
        lower: frozen layers below, from the data up.
        history: a record a round.
        extra: further facts for the model file.
    """

    params: RBMParams
    settings: JobSettings
    number: int = 0
    velocity: RBMParams | None = None
    outer_velocity: RBMParams | None = None
    states: dict[str, ShardState] = field(default_factory=dict)
    lower: tuple[RBMParams, ...] = ()
    history: list[EpochRecord] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def n_visible(self) -> int:
        """Values in a row of the data."""
        return self.lower[0].n_visible if self.lower else self.params.n_visible

    def state_of(self, shard: str) -> ShardState:
        """What the shard starts the round with."""
        own = self.states.get(shard, ShardState())
        return ShardState(own.chains, self.velocity if own.velocity is None else own.velocity)

    def checkpoint(self) -> Checkpoint:
        """The model file's content."""
        arrays: Tensors = {}
        about: dict[str, Any] = {"number": self.number, "settings": self.settings.to_dict(), "chain_units": {}}
        about["lower"] = [(layer.visible, layer.hidden) for layer in self.lower]
        for i, layer in enumerate(self.lower):
            arrays |= params_to(f"lower/{i}/", layer)
        if self.velocity is not None:
            arrays |= params_to("round/velocity/", self.velocity)
        if self.outer_velocity is not None:
            arrays |= params_to("round/outer_velocity/", self.outer_velocity)
        for shard, state in self.states.items():
            if state.velocity is not None:
                arrays |= params_to(f"shard/{shard}/velocity/", state.velocity)
            if state.chains is not None:
                about["chain_units"][shard], arrays[f"shard/{shard}/chains"] = _plain(state.chains)
        settings = self.settings
        return Checkpoint(
            self.params,
            config=settings.config,
            history=self.history,
            encoding=settings.encoding,
            extra={**self.extra, KEY: json.dumps(about)},
            arrays=arrays,
        )


def save_round(path: str | os.PathLike[str], job: Round) -> None:
    """Write the model file, whole or not at all."""
    save_checkpoint(path, job.checkpoint())


def load_round(path: str | os.PathLike[str]) -> Round:
    """Read what save_round wrote.

    Raises:
        CheckpointError: no model, or one that was not trained over shards.
    """
    model = load_checkpoint(path)
    extra = dict(model.extra)
    try:
        about = json.loads(extra.pop(KEY))
        arrays = model.arrays
        shards = sorted({name.split("/")[1] for name in arrays if name.startswith("shard/")})
        return Round(
            model.params,
            JobSettings.from_dict(about["settings"]),
            about["number"],
            params_from("round/velocity/", arrays),
            params_from("round/outer_velocity/", arrays),
            {shard: _state_from(shard, arrays, about["chain_units"]) for shard in shards},
            tuple(_layer(i, units, arrays) for i, units in enumerate(about["lower"])),
            list(model.history),
            extra,
        )
    except KeyError as error:
        raise CheckpointError(f"{path}: expected a model of rbmx train-mr, it lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged model of rbmx train-mr, {error}") from None


def _plain(chains: Rows) -> tuple[int | None, np.ndarray[Any, Any]]:
    """The units of packed chains, None of real ones, and the array."""
    return (chains.n_units, chains.words) if isinstance(chains, PackedBits) else (None, chains)


def _layer(i: int, units: tuple[str, str], arrays: Tensors) -> RBMParams:
    layer = params_from(f"lower/{i}/", arrays, *units)
    if layer is None:
        raise KeyError(f"lower/{i}")
    return layer


def _state_from(shard: str, arrays: Tensors, chain_units: dict[str, int | None]) -> ShardState:
    chains: Rows | None = None
    found = arrays.get(f"shard/{shard}/chains")
    if found is not None:
        units = chain_units[shard]
        chains = found if units is None else PackedBits(found, units)
    return ShardState(chains, params_from(f"shard/{shard}/velocity/", arrays))
