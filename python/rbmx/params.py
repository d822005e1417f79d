"""The parameters of a restricted Boltzmann machine as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import number, text, whole_number
from rbmx.rng import ROWS_PER_CALL, Key, draw32
from rbmx.units import UnitType, unit_type

__all__ = ["PARAMETERS", "RBMParams"]

Float32s = NDArray[np.float32]
MAX_UNITS = 1 << 24
DRAWN_TOGETHER = 1 << 17  # random numbers at a time: what Philox makes them of stays in the cache
PARAMETERS = ("weight", "visible_bias", "hidden_bias")


@dataclass(eq=False)
class RBMParams:
    """Parameters of E(v, h) = U(v) - v.b + U(h) - h.c - h W v; U is the unit type's own term.

    Attributes:
        weight: W, float32 (n_hidden, n_visible), C-contiguous.
        visible_bias: b, float32 (n_visible,).
        hidden_bias: c, float32 (n_hidden,).
        visible, hidden: specs of the unit types (rbmx.units).
        log_variance: z, float32 (n_visible,), of visible units whose variance is learned, 0 beside them; None where
            there are none.
    """

    weight: Float32s
    visible_bias: Float32s
    hidden_bias: Float32s
    visible: str = "bernoulli"
    hidden: str = "bernoulli"
    log_variance: Float32s | None = None

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            raise ValueError(f"weight: expected (n_hidden, n_visible), got {self.weight.shape}")
        shapes = {
            "weight": self.weight.shape,
            "visible_bias": (self.n_visible,),
            "hidden_bias": (self.n_hidden,),
            "log_variance": (self.n_visible,),
        }
        for name in self.names:
            shape = shapes[name]
            array = getattr(self, name)
            if array.dtype != np.float32 or array.shape != shape or not array.flags.c_contiguous:
                raise ValueError(f"{name}: expected C-contiguous float32 {shape}, got {array.dtype} {array.shape}")
        text("visible", self.visible)
        text("hidden", self.hidden)
        visible, hidden = (unit_type(*side) for side in ((self.visible, self.n_visible), (self.hidden, self.n_hidden)))
        if hidden.visible_only:
            raise ValueError(f"hidden: {self.hidden} units are visible ones: {hidden.visible_only}")
        if self.log_variance is None and visible.learned(self.n_visible).any():
            raise ValueError(f"log_variance: expected float32 ({self.n_visible},) for {self.visible} units, got None")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays there are."""
        return PARAMETERS if self.log_variance is None else (*PARAMETERS, "log_variance")

    @property
    def visible_unit(self) -> UnitType:
        """The visible unit type, with the learned variances."""
        unit = unit_type(self.visible, self.n_visible)
        return unit if self.log_variance is None else unit.scaled(self.log_variance.astype(np.float64))

    @property
    def hidden_unit(self) -> UnitType:
        """The hidden unit type."""
        return unit_type(self.hidden, self.n_hidden)

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
        return replace(self, **{name: getattr(self, name).copy() for name in self.names})

    def zeros(self) -> RBMParams:
        """Zeros in the same shapes: a velocity at rest."""
        return replace(self, **{name: np.zeros_like(getattr(self, name)) for name in self.names})

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
        """Weights near N(0, std^2), biases zero, learned variances 1.

        A weight is the sum of twelve uniform numbers less six (Irwin and Hall) times std: exact in integers, so
        the same bytes on any machine.
        """
        text("visible", visible)
        text("hidden", hidden)
        for name, n in (("n_visible", n_visible), ("n_hidden", n_hidden)):
            if not 1 <= whole_number(name, n) <= MAX_UNITS:
                raise ValueError(f"{name}: expected 1 to {MAX_UNITS} units, got {n}")
        if not 0 <= number("std", std) < 100:
            raise ValueError(f"std: expected 0 or a small positive number, got {std}")
        weight = np.empty((n_hidden, n_visible), np.float32)
        rows = max(ROWS_PER_CALL, DRAWN_TOGETHER // n_visible // ROWS_PER_CALL * ROWS_PER_CALL)
        for start in range(0, n_hidden, rows):
            stop = min(n_hidden, start + rows)
            total = np.zeros((stop - start, n_visible), np.int64)
            for stream in range(12):
                total += draw32(key, start, stop - start, n_visible, stream=stream)
            weight[start:stop] = (total - 6 * 2**32) * (std * 2.0**-32)
        learned = unit_type(visible, n_visible).learned(n_visible).any()
        return cls(
            weight,
            np.zeros(n_visible, np.float32),
            np.zeros(n_hidden, np.float32),
            visible,
            hidden,
            np.zeros(n_visible, np.float32) if learned else None,
        )
