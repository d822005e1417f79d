"""A deep belief network in one safetensors file: its layers, both ways, and where the training of each stands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from rbmx.data.encoding import Encoding
from rbmx.model_file import interpreting, read_model, write_model
from rbmx.params import RBMParams
from rbmx.tensors import Tensors, params_from, params_to
from rbmx.training.config import TrainConfig
from rbmx.training.history import EpochRecord, record_from_json
from rbmx.training.state import TrainState

__all__ = ["FORMAT", "StackCheckpoint", "load_stack", "save_stack"]

FORMAT = "rbmx.dbn.1"
PARTS = ("layers", "recognition", "states")


@dataclass
class StackCheckpoint:
    """What a file of a deep belief network holds; lists have an entry for each layer, from the data up.

    Attributes:
        layers: the machines; their way down, where `recognition` holds another way up.
        n_classes: labels that stand beside the top layer's visible units, None where there are none.
        recognition: the way up of the layers below the top, None where it is that of `layers`.
        states: to go on training from, None for a layer that was not begun.
        configs: settings, None for a layer that was not begun.
        histories: the epochs, and behind those of the layers the ones of up_down.
        finished, propagate: as of a StackState.
        encoding: how raw data become visible units.
        extra: further facts, text to text.
        arrays: further arrays, under names with a "/" that are none of the file's own: the net of a job over shards.
    """

    layers: list[RBMParams]
    n_classes: int | None = None
    recognition: list[RBMParams] | None = None
    states: Sequence[TrainState | None] = ()
    configs: Sequence[TrainConfig | None] = ()
    histories: Sequence[Sequence[EpochRecord]] = ()
    finished: Sequence[int] = ()
    propagate: str = "sample"
    encoding: Encoding | None = None
    extra: dict[str, str] = field(default_factory=dict)
    arrays: Tensors = field(default_factory=dict)


def save_stack(path: str | os.PathLike[str], checkpoint: StackCheckpoint) -> None:
    """Write the file: after a crash at any moment the old one or the new one is there, never a torn one."""
    tensors: Tensors = dict(checkpoint.arrays)
    for part, layers in (("layers", checkpoint.layers), ("recognition", checkpoint.recognition or [])):
        for i, layer in enumerate(layers):
            tensors |= params_to(f"{part}/{i}/", layer)
    for i, state in enumerate(checkpoint.states):
        if state is not None:
            tensors |= {f"states/{i}/{name}": array for name, array in state.tensors().items()}
    about = {
        "format": FORMAT,
        "units": [(layer.visible, layer.hidden) for layer in checkpoint.layers],
        "n_classes": checkpoint.n_classes,
        "states": [None if state is None else state.counters() for state in checkpoint.states],
        "configs": [None if config is None else config.to_dict() for config in checkpoint.configs],
        "histories": [[record.to_json() for record in history] for history in checkpoint.histories],
        "finished": list(checkpoint.finished),
        "propagate": checkpoint.propagate,
        "extra": checkpoint.extra,
    }
    if checkpoint.encoding is not None:
        about["encoding"] = checkpoint.encoding.to_json()
    write_model(path, about, tensors)


def load_stack(path: str | os.PathLike[str]) -> StackCheckpoint:
    """Read what save_stack wrote.

    Raises:
        CheckpointError: another file, or a damaged one.
        OSError: it cannot be read.
    """
    about, tensors = read_model(path, FORMAT)
    with interpreting(path):
        units = [tuple(pair) for pair in about["units"]]
        parts = {
            part: [params_from(f"{part}/{i}/", tensors, *pair) for i, pair in enumerate(units)]
            for part in ("layers", "recognition")
        }
        layers = [layer for layer in parts["layers"] if layer is not None]
        if len(layers) != len(units):
            raise KeyError("layers")
        return StackCheckpoint(
            layers,
            about["n_classes"],
            [layer for layer in parts["recognition"] if layer is not None] or None,
            [_state(i, counters, tensors) for i, counters in enumerate(about["states"])],
            [None if config is None else TrainConfig.from_dict(config) for config in about["configs"]],
            [[record_from_json(record) for record in history] for history in about["histories"]],
            about["finished"],
            about["propagate"],
            Encoding.from_json(about["encoding"]) if "encoding" in about else None,
            about["extra"],
            {name: array for name, array in tensors.items() if name.split("/")[0] not in PARTS},
        )


def _state(i: int, counters: dict[str, int] | None, tensors: Tensors) -> TrainState | None:
    if counters is None:
        return None
    prefix = f"states/{i}/"
    own = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
    return TrainState.from_tensors(own, counters)
