"""The native up-down minibatches: byte for byte those of ref, and the slopes that the algorithm is made of."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rbmx.backends import Batches, Update, as_array, backend_for
from rbmx.backends.up_down import (
    Directions,
    UpDownState,
    generative_slope,
    recognition_slope,
    train_directions,
    train_natively,
)
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key

KEY = Key(77)


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of train_up_down: 21 rows by default, so that batches of 8 end with a short one."""

    sizes: tuple[int, ...] = (20, 17, 33)
    n_labels: int = 0
    rows: int = 21
    batch_size: int = 8
    k: int = 1
    chains: int | None = None
    momentum: float = 0.0
    decay: float = 0.0
    learning_rate: float = 0.3
    scale: float = 0.5
    first_step: int = 11


def stack_of(case: Case, machine: Any) -> Directions:
    """The ways, those down by inputs and outputs too, and the top machine."""
    pairs = list(zip(case.sizes[:-2], case.sizes[1:-1], strict=True))
    up = [machine(n_in, n_out, scale=case.scale, seed=1) for n_in, n_out in pairs]
    down = [machine(n_out, n_in, scale=case.scale, seed=2) for n_in, n_out in pairs]
    top = machine(case.sizes[-2] + case.n_labels, case.sizes[-1], scale=case.scale)
    if case.n_labels > 1:
        top = dataclasses.replace(top, visible=f"bernoulli*{case.sizes[-2]} + softmax({case.n_labels})")
    return Directions(up, down, top)


def rows_of(case: Case) -> PackedBits:
    rng = np.random.default_rng([3, case.rows])
    n = max(1, case.rows)
    labels = np.eye(case.n_labels, dtype=bool)[rng.integers(0, case.n_labels, n)] if case.n_labels else None
    bits = rng.random((n, case.sizes[0])) < rng.random((n, 1))
    return PackedBits.pack(bits if labels is None else np.hstack([bits, labels]))


def trained(case: Case, machine: Any, reference: bool = False, **changes: Any) -> list[bytes]:
    """Outcome, parameters, velocity and chains after one call, as bytes."""
    case = dataclasses.replace(case, **changes)
    stack = stack_of(case, machine)
    rng = np.random.default_rng(case.rows)
    update = Update(case.learning_rate, first=case.momentum, weight_decay=case.decay)
    order = rng.integers(0, max(1, case.rows), case.rows)
    batches = Batches(order, case.batch_size, case.k, update, KEY, case.first_step)
    velocity = stack.zeros() if case.momentum else None
    if velocity is not None:
        for moment in velocity.layers:
            moment.weight[...] = np.random.default_rng(4).normal(0, 0.01, moment.weight.shape)
    chains = None
    if case.chains is not None:
        chains = PackedBits.pack(np.random.default_rng(5).random((case.chains, case.sizes[-1])) < 0.5)
    outcome = train_natively(stack, rows_of(case), batches, velocity=velocity, chains=chains, reference=reference)
    learning = [*stack.layers, *([] if velocity is None else velocity.layers)]
    arrays = [a for way in learning for a in (way.weight, way.visible_bias, way.hidden_bias)]
    if chains is not None:
        PackedBits(chains.words, case.sizes[-1])  # raises where a bit behind the units is set
        arrays.append(chains.words)
    return [repr(outcome).encode(), *(array.tobytes() for array in arrays)]


CASES = {
    "CD-1": Case(),
    "CD-3, momentum, decay": Case(k=3, momentum=0.5, decay=0.01),
    "labels": Case(n_labels=10),
    "labels, two layers below the top": Case((70, 65, 33, 40), n_labels=3, momentum=0.9),
    "labels across a word": Case((20, 60, 17), n_labels=10, k=2),
    "labels in a word of their own": Case((20, 64, 17), n_labels=2),
    "one unit beside the layer": Case((20, 17, 9), n_labels=1),
    "a team: two layers, labels, momentum": Case((130, 120, 65, 160), n_labels=3, batch_size=10, momentum=0.9, k=2),
    "a team: two layers, fewer chains": Case((130, 120, 65, 160), n_labels=3, batch_size=10, chains=7, k=3, decay=0.01),
    "a team: a short last batch, more chains": Case((200, 300, 100), batch_size=20, chains=33, momentum=0.5),
    "PCD-2": Case(k=2, chains=8, n_labels=2),
    "fewer chains": Case(chains=3, momentum=0.5),
    "more chains": Case((65, 64, 63), chains=12, k=2),
    "rows 300 and 44": Case(rows=344, batch_size=300, momentum=0.5),
    "rows 300, 129 chains": Case(rows=344, batch_size=300, chains=129, n_labels=2),
    "rows 130, 257 chains": Case(rows=200, batch_size=130, chains=257, k=2),
    "batch of one": Case(rows=5, batch_size=1),
    "one unit everywhere": Case((1, 1, 1)),
    "256 outputs and inputs": Case((256, 257, 64), rows=12),
    "784-500-100 with labels": Case((784, 500, 100), n_labels=10, rows=6, batch_size=4, scale=0.05, momentum=0.5),
    "step counter wraps": Case(first_step=2**32 - 2),
    "strong weights": Case(scale=20.0, learning_rate=0.01),
    "no rows": Case(rows=0, chains=3),
}


@pytest.mark.parametrize("name", CASES)
def test_up_down_gives_the_bytes_of_ref(name: str, machine: Any, each_setting: Any) -> None:
    case = CASES[name]
    expected = trained(case, machine, reference=True)
    for setting in each_setting((1, 2, 3)):
        assert trained(case, machine) == expected, setting


def test_the_comparison_bites(machine: Any) -> None:
    case = CASES["labels, two layers below the top"]
    expected = trained(case, machine, reference=True)
    for change in ({"first_step": 12}, {"k": 2}, {"learning_rate": 0.3000001}, {"batch_size": 7}, {"decay": 1e-6}):
        found = trained(case, machine, **change)
        assert all(a != b for a, b in zip(found[1::3], expected[1::3], strict=False)), change


@pytest.mark.parametrize("chains", [None, 3])
def test_a_run_that_diverges_ends_where_that_of_ref_does_and_leaves_all_as_it_came(
    chains: int | None, machine: Any, each_setting: Any
) -> None:
    """One weight beyond 2047; and sums of weights, of an output or of an input; in teams."""
    for sizes, scale, rate in (((140, 90, 80), 0.5, 900.0), ((230, 9, 165), 9.0, 40.0), ((9, 230, 165), 9.0, 40.0)):
        case = Case(sizes, rows=400, batch_size=40, chains=chains, learning_rate=rate, scale=scale, momentum=0.5)
        outcome = trained(case, machine, reference=True)[0]
        assert b"diverged" in outcome
        untouched = trained(case, machine, rows=0)
        for setting in each_setting((1, 3)):
            found = trained(case, machine)
            assert found[0] == outcome, setting
            assert found[1 : 1 + 6 * 3] == untouched[1 : 1 + 6 * 3], setting


def test_a_minibatch_steps_along_the_slopes_of_the_states_it_drew(machine: Any) -> None:
    """Each state is drawn once more by the samplers, which share the draws of a first Gibbs step; the native sums count
    means in units of 2^-15, so slopes agree within 2^-14."""
    case = Case((30, 20, 15), rows=40, batch_size=40, scale=0.5, learning_rate=1.0)
    rows, step = rows_of(case), 3
    start = stack_of(case, machine)
    up, top = start.recognition, start.top
    turned = start.generative[0]
    below = RBMParams(np.ascontiguousarray(turned.weight.T), turned.hidden_bias.copy(), turned.visible_bias.copy())
    stack = Directions([up[0].copy()], [below.copy()], top.copy())
    batches = Batches(np.arange(40), 40, 1, Update(1.0), KEY, step)
    assert train_directions(stack, rows, batches, UpDownState()).name == "done"

    native = backend_for(top)
    wake = native.sample_hidden(up[0], rows, KEY.fold_in(0), step=step)
    hidden = native.sample_hidden(top, wake, KEY, step=step)
    dreamt = native.sample_visible(top, hidden, KEY, step=step)
    sleep = native.sample_visible(below, dreamt, KEY.fold_in(1), step=step)
    slopes = (
        (up[0], stack.recognition[0], recognition_slope(up[0], sleep, dreamt)),
        (below, stack.generative[0], generative_slope(below, rows, wake)),
    )
    for before, after, slope in slopes:
        for name, expected in slope.items():
            found = getattr(after, name) - getattr(before, name)
            np.testing.assert_allclose(found, expected, atol=2**-14)
            assert np.abs(expected).max() > 0.05
    positive = native.hidden_mean(top, wake).T @ as_array(wake)
    negative = native.hidden_mean(top, dreamt).T @ as_array(dreamt)
    np.testing.assert_allclose(stack.top.weight - top.weight, (positive - negative) / 40, atol=2**-14)


def test_what_does_not_fit_is_refused_by_name(machine: Any) -> None:
    case = Case()
    good, rows = stack_of(case, machine), rows_of(case)
    batches = Batches(np.arange(4), 4, 1, Update(0.1), KEY, 0)

    def refused(complaint: str, rows: PackedBits = rows, batches: Batches = batches, **parts: Any) -> None:
        with pytest.raises(ValueError, match=complaint):
            train_natively(dataclasses.replace(good, **parts), rows, batches, velocity=None, chains=None)

    refused(r"down\[0\] inputs: expected 17 units, those of its neighbour, got 20", generative=good.recognition)
    refused("top: expected 17 visible units or more, those of the layer below, got 16", top=machine(16, 33))
    refused("data: expected a C-contiguous uint64", rows=PackedBits.pack(np.zeros((4, 99))))
    refused("momentum and weight decay alone", batches=dataclasses.replace(batches, update=Update(0.1, "adam", 0.9)))
    refused(
        "up, down: expected a way up and a way down for each of 1 layer or more, got 0 and 0",
        **{"recognition": [], "generative": []},
    )
    bad = good.recognition[0].copy()
    bad.weight[0, 0] = np.nan
    refused(r"up\[0\] weight, visible_bias, hidden_bias: expected finite numbers", recognition=[bad])
    shared = RBMParams(
        good.top.weight.reshape(-1)[: 17 * 20].reshape(20, 17), *(np.zeros(n, np.float32) for n in (17, 20))
    )
    refused(r"down\[0\] weight: expected memory of its own, it overlaps top weight", generative=[shared])
    with pytest.raises(ValueError, match=r"up\[0\] velocity: this rule keeps none, got arrays"):
        train_natively(good, rows, batches, velocity=good.zeros(), chains=None)
