"""Terms of the objective, and limits on the parameters. L1 and L2 run natively, the others by the loop in Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import check_types
from rbmx.backends import Gradient, Memory
from rbmx.params import RBMParams

__all__ = ["L1", "L2", "Dropout", "GroupL2", "MaxNorm", "Penalty", "Sparsity", "dropout", "in_python", "total"]

Real = NDArray[np.float64]
ACTIVITY = "activity"  # what Sparsity keeps: the sliding means of the hidden units


@dataclass(frozen=True)
class _Decay:
    decay: float

    def __post_init__(self) -> None:
        check_types(self)
        if not (self.decay >= 0 and math.isfinite(self.decay)):
            raise ValueError(f"decay: expected 0 or more, got {self.decay}")


@dataclass(frozen=True)
class L1(_Decay):
    """decay * sum of |weight|: weights that the data do not hold up become exactly zero.

    Attributes:
        decay: 0 or more; after each step a weight moves lr * decay towards zero, and not past it.
    """


@dataclass(frozen=True)
class L2(_Decay):
    """decay / 2 * sum of squared weights.

    Attributes:
        decay: 0 or more; each step takes lr * decay * weight off the weight.
    """


@dataclass(frozen=True)
class GroupL2(_Decay):
    """decay * sum over hidden units of |w_j|, w_j all weights of a unit: units that the data do not need go out.

    Attributes:
        decay: 0 or more; after each step the length of w_j shrinks by lr * decay, to zero at most (proximal step).
    """

    def on_gradient(self, gradient: Gradient, hidden_means: Real, params: RBMParams, memory: Memory) -> None:
        """Nothing: the step after the update does it."""

    def on_step(self, params: RBMParams, learning_rate: float) -> None:
        """w_j *= max(0, 1 - lr decay / |w_j|)."""
        length = np.linalg.norm(params.weight, axis=1)
        left = np.maximum(length - learning_rate * self.decay, 0) / np.maximum(length, 1e-30)
        params.weight *= left[:, None].astype(np.float32)


@dataclass(frozen=True)
class MaxNorm:
    """|w_j| <= limit for the weights of every hidden unit (Srivastava et al. 2014).

    Attributes:
        limit: positive; a longer w_j is scaled back to it after each step.
    """

    limit: float

    def __post_init__(self) -> None:
        check_types(self)
        if not (self.limit > 0 and math.isfinite(self.limit)):
            raise ValueError(f"limit: expected a positive length, got {self.limit}")

    def on_gradient(self, gradient: Gradient, hidden_means: Real, params: RBMParams, memory: Memory) -> None:
        """Nothing: the step after the update does it."""

    def on_step(self, params: RBMParams, learning_rate: float) -> None:
        """w_j *= min(1, limit / |w_j|)."""
        length = np.linalg.norm(params.weight, axis=1)
        params.weight *= np.minimum(1, self.limit / np.maximum(length, 1e-30))[:, None].astype(np.float32)


@dataclass(frozen=True)
class Sparsity:
    """Pulls the mean activity q_j of every hidden unit towards a target (Hinton 2010, section 11).

    Attributes:
        target: the mean wanted, 0 < target < 1.
        cost: weight of the pull: cost * (target - q_j) is added to the gradient of the hidden bias.
        decay: of the sliding mean q.
    """

    target: float
    cost: float = 0.1
    decay: float = 0.95

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.target < 1:
            raise ValueError(f"target: expected a mean between 0 and 1, got {self.target}")
        if not (self.cost >= 0 and math.isfinite(self.cost)):
            raise ValueError(f"cost: expected 0 or more, got {self.cost}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay: expected 0 <= decay < 1, got {self.decay}")

    def on_gradient(self, gradient: Gradient, hidden_means: Real, params: RBMParams, memory: Memory) -> None:
        """q = decay q + (1 - decay) mean;  hidden_bias gradient += cost (target - q)."""
        before = memory.get(ACTIVITY, hidden_means)
        memory[ACTIVITY] = self.decay * before + (1 - self.decay) * hidden_means
        gradient["hidden_bias"] += self.cost * (self.target - memory[ACTIVITY])

    def on_step(self, params: RBMParams, learning_rate: float) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Dropout:
    """Each row goes without a share of the hidden units, in both phases (Srivastava et al. 2014, section 8).

    Attributes:
        rate: share that is left out, 0 < rate < 1. The trained machine has all its units: multiply its hidden means by
            1 - rate where the scale of its features matters.
    """

    rate: float

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: expected 0 < rate < 1, got {self.rate}")


Penalty = L1 | L2 | GroupL2 | MaxNorm | Sparsity | Dropout


def total(penalties: Sequence[Penalty], kind: type[L1 | L2]) -> float:
    """The sum of the decays of one kind."""
    return float(sum(penalty.decay for penalty in penalties if isinstance(penalty, kind)))


def in_python(penalties: Sequence[Penalty]) -> tuple[GroupL2 | MaxNorm | Sparsity, ...]:
    """Those that the loop in Python applies itself."""
    return tuple(penalty for penalty in penalties if isinstance(penalty, GroupL2 | MaxNorm | Sparsity))


def dropout(penalties: Sequence[Penalty]) -> float:
    """The share of hidden units that rows go without: one less the product of what each Dropout leaves."""
    return 1 - math.prod(1 - penalty.rate for penalty in penalties if isinstance(penalty, Dropout))
