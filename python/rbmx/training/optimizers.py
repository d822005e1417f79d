"""How a gradient becomes a change of the parameters, inside the native loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["SGD", "optimizer_from"]


@dataclass(frozen=True)
class SGD:
    """velocity = momentum * velocity + lr * gradient; parameters += velocity (Hinton 2010, section 9).

    Attributes:
        lr: learning rate, positive; the gradient is a mean over the rows of a minibatch.
        momentum: 0 <= momentum < 1. The velocity starts at zero.
    """

    lr: float = 0.05
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ValueError(f"lr: expected a positive learning rate, got {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: expected 0 <= momentum < 1, got {self.momentum}")


def optimizer_from(optimizer: SGD | str, *, lr: float | None = None, momentum: float | None = None) -> SGD:
    """An optimizer from its short name "sgd" or the optimizer itself, with its settings overridden."""
    named = SGD() if optimizer == "sgd" else optimizer
    if not isinstance(named, SGD):
        raise ValueError(f"optimizer: expected 'sgd' or SGD(...), got {optimizer!r}")
    return SGD(named.lr if lr is None else lr, named.momentum if momentum is None else momentum)
