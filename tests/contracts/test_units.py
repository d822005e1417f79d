"""Walk every unit type: its cumulant is the sum over states, its mean the slope of it, and its samples have both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.rng import Draws, Key
from rbmx.units import UNITS, UnitType, unit_type
from tests.units.layers import TOTAL, VISIBLE, layer


@pytest.fixture(params=VISIBLE)
def unit(request: pytest.FixtureRequest) -> UnitType:
    found = unit_type(request.param, VISIBLE[request.param])
    if found.kind == "counts":
        return found.like(np.full((1, VISIBLE["counts"]), TOTAL / VISIBLE["counts"]))
    return found.scaled(np.full(VISIBLE[request.param], 0.8))


def inputs(unit: UnitType) -> Any:
    """Rows of inputs from -4 to 4, every unit at another place."""
    n = VISIBLE[unit.name]
    return np.stack([np.roll(np.linspace(-4, 4, 9), 2 * i) for i in range(n)], axis=1)


def test_every_registered_type_is_walked() -> None:
    assert {unit_type(spec).kind for spec in VISIBLE} == {*UNITS, "mixed"}


def test_every_unit_is_found_under_its_canonical_name(unit: UnitType) -> None:
    assert unit.name in VISIBLE
    assert unit_type(unit.name) is unit_type(unit.name)


def log_terms(unit: UnitType, x: Any) -> tuple[Any, Any]:
    s, log_w = layer(unit, x.shape[1])
    return s, unit.statistic(s) @ x.T - unit.energy(s)[:, None] + log_w[:, None]


def test_cumulant_is_the_log_of_the_sum_over_states(unit: UnitType) -> None:
    """Gauss and Legendre with 32 nodes an interval are exact to 1e-9 for these densities."""
    x = inputs(unit)
    _, terms = log_terms(unit, x)
    np.testing.assert_allclose(unit.cumulant(x), np.logaddexp.reduce(terms, axis=0), atol=1e-8)


def test_mean_is_that_of_the_states_and_the_slope_of_the_cumulant(unit: UnitType) -> None:
    x, step = inputs(unit), 1e-4
    s, terms = log_terms(unit, x)
    p = np.exp(terms - np.logaddexp.reduce(terms, axis=0))
    np.testing.assert_allclose(unit.mean(x), p.T @ s, atol=1e-8)
    for i in range(x.shape[1]):
        ahead = np.eye(x.shape[1])[i] * step
        slope = (unit.cumulant(x + ahead) - unit.cumulant(x - ahead)) / (2 * step)
        # central differences: step^2 / 6 of the third derivative, and rounding over the step
        np.testing.assert_allclose(unit.statistic(unit.mean(x))[:, i], slope, atol=1e-6)


def test_samples_have_the_moments_of_the_states(unit: UnitType) -> None:
    """50,000 samples an input: means of s and of all s_i s_j within 5 deviations, which are known from the states.

    Power: a deviation is 1 / 224 of a unit's own, so a sampler that is 3 % of it off shows at z = 6.7.
    """
    n = 50_000
    x = inputs(unit)[[0, 3, 4, 6]]
    s, terms = log_terms(unit, x)
    products = np.concatenate([s, (s[:, :, None] * s[:, None, :]).reshape(len(s), -1)], axis=1)
    for row, log_p in enumerate(terms.T):
        p = np.exp(log_p - np.logaddexp.reduce(log_p))
        mean = p @ products
        deviation = np.sqrt(np.maximum(p @ products**2 - mean**2, 0) / n)
        many = unit.like(np.full((n, 1), float(TOTAL))) if unit.kind == "counts" else unit
        drawn = many.sample(np.broadcast_to(x[row], (n, x.shape[1])), Draws(Key(8), 0, row, 3))
        found = np.concatenate([drawn, (drawn[:, :, None] * drawn[:, None, :]).reshape(n, -1)], axis=1).mean(0)
        assert np.all(np.abs(found - mean) < 5 * deviation + 1e-9)


def test_samples_are_states(unit: UnitType) -> None:
    x = np.repeat(inputs(unit) * 3, 40, 0)
    many = unit.like(np.full((len(x), 1), float(TOTAL))) if unit.kind == "counts" else unit
    drawn = many.sample(x, Draws(Key(5), 0, 0, 0))
    assert drawn.shape == x.shape and unit.check(drawn) is None
    if (states := unit.states(x.shape[1])) is not None:
        assert all(np.isin(drawn[:, i], np.concatenate([g.ravel() for g in states])).all() for i in range(x.shape[1]))


@pytest.mark.parametrize("size", [0.0, 1e-9, 30.0, 1e3, 1e6])
def test_nothing_overflows_at_inputs_of_any_size(size: float, unit: UnitType) -> None:
    """Finite, right at the two ends: the cumulant's slope between x and 1.0001 x lies between the means there."""
    signs = np.where(np.arange(VISIBLE[unit.name]) % 2, -1.0, 1.0)
    x = np.stack([size * signs, -size * signs])
    many = unit.like(np.full((2, 1), float(TOTAL))) if unit.kind == "counts" else unit
    for values in (many.cumulant(x), many.mean(x), many.sample(x, Draws(Key(1), 0, 0, 0))):
        assert np.all(np.isfinite(values))
    near, far = many.cumulant(x), many.cumulant(x * 1.0001)
    ends = [(unit.statistic(many.mean(at)) * x * 0.0001).sum(1) for at in (x, x * 1.0001)]
    # the cumulant is convex; its rounding is 1e-16 of its size
    slack = 1e-12 * (1 + np.abs(near))
    assert np.all(far - near >= np.minimum(*ends) - slack) and np.all(far - near <= np.maximum(*ends) + slack)


def test_samples_of_rows_do_not_depend_on_how_rows_are_split(unit: UnitType) -> None:
    x = np.repeat(inputs(unit), 3, 0)
    many = unit.like(np.full((len(x), 1), float(TOTAL))) if unit.kind == "counts" else unit
    part = unit.like(np.full((len(x) - 5, 1), float(TOTAL))) if unit.kind == "counts" else unit
    whole = many.sample(x, Draws(Key(2), 7, 1, 2))
    np.testing.assert_array_equal(part.sample(x[5:], Draws(Key(2), 12, 1, 2)), whole[5:])


def test_biases_that_start_at_the_data_give_its_mean(unit: UnitType) -> None:
    """With a million rows behind them the two imaginary rows shift a mean by 1e-5."""
    mean = unit.mean(inputs(unit)[[5]] / 2)[0]
    bias = unit.start_at(mean, np.full(len(mean), 1e6))
    np.testing.assert_allclose(unit.mean(bias[None])[0], mean, atol=2e-5)


def test_constant_data_give_finite_biases(unit: UnitType) -> None:
    s, _ = layer(unit, VISIBLE[unit.name], 4)
    for state in s[:: max(1, len(s) // 20)]:
        assert np.all(np.isfinite(unit.start_at(state, np.full(len(state), 100.0))))


@pytest.mark.parametrize(
    ("spec", "values", "column"),
    [
        ("bernoulli", [0, 0.5, 1], None),
        ("bernoulli", [0, 1.01], 1),
        ("bernoulli", [-0.1, 0], 0),
        ("spin", [-1, 0, 1], None),
        ("spin", [1, 2], 1),
        ("gaussian", [-9, 0, 1e6], None),
        ("gaussian", [0, np.inf], 1),
        ("gaussian(learned)", [0, -np.inf], 1),
        ("softmax(3)", [0, 1, 0, 0.2, 0.3, 0.5], None),
        ("softmax(3)", [0, 1, 0, 0, 0, 0], 3),
        ("softmax(3)", [0, 1, 0, 1, 1, 0], 3),
        ("softmax(2)", [-0.5, 1.5], 0),
        ("counts", [0, 3, 17], None),
        ("counts", [0, 1.5], 1),
        ("counts", [0, -1], 1),
        ("relu", [0, 1e5], None),
        ("relu", [0, -1e-3], 1),
        (DRELU_ONE := "drelu(1,1,0,0)", [-5, 5], None),
        (DRELU_ONE, [-5, np.inf], 1),
        ("exponential", [0, 0.3, 1], None),
        ("exponential", [0, 1.5], 1),
        ("gaussian + softmax(3) + bernoulli", [7, 0, 0, 1, 1], None),
        ("gaussian + softmax(3) + bernoulli", [7, 0, 0, 0, 1], 1),
        ("gaussian + softmax(3) + bernoulli", [7, 0, 0, 1, 2], 4),
    ],
)
def test_values_out_of_range_are_found(spec: str, values: list[float], column: int | None) -> None:
    unit = unit_type(spec)
    found = unit.check(np.array([values], float))
    assert (None if found is None else found.column) == column
    with_nan = np.array([values], float)
    with_nan[0, -1] = np.nan
    assert unit.check(with_nan) is not None
