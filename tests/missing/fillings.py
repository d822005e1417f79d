"""Rows with missing entries and, for each, all that the missing ones can be."""

from __future__ import annotations

from typing import Any

import numpy as np

from rbmx.backends.reference import ReferenceBackend
from rbmx.params import RBMParams
from tests.units.layers import PAIRS, groups_of, product, rows_of

NAN = float("nan")
WITH_MISSING = [pair for pair in PAIRS if pair[0] != "counts"]


def with_gaps(params: RBMParams, n: int, seed: int = 3, share: float = 0.5) -> Any:
    """Rows of states with about `share` of their groups missing, float32."""
    rows = rows_of(params, n, seed).astype(np.float32)
    groups = params.visible_unit.groups(params.n_visible)
    gone = np.random.default_rng(seed).random((n, groups.max() + 1)) < share
    rows[gone[:, groups]] = NAN
    return rows


def fillings(params: RBMParams, row: Any, n: int = 32) -> tuple[Any, Any]:
    """All completions of a row (states, units), or nodes of quadrature, and the log weight of each."""
    gaps = np.isnan(row)
    if not gaps.any():
        return row[None].astype(float), np.zeros(1)
    states, log_w = product(groups_of(params.visible_unit.select(gaps), int(gaps.sum()), n))
    filled = np.repeat(row[None].astype(float), len(states), 0)
    filled[:, gaps] = states
    return filled, log_w


def conditional(params: RBMParams, row: Any) -> tuple[Any, Any, float]:
    """The completions of a row, p(completion | observed), and the log of the sum of exp(-F) over them."""
    filled, log_w = fillings(params, row)
    log_p = log_w - ReferenceBackend().free_energy(params, filled.astype(np.float32))
    total = float(np.logaddexp.reduce(log_p))
    return filled, np.exp(log_p - total), total
