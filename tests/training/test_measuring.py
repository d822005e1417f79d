"""Measures of many rows, taken a few rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import Rows, as_array, backend_for
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training import measuring
from rbmx.training.measuring import log_odds, means, reconstruction_and_energy

RNG = np.random.default_rng(5)
BITS = PackedBits.pack(RNG.random((50, 70)) < 0.3)


def _machine(visible: str) -> tuple[RBMParams, Rows]:
    params = RBMParams.initial(70, 9, key=Key(1), std=0.4, visible=visible)
    if visible == "bernoulli":
        return params, BITS
    return params, RNG.standard_normal((50, 70)).astype(np.float32)


@pytest.mark.parametrize("together", [70, 7 * 70, 50 * 70])
@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_parts_make_the_mean_of_all_rows(visible: str, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of 50 rows in another order differ in the last bits of float64."""
    params, rows = _machine(visible)
    backend: Any = backend_for(params)
    monkeypatch.setattr(measuring, "VALUES_TOGETHER", together)
    error, energy = reconstruction_and_energy(backend, params, rows)
    difference = as_array(rows).astype(np.float64) - backend.reconstruct(params, rows)
    assert error == pytest.approx(np.mean(difference**2), rel=1e-6)  # a difference is rounded to float32
    assert energy == pytest.approx(np.mean(backend.free_energy(params, rows)), rel=1e-12)


def test_missing_entries_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    params, rows = _machine("gaussian")
    holes = as_array(rows).copy()
    holes[::3, 5:40] = np.nan
    backend: Any = backend_for(params)
    whole = reconstruction_and_energy(backend, params, holes)
    monkeypatch.setattr(measuring, "VALUES_TOGETHER", 4 * 70)
    assert reconstruction_and_energy(backend, params, holes) == pytest.approx(whole, rel=1e-12)
    assert 0.1 < whole[0] < 10


def test_columns_of_bits_are_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    values = as_array(BITS)
    for together in (70, 13 * 70, 50 * 70):
        monkeypatch.setattr(measuring, "VALUES_TOGETHER", together)
        for measure in (means, log_odds):
            np.testing.assert_array_equal(measure([BITS[:20], BITS[20:]]), measure([values]))
    assert log_odds([BITS[:0]]).tolist() == [0.0] * 70
