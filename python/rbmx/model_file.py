"""A model file: arrays by name and facts about them as JSON, one safetensors file, written atomically, not pickled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import safetensors
import safetensors.numpy

from rbmx.errors import CheckpointError
from rbmx.files import write_atomically

__all__ = ["interpreting", "read_facts", "read_model", "write_model"]

Facts = dict[str, Any]


def write_model(path: str | os.PathLike[str], facts: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Write the file: after a crash at any moment the old one or the new one is there, never a torn one.

    Args:
        path: of the file.
        facts: JSON values by name; "format" says which kind of model it is.
        tensors: NumPy arrays by name.
    """
    metadata = {name: json.dumps(value) for name, value in facts.items()}
    write_atomically(path, safetensors.numpy.save(dict(tensors), metadata))


def read_facts(path: str | os.PathLike[str]) -> Facts:
    """The facts alone.

    Raises:
        CheckpointError: the file is no rbmx model.
        OSError: it cannot be read.
    """
    return _read(path, "numpy", tensors=False)[0]


def read_model(
    path: str | os.PathLike[str], format_: str, framework: Literal["numpy", "pt"] = "numpy"
) -> tuple[Facts, dict[str, Any]]:
    """Facts and arrays of a model of that format, as NumPy arrays or torch tensors.

    Raises:
        CheckpointError: the file is no rbmx model, or one of another format.
        OSError: it cannot be read.
    """
    facts, tensors = _read(path, framework, tensors=True)
    if facts.get("format") != format_:
        raise CheckpointError(
            f"{path}: expected an rbmx model of format {format_}, got {facts.get('format')}; rbmx.load opens every kind"
        )
    return facts, tensors


@contextmanager
def interpreting(path: str | os.PathLike[str]) -> Iterator[None]:
    """While the content of a file is made a model of: what is missing or does not fit is a CheckpointError."""
    try:
        yield
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: damaged rbmx model, {type(error).__name__}: {error}") from None


def _read(path: str | os.PathLike[str], framework: str, *, tensors: bool) -> tuple[Facts, dict[str, Any]]:
    with open(path, "rb"):  # a file that is not there is an OSError, whatever safetensors says
        pass
    try:
        with safetensors.safe_open(os.fspath(path), framework=framework) as file:
            facts = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            names = list(file.keys()) if tensors else []
            return facts, {name: file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: expected an rbmx model (safetensors), {error}") from None
