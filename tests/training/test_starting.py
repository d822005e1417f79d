"""Where training begins: units alone have the data's means, and bad columns are named before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.errors import DataError
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training import TrainConfig, train
from rbmx.training.measuring import log_odds
from rbmx.training.starting import start_at_data
from tests.units.layers import VISIBLE, machine, rows_of


def at_rest(visible: str, n: int) -> RBMParams:
    return RBMParams.initial(n, 2, key=Key(0), std=0.0, visible=visible)


@pytest.mark.parametrize("visible", [spec for spec in VISIBLE if spec != "counts"])
def test_units_alone_have_the_means_of_the_data(visible: str) -> None:
    """Two imaginary rows beside 4,000, and float32 biases: 2e-3 of the means' size."""
    rows = rows_of(machine(visible, "spin"), 4000).astype(np.float32)
    params = at_rest(visible, rows.shape[1])
    start_at_data(params, [rows[:1500], rows[1500:]])
    mean = backend_for(params).visible_mean(params, np.zeros((1, 2), np.float32))[0]
    np.testing.assert_allclose(mean, rows.mean(0), rtol=2e-3, atol=2e-3)
    if params.log_variance is not None:
        learned = params.visible_unit.learned(params.n_visible)
        np.testing.assert_allclose(np.exp(params.log_variance)[learned], rows.var(0)[learned], rtol=1e-4)
        assert not params.log_variance[~learned].any()


def test_bernoulli_units_start_at_the_rounded_log_odds() -> None:
    rows = (np.random.default_rng(0).random((300, 4)) < 0.2).astype(np.float32)
    params = at_rest("bernoulli", 4)
    start_at_data(params, [rows])
    np.testing.assert_array_equal(params.visible_bias, log_odds([rows]))


def test_biases_that_are_not_zero_or_to_be_kept_stay() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2)) + 3
    for bias, config in ((0.0, TrainConfig(0, visible_bias="keep")), (0.25, TrainConfig(0))):
        params = at_rest("gaussian", 2)
        params.visible_bias[...] = bias
        train(params, rows, config)
        assert np.all(params.visible_bias == bias)


@pytest.mark.parametrize(
    ("visible", "rows", "message"),
    [
        ("spin", [[1, -1], [1, 3]], r"data: row 1, column 1 .*: value 3.0: spin units take values in \[-1, 1\]"),
        ("relu", [[1, 0], [-2, 3]], r"row 1, column 0 .*: value -2.0: relu units take finite values of 0 or more"),
        ("softmax(2)", [[1, 0], [0, 0]], r"row 1, column 0 .*: value 0: softmax\(2\) units take groups of 2 values"),
        ("spin + relu", [[1, 0], [1, -1]], "row 1, column 1 .*: value -1.0: relu units take"),
        ("exponential", [[1, 0], [0, 255]], "row 1, column 1 .*: value 255.0: exponential units take"),
        ("gaussian", [[1, np.inf]], "row 0, column 1 .*: value inf is not a finite number"),
        ("gaussian", [[1, 1e5], [0, 1e5]], r"column 1 .* has a mean of 100000, .* biases lie within 2047: subtract"),
        ("bernoulli", [[1, 2]], r"row 0, column 1 .*: value 2.0 lies outside \[0, 1\]"),
    ],
)
def test_values_that_are_no_states_are_refused_by_place(visible: str, rows: Any, message: str) -> None:
    params = at_rest(visible, 2)
    with pytest.raises(DataError, match=message):
        train(params, np.array(rows, float))
    assert not params.weight.any() and not params.visible_bias.any()


def test_a_dataset_that_is_open_already_is_checked_too() -> None:
    from rbmx.data import open_source

    dataset = open_source(np.array([[0.0, 0.5], [0.25, 1]]))
    with pytest.raises(DataError, match=r"softmax\(2\) units take"):
        train(at_rest("softmax(2)", 2), dataset)
    train(at_rest("exponential", 2), dataset, TrainConfig(1))
