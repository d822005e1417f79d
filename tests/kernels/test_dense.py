"""Kernels over real-valued units: canonical products give the same bytes everywhere, BLAS the same numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rbmx import _core
from rbmx.backends import Batches, State, Update, backend_for
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key

KEY = Key(77)
PAIRS = [(1, 1), (1, 65), (65, 1), (3, 65), (65, 3), (64, 64), (130, 63), (784, 500)]


def arrays(params: Any) -> tuple[Any, Any, Any]:
    return params.weight, params.visible_bias, params.hidden_bias


def grey(rows: int, units: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng([rows, units]).random((rows, units)).astype(np.float32)


def expected_mean(params: Any, side: str, given: Any) -> Any:
    w = params.weight.astype(np.float64)
    x = given @ w.T + params.hidden_bias if side == "hidden" else given @ w + params.visible_bias
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("side", ["hidden", "visible"])
@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_means_of_real_units_are_the_sigmoid_of_the_product(
    n_visible: int, n_hidden: int, side: str, machine: Any, each_setting: Any
) -> None:
    params = machine(n_visible, n_hidden, scale=1 / np.sqrt(n_visible))
    given = grey(131, n_visible if side == "hidden" else n_hidden)
    expected = expected_mean(params, side, given)
    canonical = _core.mean_dense(*arrays(params), side, given, canonical=True)
    for setting in each_setting((1, 2, 3)):
        found = _core.mean_dense(*arrays(params), side, given, canonical=True)
        assert found.tobytes() == canonical.tobytes(), setting
        # float32 inputs of size about 1 summed over up to 784 terms
        np.testing.assert_allclose(found, expected, atol=2e-5)
        np.testing.assert_allclose(_core.mean_dense(*arrays(params), side, given), expected, atol=2e-5)


def test_bits_given_as_real_values_have_the_means_of_bits(machine: Any) -> None:
    params = machine(65, 130, scale=0.3)
    bits = PackedBits.pack(np.random.default_rng(0).integers(0, 2, (40, 65)))
    exact = _core.mean(*arrays(params), "hidden", bits.words)
    dense = _core.mean_dense(*arrays(params), "hidden", bits.unpack().astype(np.float32))
    np.testing.assert_allclose(dense, exact, atol=2e-5)  # weights are rounded to 2^-20 on the exact path


def half_empty(rows: int, units: int, density: float) -> np.ndarray[Any, Any]:
    return np.where(np.random.default_rng(5).random((rows, units)) < density, grey(rows, units), np.float32(0))


@pytest.mark.parametrize("side", ["hidden", "visible"])
def test_rows_that_are_listed_have_the_bytes_of_rows_that_are_multiplied(
    side: str, machine: Any, each_setting: Any
) -> None:
    """Items of 64 rows are listed where less than half is not zero: the same rows stand in both kinds of items."""
    params = machine(200, 150, scale=0.1)
    n_in = 200 if side == "hidden" else 150
    sparse, dense = half_empty(32, n_in, 0.2), grey(32, n_in)
    listed = np.concatenate([sparse, np.zeros_like(sparse)] * 2)
    multiplied = np.concatenate([sparse, dense] * 2)
    for setting in each_setting((1,)):
        a = _core.mean_dense(*arrays(params), side, listed, canonical=True)
        b = _core.mean_dense(*arrays(params), side, multiplied, canonical=True)
        assert a[:32].tobytes() == b[:32].tobytes(), setting
        # seen to bite: lists that begin at their second entry change all of these rows
        np.testing.assert_allclose(a[:32], expected_mean(params, side, sparse), atol=2e-5)


@pytest.mark.parametrize(("n_visible", "n_hidden"), [(17, 65), (130, 33), (300, 130)])
def test_training_on_lists_has_the_bytes_of_training_on_dense_products(
    n_visible: int, n_hidden: int, machine: Any, each_setting: Any
) -> None:
    """A call looks at its rows: as a whole these data are listed, and the call for the full batch alone is not."""
    data = half_empty(300, n_visible, 0.2)
    data[100:200] = grey(100, n_visible)  # the second of three batches

    def train(calls: list[tuple[int, int]]) -> list[bytes]:
        params = machine(n_visible, n_hidden, scale=0.3)
        for first, last in calls:
            batches = Batches(np.arange(first, last), 100, 1, Update(0.1, weight_decay=0.01), KEY, first // 100)
            assert backend_for(params, reproducible=True).train(params, data, batches, State()).name == "done"
        return [array.tobytes() for array in arrays(params)]

    expected = train([(0, 300)])
    for setting in each_setting((1, 3)):
        assert train([(0, 100), (100, 200), (200, 300)]) == expected, setting


def test_engines_other_than_blas_take_canonical_products_where_they_are_fused(each_setting: Any) -> None:
    params = RBMParams.initial(5, 4, key=KEY)
    for setting in each_setting((1,)):
        assert backend_for(params, "auto").canonical == (not setting.startswith("baseline"))
        assert backend_for(params, "auto", reproducible=True).canonical
        assert not backend_for(params, "blas").canonical


@pytest.mark.parametrize("chains", [None, 5, 12])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize(("n_visible", "n_hidden"), [(1, 1), (1, 17), (17, 1), (17, 65), (130, 33)])
def test_canonical_training_gives_the_same_bytes_everywhere_and_the_numbers_of_numpy(
    n_visible: int, n_hidden: int, momentum: float, chains: int | None, machine: Any, each_setting: Any
) -> None:
    data = grey(21, n_visible)
    order = np.random.default_rng(1).permutation(21)
    batches = Batches(order, 8, 2, Update(0.1, first=momentum, weight_decay=0.01), KEY, 4)

    def train(engine: str, reproducible: bool) -> tuple[Any, Any, Any]:
        params = machine(n_visible, n_hidden, scale=0.3)
        velocity = machine(n_visible, n_hidden, scale=0.01, seed=3) if momentum else None
        bits = None
        if chains is not None:
            bits = PackedBits.pack(np.random.default_rng(2).integers(0, 2, (chains, n_hidden)))
        state = State(velocity, bits)
        outcome = backend_for(params, engine, reproducible=reproducible).train(params, data, batches, state)
        assert (outcome.name, outcome.batches) == ("done", 3)
        kept = state.chains.words.copy() if isinstance(state.chains, PackedBits) else None
        if isinstance(state.chains, PackedBits):
            PackedBits(kept, n_hidden)  # the padding is zero
        return params, velocity, kept

    first, velocity, kept = train("auto", True)
    for setting in each_setting():
        again = train("auto", True)
        assert [a.tobytes() for a in arrays(again[0])] == [a.tobytes() for a in arrays(first)], setting
        if velocity is not None:
            assert again[1].weight.tobytes() == velocity.weight.tobytes(), setting
        if kept is not None:
            assert again[2].tobytes() == kept.tobytes(), setting
    for other in (train("blas", False), train("reference", False)):
        # no sample of these seeds lies so near its mean that rounding flips it, so 1e-5 holds throughout
        for found, expected in zip(arrays(other[0]), arrays(first), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5)
        if kept is not None:
            np.testing.assert_array_equal(other[2], kept)


def test_a_unit_whose_weights_sum_past_the_limit_has_diverged_and_parameters_stay(machine: Any) -> None:
    """The bit kernels refuse such weights afterwards, so training on real values must not leave them."""
    weight = np.full((2, 600), 3.4, np.float32)
    params = (weight, np.full(600, -40, np.float32), np.zeros(2, np.float32))
    settings = _core.Settings(
        batch_size=10,
        gibbs_steps=1,
        key=KEY.words,
        first_step=0,
        **dataclasses.asdict(Update(0.5)),
    )
    before = [array.copy() for array in params]
    name, _, _ = _core.train_dense(*params, grey(50, 600), np.arange(50), settings)
    assert np.abs(weight.astype(np.float64)).sum(axis=1).max() < 2048
    assert name == "diverged"
    assert all(np.array_equal(x, y) for x, y in zip(params, before, strict=True))


def test_no_rows_change_nothing(machine: Any) -> None:
    params = machine(5, 4)
    assert _core.mean_dense(*arrays(params), "hidden", np.zeros((0, 5), np.float32)).shape == (0, 4)
    empty = np.zeros((0, 5), np.float32)
    assert _core.sample_dense(*arrays(params), "hidden", empty, key=KEY.words).shape == (0, 1)
