"""Values that are to be states of a layer: looked at before anything is computed from them, never in compiled code."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rbmx import torch_units
from rbmx.units import UnitType
from rbmx.units.base import require_whole_groups

__all__ = ["require_states"]


def require_states(unit: UnitType, values: Tensor, name: str, *, missing: bool = False) -> None:
    """ValueError, with row, column and value, where a value can be no state of its unit, nor a mean of states.

    A compiled or exported program does not look.

    Args:
        unit: of the layer.
        values: (..., units).
        name: what the error calls them.
        missing: NaN is a missing entry, of a softmax its whole group; else it is an error.
    """
    if torch.compiler.is_compiling() or bool(torch_units.contains(unit, values).all()):
        return
    rows = values.detach().reshape(-1, values.shape[-1]).cpu().to(torch.float64).numpy()
    if not missing and np.isnan(rows).any():
        raise ValueError(
            f"{name}: NaN, a missing entry; fill it in with impute(v) or keep what is known with sample(given=)"
        )
    if missing:
        require_whole_groups(unit, ~np.isnan(rows))
    with np.errstate(invalid="ignore"):
        found = unit.check(rows, missing=missing)
    if found is not None:
        value = rows[found.row, found.column]
        raise ValueError(
            f"{name}: row {found.row}, column {found.column}: value {value:g}: {found.unit} units take {found.expected}"
        )
