"""AIS beside enumeration: the value, the interval, and what the two directions say of each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.likelihood import ais_log_partition, log_partition, reverse_ais_log_partition
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
    assert "effective sample size 2.0" in found.method


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
    with pytest.warns(UserWarning, match="chains mix badly"):
        estimate_log_partition(params, "both", start=rows_of(params, 20), temperatures=3, chains=20, key=Key(1))
