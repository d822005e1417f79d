"""Unit types, one per file. A new one is a file here and a line in UNITS, and runs on the reference at once."""

from __future__ import annotations

from rbmx.units.base import UnitType
from rbmx.units.bernoulli import Bernoulli
from rbmx.units.gaussian import Gaussian

__all__ = ["UNITS", "UnitType", "unit_type"]

UNITS: dict[str, UnitType] = {unit.name: unit for unit in (Bernoulli(), Gaussian())}


def unit_type(name: str) -> UnitType:
    """The unit type of that name; ValueError names those there are."""
    try:
        return UNITS[name]
    except KeyError:
        raise ValueError(f"unit type: expected one of {', '.join(UNITS)}, got {name!r}") from None
