"""Restricted Boltzmann machines: trained faster than dense arithmetic allows, the same bytes from the same seed.

Names are loaded on first use: `import rbmx` imports neither torch nor matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "autoencoder": ["Autoencoder"],
    "backends.native": ["build_info", "get_num_threads", "set_num_threads"],
    "dbn": ["DBN"],
    "checkpoint": ["Checkpoint", "load_checkpoint", "save_checkpoint"],
    "classifier": ["Classifier", "Regressor"],
    "denoising": [
        "DenoisingAutoencoder",
        "GaussianNoise",
        "Masking",
        "SaltAndPepper",
        "StackedDenoisingAutoencoder",
    ],
    "classrbm": ["ClassRBM"],
    "errors": ["CheckpointError", "DataError", "DivergedError"],
    "interchange": ["export_onnx"],
    "likelihood": ["Estimate"],
    "loading": ["load"],
    "params": ["RBMParams"],
    "rbm": ["RBM"],
    "rng": ["Key"],
    "samplers": ["CD", "PCD", "PT", "FastPCD"],
    "training": [
        "L1",
        "L2",
        "SGD",
        "Adam",
        "Dropout",
        "EarlyStopping",
        "EpochRecord",
        "ExponentialDecay",
        "GroupL2",
        "LikelihoodMonitor",
        "LinearDecay",
        "MaxNorm",
        "RMSProp",
        "Sparsity",
        "StopTraining",
        "TrainConfig",
        "TrainResult",
        "TrainState",
        "TuningRecord",
        "WeightAverage",
        "train",
    ],
}
_MODULES = ["data", "jobs", "likelihood", "paper", "report", "samplers", "sklearn", "training", "units"]
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CD",
    "DBN",
    "L1",
    "L2",
    "PCD",
    "PT",
    "RBM",
    "SGD",
    "Adam",
    "Autoencoder",
    "Checkpoint",
    "CheckpointError",
    "ClassRBM",
    "Classifier",
    "DataError",
    "DenoisingAutoencoder",
    "DivergedError",
    "Dropout",
    "EarlyStopping",
    "EpochRecord",
    "Estimate",
    "ExponentialDecay",
    "FastPCD",
    "GaussianNoise",
    "GroupL2",
    "Key",
    "LikelihoodMonitor",
    "LinearDecay",
    "Masking",
    "MaxNorm",
    "RBMParams",
    "RMSProp",
    "Regressor",
    "SaltAndPepper",
    "Sparsity",
    "StackedDenoisingAutoencoder",
    "StopTraining",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "TuningRecord",
    "WeightAverage",
    "__version__",
    "build_info",
    "export_onnx",
    "get_num_threads",
    "load",
    "load_checkpoint",
    "save_checkpoint",
    "set_num_threads",
    "train",
]

if TYPE_CHECKING:
    from rbmx import data as data
    from rbmx import jobs as jobs
    from rbmx import likelihood as likelihood
    from rbmx import paper as paper
    from rbmx import report as report
    from rbmx import samplers as samplers
    from rbmx import sklearn as sklearn
    from rbmx import training as training
    from rbmx import units as units
    from rbmx.autoencoder import Autoencoder
    from rbmx.backends.native import build_info, get_num_threads, set_num_threads
    from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from rbmx.classifier import Classifier, Regressor
    from rbmx.classrbm import ClassRBM
    from rbmx.dbn import DBN
    from rbmx.denoising import (
        DenoisingAutoencoder,
        GaussianNoise,
        Masking,
        SaltAndPepper,
        StackedDenoisingAutoencoder,
    )
    from rbmx.errors import CheckpointError, DataError, DivergedError
    from rbmx.interchange import export_onnx
    from rbmx.likelihood import Estimate
    from rbmx.loading import load
    from rbmx.params import RBMParams
    from rbmx.rbm import RBM
    from rbmx.rng import Key
    from rbmx.samplers import CD, PCD, PT, FastPCD
    from rbmx.training import (
        L1,
        L2,
        SGD,
        Adam,
        Dropout,
        EarlyStopping,
        EpochRecord,
        ExponentialDecay,
        GroupL2,
        LikelihoodMonitor,
        LinearDecay,
        MaxNorm,
        RMSProp,
        Sparsity,
        StopTraining,
        TrainConfig,
        TrainResult,
        TrainState,
        TuningRecord,
        WeightAverage,
        train,
    )


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"rbmx.{_HOME_OF[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"rbmx.{name}")
    else:
        raise AttributeError(f"module 'rbmx' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
