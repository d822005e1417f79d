from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.likelihood import Estimate, log_likelihood, log_partition, pseudo_log_likelihood
from rbmx.params import RBMParams
from rbmx.units import unit_type

SHAPES = [(1, 1), (1, 8), (8, 1), (4, 3), (3, 4), (8, 8)]


def states(n: int) -> Any:
    return np.array(list(itertools.product([0, 1], repeat=n)), np.float64)


def minus_energies(params: RBMParams) -> Any:
    """-E(v, h) for all v (rows) and h (columns) of a Bernoulli machine, straight from its definition."""
    v, h = states(params.n_visible), states(params.n_hidden)
    w, b, c = (a.astype(np.float64) for a in (params.weight, params.visible_bias, params.hidden_bias))
    return (v @ b)[:, None] + (h @ c)[None, :] + v @ w.T @ h.T


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(("n_visible", "n_hidden"), SHAPES)
def test_log_partition_free_energy_and_means_match_enumeration(
    n_visible: int, n_hidden: int, scale: float, machine: Any
) -> None:
    params = machine(n_visible, n_hidden, scale=scale)
    terms = minus_energies(params)
    z = log_partition(params)
    assert z.value == z.low == z.high and z.method.startswith("exact")
    np.testing.assert_allclose(z.value, np.logaddexp.reduce(terms, axis=None), rtol=1e-12)
    v, h = states(n_visible), states(n_hidden)
    joint = np.exp(terms - terms.max(axis=1, keepdims=True))
    p_hidden = joint @ h / joint.sum(axis=1, keepdims=True)
    for engine in ("auto", "reference"):
        backend = backend_for(params, engine)
        rows = PackedBits.pack(v)
        # float32 pre-activations of size up to 10 * 8 and softplus: relative 2^-21
        np.testing.assert_allclose(
            backend.free_energy(params, rows), -np.logaddexp.reduce(terms, axis=1), rtol=1e-5, atol=1e-5 * scale
        )
        np.testing.assert_allclose(backend.hidden_mean(params, rows), p_hidden, atol=1e-5)
    total = np.exp(-backend_for(params, "reference").free_energy(params, PackedBits.pack(v)) - z.value)
    np.testing.assert_allclose(total.sum(), 1, rtol=1e-9)


def test_more_states_than_a_block_are_summed_to_the_same_number(machine: Any) -> None:
    """11 bits take two blocks of 2^10; the other side has 12 units, so the two ways of summing differ."""
    params = machine(11, 12, scale=0.7)
    terms = minus_energies(params)
    expected = terms.max() + np.log(np.exp(terms - terms.max()).sum())
    np.testing.assert_allclose(log_partition(params).value, expected, rtol=1e-12)


@pytest.mark.parametrize(("visible", "hidden"), [("gaussian", "bernoulli"), ("bernoulli", "gaussian")])
def test_log_partition_with_a_gaussian_side_is_the_integral(visible: str, hidden: str, machine: Any) -> None:
    params = machine(2, 2, scale=0.6, visible=visible, hidden=hidden)
    line = np.linspace(-14, 14, 561)
    grid = np.array(list(itertools.product(line, repeat=2)))
    cell = (line[1] - line[0]) ** 2
    s = {"gaussian": grid, "bernoulli": states(2)}
    v, h = s[visible], s[hidden]
    w = params.weight.astype(np.float64)
    terms = (v @ params.visible_bias - unit_type(visible).energy(v))[:, None] + v @ w.T @ h.T
    terms += (h @ params.hidden_bias - unit_type(hidden).energy(h))[None, :]
    expected = np.logaddexp.reduce(terms, axis=None) + np.log(cell)
    np.testing.assert_allclose(log_partition(params).value, expected, rtol=1e-7)


def test_the_smaller_side_is_enumerated_whichever_it_is(machine: Any) -> None:
    wide, tall = machine(200, 3, scale=0.2), machine(3, 200, scale=0.2)
    assert log_partition(wide).method == log_partition(tall).method == "exact, 8 states enumerated"
    turned = RBMParams(tall.weight.T.copy(), tall.hidden_bias, tall.visible_bias)
    np.testing.assert_allclose(log_partition(turned).value, log_partition(tall).value, rtol=1e-12)


@pytest.mark.parametrize(
    ("n_visible", "n_hidden", "visible", "hidden"),
    [(25, 25, "bernoulli", "bernoulli"), (2, 2, "gaussian", "gaussian"), (2, 30, "gaussian", "bernoulli")],
)
def test_machines_that_cannot_be_enumerated_are_refused(
    n_visible: int, n_hidden: int, visible: str, hidden: str, machine: Any
) -> None:
    params = machine(n_visible, n_hidden, visible=visible, hidden=hidden)
    with pytest.raises(ValueError, match=rf"at most 24 units\), got {n_visible} {visible} visible"):
        log_partition(params)


def test_log_likelihood_is_the_mean_of_log_p(machine: Any) -> None:
    params = machine(5, 4, scale=0.8)
    rows = PackedBits.pack(np.random.default_rng(0).integers(0, 2, (30, 5)))
    expected = -backend_for(params, "reference").free_energy(params, rows) - log_partition(params).value
    found = log_likelihood(params, rows)
    np.testing.assert_allclose([found.value, found.low, found.high], expected.mean(), atol=1e-5)
    wide = log_likelihood(params, rows, Estimate(2.0, 1.0, 4.0, "guessed"))
    np.testing.assert_allclose([wide.value - wide.low, wide.high - wide.value], [2, 1])
    assert wide.method == "guessed"


@pytest.mark.parametrize("unit", range(4))
def test_a_change_of_gauge_does_not_change_the_likelihood(unit: int, machine: Any) -> None:
    """Calling "on" what was "off" for one visible unit: W' = -W, b' = -b, c' = c + W; the data flip too."""
    params = machine(4, 3)
    turned = params.copy()
    turned.weight[:, unit] *= -1
    turned.visible_bias[unit] *= -1
    turned.hidden_bias += params.weight[:, unit]
    bits = states(4)
    flipped = bits.copy()
    flipped[:, unit] = 1 - flipped[:, unit]
    for values, other in ((bits, flipped), (bits[:5], flipped[:5])):
        np.testing.assert_allclose(
            log_likelihood(turned, PackedBits.pack(other)).value,
            log_likelihood(params, PackedBits.pack(values)).value,
            atol=1e-5,
        )


@pytest.mark.parametrize(("n_visible", "n_hidden"), SHAPES)
def test_pseudo_log_likelihood_matches_enumeration(n_visible: int, n_hidden: int, machine: Any) -> None:
    params = machine(n_visible, n_hidden)
    v = states(n_visible)
    log_p = np.logaddexp.reduce(minus_energies(params), axis=1)
    expected = np.zeros(len(v))
    for row, bits in enumerate(v):
        for i in range(n_visible):
            other = bits.copy()
            other[i] = 1 - other[i]
            flipped = int(np.flatnonzero((v == other).all(1))[0])
            expected[row] += log_p[row] - np.logaddexp(log_p[row], log_p[flipped])
    np.testing.assert_allclose(pseudo_log_likelihood(params, PackedBits.pack(v)), expected, atol=1e-10)


def test_pseudo_log_likelihood_refuses_what_it_has_no_meaning_for(machine: Any) -> None:
    with pytest.raises(ValueError, match="0 and 1"):
        pseudo_log_likelihood(machine(3, 2), np.full((1, 3), 0.5, np.float32))
    with pytest.raises(ValueError, match="Bernoulli units, got gaussian"):
        pseudo_log_likelihood(machine(3, 2, visible="gaussian"), np.zeros((1, 3), np.float32))
