"""Values that can be no state of their unit, nor a mean of states, are refused before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rbmx
from rbmx.units import unit_type
from tests.units.layers import HIDDEN, VISIBLE

torch = pytest.importorskip("torch")

CANDIDATES = (-3.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 7.0, np.inf, -np.inf, np.nan)


@pytest.mark.parametrize("spec", sorted({*VISIBLE, *HIDDEN}))
def test_torch_knows_the_states_of_every_unit_type_as_the_specification_does(spec: str) -> None:
    n = {**HIDDEN, **VISIBLE}[spec]
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.eye(n), rng.choice(CANDIDATES, (300, n)), rng.dirichlet(np.ones(n), 20)])
    from rbmx import torch_units

    found = torch_units.contains(unit_type(spec, n), torch.from_numpy(rows))
    with np.errstate(invalid="ignore"):  # inf - inf in the sum of a softmax group
        np.testing.assert_array_equal(found.numpy(), unit_type(spec, n).contains(rows))


BAD = [
    ("bernoulli", [0.0, 1, 7], "row 1, column 2: value 7: bernoulli units take values in [0, 1]"),
    ("bernoulli", [0.0, -0.5, 0], "row 1, column 1: value -0.5: bernoulli units take values in [0, 1]"),
    ("counts", [2.0, -3, 0], "row 1, column 1: value -3: counts units take whole numbers of 0 or more"),
    ("counts", [2.0, 0.5, 0], "row 1, column 1: value 0.5: counts units take whole numbers of 0 or more"),
    ("softmax(3)", [1.0, 1, 0], "row 1, column 0: value 1: softmax(3) units take groups of 3 values"),
    ("relu*2 + spin", [1.0, 2, 3], "row 1, column 2: value 3: spin units take values in [-1, 1]"),
    ("gaussian", [0.0, float("inf"), 0], "row 1, column 1: value inf: gaussian units take finite values"),
]
GOOD = {"softmax(3)": [0.0, 1, 0], "counts": [2.0, 0, 1]}
CALLS: dict[str, Callable[[Any, Any], object]] = {
    "sample_hidden": lambda rbm, v: rbm.sample_hidden(v, seed=0),
    "gibbs": lambda rbm, v: rbm.gibbs(v, seed=0),
    "start": lambda rbm, v: rbm.sample(2, steps=1, seed=0, start=v),
    "free_energy": lambda rbm, v: rbm.free_energy(v),
    "energy": lambda rbm, v: rbm.energy(v, torch.zeros(2, 2)),
    "contrastive_divergence": lambda rbm, v: rbm.contrastive_divergence(v, seed=0),
    "conditional": lambda rbm, v: rbm.conditional_log_likelihood(v, torch.ones(3)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(("visible", "row", "message"), BAD)
def test_a_value_that_is_no_state_is_named(visible: str, row: list[float], message: str, name: str, dtype: str) -> None:
    rbm = rbmx.RBM(3, 2, visible=visible, seed=0, dtype=getattr(torch, dtype))
    rbm._told_slow = True
    argument = "start" if name == "start" else "v"
    with pytest.raises(ValueError) as error:
        CALLS[name](rbm, torch.tensor([GOOD.get(visible, [0.0, 0, 1]), row]))
    assert str(error.value).startswith(f"{argument}: {message}")


def test_hidden_states_are_looked_at_too() -> None:
    rbm = rbmx.RBM(3, 3, hidden="softmax(3)", seed=0)
    calls: list[Callable[[Any], object]] = [rbm.sample_visible, lambda h: rbm.energy(torch.zeros(1, 3), h)]
    for call in calls:
        with pytest.raises(ValueError, match=r"^h: row 0, column 0: value 0: softmax\(3\) units take groups of 3"):
            call(torch.zeros(1, 3))


@pytest.mark.parametrize("name", CALLS)
def test_means_are_what_a_layer_may_be_given(name: str) -> None:
    CALLS[name](rbmx.RBM(3, 2, visible="bernoulli*1 + spin*2", seed=0), torch.tensor([[0.5, -0.3, 0.9], [1, 0, 0]]))


def test_means_of_low_precision_add_up_to_nearly_one() -> None:
    rbm = rbmx.RBM(12, 2, visible="softmax(12)", seed=0, dtype=torch.bfloat16)
    rbm.free_energy(torch.softmax(torch.randn(50, 12, generator=torch.Generator().manual_seed(0)), 1).bfloat16())


def test_a_variable_may_leave_the_range_and_layers_take_any_number() -> None:
    """Gradients with respect to v go along the smooth functions that energies and means are."""
    rbm = rbmx.RBM(3, 2, seed=0)
    v = torch.tensor([[0.0, 1.5, -2.0]], requires_grad=True)
    rbm.free_energy(v).sum().backward()
    assert v.grad is not None and torch.equal(rbm(v.detach()), rbm.hidden_mean(v.detach()))
