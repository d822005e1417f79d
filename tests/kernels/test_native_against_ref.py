"""csrc/cpu against csrc/ref, byte for byte, on every instruction set of the machine and 1, 2, 3 and 8 threads.

That these tests bite was seen by changing the expectation: see the tests named "_is_noticed" at the end.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from rbmx import _core
from rbmx.backends import Update
from rbmx.bits import PackedBits

KEY = (0x12345678, 0x9ABCDEF0)
SIZES = [1, 3, 63, 64, 65, 130]
PAIRS = [*itertools.product(SIZES, SIZES), (784, 500)]
ROWS = {(784, 500): 9}  # the plain loops take a second for more


def arrays(params: Any) -> tuple[Any, Any, Any]:
    return params.weight, params.visible_bias, params.hidden_bias


def random_bits(rows: int, units: int, seed: int = 0, density: float | None = None) -> PackedBits:
    """Rows of mixed density, or of one; the first is all zeros and the last all ones."""
    rng = np.random.default_rng([seed, rows, units])
    bits = rng.random((rows, units)) < (rng.random((rows, 1)) if density is None else density)
    if rows > 1:
        bits[0], bits[-1] = False, True
    return PackedBits.pack(bits)


def padding_is_zero(words: Any, units: int) -> bool:
    PackedBits(words, units)  # raises where a bit behind the units is set
    return True


@pytest.mark.parametrize("side", ["hidden", "visible"])
@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_means_and_samples_are_those_of_ref(
    n_visible: int, n_hidden: int, side: str, machine: Any, each_setting: Any
) -> None:
    params = arrays(machine(n_visible, n_hidden))
    n_in, n_out = (n_visible, n_hidden) if side == "hidden" else (n_hidden, n_visible)
    given = random_bits(ROWS.get((n_visible, n_hidden), 70), n_in).words
    place = {"key": KEY, "first_row": 5, "step": 7}
    mean = _core.mean(*params, side, given, reference=True)
    sample = _core.sample(*params, side, given, **place, reference=True)
    assert mean.dtype == np.float32 and mean.shape == (len(given), n_out)
    for setting in each_setting():
        assert _core.mean(*params, side, given).tobytes() == mean.tobytes(), setting
        found = _core.sample(*params, side, given, **place)
        assert found.tobytes() == sample.tobytes(), setting
        assert padding_is_zero(found, n_out)


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_gibbs_states_are_those_of_ref(
    n_visible: int, n_hidden: int, steps: int, machine: Any, each_setting: Any
) -> None:
    params = arrays(machine(n_visible, n_hidden))
    start = random_bits(ROWS.get((n_visible, n_hidden), 67), n_visible).words
    place = {"steps": steps, "key": KEY, "first_row": 3, "step": 2**32 - 2}  # the step wraps around
    expected = start.copy()
    _core.gibbs(*params, expected, **place, reference=True)
    assert steps > 0 or expected.tobytes() == start.tobytes()
    for setting in each_setting((1, 3)):
        found = start.copy()
        _core.gibbs(*params, found, **place)
        assert found.tobytes() == expected.tobytes(), setting
        assert padding_is_zero(found, n_visible)


@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_free_energy_is_that_of_ref(n_visible: int, n_hidden: int, machine: Any, each_setting: Any) -> None:
    params = arrays(machine(n_visible, n_hidden))
    visible = random_bits(ROWS.get((n_visible, n_hidden), 70), n_visible).words
    expected = _core.free_energy(*params, visible, reference=True)
    for setting in each_setting((1, 3)):
        assert _core.free_energy(*params, visible).tobytes() == expected.tobytes(), setting


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(("n_visible", "n_hidden"), PAIRS)
def test_cd_statistics_are_those_of_ref(n_visible: int, n_hidden: int, k: int, machine: Any, each_setting: Any) -> None:
    params = arrays(machine(n_visible, n_hidden))
    visible = random_bits(ROWS.get((n_visible, n_hidden), 70), n_visible).words
    place = {"gibbs_steps": k, "key": KEY, "first_row": 12, "step": 3}
    expected = _core.cd_statistics(*params, visible, **place, reference=True)
    for setting in each_setting((1, 3)):
        found = _core.cd_statistics(*params, visible, **place)
        assert all(np.array_equal(x, y) for x, y in zip(found, expected, strict=True)), setting


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 257, 300])
def test_row_blocks_of_any_length_give_the_bytes_of_ref(rows: int, machine: Any, each_setting: Any) -> None:
    params = arrays(machine(20, 17))
    visible = random_bits(rows, 20).words
    mean = _core.mean(*params, "hidden", visible, reference=True)
    sample = _core.sample(*params, "hidden", visible, key=KEY, first_row=1, reference=True)
    sums = _core.cd_statistics(*params, visible, gibbs_steps=2, key=KEY, reference=True)
    for setting in each_setting():
        assert _core.mean(*params, "hidden", visible).tobytes() == mean.tobytes(), setting
        found = _core.sample(*params, "hidden", visible, key=KEY, first_row=1)
        assert found.tobytes() == sample.tobytes(), setting
        statistics = _core.cd_statistics(*params, visible, gibbs_steps=2, key=KEY)
        assert all(np.array_equal(x, y) for x, y in zip(statistics, sums, strict=True)), setting


@pytest.mark.parametrize("rows", [97, 100, 127, 128, 256, 300])
def test_units_that_are_mostly_on_are_summed_as_by_ref(rows: int, machine: Any, each_setting: Any) -> None:
    """The list of such a unit is full, and what is written behind it belongs to the next unit and thread."""
    params = arrays(machine(784, 17, scale=0.05))
    visible = random_bits(rows, 784, density=0.95).words
    place = {"gibbs_steps": 1, "key": KEY}
    expected = _core.cd_statistics(*params, visible, **place, reference=True)
    for setting in each_setting():
        for _ in range(3):  # a race shows in some of the calls
            found = _core.cd_statistics(*params, visible, **place)
            wrong = [np.argwhere(x != y)[:3].tolist() for x, y in zip(found, expected, strict=True)]
            assert wrong == [[], [], []], setting


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of train_minibatches: 21 rows by default, so that batches of 8 end with a short one."""

    n_visible: int = 20
    n_hidden: int = 17
    rows: int = 21
    batch_size: int = 8
    k: int = 1
    chains: int | None = None
    momentum: float | None = None
    decay: float = 0.0
    rule: str = "momentum"
    l1: float = 0.0
    offset_rate: float | None = None
    learning_rate: float = 0.3
    scale: float = 0.5
    first_step: int = 11
    density: float | None = None


def trained(case: Case, machine: Any, reference: bool = False, **changes: Any) -> list[bytes]:
    """Outcome, parameters, moments, offsets and chains after one call, as bytes."""
    case = dataclasses.replace(case, **changes)
    params = machine(case.n_visible, case.n_hidden, scale=case.scale)
    params.weight.flat[::7] = -0.0  # a signed zero must not show
    params.hidden_bias[::3] = -0.0
    params.visible_bias[::3] = -0.0
    rng = np.random.default_rng(case.rows)
    data = random_bits(max(1, case.rows), case.n_visible, density=case.density).words
    order = rng.integers(0, len(data), case.rows)
    update = Update(
        case.learning_rate,
        case.rule,
        first=case.momentum or 0.0,
        second=0.99,
        epsilon=1e-4,
        weight_decay=case.decay,
        l1=case.l1,
        offset_rate=case.offset_rate or 0.0,
    )
    settings = _core.Settings(
        batch_size=case.batch_size,
        gibbs_steps=case.k,
        **dataclasses.asdict(update),
        key=KEY,
        first_step=case.first_step,
    )
    velocity = squares = offsets = chains = None
    if update.has_velocity:
        velocity = arrays(machine(case.n_visible, case.n_hidden, scale=0.01, seed=9))
    if update.has_squares:
        squares = tuple(a * a for a in arrays(machine(case.n_visible, case.n_hidden, scale=0.01, seed=4)))
    if case.offset_rate is not None:
        offsets = tuple(rng.random(n, np.float32) for n in (case.n_visible, case.n_hidden))
        offsets[0][::3] = 0
    if case.chains is not None:
        chains = random_bits(case.chains, case.n_hidden, seed=5).words
    outcome = _core.train_minibatches(
        *arrays(params),
        data,
        order,
        settings,
        velocity=velocity,
        squares=squares,
        offsets=offsets,
        chains=chains,
        reference=reference,
    )
    if chains is not None:
        assert padding_is_zero(chains, case.n_hidden)
    moments = (*(velocity or ()), *(squares or ()), *(offsets or ()))
    left = [*arrays(params), *moments, *([] if chains is None else [chains])]
    return [repr(outcome).encode(), *(array.tobytes() for array in left)]


CASES = {
    **{f"CD-1 {v}-{h}": Case(v, h) for v, h in itertools.product(SIZES, SIZES)},
    **{f"PCD-2 {v}-{h}": Case(v, h, k=2, chains=5) for v, h in itertools.product(SIZES, SIZES)},
    "CD-1 784-500": Case(784, 500, rows=9, batch_size=6, scale=0.05),
    "PCD-1 784-500, all": Case(784, 500, 7, 4, 1, 5, momentum=0.5, decay=1e-3, scale=0.05),
    "CD-2": Case(k=2),
    "momentum": Case(momentum=0.9),
    "decay": Case(decay=0.01),
    "momentum and decay, CD-2": Case(k=2, momentum=0.5, decay=0.01),
    "as many chains as rows": Case(chains=8),
    "fewer chains": Case(chains=3, momentum=0.9),
    "more chains": Case(chains=12, decay=0.01),
    "one chain": Case(chains=1, k=2),
    "many more chains": Case(chains=257, batch_size=7),
    "batch of one": Case(rows=13, batch_size=1),
    "batch of one, 65-65": Case(65, 65, rows=13, batch_size=1, momentum=0.9),
    "one batch larger than the data": Case(batch_size=50),
    "rows 128": Case(rows=128, batch_size=128),
    "rows 129": Case(rows=129, batch_size=129, k=2),
    "rows 300 and 44": Case(rows=344, batch_size=300, momentum=0.5),
    "rows 300, 129 chains": Case(rows=344, batch_size=300, chains=129),
    "rows 130, 257 chains": Case(rows=200, batch_size=130, chains=257, k=2),
    "last row alone": Case(rows=17, batch_size=8, chains=8),
    "visible units past a list block": Case(300, 17),
    "hidden units past a panel": Case(17, 300, chains=8, k=2),
    "dense rows, 128 in a batch": Case(784, 17, rows=256, batch_size=128, density=0.95),
    "dense rows, 100 in a batch": Case(784, 17, rows=300, batch_size=100, density=0.99),
    "dense rows, 512 in a batch": Case(784, 17, rows=512, batch_size=512, density=0.95, k=2),
    "half ones, tables of groups": Case(130, 65, rows=300, batch_size=150, density=0.5, k=2),
    "half ones, a group cut short": Case(99, 43, rows=128, batch_size=128, density=0.5, chains=128),
    "sums that go on, CD-5": Case(130, 65, rows=90, batch_size=30, scale=20.0, k=5, learning_rate=0.01),
    "idle units, then busy ones": Case(300, 17, rows=64, batch_size=4, density=0.01, learning_rate=0.01),
    "step counter wraps": Case(rows=40, first_step=2**32 - 2),
    "strong weights": Case(scale=20.0),
    "nesterov": Case(rule="nesterov", momentum=0.9, decay=0.01),
    "nesterov, 784-500": Case(784, 500, rows=9, batch_size=6, scale=0.05, rule="nesterov", momentum=0.9),
    "rmsprop": Case(rule="rmsprop", learning_rate=0.01),
    "rmsprop, decay, chains": Case(65, 130, rule="rmsprop", learning_rate=0.01, decay=0.1, chains=5),
    "adam": Case(rule="adam", momentum=0.9, learning_rate=0.01, first_step=0),
    "adam, later, 130-65": Case(130, 65, rule="adam", momentum=0.9, learning_rate=0.01, first_step=2**31, k=2),
    "adam, all": Case(rule="adam", momentum=0.5, decay=0.01, l1=0.1, learning_rate=0.01, chains=12, offset_rate=0.1),
    "L1": Case(l1=0.5),
    "L1 and momentum": Case(65, 20, l1=0.05, momentum=0.9),
    "L1 that leaves nothing": Case(l1=1e9),
    **{
        f"centred {v}-{h}": Case(v, h, rows=40, batch_size=20, offset_rate=0.1)
        for v, h in itertools.product(SIZES, SIZES)
    },
    "centred, 784-500": Case(784, 500, rows=9, batch_size=6, scale=0.05, offset_rate=0.01),
    "centred, idle units": Case(300, 17, rows=64, batch_size=4, density=0.01, learning_rate=0.01, offset_rate=0.5),
    "centred, offsets stay": Case(offset_rate=0.0),
    "centred, offsets are the batch's means": Case(offset_rate=1.0, k=2),
    "centred, fewer chains": Case(chains=3, offset_rate=0.1, momentum=0.5),
    "centred, more chains": Case(65, 130, chains=12, offset_rate=0.1, decay=0.01, k=2),
    "centred, rows 300, 257 chains": Case(rows=344, batch_size=300, chains=257, offset_rate=0.1),
    "centred, batch of one": Case(rows=13, batch_size=1, offset_rate=0.1),
    "centred, all ones": Case(rows=30, batch_size=10, density=1.0, offset_rate=1.0),
    "no rows": Case(rows=0),
    "no rows, chains": Case(rows=0, chains=4, momentum=0.5),
}


@pytest.mark.parametrize("name", CASES)
def test_training_gives_the_bytes_of_ref(name: str, machine: Any, each_setting: Any) -> None:
    case = CASES[name]
    expected = trained(case, machine, reference=True)
    threads = (1, 3) if name.startswith(("CD-1 ", "PCD-2 ", "centred ")) else (1, 2, 3, 8)
    for setting in each_setting(threads):
        assert trained(case, machine) == expected, setting


def test_no_rows_change_nothing(machine: Any, each_setting: Any) -> None:
    params = machine(20, 17, scale=0.5)
    empty = np.zeros((0, 1), np.uint64)
    for _ in each_setting((1, 2)):
        assert _core.mean(*arrays(params), "hidden", empty).shape == (0, 17)
        assert _core.sample(*arrays(params), "hidden", empty, key=KEY).shape == (0, 1)
        assert _core.free_energy(*arrays(params), empty).shape == (0,)
        _core.gibbs(*arrays(params), empty.copy(), steps=2, key=KEY)
        sums = _core.cd_statistics(*arrays(params), empty, gibbs_steps=1, key=KEY)
        assert not any(np.any(s) for s in sums)


@pytest.mark.parametrize("chains", [None, 4])
def test_divergence_is_found_at_the_batch_where_ref_finds_it_and_parameters_stay(
    chains: int | None, machine: Any, each_setting: Any
) -> None:
    """The weights pass the limit after some batches: one weight alone (2047), or the sum of a unit's weights."""
    for scale, rate in ((0.5, 900.0), (12.0, 40.0)):
        case = Case(130, 65, rows=400, batch_size=4, chains=chains, learning_rate=rate, scale=scale)
        outcome = trained(case, machine, reference=True)[0]
        assert b"diverged" in outcome
        untouched = trained(case, machine, rows=0)
        for setting in each_setting():
            found = trained(case, machine)
            assert found[0] == outcome, setting
            assert found[1:4] == untouched[1:4], setting


@pytest.mark.parametrize("density", [0.02, 0.3, 0.5, 0.7, 0.98, 1.0])
def test_rows_of_any_density_have_the_means_of_ref(density: float, machine: Any, each_setting: Any) -> None:
    """Lists of ones, lists of zeros, and tables of groups: 128 rows of one density take one of them each."""
    params = arrays(machine(190, 300))
    for n_in, side in ((190, "hidden"), (300, "visible")):
        given = random_bits(128, n_in, density=density).words
        mean = _core.mean(*params, side, given, reference=True)
        for setting in each_setting((1, 2)):
            assert _core.mean(*params, side, given).tobytes() == mean.tobytes(), setting


def test_a_wrong_step_number_a_wrong_k_and_a_wrong_rate_are_noticed(machine: Any) -> None:
    """The comparison bites: each of these small changes of what is asked for gives other bytes."""
    expected = trained(Case(k=2), machine, reference=True)
    for change in ({"first_step": 12}, {"k": 1}, {"learning_rate": 0.3000001}, {"batch_size": 7}):
        assert trained(Case(k=2), machine, **change) != expected, change
