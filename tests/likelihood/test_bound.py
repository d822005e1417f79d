"""The bound of a stack beside the enumerated log p(v) of the network it is."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.likelihood import Estimate, log_partition, stack_lower_bound
from rbmx.params import RBMParams
from rbmx.rng import Key


def states(n: int) -> Any:
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def conditional(layer: RBMParams, v: Any, h: Any) -> Any:
    """log p(v | h) for all rows of v and of h, (v, h)."""
    unit, x = layer.visible_unit, h @ layer.weight.astype(np.float64) + layer.visible_bias
    return v @ x.T - (unit.energy(v)[:, None] + unit.cumulant(x)[None, :])


def posterior(layer: RBMParams, v: Any, h: Any) -> Any:
    """log q(h | v), (v, h)."""
    x = v @ layer.weight.astype(np.float64).T + layer.hidden_bias
    return x @ h.T - np.logaddexp(0, x).sum(1)[:, None]


def exact_and_bound(layers: list[RBMParams], v: Any) -> tuple[Any, Any]:
    """log p(v) and E_q[log p(v, h) - log q(h | v)] over all hidden states of two or three layers."""
    top = layers[-1]
    last = states(top.n_visible)
    log_p = -backend_for(top, "reference").free_energy(top, PackedBits.pack(last)) - log_partition(top).value
    bound = log_p
    for layer in reversed(layers[1:-1]):
        h, below = states(layer.n_hidden), states(layer.n_visible)
        q, p = posterior(layer, below, h), conditional(layer, below, h)
        bound = (np.exp(q) * (p - q + bound)).sum(1)
        log_p = np.logaddexp.reduce(p + log_p, axis=1)
    h = states(layers[0].n_hidden)
    q, p = posterior(layers[0], v, h), conditional(layers[0], v, h)
    return np.logaddexp.reduce(p + log_p, axis=1), (np.exp(q) * (p - q + bound)).sum(1)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("widths", [(5, 4, 3), (4, 3, 4, 3)])
def test_the_bound_is_the_enumerated_one_and_lies_below_log_p(widths: Any, visible: str, machine: Any) -> None:
    pairs = list(itertools.pairwise(widths))
    layers = [
        machine(n, m, scale=0.8, seed=i, visible=visible if i == 0 else "bernoulli") for i, (n, m) in enumerate(pairs)
    ]
    v = states(widths[0])[:6]
    rows: Any = PackedBits.pack(v) if visible == "bernoulli" else v.astype(np.float32)
    exact, bound = exact_and_bound(layers, v)
    assert np.all(bound <= exact + 1e-9) and np.any(bound < exact - 1e-3)
    found, mean = stack_lower_bound(layers, rows, log_partition(layers[-1]), samples=4000, key=Key(0))
    # a draw spreads by about a nat, so 4,000 of them by 0.016
    np.testing.assert_allclose(found, bound, atol=0.08)
    assert mean.value == pytest.approx(found.mean()) and mean.low == mean.high


def test_a_stack_of_a_machine_and_its_mirror_is_the_machine_and_the_bound_is_tight(machine: Any) -> None:
    below = machine(5, 4, scale=0.8)
    mirror = RBMParams(below.weight.T.copy(), below.hidden_bias, below.visible_bias)
    rows = PackedBits.pack(states(5))
    exact = -backend_for(below, "reference").free_energy(below, rows) - log_partition(below).value
    assert exact_and_bound([below, mirror], states(5))[1] == pytest.approx(exact)
    found, _ = stack_lower_bound([below, mirror], rows, log_partition(mirror), samples=4000, key=Key(1))
    np.testing.assert_allclose(found, exact, atol=0.08)


def test_one_layer_is_its_log_likelihood_and_carries_the_interval_of_log_z(machine: Any) -> None:
    params = machine(5, 4)
    rows = PackedBits.pack(states(5))
    z = Estimate(3.0, 2.0, 5.0, "guessed")
    found, mean = stack_lower_bound([params], rows, z, key=Key(0))
    np.testing.assert_allclose(found, -backend_for(params).free_energy(params, rows) - 3.0)
    assert (mean.value - mean.low, mean.high - mean.value) == pytest.approx((2.0, 1.0))


def test_stacks_that_do_not_fit_are_refused(machine: Any) -> None:
    z, rows = Estimate(0.0, 0.0, 0.0, ""), PackedBits.pack(states(5))
    for layers, message in (
        ([], "got none"),
        ([machine(5, 4), machine(3, 2)], "expected 4 Bernoulli units between two machines, got bernoulli below and 3"),
        ([machine(5, 4, hidden="gaussian"), machine(4, 2)], "got gaussian below"),
    ):
        with pytest.raises(ValueError, match=message):
            stack_lower_bound(layers, rows, z, key=Key(0))
    with pytest.raises(ValueError, match="samples: expected 1 or more, got 0"):
        stack_lower_bound([machine(5, 4)], rows, z, samples=0, key=Key(0))
