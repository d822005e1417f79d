"""The net of the paper: fully connected layers in torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rbmx.rng import Key, Purpose, uniform

__all__ = ["Net"]


class Net(nn.Module):
    """x -> log softmax(W_n relu(... relu(W_1 x + b_1) ...) + b_n), (rows, n_in) -> (rows, n_out).

    Weights are Xavier-uniform with the gain of a ReLU, U(-a, a) with a = sqrt(2) sqrt(6 / (n_in + n_out)) (Glorot and
    Bengio 2010); biases are zero. A subclass with a forward of its own is trained by torch on the nodes; it is built
    there as it was here, by its node_seq alone.

    Args:
        node_seq: units of each level, two or more.
        seed: the same weights every time; None: from torch's generator.

    Raises:
        ValueError: fewer than two levels, or one without units.
    """

    def __init__(self, node_seq: Sequence[int], seed: int | None = None) -> None:
        super().__init__()
        sizes = [int(size) for size in node_seq]
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"node_seq: expected the units of two levels or more, got {list(node_seq)}")
        self.node_seq = sizes
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        for i, layer in enumerate(self.linear):
            nn.init.zeros_(layer.bias)
            if seed is None:
                nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain("relu"))
            else:
                _xavier_uniform(layer.weight, Key(seed).fold_in(Purpose.INITIAL_WEIGHTS).fold_in(i))

    @property
    def linear(self) -> list[nn.Linear]:
        """The layers, from the data up."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities of the classes."""
        x = x.flatten(1)
        for layer in self.linear[:-1]:
            x = torch.relu(layer(x))
        return torch.log_softmax(self.linear[-1](x), dim=1)


def _xavier_uniform(weight: Tensor, key: Key) -> None:
    """nn.init.xavier_uniform_ with the ReLU's gain, from numbers that belong to places."""
    n_out, n_in = weight.shape
    bound = math.sqrt(2) * math.sqrt(6 / (n_in + n_out))
    values = (2 * uniform(key, 0, n_out, n_in) - 1) * bound
    with torch.no_grad():
        weight.copy_(torch.from_numpy(values))
