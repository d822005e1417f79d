"""Mixed layers: blocks of different unit types side by side, as a table's columns are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from rbmx.rng import Draws
from rbmx.units.base import Bools, Real, UnitType, Violation

__all__ = ["Mixed"]


class Mixed(UnitType):
    """Independent blocks: energies and cumulants add up, states and means stand side by side.

    Args:
        blocks: unit types and how many of each: units, or groups of a softmax.
    """

    kind = usage = "mixed"
    domain = "values of its blocks"

    def __init__(self, blocks: Sequence[tuple[UnitType, int]]) -> None:
        for unit, count in blocks:
            if count < 1:
                raise ValueError(f"{unit.name}: expected a count of 1 or more, got {count}")
            if unit.kind == "counts":
                raise ValueError("counts: stands alone in a layer, because a row's total scales the hidden biases")
        self.blocks = tuple(blocks)
        ends = [0, *accumulate(unit.units_of(count) for unit, count in blocks)]
        self.slices = tuple(slice(start, stop) for start, stop in pairwise(ends))
        self.width = ends[-1]
        self.binary = all(unit.binary for unit, _ in blocks)
        self.visible_only = next((unit.visible_only for unit, _ in blocks if unit.visible_only), "")

    @property
    def name(self) -> str:
        """The blocks' specs, joined by " + "."""
        plain = len(self.blocks) == 1
        return " + ".join(f"{unit.name}*{count}" if count > 1 or plain else unit.name for unit, count in self.blocks)

    def energy(self, state: Real) -> Real:
        """The sum over blocks."""
        return np.asarray(sum(unit.energy(state[..., part]) for unit, part in self._parts()))

    def cumulant(self, x: Real) -> Real:
        """The sum over blocks."""
        return np.asarray(sum(unit.cumulant(x[..., part]) for unit, part in self._parts()))

    def mean(self, x: Real) -> Real:
        """Block by block."""
        return self._beside(lambda unit, part: unit.mean(x[..., part]))

    def sample(self, x: Real, draws: Draws) -> Real:
        """Block by block, each at the places of its own units."""
        return self._beside(lambda unit, part: unit.sample(x[..., part], draws.at_unit(part.start)))

    def contains(self, values: Real) -> Bools:
        """Block by block."""
        return np.concatenate([unit.contains(values[..., part]) for unit, part in self._parts()], axis=-1)

    def missing(self, values: Real) -> Bools:
        """Block by block."""
        return np.concatenate([unit.missing(values[..., part]) for unit, part in self._parts()], axis=-1)

    def states(self, n_units: int) -> list[Real] | None:
        """The blocks' states one after another, None where a block has infinitely many."""
        found: list[Real] = []
        for unit, part in self._parts():
            states = unit.states(part.stop - part.start)
            if states is None:
                return None
            found += states
        return found

    def statistic(self, state: Real) -> Real:
        """Block by block."""
        return self._beside(lambda unit, part: unit.statistic(state[..., part]))

    def scaled(self, log_variance: Real) -> UnitType:
        """With the log variances of its learned blocks."""
        return Mixed(
            [
                (unit.scaled(log_variance[part]), count)
                for (unit, count), part in zip(self.blocks, self.slices, strict=True)
            ]
        )

    def learned(self, n_units: int) -> Bools:
        """Block by block."""
        return np.concatenate([unit.learned(part.stop - part.start) for unit, part in self._parts()])

    def log_variance_slope(self, state: Real, x: Real) -> Real:
        """Block by block."""
        return self._beside(lambda unit, part: unit.log_variance_slope(state[..., part], x[..., part]))

    def select(self, units: Bools) -> UnitType:
        """The blocks that have any of them, shorter."""
        return Mixed(
            [
                (unit.select(units[part]), int(units[part].sum()) // unit.group)
                for unit, part in self._parts()
                if units[part].any()
            ]
        )

    def groups(self, n_units: int) -> NDArray[np.int64]:
        """The blocks' groups, numbered on."""
        found: list[NDArray[np.int64]] = []
        for unit, part in self._parts():
            first = found[-1][-1] + 1 if found else 0
            found.append(unit.groups(part.stop - part.start) + first)
        return np.concatenate(found)

    def curvatures(self, n_units: int) -> Real:
        """Block by block."""
        return np.concatenate([unit.curvatures(part.stop - part.start) for unit, part in self._parts()], axis=1)

    def require_width(self, n_units: int) -> None:
        """The blocks' units must add up to the layer's."""
        if n_units != self.width:
            widths = " + ".join(str(part.stop - part.start) for part in self.slices)
            raise ValueError(f"{self.name}: the blocks have {widths} = {self.width} units, the layer has {n_units}")

    def start_at(self, mean: Real, rows: Real) -> Real:
        """Block by block."""
        return np.concatenate([unit.start_at(mean[part], rows[part]) for unit, part in self._parts()])

    def violation(self, row: int, column: int) -> Violation:
        """Of the block that the column is in."""
        unit = next(unit for unit, part in self._parts() if part.start <= column < part.stop)
        return Violation(row, column, unit.name, unit.domain)

    def _parts(self) -> list[tuple[UnitType, slice]]:
        return [(unit, part) for (unit, _), part in zip(self.blocks, self.slices, strict=True)]

    def _beside(self, function: Callable[[UnitType, slice], Real]) -> Real:
        return np.concatenate([function(unit, part) for unit, part in self._parts()], axis=-1)
