"""Machines without a distribution: found by the largest pull of two unbounded sides on each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.likelihood import ais_log_partition
from rbmx.likelihood.normalisable import largest_pull
from rbmx.likelihood.partition import estimate_log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key


def params_of(weight: Any, visible: str, hidden: str) -> RBMParams:
    w = np.asarray(weight, np.float32)
    return RBMParams(w, np.zeros(w.shape[1], np.float32), np.zeros(w.shape[0], np.float32), visible, hidden)


def test_gaussian_pairs_pull_by_the_largest_singular_value() -> None:
    """200 alternating steps from 8 starts; a gap of 1 % between singular values leaves 1e-3."""
    for seed in range(20):
        weight = np.random.default_rng(seed).normal(size=(7, 5))
        found = largest_pull(params_of(weight, "gaussian", "gaussian"))
        assert found == pytest.approx(np.linalg.norm(weight, 2), rel=1e-3)


@pytest.mark.parametrize(
    ("weight", "visible", "hidden", "pull"),
    [
        ([[2.0]], "relu", "relu", 2.0),
        ([[-2.0]], "relu", "relu", 0.0),  # both at least zero: a negative weight holds them there
        ([[-2.0]], "relu", "gaussian", 2.0),
        ([[-2.0, 0.5]], "relu", "relu", 0.5),
        ([[2.0]], "drelu(16,1,0,0)", "gaussian", 2.0),  # on the side of curvature 1
        ([[2.0]], "drelu(16,16,0,0)", "gaussian", 0.5),
        ([[9.0]], "gaussian", "bernoulli", 0.0),
        ([[9.0]], "exponential", "relu", 0.0),
        ([[3.0, 7.0, 7.0]], "gaussian + softmax(2)", "relu", 3.0),
    ],
)
def test_bounded_sides_do_not_pull(weight: Any, visible: str, hidden: str, pull: float) -> None:
    assert largest_pull(params_of(weight, visible, hidden)) == pytest.approx(pull, abs=1e-6)


@pytest.mark.parametrize(("visible", "hidden"), [("gaussian", "gaussian"), ("relu", "relu"), ("relu", "gaussian")])
def test_a_machine_without_a_distribution_is_refused(visible: str, hidden: str) -> None:
    params = params_of([[1.01]], visible, hidden)
    with pytest.raises(
        ValueError, match=f"log Z: {visible} visible and {hidden} hidden units pull each other to infin"
    ):
        estimate_log_partition(params, key=Key(0))
    with pytest.raises(ValueError, match=r"is 1\.01, expected below 1"):
        ais_log_partition(params, key=Key(0))
    fine = params_of([[0.9]], visible, hidden)
    assert np.isfinite(ais_log_partition(fine, temperatures=20, chains=20, key=Key(0)).value)
