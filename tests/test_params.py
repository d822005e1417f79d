from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.params import RBMParams
from rbmx.rng import Key, draw32

GOOD: dict[str, Any] = {
    "weight": np.zeros((3, 5), np.float32),
    "visible_bias": np.zeros(5, np.float32),
    "hidden_bias": np.zeros(3, np.float32),
}


def test_sizes_come_from_the_weight() -> None:
    params = RBMParams(**GOOD)
    assert (params.n_visible, params.n_hidden, params.visible, params.hidden) == (5, 3, "bernoulli", "bernoulli")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", np.zeros(5, np.float32)),
        ("weight", np.zeros((0, 5), np.float32)),
        ("weight", np.zeros((3, 5))),
        ("weight", np.zeros((5, 3), np.float32).T),
        ("visible_bias", np.zeros(4, np.float32)),
        ("visible_bias", np.zeros(5)),
        ("visible_bias", np.zeros(10, np.float32)[::2]),
        ("hidden_bias", np.zeros((3, 1), np.float32)),
    ],
)
def test_an_array_that_does_not_fit_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected"):
        RBMParams(**GOOD | {name: value})


def test_a_copy_shares_no_memory_and_keeps_the_unit_types() -> None:
    params = RBMParams(**GOOD, visible="gaussian")
    copy = params.copy()
    copy.weight += 1
    copy.visible_bias += 1
    copy.hidden_bias += 1
    assert not params.weight.any() and not params.visible_bias.any() and not params.hidden_bias.any()
    assert copy.visible == "gaussian"


def test_initial_weights_are_twelve_uniform_numbers_less_six() -> None:
    key = Key(99)
    params = RBMParams.initial(7, 4, key=key, std=0.02, visible="gaussian")
    total = sum(draw32(key, 0, 4, 7, stream=stream) * 2.0**-32 for stream in range(12)) - 6
    np.testing.assert_allclose(params.weight, 0.02 * total, rtol=1e-6, atol=1e-12)
    assert not params.visible_bias.any() and not params.hidden_bias.any()
    assert params.visible == "gaussian"


def test_initial_weights_have_the_deviation_asked_for() -> None:
    """200,000 weights: 5 deviations of the sample mean and of the sample deviation."""
    weight = RBMParams.initial(400, 500, key=Key(1), std=0.01).weight.astype(np.float64)
    assert abs(weight.mean()) < 5 * 0.01 / np.sqrt(weight.size)
    assert abs(weight.std() / 0.01 - 1) < 5 / np.sqrt(2 * weight.size)
    assert np.abs(weight).max() <= 0.06


def test_initial_weights_of_a_row_do_not_depend_on_how_many_rows_there_are() -> None:
    wide = RBMParams.initial(300_000, 5, key=Key(5)).weight  # several blocks of rows
    np.testing.assert_array_equal(RBMParams.initial(300_000, 2, key=Key(5)).weight, wide[:2])
    assert not np.array_equal(RBMParams.initial(300_000, 1, key=Key(6)).weight[0], wide[0])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"n_visible": 0}, "n_visible: expected 1"),
        ({"n_hidden": (1 << 24) + 1}, "n_hidden: expected 1"),
        ({"std": -0.1}, "std: expected"),
        ({"std": float("nan")}, "std: expected"),
        ({"std": 1e9}, "std: expected"),
    ],
)
def test_bad_sizes_and_deviations_are_named(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        RBMParams.initial(**{"n_visible": 3, "n_hidden": 2, "key": Key(0)} | changes)


def test_zero_deviation_gives_zero_weights() -> None:
    assert not RBMParams.initial(3, 2, key=Key(0), std=0).weight.any()
