"""The kernels of likelihoods against csrc/ref, byte for byte, and against NumPy within what float64 leaves."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from rbmx import _core
from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.rng import Key

KEY = (0x12345678, 0x9ABCDEF0)
SIZES = [1, 3, 8, 63, 64, 65, 130]
PAIRS = [*itertools.product(SIZES, SIZES), (784, 500)]
BETAS = np.array([0.0, 0.1, 0.35, 0.8, 1.0])


def arrays(params: Any) -> tuple[Any, Any, Any]:
    return params.weight, params.visible_bias, params.hidden_bias


def random_bits(rows: int, units: int, density: float | None = None) -> PackedBits:
    rng = np.random.default_rng([rows, units])
    bits = rng.random((rows, units)) < (rng.random((rows, 1)) if density is None else density)
    if rows > 1:
        bits[0], bits[-1] = False, True
    return PackedBits.pack(bits)


def annealed(params: Any, base: Any, betas: Any, rows: int, **more: Any) -> tuple[bytes, bytes]:
    words = random_bits(rows, params.n_visible).words.copy()
    place = {"key": KEY, "first_row": 3, "step": 2**32 - 3}  # the step wraps around
    weights = _core.anneal(*arrays(params), base, betas, words, **place, **more)
    PackedBits(words, params.n_visible)  # raises where a bit behind the units is set
    return weights.tobytes(), words.tobytes()


@pytest.mark.parametrize("betas", [BETAS, BETAS[::-1].copy()], ids=["up", "down"])
@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_annealed_chains_and_weights_are_those_of_ref(
    n_visible: int, n_hidden: int, betas: Any, machine: Any, each_setting: Any
) -> None:
    params = machine(n_visible, n_hidden, scale=0.3)
    base = machine(n_visible, 1, seed=1).visible_bias
    rows = 9 if n_visible == 784 else 37
    expected = annealed(params, base, betas, rows, reference=True)
    for setting in each_setting((1, 3)):
        assert annealed(params, base, betas, rows) == expected, setting


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 64, 65, 129, 300])
def test_annealing_does_not_know_of_blocks_and_threads(rows: int, machine: Any, each_setting: Any) -> None:
    params = machine(20, 17)
    expected = annealed(params, params.visible_bias, BETAS, rows, reference=True)
    for setting in each_setting():
        assert annealed(params, params.visible_bias, BETAS, rows) == expected, setting


def test_annealing_follows_the_numpy_specification(machine: Any) -> None:
    """The same draws decide: float32 and float64 means differ by 1e-7, so one bit in ten million may flip."""
    params = machine(30, 20, scale=0.4)
    base = machine(30, 1, seed=1).visible_bias
    start = random_bits(100, 30)
    found, weights = backend_for(params).anneal(params, base, BETAS, start, Key(3))
    expected, log_weights = backend_for(params, "reference").anneal(params, base, BETAS, start, Key(3))
    assert np.array_equal(found.words, expected.words)  # type: ignore[union-attr]
    # weights rounded to 2^-20, float32 softplus: below 1e-5 for 20 units of a few nats
    np.testing.assert_allclose(weights, log_weights, atol=2e-5)


def test_annealing_reports_its_steps_and_can_be_stopped(machine: Any) -> None:
    params = machine(300, 200, scale=0.05)
    words = random_bits(200, 300).words.copy()
    seen: list[int] = []

    def stop(done: int) -> None:
        seen.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _core.anneal(*arrays(params), params.visible_bias, np.linspace(0, 1, 100_001), words, key=KEY, progress=stop)
    assert len(seen) == 1 and 0 < seen[0] < 200 * 100_000


def test_inverse_temperatures_out_of_range_are_refused(machine: Any) -> None:
    params = machine(5, 4)
    for beta in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="betas: expected numbers from 0 to 1"):
            _core.anneal(
                *arrays(params), params.visible_bias, np.array([0, beta]), np.zeros((1, 1), np.uint64), key=KEY
            )


@pytest.mark.parametrize("others", [1, 3, 8, 17, 65, 784])
@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 9, 13])
def test_enumeration_gives_the_bytes_of_ref(n: int, others: int, machine: Any, each_setting: Any) -> None:
    if n == 13 and others > 65:
        others = 100  # the plain loops take a second for more
    params = machine(others, n, scale=0.8)
    sides = params.weight, params.hidden_bias, params.visible_bias
    expected = _core.log_partition(*sides, reference=True)
    for setting in each_setting((1, 3)):
        assert _core.log_partition(*sides) == expected, setting


@pytest.mark.parametrize("scale", [0.0, 1e-3, 30.0, 1500.0])
def test_enumeration_of_weights_of_any_size_is_that_of_numpy(scale: float, machine: Any, each_setting: Any) -> None:
    """1,500: exp of a weight leaves float64, so that fewer units share the inner loop, here none of them."""
    rng = np.random.default_rng(4)
    weight = rng.normal(0, 1, (7, 3)).astype(np.float32)
    weight *= np.float32(scale / max(np.abs(weight).max(), 1))
    weight[1:] *= np.float32(0.05) if scale > 600 else 1
    bias, other = rng.normal(0, 1, 7).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)
    states = (np.arange(2**7)[:, None] >> np.arange(7) & 1).astype(np.float64)
    terms = states @ bias + np.logaddexp(0, states @ weight + other.astype(np.float64)).sum(axis=1)
    expected = np.logaddexp.reduce(terms)
    for setting in each_setting((1, 2)):
        assert _core.log_partition(weight, bias, other) == pytest.approx(expected, rel=1e-13, abs=1e-13), setting
    assert _core.log_partition(weight, bias, other, reference=True) == _core.log_partition(weight, bias, other)


def test_enumeration_can_be_stopped(machine: Any) -> None:
    params = machine(700, 26, scale=0.1)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _core.log_partition(params.weight, params.hidden_bias, params.visible_bias, progress=stop)


def test_too_many_units_to_enumerate_are_refused(machine: Any) -> None:
    params = machine(3, 41)
    with pytest.raises(ValueError, match="at most 40 units to enumerate, got 41"):
        _core.log_partition(params.weight, params.hidden_bias, params.visible_bias)


@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_pseudo_likelihood_gives_the_bytes_of_ref(
    n_visible: int, n_hidden: int, machine: Any, each_setting: Any
) -> None:
    params = arrays(machine(n_visible, n_hidden, scale=0.5))
    visible = random_bits(3 if n_visible == 784 else 11, n_visible).words
    expected = _core.pseudo_log_likelihood(*params, visible, reference=True)
    for setting in each_setting((1, 3)):
        assert _core.pseudo_log_likelihood(*params, visible).tobytes() == expected.tobytes(), setting


@pytest.mark.parametrize("rows", [0, 1, 4, 5, 64, 67, 511, 512, 513, 1030])
def test_pseudo_likelihood_of_any_number_of_rows(rows: int, machine: Any, each_setting: Any) -> None:
    params = arrays(machine(37, 9))
    visible = random_bits(rows, 37).words
    expected = _core.pseudo_log_likelihood(*params, visible, reference=True)
    for setting in each_setting():
        assert _core.pseudo_log_likelihood(*params, visible).tobytes() == expected.tobytes(), setting


@pytest.mark.parametrize("scale", [0.01, 1.0, 20.0, 40.0])
def test_pseudo_likelihood_is_that_of_flipping_every_bit(scale: float, machine: Any) -> None:
    """In float64 from unrounded weights: rounded ones shift a pre-activation by up to 33 times 2^-21."""
    params = machine(33, 21, scale=scale)
    values = random_bits(40, 33).unpack().astype(np.float64)
    weight = params.weight.astype(np.float64)
    x = values @ weight.T + params.hidden_bias
    expected = np.zeros(len(values))
    for i in range(33):
        step = 1 - 2 * values[:, i]
        gain = np.logaddexp(0, x + step[:, None] * weight[:, i]) - np.logaddexp(0, x)
        expected -= np.logaddexp(0, step * float(params.visible_bias[i]) + gain.sum(axis=1))
    found = _core.pseudo_log_likelihood(*arrays(params), random_bits(40, 33).words)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-4)


def test_pseudo_likelihood_refuses_weights_whose_exponential_is_no_number(machine: Any) -> None:
    params = machine(3, 2)
    params.weight[0, 1] = -601
    with pytest.raises(ValueError, match="weight: expected magnitudes up to 600, got -601"):
        _core.pseudo_log_likelihood(*arrays(params), np.zeros((1, 1), np.uint64))
