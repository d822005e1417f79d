"""L-BFGS and conjugate gradient on functions whose minima are known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from rbmx.training import StopTraining
from rbmx.training.minimizing import METHODS, minimize

CURVATURE = np.array([1.0, 3.0, 10.0, 0.5])
CENTRE = np.array([1.0, -2.0, 0.5, 4.0])


def bowl(vector: np.ndarray) -> tuple[float, np.ndarray]:
    away = vector - CENTRE
    return float(CURVATURE @ away**2) / 2, CURVATURE * away


@pytest.mark.parametrize("method", METHODS)
def test_the_minimum_of_a_quadratic_is_found(method: str) -> None:
    found = minimize(bowl, np.zeros(4), method=method, iterations=50, tolerance=1e-10)
    np.testing.assert_allclose(found.vector, CENTRE, atol=1e-8)  # gradients below 1e-10, curvatures of 0.5 and more
    assert found.value == bowl(found.vector)[0]
    assert 0 < found.iterations <= found.evaluations


@pytest.mark.parametrize("method", METHODS)
def test_the_callback_sees_each_accepted_point_and_the_value_falls(method: str) -> None:
    seen: list[tuple[int, np.ndarray, float]] = []
    found = minimize(bowl, np.zeros(4), method=method, iterations=3, callback=lambda *point: seen.append(point))
    assert [iteration for iteration, _, _ in seen] == [1, 2, 3] and found.iterations == 3
    values = [value for _, _, value in seen]
    assert values == [bowl(vector)[0] for _, vector, _ in seen]
    assert bowl(np.zeros(4))[0] > values[0] > values[1] > values[2]


@pytest.mark.parametrize("method", METHODS)
def test_the_callback_ends_the_search(method: str) -> None:
    def stop(iteration: int, vector: np.ndarray, value: float) -> None:
        raise StopTraining

    with pytest.raises(StopTraining):
        minimize(bowl, np.zeros(4), method=method, callback=stop)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="method: expected one of lbfgs, cg, got 'newton'"):
        minimize(bowl, np.zeros(4), method="newton")
    with pytest.raises(ValueError, match="iterations: expected 1 or more, got 0"):
        minimize(bowl, np.zeros(4), iterations=0)
    with pytest.raises(ValueError, match="start: expected a finite value and gradient there, got nan"):
        minimize(lambda vector: (np.nan, vector), np.zeros(4))
