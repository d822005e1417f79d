"""Softmax groups on the bit path: csrc/cpu against csrc/ref byte for byte, and both against NumPy.

Layouts put groups inside panels, across their ends, between Bernoulli units and over the whole layer.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rbmx import _core
from rbmx.backends import Batches, Offsets, State, Update, as_array, backend_for, trains_natively
from rbmx.backends.native import NativeBackend
from rbmx.backends.reference import ReferenceBackend
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key, uniform
from rbmx.units import unit_type

KEY = Key(31415926535)
NATIVE, NUMPY = NativeBackend(), ReferenceBackend()
LAYOUTS = {
    "softmax(2)": 2,
    "softmax(5)": 65,
    "bernoulli*3 + softmax(4)": 7,
    "bernoulli*60 + softmax(10) + bernoulli*30 + softmax(3)*2 + softmax(130)": 236,
    "bernoulli*500 + softmax(10)": 510,
}


def exact_machine(visible: str, n_hidden: int, scale: float = 2.0) -> RBMParams:
    """Parameters are multiples of 2^-10: pre-activations are the same in float32 and float64."""
    n_visible = LAYOUTS[visible]
    rng = np.random.default_rng([n_visible, n_hidden])

    def grid(*shape: int, scale: float) -> Any:
        return (np.rint(rng.normal(0, scale, shape) * 1024) / 1024).astype(np.float32)

    weight = grid(n_hidden, n_visible, scale=scale / np.sqrt(n_visible))
    return RBMParams(weight, grid(n_visible, scale=1), grid(n_hidden, scale=1), visible)


def states(params: RBMParams, rows: int) -> PackedBits:
    """Visible states with units of every probability."""
    inputs = np.random.default_rng(rows).normal(0, 2, (rows, params.n_visible))
    return PackedBits.pack(params.visible_unit.sample(inputs, Draws(Key(5), 0, 0, 0)))


def bits(rows: int, units: int) -> PackedBits:
    return PackedBits.pack(np.random.default_rng([rows, units, 1]).integers(0, 2, (rows, units)))


def arrays(params: RBMParams) -> tuple[Any, Any, Any]:
    return params.weight, params.visible_bias, params.hidden_bias


def units_of(params: RBMParams) -> Any:
    return _core.Units(groups=params.visible_unit.variables(params.n_visible).astype(np.int32))


@pytest.fixture(params=LAYOUTS)
def params(request: pytest.FixtureRequest) -> RBMParams:
    return exact_machine(request.param, 33)


def test_row_wise_kernels_have_the_bytes_of_ref(params: RBMParams, each_setting: Any) -> None:
    v, h, units = states(params, 37), bits(37, 33).words, units_of(params)
    place = {"key": KEY.words, "first_row": 5, "step": 7, "units": units}

    def found(reference: bool) -> list[bytes]:
        chain, annealed = v.words.copy(), v.words.copy()
        _core.gibbs(*arrays(params), chain, steps=3, **place, reference=reference)
        base, betas = np.zeros(params.n_visible, np.float32), np.linspace(0, 1, 9)
        weights = _core.anneal(*arrays(params), base, betas, annealed, **place, reference=reference)
        sums = _core.cd_statistics(*arrays(params), v.words, gibbs_steps=2, **place, reference=reference)
        parts = [
            _core.mean(*arrays(params), "visible", h, units=units, reference=reference),
            _core.sample(*arrays(params), "visible", h, **place, reference=reference),
            *(chain, annealed, weights, *sums),
        ]
        return [part.tobytes() for part in parts]

    expected = found(True)
    for setting in each_setting():
        assert found(False) == expected, setting


@dataclasses.dataclass(frozen=True)
class Run:
    """One call of training."""

    k: int = 1
    chains: int | None = None
    centred: bool = False
    update: Update = dataclasses.field(default_factory=lambda: Update(0.1, first=0.5, weight_decay=0.01))


RUNS = [
    Run(),
    Run(k=3, update=Update(0.1)),
    Run(chains=11, update=Update(0.1, "nesterov", first=0.5)),
    Run(centred=True, update=Update(0.1, offset_rate=0.05)),
    Run(chains=5, centred=True, update=Update(0.01, "adam", 0.9, 0.99, 1e-4, offset_rate=0.05)),
    Run(update=Update(0.01, "rmsprop", second=0.99, epsilon=1e-4, l1=1e-3)),
]


def trained(backend: Any, start: RBMParams, run: Run) -> tuple[RBMParams, State]:
    params = start.copy()
    state = State(
        velocity=params.zeros() if run.update.has_velocity else None,
        squares=params.zeros() if run.update.has_squares else None,
        chains=None if run.chains is None else bits(run.chains, params.n_hidden),
    )
    if run.centred:
        mean = np.full(params.n_visible, 0.25, np.float32)
        state.offsets = Offsets(mean, np.full(params.n_hidden, 0.5, np.float32))
    order = np.random.default_rng(0).permutation(21)
    outcome = backend.train(params, states(params, 21), Batches(order, 8, run.k, run.update, KEY, 6), state)
    assert (outcome.name, outcome.batches) == ("done", 3)
    return params, state


@pytest.mark.parametrize("run", RUNS)
def test_training_has_the_bytes_of_ref_and_the_numbers_of_numpy(params: RBMParams, run: Run, each_setting: Any) -> None:
    """Afterwards rounding of the means to 2^-15 has grown to 2e-3: RMSProp divides by roots of small squares."""

    def as_bytes(result: tuple[RBMParams, State]) -> list[bytes]:
        moved, state = result
        kept = [p for p in (moved, state.velocity, state.squares) if p is not None]
        chains = [state.chains.words.tobytes()] if isinstance(state.chains, PackedBits) else []
        return [array.tobytes() for p in kept for array in arrays(p)] + chains

    expected = trained(NativeBackend("plain"), params, run)
    for setting in each_setting():
        assert as_bytes(trained(NATIVE, params, run)) == as_bytes(expected), setting
    wanted, state = trained(NUMPY, params, run)
    for name in params.names:
        np.testing.assert_allclose(getattr(expected[0], name), getattr(wanted, name), atol=3e-3)
    if run.chains is not None:
        np.testing.assert_array_equal(as_array(expected[1].chains), as_array(state.chains))


def test_means_and_samples_agree_with_numpy(params: RBMParams) -> None:
    """u picks another category only where it lies within rounding of a cumulative probability."""
    h = bits(300, 33)
    expected = NUMPY.visible_mean(params, h)
    found = NATIVE.visible_mean(params, h)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)
    for first, size in params.visible_unit.variables(params.n_visible):
        np.testing.assert_allclose(found[:, first : first + size].sum(1), 1, atol=1e-5)
    drawn = NATIVE.sample_visible(params, h, KEY, 9, 4).unpack()
    wanted = as_array(NUMPY.sample_visible(params, h, KEY, 9, 4))
    u = uniform(KEY, 9, *expected.shape, step=4, stream=2)
    near = np.abs(u - expected) < 1e-6
    for first, size in params.visible_unit.variables(params.n_visible):
        group = slice(first, first + size)
        near[:, group] = (np.abs(u[:, [first]] - expected[:, group].cumsum(1)) < 1e-6).any(1)[:, None]
    assert np.array_equal(drawn[~near], wanted[~near])
    assert near.mean() < 1e-2
    assert params.visible_unit.check(drawn.astype(np.float64)) is None


def test_real_rows_take_the_same_groups(params: RBMParams, each_setting: Any) -> None:
    """Hidden means of a layer below beside a one-hot label: dense products, the same draws by group."""
    h = bits(70, 33)
    grey = as_array(h) * np.float32(0.5)
    expected = NUMPY.visible_mean(params, grey)
    np.testing.assert_allclose(NATIVE.visible_mean(params, grey), expected, rtol=1e-5, atol=1e-6)
    drawn = NATIVE.sample_visible(params, grey, KEY, 3).unpack()
    assert (drawn != as_array(NUMPY.sample_visible(params, grey, KEY, 3))).any(1).mean() < 0.02
    means = np.asarray(NUMPY.visible_mean(params, h), np.float32)
    runs = []
    for setting in each_setting((1, 3)):
        moved = params.copy()
        batches = Batches(np.arange(70), 20, 2, Update(0.05), KEY, 0)
        backend = NativeBackend(reproducible=True)
        assert backend.train(moved, means, batches, State()).name == "done", setting
        runs.append([array.tobytes() for array in arrays(moved)])
    assert all(run == runs[0] for run in runs)
    wanted = params.copy()
    NUMPY.train(wanted, means, batches, State())
    for name in params.names:
        # one draw of some thousand that rounding turns moves a weight by 0.05 / 20 in a batch
        np.testing.assert_allclose(getattr(moved, name), getattr(wanted, name), atol=0.006)


def test_a_large_input_leaves_a_group_certain() -> None:
    """Inputs of 2,000 overflow no exponential: weights are taken beside the largest."""
    bias = np.array([2000, -2000, 0, 0, 1999.5], np.float32)
    params = RBMParams(np.zeros((3, 5), np.float32), bias, np.zeros(3, np.float32), "softmax(5)")
    mean = NATIVE.visible_mean(params, bits(4, 3))
    np.testing.assert_allclose(mean, np.tile([0.62245933, 0, 0, 0, 0.37754067], (4, 1)), atol=1e-6)


def test_bernoulli_beside_softmax_trains_natively_and_softmax_hidden_units_do_not() -> None:
    assert trains_natively(RBMParams.initial(7, 3, key=KEY, visible="bernoulli*3 + softmax(4)"))
    for visible, hidden in (("bernoulli", "softmax(3)"), ("spin", "bernoulli"), ("bernoulli*6 + spin", "bernoulli")):
        params = RBMParams.initial(7, 3, key=KEY, visible=visible, hidden=hidden)
        assert not trains_natively(params) and backend_for(params).name == "reference"


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([[0, 1]], "groups of 2 units or more"),
        ([[0, 3], [2, 2]], "in order and apart"),
        ([[-1, 3]], "in order and apart"),
        ([[4, 3]], "within 6 visible units"),
    ],
)
def test_wrong_groups_are_refused(groups: Any, message: str) -> None:
    params = RBMParams.initial(6, 3, key=KEY)
    with pytest.raises(ValueError, match=message):
        _core.mean(*arrays(params), "visible", bits(2, 3).words, units=_core.Units(groups=np.array(groups, np.int32)))


@pytest.mark.parametrize("mutant", ["number of another unit", "one category off"])
def test_a_broken_reference_is_noticed(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison bites."""
    params = exact_machine("softmax(5)", 33)
    kind = type(unit_type("softmax(5)"))
    sample = kind.sample
    if mutant == "one category off":
        monkeypatch.setattr(kind, "sample", lambda self, x, draws: np.roll(sample(self, x, draws), 1, axis=1))
    else:
        monkeypatch.setattr(kind, "sample", lambda self, x, draws: sample(self, x, draws.at_unit(1)))
    h = bits(50, 33)
    assert not np.array_equal(
        NATIVE.sample_visible(params, h, KEY).unpack(), as_array(NUMPY.sample_visible(params, h, KEY))
    )
