"""What a model file holds, of whatever kind, as lines of facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.checkpoint import Checkpoint, load_checkpoint
from rbmx.jobs.round import KEY
from rbmx.jobs.stack_round import KEY as KEY_OF_STACKS
from rbmx.loading import CLASS_OF
from rbmx.model_file import interpreting, read_facts, read_model
from rbmx.params import RBMParams
from rbmx.stack_checkpoint import FORMAT as OF_STACKS
from rbmx.stack_checkpoint import StackCheckpoint, load_stack

__all__ = ["model_facts", "weights_digest"]

OF_NETS = {name for name in CLASS_OF if name not in ("rbmx.rbm.1", OF_STACKS)}


def model_facts(path: Path) -> dict[str, str]:
    """Names and values, in the order to show them.

    Raises:
        CheckpointError: the file is no rbmx model, or damaged.
        OSError: it cannot be read.
    """
    kind = read_facts(path).get("format")
    if kind == OF_STACKS:
        return _of_stack(load_stack(path))
    if kind in OF_NETS:
        return _of_net(path, kind)
    return _of_machine(load_checkpoint(path))


def weights_digest(params: RBMParams) -> str:
    """sha256 of weights, visible and hidden biases: equal for equal training, byte by byte."""
    return _digest([params.weight, params.visible_bias, params.hidden_bias])


def _of_machine(model: Checkpoint) -> dict[str, str]:
    params = model.params
    facts = {
        "visible units": f"{params.n_visible} {params.visible}",
        "hidden units": f"{params.n_hidden} {params.hidden}",
        "weights sha256": weights_digest(params),
    }
    if model.encoding is not None:
        facts["encoding"] = model.encoding.describe()
    if model.history:
        last = model.history[-1]
        facts["trained"] = f"{last.epoch} epochs of {last.rows} rows"
        facts["reconstruction error"] = f"{last.reconstruction_error:.5f}"
    if model.state is not None:
        facts["training state"] = "kept: rbmx fit --resume goes on to the bit"
    if model.config is not None:
        facts["settings"] = str(model.config)
    extra = dict(model.extra)
    if KEY in extra:
        about = json.loads(extra.pop(KEY))
        done, planned = about["number"], about["settings"]["rounds"]
        facts["job over shards"] = f"{done} of {planned} rounds; kept: rbmx train-mr --resume goes on to the bit"
    return {**facts, **extra}


def _of_stack(model: StackCheckpoint) -> dict[str, str]:
    top = model.layers[-1]
    facts = {"model": "DBN", "layers": str(len(model.layers))}
    for i, layer in enumerate(model.layers):
        below = layer.n_visible - (model.n_classes or 0 if layer is top else 0)
        facts[f"layer {i + 1}"] = f"{below} {layer.visible} - {layer.n_hidden} {layer.hidden}"
        facts[f"layer {i + 1} sha256"] = weights_digest(layer)
    if model.n_classes is not None:
        facts["labels in the top layer"] = f"{model.n_classes} classes"
    if model.encoding is not None:
        facts["encoding"] = model.encoding.describe()
    epochs = [len(history) for history in model.histories]
    if any(epochs[: len(model.layers)]):
        facts["trained"] = f"{', '.join(map(str, epochs[: len(model.layers)]))} epochs a layer"
    if any(epochs[len(model.layers) :]):
        facts["fine-tuned"] = f"{epochs[-1]} epochs of up_down"
    if any(state is not None for state in model.states):
        facts["training state"] = "kept: DBN.load(path).fit(..., resume=True) goes on to the bit"
    if model.recognition is not None:
        facts["recognition weights"] = "of their own, by up_down"
    extra = dict(model.extra)
    if KEY_OF_STACKS in extra:
        about = json.loads(extra.pop(KEY_OF_STACKS))
        done, planned = about["number"], about["plans"][0]["rounds"]
        facts["job over shards"] = f"{done} of {planned} rounds; kept: rbmx train-stack --resume goes on to the bit"
        if model.arrays:
            facts["tuned net"] = f"{sum(array.size for array in model.arrays.values())} parameters"
    return {**facts, **extra}


def _of_net(path: Path, kind: str) -> dict[str, str]:
    about, tensors = read_model(path, kind)
    with interpreting(path):
        facts = {"model": CLASS_OF[kind][1]}
        facts |= {name: _plain(value) for name, value in about.get("settings", {}).items()}
        facts["parameters"] = str(sum(array.size for array in tensors.values()))
        facts["weights sha256"] = _digest(tensors[name] for name in sorted(tensors))
        if about["history"]:
            last = about["history"][-1]
            facts["trained"] = f"{last['epoch']} epochs of {last['rows']} rows"
            facts["loss"] = f"{last.get('loss', last.get('log_loss')):.5f}"
        return facts


def _plain(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)


def _digest(arrays: Iterable[NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()
