"""Walk every registered unit type: its moments are the derivatives of its cumulant, and its samples have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.rng import Draws, Key
from rbmx.units import UNITS, unit_type

X = np.linspace(-6, 6, 25)


@pytest.fixture(params=sorted(UNITS))
def unit(request: pytest.FixtureRequest) -> Any:
    return UNITS[request.param]


def test_every_unit_is_found_under_its_name(unit: Any) -> None:
    assert unit_type(unit.name) is unit


def test_an_unknown_unit_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"expected one of bernoulli, gaussian.*got 'spin'"):
        unit_type("spin")


def states(name: str) -> tuple[Any, float]:
    """States to sum over and the weight of each: all of them, or a grid fine enough for 1e-9."""
    return (np.array([0.0, 1.0]), 1.0) if name == "bernoulli" else (np.linspace(-20, 20, 8001), 0.005)


def test_cumulant_is_the_log_of_the_sum_over_states(unit: Any) -> None:
    s, weight = states(unit.name)
    terms = X[:, None] * s - unit.energy(s)
    expected = np.log(np.exp(terms - terms.max(1, keepdims=True)).sum(1) * weight) + terms.max(1)
    np.testing.assert_allclose(unit.cumulant(X), expected, atol=1e-9)


def test_mean_and_variance_are_the_derivatives_of_the_cumulant(unit: Any) -> None:
    step = 1e-3  # central differences: errors of step^2 / 6 and of rounding / step^2, both under 1e-6
    plus, at, minus = unit.cumulant(X + step), unit.cumulant(X), unit.cumulant(X - step)
    np.testing.assert_allclose(unit.mean(X), (plus - minus) / (2 * step), atol=1e-6)
    np.testing.assert_allclose(unit.variance(X), (plus - 2 * at + minus) / step**2, atol=1e-6)


def test_samples_have_the_mean_and_the_variance(unit: Any) -> None:
    """100,000 samples an input: 5 deviations of the sample mean, and of the sample variance."""
    n = 100_000
    x = np.broadcast_to(np.array([-3.0, -1.0, 0.0, 0.5, 2.0]), (n, 5))
    samples = unit.sample(x, Draws(Key(8), 0, 2, 3))
    mean, variance = unit.mean(x[0]), unit.variance(x[0])
    assert np.all(np.abs(samples.mean(0) - mean) < 5 * np.sqrt(variance / n))
    fourth = ((samples - mean) ** 4).mean(0)
    spread = np.sqrt((fourth - variance**2) / n)
    assert np.all(np.abs(((samples - mean) ** 2).mean(0) - variance) < 5 * spread + 1e-12)


def test_rows_and_units_have_noise_of_their_own(unit: Any) -> None:
    x = np.zeros((400, 64))
    samples = unit.sample(x, Draws(Key(8), 0, 2, 3))
    rows = np.corrcoef(samples)[np.triu_indices(400, 1)]
    units = np.corrcoef(samples.T)[np.triu_indices(64, 1)]
    assert np.abs(rows).max() < 6 / np.sqrt(64) and np.abs(rows.mean()) < 0.01
    assert np.abs(units).max() < 6 / np.sqrt(400) and np.abs(units.mean()) < 0.01


def test_samples_are_the_same_for_any_split_of_rows(unit: Any) -> None:
    x = np.random.default_rng(0).normal(size=(20, 7))
    whole = unit.sample(x, Draws(Key(1), 4, 2, 3))
    parts = [unit.sample(x[:9], Draws(Key(1), 4, 2, 3)), unit.sample(x[9:], Draws(Key(1), 13, 2, 3))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_moments_stay_finite_at_extreme_inputs(unit: Any) -> None:
    x = np.array([-1e4, -800.0, 800.0, 1e4])
    for moment in (unit.mean, unit.variance, unit.cumulant):
        assert np.all(np.isfinite(moment(x)))


@pytest.mark.parametrize(
    ("name", "values", "fine"),
    [
        ("bernoulli", [0, 0.5, 1], True),
        ("bernoulli", [0, 1.01], False),
        ("bernoulli", [-0.1], False),
        ("bernoulli", [np.nan], False),
        ("gaussian", [-9, 0, 1e6], True),
        ("gaussian", [np.inf], False),
        ("gaussian", [np.nan], False),
    ],
)
def test_check_tells_what_cannot_be_states(name: str, values: list[float], fine: bool) -> None:
    assert (UNITS[name].check(np.array(values)) is None) == fine
