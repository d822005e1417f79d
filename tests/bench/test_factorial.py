from __future__ import annotations

import itertools
import math

import pytest

from rbmx.bench.factorial import main_effects

FACTORS = {"a": (1, 2, 3), "b": (10, 20, 30), "c": (1, 5, 9)}


def test_a_product_of_powers_has_main_effects_alone_in_proportion_to_the_squared_exponents() -> None:
    """log time = 2 a' + b' with a', b' in {-1, 0, 1}: sums of squares 4 to 1, c none, nothing left over."""
    times = {cell: math.exp(2 * (cell[0] - 2) + (cell[1] - 20) / 10) for cell in itertools.product(*FACTORS.values())}
    effects = main_effects(FACTORS, times)
    assert [effects[name].of_effects for name in FACTORS] == pytest.approx([80, 20, 0])
    assert [effects[name].of_total for name in FACTORS] == pytest.approx([80, 20, 0])
    assert effects["a"].levels == pytest.approx({1: math.exp(-2), 2: 1, 3: math.exp(2)})


def test_an_interaction_is_left_out_of_the_effects_and_shows_in_the_total() -> None:
    times = {
        cell: math.exp((cell[0] - 2) + (cell[0] - 2) * (cell[1] - 20) / 10)
        for cell in itertools.product(*FACTORS.values())
    }
    effects = main_effects(FACTORS, times)
    assert effects["a"].of_effects == pytest.approx(100)
    assert effects["a"].of_total == pytest.approx(60)  # 18 of 18 + 12: a'^2 sums to 18, (a' b')^2 to 12


def test_a_missing_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 27 cells, got 1"):
        main_effects(FACTORS, {(1, 10, 1): 1.0})
