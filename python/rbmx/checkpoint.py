"""One safetensors file: parameters, training state, settings and history. Written atomically; nothing is pickled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rbmx.data.encoding import Encoding
from rbmx.model_file import interpreting, read_model, write_model
from rbmx.params import PARAMETERS, RBMParams
from rbmx.training.config import TrainConfig
from rbmx.training.history import EpochRecord, record_from_json
from rbmx.training.state import TrainState

__all__ = ["Checkpoint", "load_checkpoint", "save_checkpoint"]

FORMAT = "rbmx.rbm.1"


@dataclass
class Checkpoint:
    """What a model file holds.

    Attributes:
        params: the machine.
        state: to go on training from to the bit, or None.
        config: the settings it was trained with, or None.
        history: all epochs so far.
        encoding: how raw data become visible units, or None.
        extra: further facts, text to text (the build, the command).
        arrays: further arrays, under names with a "/": the state of a job over shards.
    """

    params: RBMParams
    state: TrainState | None = None
    config: TrainConfig | None = None
    history: Sequence[EpochRecord] = ()
    encoding: Encoding | None = None
    extra: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a model file: after a crash at any moment the old file or the new one is there, never a torn one."""
    params = checkpoint.params
    for name in checkpoint.arrays:
        if "/" not in name:
            raise ValueError(f"arrays: expected names with a '/', got {name!r}")
    tensors = {name: getattr(params, name) for name in params.names} | checkpoint.arrays
    about: dict[str, Any] = {
        "format": FORMAT,
        "visible": params.visible,
        "hidden": params.hidden,
        "history": [record.to_json() for record in checkpoint.history],
        "extra": checkpoint.extra,
    }
    if checkpoint.state is not None:
        tensors |= checkpoint.state.tensors()
        about["state"] = checkpoint.state.counters()
    if checkpoint.config is not None:
        about["config"] = checkpoint.config.to_dict()
    if checkpoint.encoding is not None:
        about["encoding"] = checkpoint.encoding.to_json()
    write_model(path, about, tensors)


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a model file.

    Raises:
        CheckpointError: the file is no rbmx model, or damaged.
        OSError: it cannot be read.
    """
    about, tensors = read_model(path, FORMAT)
    with interpreting(path):
        weight, visible_bias, hidden_bias = (tensors.pop(name) for name in PARAMETERS)
        arrays = {name: tensors.pop(name) for name in sorted(tensors) if "/" in name}
        log_variance = tensors.pop("log_variance", None)
        params = RBMParams(weight, visible_bias, hidden_bias, about["visible"], about["hidden"], log_variance)
        return Checkpoint(
            params,
            TrainState.from_tensors(tensors, about["state"]) if "state" in about else None,
            TrainConfig.from_dict(about["config"]) if "config" in about else None,
            [record_from_json(record) for record in about["history"]],
            Encoding.from_json(about["encoding"]) if "encoding" in about else None,
            about["extra"],
            arrays,
        )
