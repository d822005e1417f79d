"""Walk every pair of registered unit types on every backend that runs it: energy, means, samples and training agree."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from rbmx.backends import as_array, backend_for
from rbmx.backends.base import Rows
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.samplers import CD, PCD
from rbmx.training import SGD, TrainConfig, TrainState, train
from rbmx.units import UNITS

PAIRS = [
    (visible, hidden, engine)
    for visible, hidden in itertools.product(sorted(UNITS), repeat=2)
    for engine in ("reference", "auto")
    if engine == "reference" or (visible, hidden) == ("bernoulli", "bernoulli")
]
KEY = Key(2024)


@pytest.fixture(params=PAIRS, ids=["-".join(pair) for pair in PAIRS])
def case(request: pytest.FixtureRequest, machine: Any) -> tuple[RBMParams, Any]:
    visible, hidden, engine = request.param
    params = machine(4, 3, scale=0.4, visible=visible, hidden=hidden)
    return params, backend_for(params, engine)


def rows_for(unit: str, n: int, units: int) -> Rows:
    rng = np.random.default_rng(n)
    if unit == "bernoulli":
        return PackedBits.pack(rng.integers(0, 2, (n, units)))
    return rng.normal(size=(n, units)).astype(np.float32)


def changed(params: RBMParams, name: str, index: Any, step: float) -> RBMParams:
    copy = params.copy()
    getattr(copy, name)[index] += np.float32(step)
    return copy


def test_hidden_means_are_minus_the_slope_of_the_free_energy(case: tuple[RBMParams, Any]) -> None:
    """dF/dc_j = -E[h_j | v] and dF/dW_ji = -E[h_j | v] v_i; steps of 1/64 leave 1e-4 of curvature and rounding."""
    params, backend = case
    v = rows_for(params.visible, 6, 4)
    means, values = backend.hidden_mean(params, v), as_array(v)
    step = 1 / 64
    for j in range(3):
        up, down = (backend.free_energy(changed(params, "hidden_bias", j, s), v) for s in (step, -step))
        np.testing.assert_allclose((down - up) / (2 * step), means[:, j], atol=2e-4)
        for i in range(4):
            up, down = (backend.free_energy(changed(params, "weight", (j, i), s), v) for s in (step, -step))
            np.testing.assert_allclose((down - up) / (2 * step), means[:, j] * values[:, i], atol=1e-3)
    for i in range(4):
        up, down = (backend.free_energy(changed(params, "visible_bias", i, s), v) for s in (step, -step))
        np.testing.assert_allclose((down - up) / (2 * step), values[:, i], atol=2e-4)


@pytest.mark.parametrize("side", ["hidden", "visible"])
def test_samples_have_the_means_and_variances_of_the_model(case: tuple[RBMParams, Any], side: str) -> None:
    """50,000 samples given one state: 5 deviations. A sampler that disagrees with the energy is off by many."""
    params, backend = case
    n = 50_000
    given_unit, given_n = (params.visible, 4) if side == "hidden" else (params.hidden, 3)
    one = as_array(rows_for(given_unit, 1, given_n)).astype(np.float64)
    rows = np.repeat(one, n, 0)
    given: Rows = PackedBits.pack(rows) if given_unit == "bernoulli" else rows.astype(np.float32)
    unit = UNITS[params.hidden if side == "hidden" else params.visible]
    w = params.weight.astype(np.float64)
    x = one @ w.T + params.hidden_bias if side == "hidden" else one @ w + params.visible_bias
    drawn = as_array(getattr(backend, f"sample_{side}")(params, given, KEY)).astype(np.float64)
    variance = unit.variance(x)[0]
    assert np.all(np.abs(drawn.mean(0) - unit.mean(x)[0]) < 5 * np.sqrt(variance / n))
    spread = ((drawn - drawn.mean(0)) ** 2).std(0) / np.sqrt(n)
    assert np.all(np.abs(drawn.var(0) - variance) < 5 * spread + 1e-4)
    np.testing.assert_allclose(getattr(backend, f"{side}_mean")(params, given)[0], unit.mean(x)[0], atol=1e-5)


def test_gibbs_is_steps_of_hidden_then_visible_samples(case: tuple[RBMParams, Any]) -> None:
    params, backend = case
    v = rows_for(params.visible, 9, 4)
    chain = v
    for step in range(3):
        chain = backend.sample_visible(params, backend.sample_hidden(params, chain, KEY, 2, step), KEY, 2, step)
    # bits are equal; real states are rounded to float32 between the half-steps here and not inside gibbs
    np.testing.assert_allclose(as_array(backend.gibbs(params, v, 3, KEY, 2)), as_array(chain), rtol=1e-5, atol=1e-5)


def test_cd_statistics_of_rows_add_up_over_any_split(case: tuple[RBMParams, Any]) -> None:
    """Nothing is standardised per batch: the sums of two halves are the sum of the whole."""
    params, backend = case
    v = rows_for(params.visible, 20, 4)
    whole = backend.cd_statistics(params, v, 2, KEY, 3, 1)
    halves = [
        backend.cd_statistics(params, v[:9], 2, KEY, 3, 1),
        backend.cd_statistics(params, v[9:], 2, KEY, 12, 1),
    ]
    for name in ("weight", "visible", "hidden"):
        total = getattr(halves[0], name) + getattr(halves[1], name)
        np.testing.assert_allclose(total, getattr(whole, name), atol=1e-5)


@pytest.mark.parametrize("sampler", [CD(2), PCD(2), PCD(1, 5)])
def test_training_runs_and_resumes_to_the_bit(case: tuple[RBMParams, Any], sampler: Any) -> None:
    params, backend = case
    engine = "reference" if backend.name == "reference" else "auto"
    v = as_array(rows_for(params.visible, 23, 4))

    def config(epochs: int) -> TrainConfig:
        return TrainConfig(
            epochs, 5, sampler, SGD(0.01, 0.5), seed=4, engine=engine, visible_bias="keep", monitor_rows=9
        )

    whole, split = params.copy(), params.copy()
    result = train(whole, v, config(4))
    assert np.all(np.isfinite(whole.weight)) and not np.array_equal(whole.weight, params.weight)
    assert all(np.isfinite(record.free_energy) for record in result.history)
    state = TrainState.from_bytes(train(split, v, config(2)).state.to_bytes())
    train(split, v, config(4), state=state)
    assert whole.weight.tobytes() == split.weight.tobytes()
