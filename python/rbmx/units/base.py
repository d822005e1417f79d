"""What a unit type is: a distribution exp(x s - U(s)) of a unit's state s for each input x."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rbmx.rng import Draws

__all__ = ["UnitType"]

Real = NDArray[np.float64]


class UnitType(Protocol):
    """p(s | x) = exp(x s - U(s) - cumulant(x)), x the input, bias included. Elementwise, float64."""

    name: str

    def energy(self, state: Real) -> Real:
        """U(s), the unit's own term of the energy."""
        ...

    def cumulant(self, x: Real) -> Real:
        """log of the sum or integral over s of exp(x s - U(s))."""
        ...

    def mean(self, x: Real) -> Real:
        """E[s | x], the first derivative of the cumulant."""
        ...

    def variance(self, x: Real) -> Real:
        """Var[s | x], the second derivative of the cumulant."""
        ...

    def sample(self, x: Real, draws: Draws) -> Real:
        """s drawn from p(s | x), x (rows, units)."""
        ...

    def check(self, values: NDArray[np.generic]) -> str | None:
        """Why `values` cannot be states of visible units (or their means), or None."""
        ...
