"""The native kernels against the NumPy reference backend, the specification in Python.

Weights here are multiples of 2^-10, which both represent exactly: pre-activations agree, and what is left is the
error of the float32 sigmoid, below 1e-6. Samples must be equal except where u lies that near to the mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import Batches, State, Update
from rbmx.backends.native import NativeBackend
from rbmx.backends.reference import ReferenceBackend
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key, uniform

KEY = Key(31415926535)
NATIVE, NUMPY = NativeBackend(), ReferenceBackend()
PAIRS = [(1, 1), (3, 64), (63, 65), (64, 3), (65, 130), (784, 500)]


def exact_machine(n_visible: int, n_hidden: int) -> RBMParams:
    rng = np.random.default_rng([n_visible, n_hidden])

    def grid(*shape: int, scale: float) -> Any:
        return (np.rint(rng.normal(0, scale, shape) * 1024) / 1024).astype(np.float32)

    scale = 2 / np.sqrt(n_visible)
    return RBMParams(grid(n_hidden, n_visible, scale=scale), grid(n_visible, scale=1), grid(n_hidden, scale=1))


def bits(rows: int, units: int) -> PackedBits:
    return PackedBits.pack(np.random.default_rng([rows, units, 1]).integers(0, 2, (rows, units)))


@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_means_energies_and_samples_agree_with_numpy(n_visible: int, n_hidden: int) -> None:
    params, v, h = exact_machine(n_visible, n_hidden), bits(50, n_visible), bits(50, n_hidden)
    for mean, sample, given, stream in (
        ("hidden_mean", "sample_hidden", v, 1),
        ("visible_mean", "sample_visible", h, 2),
    ):
        expected = getattr(NUMPY, mean)(params, given)
        np.testing.assert_allclose(getattr(NATIVE, mean)(params, given), expected, rtol=1e-6, atol=1e-7)
        drawn = getattr(NATIVE, sample)(params, given, KEY, 9, 4).unpack()
        u = uniform(KEY, 9, *expected.shape, step=4, stream=stream)
        near = np.abs(u - expected) < 1e-6
        wanted = getattr(NUMPY, sample)(params, given, KEY, 9, 4).unpack()
        assert np.array_equal(drawn[~near], wanted[~near])
        assert near.mean() < 1e-3
    np.testing.assert_allclose(NATIVE.free_energy(params, v), NUMPY.free_energy(params, v), rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(NATIVE.reconstruct(params, v), NUMPY.reconstruct(params, v), atol=2e-5)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_cd_statistics_and_gibbs_agree_with_numpy(n_visible: int, n_hidden: int, k: int) -> None:
    params, v = exact_machine(n_visible, n_hidden), bits(30, n_visible)
    chain, expected = (b.gibbs(params, v, k, KEY, 9, 4) for b in (NATIVE, NUMPY))
    assert np.array_equal(chain.words, expected.words)  # no u of this seed lies within rounding of its mean
    found, wanted = (b.cd_statistics(params, v, k, KEY, 9, 4) for b in (NATIVE, NUMPY))
    # a mean is rounded to 2^-15 before it is added: at most 2^-16 a row and phase
    np.testing.assert_allclose(found.weight, wanted.weight, atol=2 * 30 * 2.0**-16 + 1e-4)
    np.testing.assert_array_equal(found.visible, wanted.visible)
    np.testing.assert_allclose(found.hidden, wanted.hidden, atol=2 * 30 * 2.0**-16 + 1e-4)
    assert found.rows == wanted.rows == 30


@pytest.mark.parametrize("chains", [None, 8, 3, 12])
@pytest.mark.parametrize("momentum", [None, 0.5])
def test_training_agrees_with_numpy(chains: int | None, momentum: float | None) -> None:
    """Three updates: afterwards rounding of the means has grown to about 1e-4, and the chains still agree."""
    results = []
    for backend in (NATIVE, NUMPY):
        params = exact_machine(63, 65)
        velocity = exact_machine(63, 65) if momentum is not None else None
        if velocity is not None:
            for array in (velocity.weight, velocity.visible_bias, velocity.hidden_bias):
                array *= np.float32(0.01)
        start = None if chains is None else bits(chains, 65)
        state = State(velocity, None if start is None else PackedBits(start.words.copy(), 65))
        order = np.random.default_rng(0).permutation(21)
        batches = Batches(order, 8, 2, Update(0.1, first=momentum or 0.0, weight_decay=0.01), KEY, 6)
        outcome = backend.train(params, bits(21, 63), batches, state)
        assert (outcome.name, outcome.batches) == ("done", 3)
        results.append((params, velocity, state.chains))
    (a, va, ca), (b, vb, cb) = results
    for name in ("weight", "visible_bias", "hidden_bias"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=2e-4)
        if va is not None:
            np.testing.assert_allclose(getattr(va, name), getattr(vb, name), atol=2e-4)
    if chains is not None:
        assert np.array_equal(ca.words, cb.words)


@pytest.mark.parametrize("mutant", ["dropped bias", "sign of the bias", "transposed place", "step off by one"])
def test_a_broken_reference_is_noticed(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison bites: four seeded mutants of the NumPy code give other samples than the kernel."""
    params, v = exact_machine(63, 65), bits(50, 63)
    step, first_row = 4, 9
    if mutant == "dropped bias":
        params = RBMParams(params.weight, params.visible_bias, np.zeros_like(params.hidden_bias))
    elif mutant == "sign of the bias":
        params = RBMParams(params.weight, params.visible_bias, -params.hidden_bias)
    elif mutant == "transposed place":
        first_row = 8
    else:
        step = 5
    native = NATIVE.sample_hidden(exact_machine(63, 65), v, KEY, 9, 4)
    broken = NUMPY.sample_hidden(params, v, KEY, first_row, step)
    assert not np.array_equal(native.words, broken.words)
