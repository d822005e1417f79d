"""Learned variances: an exact gradient, a life in copies and files, and no blow-up whatever the data's scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rbmx.errors import DataError
from rbmx.jobs import train_rounds
from rbmx.likelihood import log_likelihood, log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training import SGD, TrainConfig, train
from rbmx.units.gaussian import LOG_VARIANCE_LIMIT


def params_of(spec: str = "gaussian(learned)", n: int = 3, scale: float = 0.3) -> RBMParams:
    params = RBMParams.initial(n, 2, key=Key(0), std=scale, visible=spec)
    assert params.log_variance is not None
    params.log_variance[...] = np.where(params.visible_unit.learned(n), np.linspace(-1, 2, n), 0)
    return params


def test_a_variance_is_a_change_of_scale() -> None:
    """p(v) of the machine is that of unit variances at v / sigma, over the product of the sigmas."""
    params = params_of()
    plain = RBMParams(params.weight, params.visible_bias, params.hidden_bias, "gaussian")
    sigma = np.exp(params.log_variance / 2)  # type: ignore[operator]
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    expected = log_likelihood(plain, rows).value - np.log(sigma).sum()
    assert log_likelihood(params, rows * sigma).value == pytest.approx(expected, abs=1e-5)


def test_the_slope_of_a_log_variance_is_that_of_the_log_likelihood() -> None:
    """By central differences of the exact log-likelihood; its negative phase needs no samples."""
    params = params_of("gaussian(learned)*2 + softmax(2)", 4)
    rng = np.random.default_rng(1)
    rows = np.hstack([rng.normal(0, 2, (30, 2)), np.eye(2)[rng.integers(0, 2, 30)]]).astype(np.float32)
    found = backend_for(params).cd_statistics(params, rows, 1, Key(0)).log_variance
    assert found is not None and np.all(found[2:] == 0)
    for i in range(2):
        ends = []
        for step in (2.0**-7, -(2.0**-7)):
            moved = params.copy()
            assert moved.log_variance is not None
            moved.log_variance[i] += step
            ends.append(log_likelihood(moved, rows).value)
        assert found[i] / len(rows) == pytest.approx((ends[0] - ends[1]) * 64, abs=1e-4)


@pytest.mark.parametrize(("variance", "momentum"), [(1e-6, 0.0), (1e6, 0.0), (1e6, 0.9)])
def test_variances_of_any_scale_are_found_and_stay(variance: float, momentum: float) -> None:
    """Two clusters with one noise: what is left beside the hidden units is the noise's variance, here 1/5 of the whole.

    The same run at all scales, because weights see data in units of the deviation: equal up to rounding.
    """
    rng = np.random.default_rng(2)
    shapes = np.where(rng.random((1000, 1)) < 0.5, 1.0, -1.0) * 2 + rng.normal(size=(1000, 4))
    rows = shapes * np.sqrt(variance / 5)
    params = RBMParams.initial(4, 3, key=Key(3), visible="gaussian(learned)")
    result = train(params, rows, TrainConfig(60, 20, optimizer=SGD(0.05 * (1 - momentum), momentum), seed=5))
    assert params.log_variance is not None
    found = np.exp(params.log_variance.astype(float))
    np.testing.assert_allclose(found, variance / 5, rtol=0.35)
    assert np.all(np.isfinite(params.weight)) and np.abs(params.weight).max() < 10
    assert np.isfinite(result.history[-1].free_energy)


@pytest.mark.parametrize("variance", [1e-6, 1e6])
def test_a_variance_that_starts_far_off_moves_by_bounded_steps_and_in_the_right_direction(variance: float) -> None:
    """Kept at 1 to begin with and one feature at rest: 100 updates of at most a tenth of the rate each."""
    rows = np.random.default_rng(0).normal(0, np.sqrt(variance), (500, 2))
    params = RBMParams.initial(2, 1, key=Key(0), std=0.0, visible="gaussian(learned)")
    train(params, rows, TrainConfig(2, 10, optimizer=SGD(1e-3), visible_bias="keep"))
    assert params.log_variance is not None
    moved = params.log_variance * np.sign(np.log(variance))
    assert np.all(moved > 0) and np.all(moved <= 100 * 0.1 * 1e-3 + 1e-6)


def test_log_variances_stay_within_bounds() -> None:
    params = RBMParams.initial(2, 1, key=Key(0), visible="gaussian(learned)")
    params.log_variance[...] = [-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT]  # type: ignore[index]
    rows = np.array([[1e-9, 1e7], [-1e-9, -1e7]] * 10)
    train(params, rows, TrainConfig(3, 5, optimizer=SGD(0.5), visible_bias="keep"))
    assert np.all(np.abs(params.log_variance) <= LOG_VARIANCE_LIMIT)  # type: ignore[arg-type]
    outside = params.copy()
    outside.log_variance[...] = [-1e4, 1e4]  # type: ignore[index]
    assert np.isfinite(log_partition(outside).value)


def test_copies_zeros_and_files_keep_log_variances(tmp_path: Any) -> None:
    params = params_of()
    copy = params.copy()
    assert copy.log_variance is not None and params.log_variance is not None
    assert copy.log_variance.tobytes() == params.log_variance.tobytes()
    assert not np.shares_memory(copy.log_variance, params.log_variance)
    assert not params.zeros().log_variance.any()  # type: ignore[union-attr]
    rows = np.random.default_rng(0).normal(size=(30, 3))
    result = train(params, rows, TrainConfig(2, 10, optimizer=SGD(0.01, 0.5), visible_bias="keep"))
    save_checkpoint(tmp_path / "m", Checkpoint(params, result.state))
    loaded = load_checkpoint(tmp_path / "m")
    assert loaded.params.log_variance.tobytes() == params.log_variance.tobytes()  # type: ignore[union-attr]
    velocity, expected = loaded.state.velocity, result.state.velocity  # type: ignore[union-attr]
    assert expected.log_variance.any()  # type: ignore[union-attr]
    assert velocity.log_variance.tobytes() == expected.log_variance.tobytes()  # type: ignore[union-attr]


def test_shards_average_log_variances_and_refuse_to_sum_them() -> None:
    rows = np.random.default_rng(0).normal(0, 30, (200, 3))
    settings: dict[str, Any] = {"visible": "gaussian(learned)", "shards": 2, "rounds": 2, "lr": 0.01, "momentum": 0.5}
    result = train_rounds(rows, 2, persistent=False, **settings)
    assert result.params.visible == "gaussian(learned)"
    np.testing.assert_allclose(np.exp(result.params.log_variance), 900, rtol=0.3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sums no statistics of variances"):
        train_rounds(rows, 2, merge="gradient", **settings | {"momentum": 0.0})


def test_what_has_no_variance_to_learn_is_refused() -> None:
    with pytest.raises(ValueError, match="log_variance: expected float32"):
        RBMParams(np.zeros((1, 2), np.float32), np.zeros(2, np.float32), np.zeros(1, np.float32), "gaussian(learned)")
    with pytest.raises(
        ValueError, match=r"hidden: gaussian\(learned\) units are visible ones: a hidden unit's variance is"
    ):
        RBMParams.initial(2, 2, key=Key(0), hidden="gaussian(learned)")
    params = RBMParams.initial(2, 1, key=Key(0), visible="gaussian(learned)")
    with pytest.raises(DataError, match=r"column 1 .* is 5 in every row: no variance to learn"):
        train(params, np.array([[1.0, 5], [2, 5], [3, 5]]))
    with pytest.raises(DataError, match=r"column 0 .* has a mean of 1e\+06, .* subtract the mean"):
        train(params, np.array([[1e6 + 1, 5], [1e6 - 1, 6], [1e6, 7]]))
