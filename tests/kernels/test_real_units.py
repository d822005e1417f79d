"""Gaussian and rectified units: csrc/cpu against csrc/ref byte for byte, and both against NumPy and exact numbers."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from rbmx import _core
from rbmx.backends import Batches, State, Update, as_array, backend_for
from rbmx.backends.native import NativeBackend
from rbmx.backends.reference import ReferenceBackend
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key
from rbmx.units import half_normal

KEY = Key(2718281828)
NATIVE, NUMPY = NativeBackend(reproducible=True), ReferenceBackend()
KINDS = ["bernoulli", "gaussian", "relu"]
PAIRS = [pair for pair in itertools.product(KINDS, KINDS) if pair != ("bernoulli", "bernoulli")]
SIZES = [(1, 1), (3, 65), (65, 3), (40, 33)]


def build(visible: str, hidden: str, n_visible: int, n_hidden: int) -> RBMParams:
    """Couplings of norm 0.5, so that two unbounded sides stay where they are."""
    rng = np.random.default_rng([n_visible, n_hidden])
    weight = rng.normal(0, 1, (n_hidden, n_visible))
    weight *= 0.5 / np.linalg.norm(weight, 2)
    biases = (rng.normal(0, 0.7, n).astype(np.float32) for n in (n_visible, n_hidden))
    return RBMParams(weight.astype(np.float32), *biases, visible, hidden)


def rows_of(params: RBMParams, side: str, rows: int) -> np.ndarray[Any, Any]:
    """States of units of every size."""
    unit, n = (params.visible_unit, params.n_visible) if side == "visible" else (params.hidden_unit, params.n_hidden)
    inputs = np.random.default_rng([rows, n]).normal(0, 1, (rows, n))
    return unit.sample(inputs, Draws(Key(5), 0, 0, 0)).astype(np.float32)


def arrays(params: RBMParams) -> tuple[Any, Any, Any]:
    return params.weight, params.visible_bias, params.hidden_bias


def units_of(params: RBMParams) -> Any:
    return _core.Units(visible=params.visible, hidden=params.hidden, groups=np.zeros((0, 2), np.int32))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pair", PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_means_and_samples_have_the_bytes_of_ref_and_the_numbers_of_numpy(
    pair: tuple[str, str], size: tuple[int, int], each_setting: Any
) -> None:
    params = build(*pair, *size)
    for side, given_side in (("hidden", "visible"), ("visible", "hidden")):
        given = rows_of(params, given_side, 37)
        place = {"key": KEY.words, "first_row": 5, "step": 7}

        def found(reference: bool, side: str = side, given: Any = given, place: Any = place) -> list[Any]:
            call = {"units": units_of(params), "canonical": True, "reference": reference}
            return [
                _core.mean_dense(*arrays(params), side, given, **call),
                _core.sample_dense(*arrays(params), side, given, **place, **call),
            ]

        expected = found(True)
        for setting in each_setting():
            assert [a.tobytes() for a in found(False)] == [a.tobytes() for a in expected], (side, setting)
        wanted = getattr(NUMPY, f"{side}_mean")(params, given)
        # inputs of size up to 5 in float32
        np.testing.assert_allclose(expected[0], wanted, rtol=1e-5, atol=2e-6)
        drawn = getattr(NATIVE, f"sample_{side}")(params, given, KEY, 5, 7)
        numbers = as_array(getattr(NUMPY, f"sample_{side}")(params, given, KEY, 5, 7))
        if isinstance(drawn, PackedBits):
            assert np.array_equal(drawn.unpack(), numbers)  # no u of this seed lies within rounding of its mean
        else:
            assert drawn.tobytes() == expected[1].tobytes()
            # log(1 - u) in float32 where u is small: 2e-4 of a radius near 0
            np.testing.assert_allclose(drawn, numbers, atol=2e-4)
            assert np.abs(drawn - numbers).mean() < 2e-6


@dataclasses.dataclass(frozen=True)
class Run:
    """One call of training."""

    update: Update
    k: int = 1
    chains: int | None = None


RUNS = [
    Run(Update(0.05, first=0.5, weight_decay=0.01)),
    Run(Update(0.01, "nesterov", first=0.5), k=3, chains=11),
    Run(Update(0.01, "adam", 0.9, 0.99, 1e-3), chains=5),
    Run(Update(0.01, "rmsprop", second=0.99, epsilon=1e-3, l1=1e-3)),
]


def trained(backend: Any, start: RBMParams, run: Run) -> tuple[RBMParams, State]:
    params = start.copy()
    chains: Any = None if run.chains is None else rows_of(params, "hidden", run.chains)
    if chains is not None and params.hidden_unit.binary:
        chains = PackedBits.pack(chains)
    state = State(
        velocity=params.zeros() if run.update.has_velocity else None,
        squares=params.zeros() if run.update.has_squares else None,
        chains=chains,
    )
    order = np.random.default_rng(0).permutation(21)
    data = rows_of(params, "visible", 21)
    outcome = backend.train(params, data, Batches(order, 8, run.k, run.update, KEY, 6), state)
    assert (outcome.name, outcome.batches) == ("done", 3)
    return params, state


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("size", [(1, 17), (40, 33)])
@pytest.mark.parametrize("pair", [*PAIRS, ("bernoulli", "bernoulli")], ids=lambda pair: "-".join(pair))
def test_training_has_the_bytes_of_ref_and_the_numbers_of_numpy(
    pair: tuple[str, str], size: tuple[int, int], run: Run, each_setting: Any
) -> None:
    params = build(*pair, *size)

    def as_bytes(result: tuple[RBMParams, State]) -> list[bytes]:
        moved, state = result
        kept = [p for p in (moved, state.velocity, state.squares) if p is not None]
        chains = state.chains.words if isinstance(state.chains, PackedBits) else state.chains
        return [a.tobytes() for p in kept for a in arrays(p)] + ([] if chains is None else [chains.tobytes()])

    plain, blas = NativeBackend("plain"), NativeBackend("blas")
    expected = trained(plain, params, run)
    for setting in each_setting((1, 3)):
        assert as_bytes(trained(NATIVE, params, run)) == as_bytes(expected), setting
    for other in (NUMPY, blas):
        wanted, state = trained(other, params, run)
        for name in params.names:
            # float32 sums of 8 rows; RMSProp and Adam divide by roots of small squares
            np.testing.assert_allclose(getattr(expected[0], name), getattr(wanted, name), atol=1e-3, err_msg=other.name)
        if run.chains is not None:
            np.testing.assert_allclose(as_array(expected[1].chains), as_array(state.chains), atol=1e-3)


def test_a_gaussian_machine_takes_the_same_bytes_by_any_split_of_threads_and_calls(each_setting: Any) -> None:
    """784-500 in batches of 100, one call or three."""
    params = build("gaussian", "bernoulli", 784, 500)
    data = np.random.default_rng(0).normal(0, 1, (300, 784)).astype(np.float32)
    found = set()
    for setting in each_setting((1, 2)):
        if setting.startswith("baseline"):
            continue  # fused multiply-adds are emulated there: minutes
        for calls in ([(0, 300)], [(0, 100), (100, 200), (200, 300)]):
            moved, state = params.copy(), State()
            for first, last in calls:
                batches = Batches(np.arange(first, last), 100, 1, Update(0.01), KEY, first // 100)
                assert NATIVE.train(moved, data, batches, state).name == "done"
            found.add(moved.weight.tobytes())
    assert len(found) <= 1


def one_unit(kind: str, inputs: Any) -> RBMParams:
    """Visible units whose inputs are their biases."""
    n = len(inputs)
    zero = np.zeros((1, n), np.float32)
    return RBMParams(zero, np.asarray(inputs, np.float32), np.zeros(1, np.float32), kind, "bernoulli")


def test_normal_numbers_have_the_moments_and_the_distribution_of_normal_numbers() -> None:
    """A million: moments within 5 deviations, and Kolmogorov and Smirnov's distance below the 1e-6 quantile."""
    params = one_unit("gaussian", np.zeros(100))
    s = as_array(NATIVE.sample_visible(params, PackedBits.pack(np.zeros((10_000, 1))), KEY)).astype(np.float64).ravel()
    n = s.size
    for power, exact, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10_170)):
        assert abs((s**power).mean() - exact) < 5 * np.sqrt(variance / n), power
    cumulative = np.exp(half_normal.log_cumulative(np.sort(s)))
    distance = np.max(np.abs(cumulative - (np.arange(n) + 0.5) / n))
    assert distance < 2.7 / np.sqrt(n)
    assert np.abs(s).max() > 4.5 and np.isfinite(s).all()


@pytest.mark.parametrize("x", [-1000.0, -30.0, -3.0, -0.2, 0.0, 0.4, 3.0, 20.0, 1000.0])
def test_rectified_units_have_their_distribution(x: float) -> None:
    """Quantiles of 100,000 numbers against the distribution function, and the mean in every tail."""
    params = one_unit("relu", [x])
    none = PackedBits.pack(np.zeros((100_000, 1)))
    s = as_array(NATIVE.sample_visible(params, none, KEY)).astype(np.float64).ravel()
    mean = NATIVE.visible_mean(params, none[:1])[0, 0]
    np.testing.assert_allclose(mean, half_normal.mean(np.array([x]))[0], rtol=3e-7)
    assert s.min() >= 0
    assert abs(s.mean() - float(mean)) < 5 * s.std() / np.sqrt(s.size)
    u = np.sort(-np.expm1(half_normal.log_cumulative(x - np.sort(s)) - half_normal.log_cumulative(np.array([x]))))
    assert np.max(np.abs(u - (np.arange(s.size) + 0.5) / s.size)) < 2.7 / np.sqrt(s.size)


def test_the_bit_kernels_refuse_units_that_are_no_bits() -> None:
    params = build("gaussian", "bernoulli", 5, 4)
    bits = PackedBits.pack(np.eye(5))
    with pytest.raises(ValueError, match="units: expected bernoulli on both sides of bits"):
        _core.mean(*arrays(params), "hidden", bits.words, units=units_of(params))
    with pytest.raises(ValueError, match="expected bernoulli, gaussian or relu, got 'spin'"):
        _core.Units(visible="spin", hidden="bernoulli", groups=np.zeros((0, 2), np.int32))
    with pytest.raises(ValueError, match="chains: expected a C-contiguous float32"):
        relu = build("gaussian", "relu", 5, 4)
        state = State(chains=PackedBits.pack(np.eye(4)))
        NATIVE.train(relu, rows_of(relu, "visible", 5), Batches(np.arange(5), 5, 1, Update(0.1), KEY, 0), state)


def test_a_diverging_run_leaves_parameters_and_chains() -> None:
    params = build("gaussian", "relu", 5, 4)
    before, chains = params.copy(), rows_of(params, "hidden", 6)
    state = State(chains=chains.copy())
    data = np.full((40, 5), 1e4, np.float32)
    outcome = backend_for(params).train(params, data, Batches(np.arange(40), 10, 1, Update(10.0), KEY, 0), state)
    assert outcome.name == "diverged"
    for name in params.names:
        np.testing.assert_array_equal(getattr(params, name), getattr(before, name))
    np.testing.assert_array_equal(as_array(state.chains), chains)


@pytest.mark.parametrize("mutant", ["the angle's number", "the other tail", "the sign of the input"])
def test_a_broken_reference_is_noticed(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison with NumPy bites."""
    kind = "relu" if mutant == "the other tail" else "gaussian"
    params = one_unit(kind, np.linspace(-3, 3, 50))
    none = PackedBits.pack(np.zeros((50, 1)))
    native = as_array(NATIVE.sample_visible(params, none, KEY))
    if mutant == "the angle's number":
        monkeypatch.setattr("rbmx.rng.ANGLE_BIT", 0x20000000)
    elif mutant == "the other tail":
        quantile = half_normal.quantile
        monkeypatch.setattr(half_normal, "quantile", lambda x, u: quantile(x, 1 - u))
    else:
        params = one_unit(kind, np.linspace(3, -3, 50))
    assert np.abs(native - as_array(NUMPY.sample_visible(params, none, KEY))).max() > 2e-4
