"""Penalties as the formulas that they say, and dropout by expectation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.backends.loop import sampled_phases
from rbmx.backends.native import NativeBackend
from rbmx.bits import PackedBits
from rbmx.params import PARAMETERS, RBMParams
from rbmx.rng import Key
from rbmx.samplers import PT, FastPCD
from rbmx.training import (
    L1,
    L2,
    SGD,
    Dropout,
    GroupL2,
    MaxNorm,
    Sparsity,
    TrainConfig,
    train,
)
from rbmx.training.penalties import dropout, in_python

ROWS = np.random.default_rng(0).integers(0, 2, (60, 12)).astype(np.uint8)


def fresh() -> RBMParams:
    return RBMParams.initial(12, 5, key=Key(1), std=0.5)


def test_group_decay_shortens_each_units_weights_and_no_further_than_zero() -> None:
    params = fresh()
    before = np.linalg.norm(params.weight.astype(np.float64), axis=1)
    direction = params.weight / before[:, None]
    GroupL2(0.5).on_step(params, learning_rate=2.0)
    after = np.linalg.norm(params.weight.astype(np.float64), axis=1)
    np.testing.assert_allclose(after, np.maximum(before - 1.0, 0), atol=1e-6)
    np.testing.assert_allclose(params.weight, after[:, None] * direction, atol=1e-6)
    GroupL2(100.0).on_step(params, learning_rate=1.0)
    assert not params.weight.any()


def test_max_norm_scales_back_what_is_longer_and_leaves_the_rest() -> None:
    params = fresh()
    before = params.weight.copy()
    length = np.linalg.norm(before, axis=1)
    limit = float(np.median(length))
    MaxNorm(limit).on_step(params, learning_rate=1.0)
    short = length < limit
    np.testing.assert_array_equal(params.weight[short], before[short])
    np.testing.assert_allclose(np.linalg.norm(params.weight[~short], axis=1), limit, rtol=1e-6)


def test_sparsity_pulls_by_the_sliding_mean() -> None:
    gradient: dict[str, Any] = {"hidden_bias": np.zeros(2)}
    memory: dict[str, Any] = {}
    penalty = Sparsity(0.25, cost=2.0, decay=0.5)
    penalty.on_gradient(gradient, np.array([0.25, 0.75]), fresh(), memory)
    assert gradient["hidden_bias"].tolist() == [0.0, -1.0]
    penalty.on_gradient(gradient, np.array([0.75, 0.75]), fresh(), memory)
    assert memory["activity"].tolist() == [0.5, 0.75]
    assert gradient["hidden_bias"].tolist() == [-0.5, -2.0]


def test_sparsity_reaches_its_target_in_training() -> None:
    params = fresh()
    train(params, ROWS, TrainConfig(200, 20, optimizer=SGD(0.1), penalties=(Sparsity(0.1, cost=3.0),)), progress=False)
    means = backend_for(params).hidden_mean(params, PackedBits.pack(ROWS)).mean(axis=0)
    assert np.all(np.abs(means - 0.1) < 0.05)


def test_l1_leaves_exact_zeros_where_data_say_nothing() -> None:
    params = fresh()
    train(params, ROWS, TrainConfig(50, 20, optimizer=SGD(0.1), penalties=(L1(0.5),)), progress=False)
    assert np.mean(params.weight == 0) > 0.5


def test_dropout_leaves_each_unit_out_as_often_as_it_says() -> None:
    """Means of the positive phase are (1 - rate) sigmoid in expectation: 4,000 rows, 5 deviations of a coin."""
    params = fresh()
    rows = PackedBits.pack(np.tile(ROWS[:1], (4000, 1)))
    backend = NativeBackend()
    positive, negative, _ = sampled_phases(backend, params, rows, None, 1, Key(3), dropout=0.3)
    whole = backend.hidden_mean(params, rows[:1])[0]
    deviation = whole * np.sqrt(0.3 * 0.7 / 4000)
    assert np.all(np.abs(positive.hidden_bias - 0.7 * whole) < 5 * deviation)
    plain, _, _ = sampled_phases(backend, params, rows, None, 1, Key(3))
    np.testing.assert_allclose(plain.hidden_bias, whole, rtol=1e-6)
    assert np.all(negative.hidden_bias < 0.8)


def test_a_unit_that_is_left_out_has_no_part_in_the_reconstruction() -> None:
    params = fresh()
    params.weight[...] = 20.0  # a single hidden unit that is on sets every visible unit
    params.visible_bias[...] = -10.0
    params.hidden_bias[...] = 100.0
    rows = PackedBits.pack(np.ones((50, 12)))
    _, negative, _ = sampled_phases(NativeBackend(), params, rows, None, 1, Key(3), dropout=1 - 1e-9)
    assert negative.visible_bias.max() < 0.1


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(4, 20, sampler=FastPCD(2)),
        TrainConfig(4, 20, sampler=PT(temperatures=3), centering=0.01),
        TrainConfig(4, 20, penalties=(Dropout(0.5), MaxNorm(2.0), Sparsity(0.2), GroupL2(0.01), L2(0.01))),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_run_in_parts_is_the_run_in_one(config: TrainConfig, engine: str) -> None:
    """Memory of samplers and penalties goes through the state's bytes."""
    from dataclasses import replace

    from rbmx.training import TrainState

    config = replace(config, engine=engine)
    whole, parts = fresh(), fresh()
    expected = train(whole, ROWS, config, progress=False).state
    state = None
    for epochs in (1, 3, 4):
        state = train(parts, ROWS, replace(config, epochs=epochs), state=state, progress=False).state
        state = TrainState.from_bytes(state.to_bytes())
    assert state is not None
    for name in PARAMETERS:
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert {n: a.tobytes() for n, a in state.tensors().items()} == {
        n: a.tobytes() for n, a in expected.tensors().items()
    }


def test_dropouts_multiply_and_the_loop_gets_what_is_not_native() -> None:
    penalties = (L1(1), Dropout(0.5), Dropout(0.5), MaxNorm(3), L2(2))
    assert dropout(penalties) == 0.75
    assert in_python(penalties) == (MaxNorm(3),)
    assert TrainConfig(penalties=penalties).weight_decay == 2


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: GroupL2(-1), "decay"),
        (lambda: MaxNorm(0), "limit"),
        (lambda: Sparsity(1.0), "target"),
        (lambda: Sparsity(0.1, cost=-1), "cost"),
        (lambda: Sparsity(0.1, decay=1), "decay"),
        (lambda: Dropout(0), "rate"),
    ],
)
def test_settings_out_of_range_are_refused(make: Any, match: str) -> None:
    with pytest.raises(ValueError, match=f"^{match}: expected"):
        make()
