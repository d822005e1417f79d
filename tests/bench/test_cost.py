from __future__ import annotations

import pytest

from rbmx.bench.cost import Step, fit_line, steps_between_neighbours
from rbmx.bench.harness import Timing


def test_a_line_is_found_and_its_residual_is_zero() -> None:
    fit = fit_line({x: 0.25 + 0.5 * x for x in (1, 10, 100, 1000)})
    # Powers of two, but the squares of the least squares round.
    assert (fit.fixed, fit.per_unit) == pytest.approx((0.25, 0.5), rel=1e-9)
    assert fit.largest_residual == pytest.approx(0, abs=1e-9)


def test_residuals_are_relative_to_the_measured_time() -> None:
    """Time that grows with the square has no line: 1, 4, 16 and the residuals weigh the small as the large."""
    fit = fit_line({1: 1.0, 2: 4.0, 4: 16.0})
    residuals = [abs((fit.fixed + fit.per_unit * x) / x**2 - 1) for x in (1, 2, 4)]
    assert fit.largest_residual == pytest.approx(max(residuals))
    assert 0.2 < fit.largest_residual < 0.5


def test_two_points_are_no_evidence_of_a_line() -> None:
    with pytest.raises(ValueError, match="expected three points or more for a line, got 2"):
        fit_line({1: 1.0, 2: 2.0})


def test_steps_are_of_neighbours_only_and_per_unit_of_work() -> None:
    timings = {64: Timing((64.0,) * 3), 65: Timing((130.0,) * 3), 100: Timing((1.0,) * 3)}
    assert steps_between_neighbours(timings, {64: 64, 65: 65, 100: 100}) == [Step(64, 65, 2.0)]
    assert steps_between_neighbours(timings, {64: 64, 65: 65, 100: 100}, smallest=65) == []


def test_a_step_is_taken_within_each_round() -> None:
    """A machine that is ten times slower in the second round changes no ratio."""
    timings = {1: Timing((1.0, 10.0, 1.0)), 2: Timing((3.0, 30.0, 3.0))}
    assert steps_between_neighbours(timings, {1: 1, 2: 2}) == [Step(1, 2, 1.5)]
