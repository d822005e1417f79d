"""Restricted Boltzmann machines: trained faster than dense arithmetic allows, the same bytes from the same seed.

Names are loaded on first use: `import rbmx` imports neither torch nor matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "backends.native": ["build_info", "get_num_threads", "set_num_threads"],
    "checkpoint": ["Checkpoint", "load_checkpoint", "save_checkpoint"],
    "classrbm": ["ClassRBM"],
    "errors": ["CheckpointError", "DataError", "DivergedError"],
    "likelihood": ["Estimate"],
    "params": ["RBMParams"],
    "rbm": ["RBM", "load"],
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
        "WeightAverage",
        "train",
    ],
}
_MODULES = ["data", "jobs", "likelihood", "report", "samplers", "sklearn", "training", "units"]
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CD",
    "L1",
    "L2",
    "PCD",
    "PT",
    "RBM",
    "SGD",
    "Adam",
    "Checkpoint",
    "CheckpointError",
    "ClassRBM",
    "DataError",
    "DivergedError",
    "Dropout",
    "EarlyStopping",
    "EpochRecord",
    "Estimate",
    "ExponentialDecay",
    "FastPCD",
    "GroupL2",
    "Key",
    "LikelihoodMonitor",
    "LinearDecay",
    "MaxNorm",
    "RBMParams",
    "RMSProp",
    "Sparsity",
    "StopTraining",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "WeightAverage",
    "__version__",
    "build_info",
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
    from rbmx import report as report
    from rbmx import samplers as samplers
    from rbmx import sklearn as sklearn
    from rbmx import training as training
    from rbmx import units as units
    from rbmx.backends.native import build_info, get_num_threads, set_num_threads
    from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from rbmx.classrbm import ClassRBM
    from rbmx.errors import CheckpointError, DataError, DivergedError
    from rbmx.likelihood import Estimate
    from rbmx.params import RBMParams
    from rbmx.rbm import RBM, load
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
