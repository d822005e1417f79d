"""rbmx.load: the one door for model files, whatever model they hold."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from rbmx.errors import CheckpointError
from rbmx.model_file import read_facts

__all__ = ["CLASS_OF", "load"]

CLASS_OF = {
    "rbmx.rbm.1": ("rbmx.rbm", "RBM"),
    "rbmx.dbn.1": ("rbmx.dbn", "DBN"),
    "rbmx.classrbm.1": ("rbmx.classrbm", "ClassRBM"),
    "rbmx.autoencoder.1": ("rbmx.autoencoder", "Autoencoder"),
    "rbmx.denoising_autoencoder.1": ("rbmx.denoising", "DenoisingAutoencoder"),
    "rbmx.stacked_denoising_autoencoder.1": ("rbmx.denoising", "StackedDenoisingAutoencoder"),
    "rbmx.classifier.1": ("rbmx.classifier", "Classifier"),
    "rbmx.regressor.1": ("rbmx.classifier", "Regressor"),
}


def load(path: str | os.PathLike[str], *, device: Any = None, dtype: Any = None) -> Any:
    """The model that save() or `rbmx fit` wrote, of its own class, ready to use or to go on training.

    Args:
        path: a file.
        device, dtype: of the parameters.

    Raises:
        CheckpointError: the file is no rbmx model, or damaged.
        OSError: it cannot be read.
    """
    named = read_facts(path).get("format")
    if named not in CLASS_OF:
        raise CheckpointError(f"{path}: expected an rbmx model of format {', '.join(CLASS_OF)}, got {named}")
    module, name = CLASS_OF[named]
    return getattr(import_module(module), name).load(path, device=device, dtype=dtype)
