"""The half-line normal against SciPy: log Phi and its inverse to 1e-12, the integral and the mean to 1e-13."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats

from rbmx.units import half_normal

X = np.concatenate([np.linspace(-40, 40, 4001), -np.logspace(1, 8, 60), np.logspace(1, 4, 40)])


def test_log_cumulative_is_scipys() -> None:
    expected = special.log_ndtr(X)
    np.testing.assert_allclose(half_normal.log_cumulative(X), expected, rtol=1e-12, atol=1e-13)


def test_log_integral_is_mills_ratio_below_zero_and_log_ndtr_above() -> None:
    below, above = X[X <= 0], X[X > 0]
    mills = np.sqrt(np.pi / 2) * special.erfcx(-below / np.sqrt(2))
    np.testing.assert_allclose(np.exp(half_normal.log_integral(below)), mills, rtol=1e-13)
    expected = above**2 / 2 + np.log(2 * np.pi) / 2 + special.log_ndtr(above)
    np.testing.assert_allclose(half_normal.log_integral(above), expected, rtol=1e-13)


@pytest.mark.parametrize("x", [-50.0, -8.0, -1.0, 0.0, 0.3, 5.0])
def test_integral_and_mean_are_those_of_quadrature(x: float) -> None:
    top, reach = max(x, 0.0), max(x, 0.0) + 40 / max(1.0, -x)

    def density(s: float) -> float:
        return float(np.exp(x * s - s * s / 2 - (x * top - top * top / 2)))

    options = {"epsabs": 0, "epsrel": 1e-12, "points": [top], "limit": 200}
    mass = integrate.quad(density, 0, reach, **options)[0]
    first = integrate.quad(lambda s: s * density(s), 0, reach, **options)[0]
    found = half_normal.log_integral(np.array([x]))[0]
    assert found == pytest.approx(np.log(mass) + x * top - top * top / 2, abs=1e-11)
    assert half_normal.mean(np.array([x]))[0] == pytest.approx(first / mass, rel=1e-10)


def test_the_mean_keeps_its_digits_far_below_zero() -> None:
    """x + phi / Phi would cancel: the mean is 1/a - 2/a^3 + 10/a^5 - ... for a = -x, right to 1e-15 from 1e4 on."""
    a = np.logspace(4, 12, 30)
    np.testing.assert_allclose(half_normal.mean(-a), 1 / a - 2 / a**3, rtol=1e-14)


def test_the_inverse_undoes_the_cumulative() -> None:
    """In y to 1e-12 of its size; beside scipy's to 1e-9, which is its own error in the far tail."""
    y = -np.logspace(-9, 6, 400)
    t = half_normal._inverse_log_cumulative(y)
    np.testing.assert_allclose(half_normal.log_cumulative(t), y, rtol=1e-12)
    np.testing.assert_allclose(t, special.ndtri_exp(y), atol=1e-9)


@pytest.mark.parametrize("x", [-100.0, -3.0, 0.0, 2.0, 9.0])
def test_quantiles_are_those_of_the_truncated_normal(x: float) -> None:
    u = np.linspace(1e-6, 1 - 1e-6, 101)
    found = half_normal.quantile(np.full_like(u, x), u)
    np.testing.assert_allclose(found, stats.truncnorm.ppf(u, -x, np.inf, loc=x), rtol=1e-7, atol=1e-10)
