"""Training RBMs and small nets on plain arrays, without torch."""

from __future__ import annotations

from rbmx.training.backprop import Affine, Network
from rbmx.training.callbacks import Callback, EarlyStopping, ProgressBar, StopTraining, WeightAverage
from rbmx.training.config import TrainConfig
from rbmx.training.fine_tuning import fine_tune
from rbmx.training.history import EpochRecord, TuningRecord
from rbmx.training.likelihood import LikelihoodCheck, LikelihoodMonitor
from rbmx.training.minimizing import Minimum, minimize
from rbmx.training.optimizers import SGD, Adam, RMSProp
from rbmx.training.penalties import L1, L2, Dropout, GroupL2, MaxNorm, Sparsity
from rbmx.training.schedules import ExponentialDecay, LinearDecay
from rbmx.training.state import TrainState
from rbmx.training.trainer import Trainer, TrainResult, train
from rbmx.training.tuner import TuningConfig

__all__ = [
    "L1",
    "L2",
    "SGD",
    "Adam",
    "Affine",
    "Callback",
    "Dropout",
    "EarlyStopping",
    "EpochRecord",
    "ExponentialDecay",
    "GroupL2",
    "LikelihoodCheck",
    "LikelihoodMonitor",
    "LinearDecay",
    "MaxNorm",
    "Minimum",
    "Network",
    "ProgressBar",
    "RMSProp",
    "Sparsity",
    "StopTraining",
    "TrainConfig",
    "TrainResult",
    "TrainState",
    "Trainer",
    "TuningConfig",
    "TuningRecord",
    "WeightAverage",
    "fine_tune",
    "minimize",
    "train",
]
