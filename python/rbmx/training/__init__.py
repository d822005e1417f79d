"""Training one RBM on plain arrays, without torch."""

from __future__ import annotations

from rbmx.training.callbacks import Callback, EarlyStopping, ProgressBar, StopTraining
from rbmx.training.config import TrainConfig
from rbmx.training.history import EpochRecord
from rbmx.training.likelihood import LikelihoodCheck, LikelihoodMonitor
from rbmx.training.optimizers import SGD
from rbmx.training.penalties import L2
from rbmx.training.schedules import ExponentialDecay, LinearDecay
from rbmx.training.state import TrainState
from rbmx.training.trainer import Trainer, TrainResult, train

__all__ = [
    "L2",
    "SGD",
    "Callback",
    "EarlyStopping",
    "EpochRecord",
    "ExponentialDecay",
    "LikelihoodCheck",
    "LikelihoodMonitor",
    "LinearDecay",
    "ProgressBar",
    "StopTraining",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "Trainer",
    "train",
]
