"""What a unit type is: a distribution exp(x.t(s) - U(s)) of the states s of a layer's units for their inputs x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbmx.rng import Draws

__all__ = ["Bools", "Real", "UnitType", "Violation", "require_whole_groups"]

Real = NDArray[np.float64]
Bools = NDArray[np.bool_]
HALVINGS = 80
FARTHEST = 1e6  # inputs that start_at looks among
IMAGINARY_ROWS = 2.0


class Violation(NamedTuple):
    """A value that is no state of its unit: where it stands, and what its unit type takes."""

    row: int
    column: int
    unit: str
    expected: str


class UnitType(ABC):
    """p(s | x) = exp(x.t(s) - U(s) - cumulant(x)), x the inputs, bias included; t(s) = s but for learned variances.

    States and inputs are float64 (rows, units); energies and cumulants are sums over a row's units, (rows,). An
    object has no state of its own beyond what its name tells and what `like` and `scaled` bind to it.

    Attributes:
        kind: the word that a spec calls it by.   usage: how it is written in a spec.
        group: units that form one variable; a layer holds a multiple of it.
        curvature: U'' at s towards +infinity and -infinity; infinite where states are bounded on that side.
        domain: what states are, in words.
        visible_only: why it cannot be hidden; empty where it can.
        binary: whether states are zeros and ones with t(s) = s and U(s) = 0, so that rows of them are packed bits.
    """

    kind: ClassVar[str]
    usage: ClassVar[str]
    domain: str
    visible_only: str = ""
    binary: bool = False
    group: int = 1
    curvature: tuple[float, float] = (np.inf, np.inf)

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> UnitType:
        """The unit type of a spec's arguments.

        Raises:
            ValueError: arguments it does not take.
        """
        if arguments:
            raise ValueError(f"expected {cls.usage}, got {cls.kind}({','.join(arguments)})")
        return cls()

    @property
    def name(self) -> str:
        """The canonical spec."""
        return self.kind

    # the distribution

    @abstractmethod
    def energy(self, state: Real) -> Real:
        """U(s), the units' own term of the energy, (rows,)."""

    @abstractmethod
    def cumulant(self, x: Real) -> Real:
        """log of the sum or integral over s of exp(x.t(s) - U(s)), (rows,)."""

    @abstractmethod
    def mean(self, x: Real) -> Real:
        """E[s | x], (rows, units); the derivative of the cumulant where t(s) = s."""

    @abstractmethod
    def sample(self, x: Real, draws: Draws) -> Real:
        """s drawn from p(s | x), (rows, units)."""

    @abstractmethod
    def contains(self, values: Real) -> Bools:
        """Which values can be states or their means, (rows, units); NaN cannot."""

    def states(self, n_units: int) -> list[Real] | None:
        """For each group in turn all its states, (states, units), of energy 0; None: infinitely many."""
        return None

    def missing(self, values: Real) -> Bools:
        """Where NaN says that a state is not known: in the whole of a group, (rows, units)."""
        unknown = np.isnan(values)
        if self.group == 1:
            return unknown
        whole = unknown.reshape(len(values), -1, self.group).all(axis=2)
        return np.repeat(whole, self.group, axis=1)

    def select(self, units: Bools) -> UnitType:
        """The unit type of those units of a layer, whole groups, alone."""
        return self

    # what few unit types have

    def statistic(self, state: Real) -> Real:
        """t(s), what the weights see of a state."""
        return state

    def replicas(self, state: Real) -> Real | float:
        """How many times the other side's biases count beside such states, (rows, 1); 1 but for counts."""
        return 1.0

    def like(self, state: Real) -> UnitType:
        """The same with what a Gibbs step keeps of each row: its total for counts, nothing for others."""
        return self

    def scaled(self, log_variance: Real) -> UnitType:
        """The same with these log variances, (units,), where they are learned."""
        return self

    def learned(self, n_units: int) -> Bools:
        """Which units' variances are learned, (units,)."""
        return np.zeros(n_units, bool)

    def log_variance_slope(self, state: Real, x: Real) -> Real:
        """d/d(log variance) of log p(s | x), (rows, units): 0 where the variance is not learned."""
        return np.zeros_like(state)

    # layouts

    def units_of(self, count: int) -> int:
        """Units of `count` variables."""
        return count * self.group

    def groups(self, n_units: int) -> NDArray[np.int64]:
        """The number of the group that each unit is in, (units,)."""
        return np.arange(n_units) // self.group

    def variables(self, n_units: int) -> NDArray[np.int64]:
        """First unit and number of units of each group that has more than one, (groups, 2)."""
        size = np.bincount(self.groups(n_units))
        return np.stack([np.cumsum(size) - size, size], axis=1)[size > 1]

    def curvatures(self, n_units: int) -> Real:
        """Curvature of each unit towards +infinity and -infinity, (2, units)."""
        return np.repeat(np.array(self.curvature)[:, None], n_units, axis=1)

    def require_width(self, n_units: int) -> None:
        """Raises ValueError where a layer of that many units cannot hold whole groups."""
        if n_units % self.group:
            raise ValueError(f"{self.name}: expected a multiple of {self.group} units, got {n_units}")

    def start_at(self, mean: Real, rows: Real) -> Real:
        """The biases under which units alone have the mean of `rows` rows of data, (units,); `rows` too is (units,).

        Two imaginary rows at mean(0) keep them finite where all data are the same.
        """
        wanted = (mean * rows + IMAGINARY_ROWS * self.mean(np.zeros((1, len(mean))))[0]) / (rows + IMAGINARY_ROWS)
        low, high = np.full(len(mean), -FARTHEST), np.full(len(mean), FARTHEST)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self.mean(middle[None])[0] < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray((low + high) / 2)

    def check(self, values: Real, *, missing: bool = False) -> Violation | None:
        """The first of `values` that no unit can have, or None.

        Args:
            values: (rows, units).
            missing: NaN stands for a group that is not known, whole.
        """
        fine = self.contains(values)
        if missing:
            fine = fine | self.missing(values)
        if fine.all():
            return None
        row, column = (int(i) for i in np.unravel_index(int(np.argmin(fine)), fine.shape))
        return self.violation(row, column)

    def violation(self, row: int, column: int) -> Violation:
        """What is wrong with a value at that place."""
        return Violation(row, column, self.name, self.domain)


def require_whole_groups(unit: UnitType, known: Bools) -> None:
    """Raises ValueError where some units of a group are known and others are not: `known` is (rows, units)."""
    groups = unit.groups(known.shape[1])
    first = np.searchsorted(groups, groups)
    split = known != known[:, first]
    if split.any():
        row, column = (int(i) for i in np.unravel_index(int(split.argmax()), split.shape))
        members = np.flatnonzero(groups == groups[column])
        raise ValueError(
            f"row {row}: columns {members[0]} to {members[-1]} are one {unit.violation(row, column).unit} variable, "
            "known whole or not at all"
        )
