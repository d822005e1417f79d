"""A layer that shares its weights with another one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["TiedLinear"]


class TiedLinear(nn.Module):
    """x W + b with the weights of a layer W x + c: one parameter, one gradient."""

    def __init__(self, of: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = of.out_features, of.in_features
        self.weight = of.weight
        self.bias = nn.Parameter(torch.empty(of.in_features, device=of.weight.device, dtype=of.weight.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """(rows, in_features) to (rows, out_features)."""
        return nn.functional.linear(x, self.weight.t(), self.bias)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}"
