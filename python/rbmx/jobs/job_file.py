"""The file of a job that is no single model: arrays by name and the facts about them, one safetensors file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rbmx.errors import CheckpointError
from rbmx.model_file import interpreting, read_model, write_model
from rbmx.params import RBMParams
from rbmx.tensors import Tensors, params_from, params_to
from rbmx.training.backprop import Affine, Network

__all__ = [
    "FORMAT",
    "JobFile",
    "layers_from",
    "layers_to",
    "load_job_file",
    "network_from",
    "network_to",
    "save_job_file",
]

FORMAT = "rbmx.job.1"


@dataclass(frozen=True, eq=False)
class JobFile:
    """What such a file holds.

    Attributes:
        kind: of job.
        facts: JSON values.
        tensors: arrays by name.
    """

    kind: str
    facts: dict[str, Any]
    tensors: Tensors


def save_job_file(path: str | os.PathLike[str], content: JobFile) -> None:
    """Write the file, whole or not at all."""
    write_model(path, {"format": FORMAT, "kind": content.kind, "facts": content.facts}, content.tensors)


def load_job_file(path: str | os.PathLike[str], kind: str) -> JobFile:
    """Read what save_job_file wrote.

    Raises:
        CheckpointError: another file, or one of another kind of job.
        OSError: it cannot be read.
    """
    about, tensors = read_model(path, FORMAT)
    with interpreting(path):
        if about["kind"] != kind:
            raise CheckpointError(f"{path}: expected the file of a job of kind {kind!r}, got {about['kind']!r}")
        return JobFile(kind, about["facts"], tensors)


def layers_to(layers: Sequence[RBMParams]) -> Tensors:
    """The arrays of a stack, layer by layer."""
    return {name: a for i, layer in enumerate(layers) for name, a in params_to(f"layers/{i}/", layer).items()}


def layers_from(tensors: Tensors, units: Sequence[tuple[str, str]]) -> list[RBMParams]:
    """The layers that layers_to named, of these unit types; KeyError where one is missing."""
    layers = []
    for i, (visible, hidden) in enumerate(units):
        layer = params_from(f"layers/{i}/", tensors, visible, hidden)
        if layer is None:
            raise KeyError(f"layers/{i}")
        layers.append(layer)
    return layers


def network_to(network: Network) -> Tensors:
    """The arrays of a net, layer by layer."""
    pairs = enumerate(network.layers)
    return {f"network/{i}/{name}": getattr(a, name) for i, a in pairs for name in ("weight", "bias")}


def network_from(tensors: Tensors, activations: Sequence[str]) -> Network | None:
    """The net that network_to named, None where there is none."""
    if "network/0/weight" not in tensors:
        return None
    return Network(
        [
            Affine(tensors[f"network/{i}/weight"], tensors[f"network/{i}/bias"], activation)
            for i, activation in enumerate(activations)
        ]
    )
