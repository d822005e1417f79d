"""AIS beside enumeration: the value, the interval, and what the two directions say of each other."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.likelihood import Estimate, ais_log_partition, log_partition, reverse_ais_log_partition
from rbmx.likelihood.estimate import log_mean
from rbmx.likelihood.partition import estimate_log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key
from tests.units import layers


def rows_of(params: RBMParams, n: int) -> Any:
    states = np.random.default_rng(0).random((n, params.n_visible))
    return PackedBits.pack(states < 0.5) if params.visible == "bernoulli" else states.astype(np.float32)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("shape", [(6, 4), (12, 9), (4, 12)])
def test_both_directions_give_the_enumerated_value(shape: tuple[int, int], visible: str, machine: Any) -> None:
    """Well-mixed machines: an error of 0.1 nats would be five standard errors here."""
    params = machine(*shape, scale=0.5, visible=visible)
    exact = log_partition(params).value
    up = ais_log_partition(params, temperatures=200, chains=400, key=Key(1))
    down = reverse_ais_log_partition(params, rows_of(params, 400), temperatures=200, burn_in=100, key=Key(2))
    for estimate in (up, down):
        assert estimate.value == pytest.approx(exact, abs=0.1)
        assert estimate.low <= estimate.value <= estimate.high


PAIRS = [pair for pair in layers.PAIRS if pair[0] != "counts"]  # whose log Z is one for each total


@pytest.mark.parametrize("pair", PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_every_pair_gives_the_sum_over_its_states(pair: tuple[str, str]) -> None:
    """By quadrature over v of the closed-form free energy; weak couplings, so 0.05 nats is six standard errors."""
    params = layers.machine(*pair)
    v, log_w = layers.layer(params.visible_unit, params.n_visible, 24)
    energies = backend_for(params, "reference").free_energy(params, v.astype(np.float32))
    exact = np.logaddexp.reduce(log_w - energies)
    found = ais_log_partition(params, temperatures=30, chains=500, key=Key(1))
    assert found.value == pytest.approx(exact, abs=0.05)


def test_intervals_cover_the_truth(machine: Any) -> None:
    """Three standard errors: of 40 runs two misses or more would happen by chance in less than 1 of 200 tries."""
    params = machine(10, 8, scale=1.0)
    exact = log_partition(params).value
    found = [ais_log_partition(params, temperatures=100, chains=200, key=Key(seed)) for seed in range(40)]
    assert sum(not estimate.low <= exact <= estimate.high for estimate in found) <= 1


def test_independent_units_are_exact_whatever_the_path() -> None:
    """No weights: every chain has the same weight of one."""
    bias = np.linspace(-2, 2, 7).astype(np.float32)
    params = RBMParams(np.zeros((3, 7), np.float32), bias, np.zeros(3, np.float32))
    found = ais_log_partition(params, temperatures=2, chains=2, key=Key(0))
    assert found.value == pytest.approx(log_partition(params).value, abs=1e-6)
    assert found.high - found.low < 1e-6
    assert found.effective_sample_size == pytest.approx(2.0)
    assert found.standard_error < 1e-6


def test_any_base_leads_to_the_same_end(machine: Any) -> None:
    params = machine(12, 6, scale=0.5)
    other = np.full(12, -1.0, np.float32)
    found = ais_log_partition(params, temperatures=400, chains=400, key=Key(3), base_bias=other)
    assert found.value == pytest.approx(log_partition(params).value, abs=0.1)


def test_the_key_decides(machine: Any) -> None:
    params = machine(12, 6, scale=1.0)
    found = [ais_log_partition(params, temperatures=20, chains=10, key=Key(seed)).value for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperatures": 1}, "temperatures: expected 2 or more, got 1"),
        ({"chains": 1}, "chains: expected 2 or more, for an interval, got 1"),
        ({"base_bias": np.zeros(3, np.float32)}, r"base_bias: expected \(12,\), got \(3,\)"),
    ],
)
def test_what_cannot_work_is_refused(changes: Any, message: str, machine: Any) -> None:
    with pytest.raises(ValueError, match=message):
        ais_log_partition(machine(12, 6), key=Key(0), **changes)


def test_both_directions_together_hold_the_truth_between_them(machine: Any) -> None:
    params = machine(12, 26, scale=0.3)
    found = estimate_log_partition(params, "both", start=rows_of(params, 200), temperatures=200, chains=200, key=Key(5))
    assert found.low <= log_partition(params).value <= found.high
    assert found.method.startswith("between AIS, 200 temperatures")


def test_auto_enumerates_where_it_can_and_samples_where_not(machine: Any) -> None:
    assert estimate_log_partition(machine(30, 5), key=Key(0)).method.startswith("exact")
    assert estimate_log_partition(machine(30, 26, scale=0.1), key=Key(0)).method.startswith("AIS")
    start = rows_of(machine(30, 26), 10)
    assert estimate_log_partition(machine(30, 26, scale=0.1), start=start, key=Key(0)).method.startswith("between")


def test_directions_that_disagree_are_warned_of(machine: Any) -> None:
    """Two deep modes, few temperatures: chains from below find one each and none crosses."""
    params = machine(40, 30, scale=4.0)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        estimate_log_partition(params, "both", start=rows_of(params, 20), temperatures=3, chains=20, key=Key(1))
    messages = [str(warning.message) for warning in seen]
    assert any("chains mix badly" in message for message in messages)
    assert any("of 20 chains carry the estimate" in message for message in messages)


def test_a_graded_path_leads_to_the_same_end(machine: Any) -> None:
    params = machine(12, 9, scale=0.5)
    graded = np.linspace(0, 1, 300) ** 0.5
    for visible in ("bernoulli", "gaussian"):
        params = machine(12, 9, scale=0.5, visible=visible)
        found = ais_log_partition(params, temperatures=graded.tolist(), chains=300, key=Key(4))
        assert found.value == pytest.approx(log_partition(params).value, abs=0.1)
        assert found.method.startswith("AIS, 299 temperatures")


@pytest.mark.parametrize("betas", [[0, 1], [0, 0.5, 0.9], [0.1, 0.5, 1], [0, 0.5, 0.5, 1], [[0, 0.5, 1]]])
def test_paths_that_do_not_rise_from_0_to_1_are_refused(betas: Any, machine: Any) -> None:
    with pytest.raises(ValueError, match="temperatures: expected 3 or more numbers that rise from 0 to 1"):
        ais_log_partition(machine(4, 3), temperatures=betas, key=Key(0))


def test_progress_counts_the_steps_of_all_chains(machine: Any) -> None:
    """The reference reports every temperature; the native loop at most every tenth of a second."""
    seen: list[int] = []
    params = machine(5, 3, visible="gaussian")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # four chains are few for an interval
        ais_log_partition(params, temperatures=6, chains=4, key=Key(0), progress=seen.append)
    assert seen == [4, 8, 12, 16, 20, 24]


def test_the_mean_of_weights_has_an_interval_in_log_space() -> None:
    """Weights 1 and 3 in equal numbers: mean 2, relative standard error sqrt(1 / 399) / 2 of 400 chains."""
    found = log_mean(np.log(np.tile([1.0, 3.0], 200)), "known")
    error = math.sqrt(1 / 399) / 2
    assert found.value == pytest.approx(math.log(2))
    assert found.standard_error == pytest.approx(error)
    assert found.low == pytest.approx(math.log(2) + math.log(1 - 3 * error))
    assert found.high == pytest.approx(math.log(2) + math.log(1 + 3 * error))
    assert found.effective_sample_size == pytest.approx(400 * 4 / 5)


def test_one_chain_that_carries_all_is_warned_of_and_bounded_by_markov() -> None:
    with pytest.warns(UserWarning, match="of 50 chains carry the estimate"):
        found = log_mean(np.array([0.0] + [-50.0] * 49), "lonely")
    assert found.low == pytest.approx(found.value - 6.6)


def test_a_likelihood_turns_the_interval_of_log_z_around() -> None:
    found = Estimate(10.0, 9.0, 12.0, "m", 0.3, 20.0).log_likelihood(-7.0)
    assert found == (-3.0, -5.0, -2.0, "m", 0.3, 20.0)
