"""How a gradient becomes a change of the parameters, inside the native loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from rbmx.arguments import check_types
from rbmx.backends import Update

__all__ = ["SGD", "Adam", "Optimizer", "RMSProp", "optimizer_from"]


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name}: expected a positive number, got {value}")


def _epsilon(value: float) -> None:
    if not 1e-30 <= value < math.inf:
        raise ValueError(f"epsilon: expected 1e-30 or more, which float32 keeps apart from 0, got {value}")


def _factor(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name}: expected 0 <= {name} < 1, got {value}")


@dataclass(frozen=True)
class SGD:
    """velocity = momentum * velocity + lr * gradient; parameters += velocity (Hinton 2010, section 9).

    With `nesterov` the parameters move by momentum * velocity + lr * gradient instead (Sutskever et al. 2013).

    Attributes:
        lr: learning rate, positive; the gradient is a mean over the rows of a minibatch.
        momentum: 0 <= momentum < 1. The velocity starts at zero.
        nesterov: needs momentum.
    """

    lr: float = 0.05
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        _positive(lr=self.lr)
        _factor(momentum=self.momentum)
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: expected momentum above 0 beside it")

    def update(self, lr: float) -> Update:
        """The rule at a rate of its own, which a schedule gives."""
        return Update(lr, "nesterov" if self.nesterov else "momentum", self.momentum)


@dataclass(frozen=True)
class Adam:
    """Steps of lr * m / (sqrt(s) + epsilon), m and s the unbiased moments of the gradient (Kingma and Ba 2015).

    Attributes:
        lr: learning rate, positive.
        beta1, beta2: factors of the moments.
        epsilon: positive.
    """

    lr: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_types(self)
        _positive(lr=self.lr, beta1=self.beta1)
        _epsilon(self.epsilon)
        _factor(beta1=self.beta1, beta2=self.beta2)

    def update(self, lr: float) -> Update:
        """The rule at a rate of its own, which a schedule gives."""
        return Update(lr, "adam", self.beta1, self.beta2, self.epsilon)


@dataclass(frozen=True)
class RMSProp:
    """Steps of lr * gradient / (sqrt(s) + epsilon), s the sliding mean of its squares (Tieleman and Hinton 2012).

    Attributes:
        lr: learning rate, positive.
        decay: factor of the mean.
        epsilon: positive.
    """

    lr: float = 0.001
    decay: float = 0.9
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_types(self)
        _positive(lr=self.lr)
        _epsilon(self.epsilon)
        _factor(decay=self.decay)

    def update(self, lr: float) -> Update:
        """The rule at a rate of its own, which a schedule gives."""
        return Update(lr, "rmsprop", 0.0, self.decay, self.epsilon)


Optimizer = SGD | Adam | RMSProp
_SHORT: dict[str, Optimizer] = {
    "sgd": SGD(),
    "nesterov": SGD(momentum=0.9, nesterov=True),
    "adam": Adam(),
    "rmsprop": RMSProp(),
}


def optimizer_from(
    optimizer: Optimizer | str, *, lr: float | None = None, momentum: float | None = None, or_else: str = ""
) -> Optimizer:
    """An optimizer from its short name or the optimizer itself, with its settings overridden.

    Args:
        optimizer: "sgd", "nesterov", "adam", "rmsprop", or one with settings, SGD(...), Adam(...), RMSProp(...).
        lr: instead of its own rate.
        momentum: instead of its own; only SGD has one.
        or_else: what the caller takes besides, in the words of the error.

    Raises:
        ValueError: no such optimizer, or one without momentum.
    """
    named = _SHORT.get(optimizer) if isinstance(optimizer, str) else optimizer
    if not isinstance(named, Optimizer):
        known = ", ".join([*map(repr, _SHORT), "SGD(...)", "Adam(...)"])
        last = f", RMSProp(...), {or_else}" if or_else else " or RMSProp(...)"
        raise ValueError(f"optimizer: expected {known}{last}, got {optimizer!r}")
    changes: dict[str, Any] = {} if lr is None else {"lr": lr}
    if momentum is not None:
        if not isinstance(named, SGD):
            raise ValueError(f"momentum: {named} has none; give its own settings")
        changes["momentum"] = momentum
    return replace(named, **changes) if changes else named
