"""Double rectified linear units: a quadratic energy of its own shape on each side of zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rbmx.rng import Draws
from rbmx.units import half_normal
from rbmx.units.base import Bools, Real, UnitType
from rbmx.units.relu import MIDDLE

__all__ = ["DReLU"]


class DReLU(UnitType):
    """U(s) = gp s^2 / 2 + tp s for s >= 0, gm s^2 / 2 + tm s for s <= 0 (Tubiana, Cocco and Monasson 2019, equation 8).

    exp(cumulant) is the sum of two half-line integrals, exp(log_integral((x - tp) / sqrt gp)) / sqrt gp and
    exp(log_integral((tm - x) / sqrt gm)) / sqrt gm. (1, 1, 0, 0) is a Gaussian unit; tp > tm makes states near zero
    likely, tp < tm makes two modes.

    Args:
        plus, minus: curvatures gp and gm, positive.
        tilt_plus, tilt_minus: slopes at zero tp and tm.
    """

    kind = "drelu"
    usage = "drelu(curvature+,curvature-,slope+,slope-)"
    domain = "finite values"

    def __init__(self, plus: float, minus: float, tilt_plus: float, tilt_minus: float) -> None:
        self.plus, self.minus, self.tilt_plus, self.tilt_minus = plus, minus, tilt_plus, tilt_minus
        if not all(map(math.isfinite, (plus, minus, tilt_plus, tilt_minus))) or min(plus, minus) <= 0:
            raise ValueError(f"drelu: expected positive curvatures and finite slopes, got {self.name}")
        self.curvature = (plus, minus)
        self._up, self._down = 1 / math.sqrt(plus), 1 / math.sqrt(minus)

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> UnitType:
        """Four numbers."""
        try:
            plus, minus, tilt_plus, tilt_minus = map(float, arguments)
        except ValueError:
            raise ValueError(f"expected {cls.usage}, got drelu({','.join(arguments)})") from None
        return cls(plus, minus, tilt_plus, tilt_minus)

    @property
    def name(self) -> str:
        """drelu(gp,gm,tp,tm)."""
        shape = (self.plus, self.minus, self.tilt_plus, self.tilt_minus)
        return f"drelu({','.join(repr(float(value)).removesuffix('.0') for value in shape)})"

    def energy(self, state: Real) -> Real:
        """sum U(s)."""
        up, down = np.maximum(state, 0), np.minimum(state, 0)
        own = (self.plus * up * up + self.minus * down * down) / 2 + self.tilt_plus * up + self.tilt_minus * down
        return np.asarray(own.sum(axis=-1))

    def cumulant(self, x: Real) -> Real:
        """sum log(Z+ + Z-)."""
        return np.asarray(np.logaddexp(*self._log_integrals(x)).sum(axis=-1))

    def mean(self, x: Real) -> Real:
        """p+ E[s | s > 0] + p- E[s | s < 0]."""
        above, below = self._half_inputs(x)
        positive = self._positive(x)
        up, down = self._up * half_normal.mean(above), self._down * half_normal.mean(below)
        return np.asarray(positive * up - (1 - positive) * down)

    def sample(self, x: Real, draws: Draws) -> Real:
        """The quantile at u: one number chooses the side and the place on it."""
        u = draws.uniform(*x.shape) + MIDDLE
        above, below = self._half_inputs(x)
        negative = 1 - self._positive(x)
        left = u < negative
        with np.errstate(divide="ignore", invalid="ignore"):
            within = np.clip(np.where(left, 1 - u / negative, (u - negative) / (1 - negative)), MIDDLE, 1 - MIDDLE)
        far = half_normal.quantile(np.where(left, below, above), within)
        return np.where(left, -self._down, self._up) * far

    def contains(self, values: Real) -> Bools:
        """Finite values."""
        return np.isfinite(values)

    def _half_inputs(self, x: Real) -> tuple[Real, Real]:
        return (x - self.tilt_plus) * self._up, (self.tilt_minus - x) * self._down

    def _log_integrals(self, x: Real) -> tuple[Real, Real]:
        """log Z+ and log Z-."""
        above, below = self._half_inputs(x)
        log_above, log_below = half_normal.log_integral(above), half_normal.log_integral(below)
        return log_above + math.log(self._up), log_below + math.log(self._down)

    def _positive(self, x: Real) -> Real:
        """p(s > 0 | x)."""
        above, below = self._log_integrals(x)
        return np.asarray(np.exp(-np.logaddexp(0.0, below - above)))
