"""What a run needs besides the parameters to go on to the bit: counters, velocity and chains."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from rbmx.backends import Rows
from rbmx.bits import PackedBits
from rbmx.errors import CheckpointError
from rbmx.params import RBMParams

__all__ = ["TrainState"]

Tensors = dict[str, NDArray[np.generic]]


@dataclass
class TrainState:
    """Counters, velocity and persistent chains of a run.

    Attributes:
        seed: of the run; noise, order and chains derive from it.
        step: minibatches so far.
        epoch: finished epochs.
        epoch_rows: rows done of the epoch under way.
        velocity: the last change of the parameters, None without momentum.
        chains: hidden states of the persistent chains, None for CD.
    """

    seed: int = 0
    step: int = 0
    epoch: int = 0
    epoch_rows: int = 0
    velocity: RBMParams | None = None
    chains: Rows | None = None

    def copy(self) -> TrainState:
        """The same state in memory of its own."""
        return TrainState.from_tensors(self.tensors(), self.counters())

    def counters(self) -> dict[str, int]:
        """The integers, for a file's metadata."""
        counters = {
            "seed": self.seed,
            "step": self.step,
            "epoch": self.epoch,
            "epoch_rows": self.epoch_rows,
        }
        if isinstance(self.chains, PackedBits):
            counters["chain_units"] = self.chains.n_units
        return counters

    def tensors(self) -> Tensors:
        """The arrays under their names in a file; each is a copy."""
        tensors: Tensors = {}
        if self.velocity is not None:
            tensors |= {f"velocity.{name}": getattr(self.velocity, name).copy() for name in self.velocity.names}
        if self.chains is not None:
            chains = self.chains
            tensors["chains"] = (chains.words if isinstance(chains, PackedBits) else chains).copy()
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Tensors, counters: dict[str, int]) -> TrainState:
        """The state that tensors() and counters() gave."""
        velocity = None
        if "velocity.weight" in tensors:
            velocity = RBMParams(
                tensors["velocity.weight"],  # type: ignore[arg-type]
                tensors["velocity.visible_bias"],  # type: ignore[arg-type]
                tensors["velocity.hidden_bias"],  # type: ignore[arg-type]
                log_variance=tensors.get("velocity.log_variance"),  # type: ignore[arg-type]
            )
        counters = dict(counters)
        units = counters.pop("chain_units", None)
        chains: Rows | None = None
        if "chains" in tensors:
            array = tensors["chains"]
            chains = array if units is None else PackedBits(array, units)  # type: ignore[assignment,arg-type]
        return cls(**counters, velocity=velocity, chains=chains)

    def to_bytes(self) -> bytes:
        """The state as one safetensors blob, to be shipped."""
        metadata = {"rbmx.state": json.dumps(self.counters())}
        return safetensors.numpy.save(self.tensors(), metadata)

    @classmethod
    def from_bytes(cls, data: bytes) -> TrainState:
        """The state that to_bytes gave.

        Raises:
            CheckpointError: the bytes are not such a blob.
        """
        try:
            tensors = safetensors.numpy.load(data)
            length = int.from_bytes(data[:8], "little")
            metadata = json.loads(data[8 : 8 + length])["__metadata__"]
            return cls.from_tensors(tensors, json.loads(metadata["rbmx.state"]))
        except (safetensors.SafetensorError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"training state: expected bytes of TrainState.to_bytes, {error}") from None
