"""What a run needs besides the parameters to go on to the bit: counters, velocity and chains."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from rbmx.backends import Memory, Offsets, Rows
from rbmx.bits import PackedBits
from rbmx.errors import CheckpointError
from rbmx.params import PARAMETERS, RBMParams

__all__ = ["TrainState"]

Tensors = dict[str, NDArray[np.generic]]
_MOMENTS = ("velocity", "squares")
_MEMORY = "memory."


@dataclass
class TrainState:
    """Counters, velocity and persistent chains of a run.

    Attributes:
        seed: of the run; noise, order and chains derive from it.
        step: minibatches so far.
        epoch: finished epochs.
        epoch_rows: rows done of the epoch under way.
        velocity: first moments of the optimiser, None where it has none.
        chains: hidden states of the persistent chains, None for CD.
        squares: second moments of the optimiser, None where it has none.
        offsets: of centred gradients, None for plain ones.
        memory: what samplers and penalties keep, arrays by name.
    """

    seed: int = 0
    step: int = 0
    epoch: int = 0
    epoch_rows: int = 0
    velocity: RBMParams | None = None
    chains: Rows | None = None
    squares: RBMParams | None = None
    offsets: Offsets | None = None
    memory: Memory = field(default_factory=dict)

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
        for moment in _MOMENTS:
            kept = getattr(self, moment)
            if kept is not None:
                tensors |= {f"{moment}.{name}": getattr(kept, name).copy() for name in kept.names}
        if self.offsets is not None:
            tensors["offsets.visible"] = self.offsets.visible.copy()
            tensors["offsets.hidden"] = self.offsets.hidden.copy()
        tensors |= {f"{_MEMORY}{name}": array.copy() for name, array in self.memory.items()}
        if self.chains is not None:
            chains = self.chains
            tensors["chains"] = (chains.words if isinstance(chains, PackedBits) else chains).copy()
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Tensors, counters: dict[str, int]) -> TrainState:
        """The state that tensors() and counters() gave."""
        kept: dict[str, Any] = dict(counters)
        units = kept.pop("chain_units", None)
        kept |= {moment: _params_from(tensors, moment) for moment in _MOMENTS if f"{moment}.weight" in tensors}
        if "offsets.visible" in tensors:
            kept["offsets"] = Offsets(tensors["offsets.visible"], tensors["offsets.hidden"])  # type: ignore[arg-type]
        kept["memory"] = {n.removeprefix(_MEMORY): a for n, a in tensors.items() if n.startswith(_MEMORY)}
        if "chains" in tensors:
            array = tensors["chains"]
            kept["chains"] = array if units is None else PackedBits(array, units)  # type: ignore[arg-type]
        return cls(**kept)

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


def _params_from(tensors: Tensors, prefix: str) -> RBMParams:
    arrays: dict[str, Any] = {name: tensors[f"{prefix}.{name}"] for name in PARAMETERS}
    return RBMParams(**arrays, log_variance=tensors.get(f"{prefix}.log_variance"))  # type: ignore[arg-type]
