"""Parallel tempering: replicas stay in the law of their machine, exchanges carry them over walls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.samplers import PCD, PT


def two_modes(depth: float) -> RBMParams:
    """Eight visible units that all agree, in two equally likely states; Gibbs steps leave one with exp(-depth)."""
    weight = np.full((2, 8), depth, np.float32)
    return RBMParams(weight, np.full(8, -depth, np.float32), np.full(2, -4 * depth, np.float32))


def probabilities(params: RBMParams) -> Any:
    states = PackedBits.pack(np.arange(2**8)[:, None] >> np.arange(8) & 1)
    log_p = -backend_for(params).free_energy(params, states)
    return np.exp(log_p - np.logaddexp.reduce(log_p))


def codes(rows: Any) -> Any:
    return rows.unpack().astype(int) @ (1 << np.arange(8))


def test_replicas_that_start_in_their_machines_stay_there() -> None:
    """No drift: exact samples of every replica's machine, 20 updates on; chi-square of the coldest, seen once."""
    rng = np.random.default_rng(0)
    params = RBMParams(*(rng.normal(0, 2, n).astype(np.float32) for n in ((3, 8), 8, 3)))
    sampler = PT(temperatures=4, chains=20_000, adaptive=False)
    memory = sampler.initial_memory(params, 0, Key(0))
    for m, beta in enumerate(memory["betas"]):
        b = np.float32(beta)
        machine = RBMParams(params.weight * b, params.visible_bias, params.hidden_bias * b)
        drawn = rng.choice(2**8, 20_000, p=probabilities(machine))
        words = PackedBits.pack(drawn[:, None] >> np.arange(8) & 1).words
        memory["replicas"][m * 20_000 : (m + 1) * 20_000] = words
    for step in range(20):
        rows = sampler.draw(backend_for(params), params, memory, Key(9).fold_in(step))
    p = probabilities(params)
    kept = p * 20_000 >= 5
    expected = np.append(p[kept], p[~kept].sum()) * 20_000
    counts = np.bincount(codes(rows), minlength=2**8)
    found = np.append(counts[kept], counts[~kept].sum())
    statistic, freedom = ((found - expected) ** 2 / expected).sum(), len(expected) - 1
    assert abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_exchanges_carry_chains_between_modes_that_gibbs_steps_never_leave() -> None:
    params, backend = two_modes(8.0), backend_for(two_modes(8.0))
    sampler = PT(temperatures=12, chains=50)
    memory = sampler.initial_memory(params, 0, Key(1))
    memory["replicas"][...] = 0  # all in one mode
    memory["base"][...] = 0  # half of the units on, as in data that are in either
    high = []
    for step in range(400):
        rows = sampler.draw(backend, params, memory, Key(2).fold_in(step))
        high.append(rows.unpack().mean(axis=1) > 0.5)
    # half of the time in each; 50 chains over 200 updates are at least 50 independent visits: 5 deviations
    assert abs(np.mean(high[200:]) - 0.5) < 5 * 0.5 / np.sqrt(50)
    alone = backend.gibbs(params, PackedBits.pack(np.zeros((50, 8))), 400, Key(3))
    assert not alone.unpack().any()


def test_temperatures_move_until_all_pairs_exchange_alike() -> None:
    params, backend = two_modes(6.0), backend_for(two_modes(6.0))
    spread = {}
    for adaptive in (False, True):
        sampler = PT(temperatures=6, chains=200, adaptive=adaptive)
        memory = sampler.initial_memory(params, 0, Key(1))
        memory["base"][...] = 0
        for step in range(800):
            sampler.draw(backend, params, memory, Key(2).fold_in(step))
        betas = memory["betas"]
        assert (betas[0], betas[-1]) == (0.0, 1.0) and np.all(np.diff(betas) > 0)
        spread[adaptive] = np.ptp(memory["rates"])
    assert spread[True] < 0.5 * spread[False]


def test_settings_out_of_range_are_refused() -> None:
    for bad, match in ((dict(temperatures=1), "temperatures"), (dict(k=0), "k"), (dict(chains=0), "chains")):
        with pytest.raises(ValueError, match=f"^{match}: expected"):
            PT(**bad)


def test_a_wrong_acceptance_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The no-drift test bites: exchanges that are always made leave the law."""
    monkeypatch.setattr(np, "minimum", lambda a, b: np.zeros_like(a))
    with pytest.raises(AssertionError):
        test_replicas_that_start_in_their_machines_stay_there()


def test_pcd_and_tempering_have_their_chains_by_default() -> None:
    params = two_modes(1.0)
    assert len(PT().initial_memory(params, 7, Key(0))["replicas"]) == 70
    assert len(PCD().initial_chains(params, 7, Key(0)) or ()) == 7
