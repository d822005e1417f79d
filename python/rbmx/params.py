"""The parameters of a restricted Boltzmann machine as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rbmx.rng import Key, draw32

__all__ = ["PARAMETERS", "RBMParams"]

Float32s = NDArray[np.float32]
MAX_UNITS = 1 << 24
PARAMETERS = ("weight", "visible_bias", "hidden_bias")


@dataclass(eq=False)
class RBMParams:
    """Parameters of E(v, h) = U(v) - v.b + U(h) - h.c - h W v; U is the unit type's own term.

    Attributes:
        weight: W, float32 (n_hidden, n_visible), C-contiguous.
        visible_bias: b, float32 (n_visible,).
        hidden_bias: c, float32 (n_hidden,).
        visible, hidden: names of the unit types (rbmx.units).
    """

    weight: Float32s
    visible_bias: Float32s
    hidden_bias: Float32s
    visible: str = "bernoulli"
    hidden: str = "bernoulli"

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            raise ValueError(f"weight: expected (n_hidden, n_visible), got {self.weight.shape}")
        shapes = {
            "weight": self.weight.shape,
            "visible_bias": (self.n_visible,),
            "hidden_bias": (self.n_hidden,),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.dtype != np.float32 or array.shape != shape or not array.flags.c_contiguous:
                raise ValueError(f"{name}: expected C-contiguous float32 {shape}, got {array.dtype} {array.shape}")

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return int(self.weight.shape[1])

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return int(self.weight.shape[0])

    def copy(self) -> RBMParams:
        """The same numbers in memory of their own."""
        return RBMParams(
            self.weight.copy(),
            self.visible_bias.copy(),
            self.hidden_bias.copy(),
            self.visible,
            self.hidden,
        )

    def zeros(self) -> RBMParams:
        """Zeros in the same shapes: a velocity at rest."""
        weight, visible_bias, hidden_bias = (np.zeros_like(getattr(self, name)) for name in PARAMETERS)
        return RBMParams(weight, visible_bias, hidden_bias, self.visible, self.hidden)

    @classmethod
    def initial(
        cls,
        n_visible: int,
        n_hidden: int,
        *,
        key: Key,
        std: float = 0.01,
        visible: str = "bernoulli",
        hidden: str = "bernoulli",
    ) -> RBMParams:
        """Weights near N(0, std^2), biases zero.

        A weight is the sum of twelve uniform numbers less six (Irwin and Hall) times std: exact in integers, so
        the same bytes on any machine.
        """
        for name, n in (("n_visible", n_visible), ("n_hidden", n_hidden)):
            if not 1 <= n <= MAX_UNITS:
                raise ValueError(f"{name}: expected 1 to {MAX_UNITS} units, got {n}")
        if not 0 <= std < 100:
            raise ValueError(f"std: expected 0 or a small positive number, got {std}")
        weight = np.empty((n_hidden, n_visible), np.float32)
        rows = max(1, (1 << 20) // n_visible)
        for start in range(0, n_hidden, rows):
            stop = min(n_hidden, start + rows)
            total = np.zeros((stop - start, n_visible), np.int64)
            for stream in range(12):
                total += draw32(key, start, stop - start, n_visible, stream=stream)
            weight[start:stop] = (total - 6 * 2**32) * (std * 2.0**-32)
        return cls(weight, np.zeros(n_visible, np.float32), np.zeros(n_hidden, np.float32), visible, hidden)
