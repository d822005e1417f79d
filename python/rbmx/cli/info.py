"""`rbmx info`: what this installation is, or what a model file holds."""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from pathlib import Path

import numpy as np

import rbmx
from rbmx.checkpoint import Checkpoint, load_checkpoint
from rbmx.jobs.round import KEY
from rbmx.params import RBMParams

__all__ = ["SUMMARY", "add_arguments", "build_facts", "run", "weights_digest"]

SUMMARY = "what this build can do, or what a model file holds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, or nothing."""
    parser.add_argument("model", metavar="MODEL", nargs="?", type=Path, help="what rbmx fit wrote")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")


def run(args: argparse.Namespace) -> int:
    """Print the facts."""
    facts = build_facts() if args.model is None else _model_facts(load_checkpoint(args.model))
    if args.json:
        print(json.dumps(facts))
        return 0
    width = max(len(name) for name in facts)
    for name, text in facts.items():
        print(f"{name:<{width}}  {text}")
    return 0


def build_facts() -> dict[str, str]:
    """Versions, instruction sets, threads, BLAS: what can change the speed."""
    facts = {name: _plain(value) for name, value in rbmx.build_info().items()}
    return {**facts, "python": platform.python_version(), "numpy": np.__version__}


def weights_digest(params: RBMParams) -> str:
    """sha256 of weights, visible and hidden biases: equal for equal training, byte by byte."""
    digest = hashlib.sha256()
    for array in (params.weight, params.visible_bias, params.hidden_bias):
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()


def _model_facts(model: Checkpoint) -> dict[str, str]:
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


def _plain(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)
