"""Fast persistent chains: fast parameters that are written out, and that drive chains out of a mode."""

from __future__ import annotations

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.params import PARAMETERS, RBMParams
from rbmx.rng import Key
from rbmx.samplers import FastPCD


def machine() -> RBMParams:
    rng = np.random.default_rng(3)
    return RBMParams(*(rng.normal(0, 1, n).astype(np.float32) for n in ((3, 5), 5, 3)))


def test_fast_parameters_decay_and_follow_the_gradient() -> None:
    params, sampler = machine(), FastPCD(fast_lr=0.5, fast_decay=0.75)
    memory = sampler.initial_memory(params, 4, Key(0))
    gradient = {name: np.full(getattr(params, name).shape, 2.0) for name in PARAMETERS}
    for expected in (1.0, 1.75, 2.3125):  # exact in binary
        sampler.learn(gradient, memory)
        assert all(np.all(memory[f"fast.{name}"] == expected) for name in PARAMETERS)


def test_chains_run_on_the_sum_of_both_parameters() -> None:
    params, sampler = machine(), FastPCD(k=2)
    memory = sampler.initial_memory(params, 40, Key(0))
    for name in PARAMETERS:
        memory[f"fast.{name}"][...] = 0.5
    hidden = sampler.initial_memory(params, 40, Key(0))["chains"]
    rows = sampler.draw(backend_for(params), params, memory, Key(1))
    shifted = RBMParams(*(getattr(params, name) + np.float32(0.5) for name in PARAMETERS))
    again = sampler.initial_memory(shifted, 40, Key(0))
    assert again["chains"].tobytes() == hidden.tobytes()
    expected = sampler.draw(backend_for(params), shifted, again, Key(1))
    assert rows.words.tobytes() == expected.words.tobytes()
    assert memory["chains"].tobytes() == again["chains"].tobytes() != hidden.tobytes()


def test_settings_out_of_range_are_refused() -> None:
    for bad, match in ((dict(fast_lr=0), "fast_lr"), (dict(fast_decay=1), "fast_decay"), (dict(k=0), "k")):
        with pytest.raises(ValueError, match=f"^{match}: expected"):
            FastPCD(**bad)
