"""Unit types, one per file. A new one is a file here and a line in UNITS, and runs on the reference at once.

A spec names the units of a layer:

    block = name | name(argument,...)
    spec  = block | block*count + block*count + ...

A block alone fills its layer: "gaussian", "softmax(5)" (groups of 5 units). Blocks side by side have counts, 1 where
none is given: "gaussian*3 + softmax(4) + bernoulli*2" is 3 + 4 + 2 units, for a softmax counts groups.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from rbmx.units.base import UnitType, Violation
from rbmx.units.bernoulli import Bernoulli
from rbmx.units.counts import Counts
from rbmx.units.drelu import DReLU
from rbmx.units.exponential import Exponential
from rbmx.units.gaussian import Gaussian
from rbmx.units.mixed import Mixed
from rbmx.units.relu import ReLU
from rbmx.units.softmax import Softmax
from rbmx.units.spin import Spin

__all__ = ["UNITS", "UnitType", "Violation", "mixed", "unit_type"]

UNITS: dict[str, type[UnitType]] = {
    unit.kind: unit for unit in (Bernoulli, Spin, Gaussian, Softmax, Counts, ReLU, DReLU, Exponential)
}
_BLOCK = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\(([^()]*)\))?\s*(?:\*\s*(\d+))?\s*")
_PLUS = re.compile(r"\+(?![^(]*\))")  # one that is not inside an argument, as in 1e+3


@lru_cache(maxsize=256)
def unit_type(spec: str, n_units: int | None = None) -> UnitType:
    """The unit type of a spec.

    Args:
        spec: as above.
        n_units: of the layer; None: not checked.

    Raises:
        ValueError: an unknown name, arguments it does not take, or blocks that do not add up to the layer's units.
    """
    blocks = [_block(spec, text) for text in _PLUS.split(spec)]
    (first, count), *others = blocks
    unit = (
        first
        if count is None and not others
        else Mixed([(unit, 1 if count is None else count) for unit, count in blocks])
    )
    if n_units is not None:
        unit.require_width(n_units)
    return unit


def mixed(blocks: Iterable[tuple[str, int]]) -> str:
    """The spec of blocks side by side: mixed([("gaussian", 3), ("softmax(4)", 1)]) is "gaussian*3 + softmax(4)".

    Args:
        blocks: names with how many of each: units, or groups of a softmax.

    Raises:
        ValueError: as in unit_type, or no block.
    """
    parsed = [(unit_type(name), count) for name, count in blocks]
    if not parsed or any(isinstance(unit, Mixed) for unit, _ in parsed):
        raise ValueError(f"blocks: expected one or more pairs of a unit type and a count, got {list(blocks)}")
    return Mixed(parsed).name


def _block(spec: str, text: str) -> tuple[UnitType, int | None]:
    """A unit type and its count, None where none is written."""
    match = _BLOCK.fullmatch(text)
    if match is None or match[1] not in UNITS:
        known = ", ".join(unit.usage for unit in UNITS.values())
        raise ValueError(f"unit type: expected one of {known}, or such blocks joined by +, got {spec!r}")
    arguments = [argument.strip() for argument in match[2].split(",")] if match[2] is not None else []
    unit = UNITS[match[1]].parse(arguments)
    return unit, None if match[3] is None else int(match[3])
