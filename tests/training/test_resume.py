"""A run that is stopped anywhere and goes on is the run that was not stopped, to the bit."""

from __future__ import annotations

import dataclasses
import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.samplers import CD, PCD
from rbmx.training import (
    L1,
    L2,
    SGD,
    Adam,
    Callback,
    ExponentialDecay,
    RMSProp,
    TrainConfig,
    Trainer,
    TrainState,
    train,
)

BITS = np.random.default_rng(0).integers(0, 2, (203, 30)).astype(np.uint8)
GREY = np.random.default_rng(1).random((203, 30)).astype(np.float32)

KINDS: dict[str, tuple[Any, TrainConfig]] = {
    "bits, CD": (BITS, TrainConfig(4, 10, CD(1), SGD(0.1))),
    "bits, PCD, momentum": (BITS, TrainConfig(4, 10, PCD(2, 7), SGD(0.1, 0.9), (L2(1e-3),), ExponentialDecay(0.8))),
    "bits, streaming": (BITS, TrainConfig(4, 10, PCD(1), SGD(0.1, 0.5), buffer_bytes=400)),
    "real, canonical": (GREY, TrainConfig(4, 10, PCD(1), SGD(0.1, 0.5), reproducible=True)),
    "real, streaming": (GREY, TrainConfig(4, 10, CD(1), SGD(0.1), reproducible=True, buffer_bytes=5000)),
    "reference": (BITS, TrainConfig(4, 10, PCD(1), SGD(0.1, 0.5), engine="reference")),
    "reference, streaming": (BITS, TrainConfig(4, 10, PCD(1), SGD(0.1, 0.5), engine="reference", buffer_bytes=400)),
    "centred, Adam": (BITS, TrainConfig(4, 10, PCD(1), Adam(0.01), (L1(1e-3),), centering=0.01)),
    "centred, streaming": (BITS, TrainConfig(4, 10, CD(1), SGD(0.1), centering=0.1, buffer_bytes=400)),
    "real, centred": (GREY, TrainConfig(4, 10, CD(1), RMSProp(0.01), centering=0.1, reproducible=True)),
    "not shuffled": (BITS, TrainConfig(4, 10, CD(1), SGD(0.1), shuffle=False)),
}


def fresh() -> RBMParams:
    return RBMParams.initial(30, 20, key=Key(5), std=0.1)


def everything(params: RBMParams, state: TrainState) -> list[Any]:
    """Parameters, counters, velocity and chains as bytes."""
    arrays = [params.weight, params.visible_bias, params.hidden_bias]
    return [state.counters(), *(a.tobytes() for a in [*arrays, *state.tensors().values()])]


@pytest.mark.parametrize("kind", KINDS)
def test_epochs_in_many_calls_are_epochs_in_one_call(kind: str) -> None:
    data, config = KINDS[kind]
    whole = fresh()
    expected = everything(whole, train(whole, data, config).state)
    params, state = fresh(), None
    for epochs in (1, 1, 3, 4):
        # the schedule is a function of the epoch alone here, so stopping early does not change it
        result = train(params, data, dataclasses.replace(config, epochs=epochs), state=state)
        state = TrainState.from_bytes(result.state.to_bytes())
    assert state is not None
    assert everything(params, state) == expected


class Interrupt(Callback):
    """Raises KeyboardInterrupt at the n-th report of progress."""

    def __init__(self, n: int) -> None:
        self.left = n

    def on_batches(self, trainer: Trainer, rows_done: int, rows_total: int | None) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["reference", "reference, streaming"])
@pytest.mark.parametrize("n", [1, 5, 20, 21, 22, 60])
def test_a_run_interrupted_after_any_minibatch_goes_on_to_the_bit(kind: str, n: int) -> None:
    """The reference reports every minibatch: 21 an epoch, so these stop early, in the middle, at the end of one."""
    data, config = KINDS[kind]
    whole = fresh()
    expected = everything(whole, train(whole, data, config).state)
    params = fresh()
    trainer = Trainer(params, data, config, callbacks=[Interrupt(n)])
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert trainer.state.step == n
    state = TrainState.from_bytes(trainer.state.to_bytes())
    assert everything(params, train(params, data, config, state=state).state) == expected


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("sampler", [CD(30), PCD(30)])
def test_a_native_call_interrupted_in_the_middle_of_an_epoch_goes_on_to_the_bit(sampler: Any, streaming: bool) -> None:
    rng = np.random.default_rng(2)
    data = PackedBits.pack(rng.integers(0, 2, (40_000, 130)))
    buffer = 600_000 if streaming else 1 << 27  # 25,000 rows
    config = TrainConfig(1, 100, sampler, SGD(0.01, 0.5), seed=8, buffer_bytes=buffer)
    whole = RBMParams.initial(130, 100, key=Key(1))
    expected = everything(whole, train(whole, data, config).state)
    params = RBMParams.initial(130, 100, key=Key(1))
    state: TrainState | None = None
    interruptions = 0
    while True:
        callbacks = [Interrupt(1)] if interruptions < 3 else []
        trainer = Trainer(params, data, config, state=state, callbacks=callbacks)
        try:
            trainer.run()
            break
        except KeyboardInterrupt:
            interruptions += 1
            state = TrainState.from_bytes(trainer.state.to_bytes())
    assert interruptions >= 1, "reports come ten times a second: the run must take longer than that"
    assert everything(params, trainer.state) == expected


@pytest.mark.parametrize("kind", ["one block larger than the buffer", "many blocks", "fits"])
def test_an_iterator_of_unknown_length_goes_on_to_the_bit(kind: str) -> None:
    """The first run looks at more rows before it trains than the resumed one; the order must not notice."""
    rows = np.random.default_rng(4).integers(0, 2, (3000, 30)).astype(np.uint8)
    parts = [rows] if kind.startswith("one") else np.array_split(rows, 13)
    config = TrainConfig(3, 10, seed=3, monitor_rows=50, buffer_bytes=1 << 20 if kind == "fits" else 600)

    def source() -> Any:
        return iter(parts)

    whole, params = fresh(), fresh()
    expected = everything(whole, train(whole, source, config).state)
    first = train(params, source, dataclasses.replace(config, epochs=1))
    assert everything(params, train(params, source, config, state=first.state).state) == expected


# ---- what does not go on


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"seed": 1}, "seed: expected 0, the seed of the run to resume, got 1"),
        ({"sampler": CD()}, "sampler: .* does not go on from the chains of the state"),
    ],
)
def test_a_state_of_other_settings_is_refused(changes: dict[str, Any], match: str) -> None:
    _, config = KINDS["bits, PCD, momentum"]
    params = fresh()
    state = train(params, BITS, dataclasses.replace(config, epochs=1)).state
    with pytest.raises(ValueError, match=match):
        train(params, BITS, dataclasses.replace(config, **changes), state=state)


def test_a_state_of_another_machine_is_refused() -> None:
    _, config = KINDS["bits, PCD, momentum"]
    state = train(fresh(), BITS, dataclasses.replace(config, epochs=1)).state
    with pytest.raises(ValueError, match="chains: expected 9 hidden units, got 20"):
        train(RBMParams.initial(30, 9, key=Key(0)), BITS, config, state=state)
    state.chains = None
    cd = dataclasses.replace(config, sampler=CD())
    with pytest.raises(ValueError, match="velocity: expected the shapes"):
        train(RBMParams.initial(30, 9, key=Key(0)), BITS, cd, state=state)


def test_the_state_that_was_given_is_left_as_it_was() -> None:
    _, config = KINDS["bits, PCD, momentum"]
    params = fresh()
    state = train(params, BITS, dataclasses.replace(config, epochs=1)).state
    before = everything(params, state)[0], [t.tobytes() for t in state.tensors().values()]
    train(params, BITS, config, state=state)
    assert (state.counters(), [t.tobytes() for t in state.tensors().values()]) == before


def test_momentum_may_be_turned_on_and_off_between_runs() -> None:
    _, config = KINDS["bits, CD"]
    params = fresh()
    state = train(params, BITS, dataclasses.replace(config, epochs=1)).state
    faster = dataclasses.replace(config, epochs=2, optimizer=SGD(0.1, 0.9))
    state = train(params, BITS, faster, state=state).state
    assert state.velocity is not None and state.velocity.weight.any()
    state = train(params, BITS, dataclasses.replace(config, epochs=3), state=state).state
    assert state.velocity is None


# ---- Ctrl-C


CHILD = """
import signal, sys, time
import numpy as np
import rbmx
from rbmx.training import Trainer
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
real = sys.argv[1] == "real"
data = rng.random((60000, 200)) if real else rng.integers(0, 2, (60000, 784)).astype(np.uint8)
params = rbmx.RBMParams.initial(data.shape[1], 500, key=rbmx.Key(1))
config = rbmx.TrainConfig(epochs=1000, sampler=rbmx.CD(10), batch_size=100, monitor_rows=100, visible_bias="keep")
trainer = Trainer(params, data, config)
print("ready", flush=True)
try:
    trainer.run()
except KeyboardInterrupt:
    print(time.monotonic(), trainer.state.step, flush=True)
"""


@pytest.mark.parametrize("rows", ["bits", "real"])
def test_ctrl_c_stops_a_long_native_call_within_a_second(rows: str, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, rows], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready"
        time.sleep(0.5)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    stopped, steps = out.split()
    assert float(stopped) - sent < 1.0
    assert int(steps) > 0


RACE = """
import os, signal, sys, threading
import numpy as np
import rbmx
from rbmx.training import Trainer
signal.signal(signal.SIGINT, signal.default_int_handler)
data = np.random.default_rng(0).integers(0, 2, (300, 64)).astype(np.uint8)
rbmx.set_num_threads(1)  # a machine of 64 units is no work for two
config = rbmx.TrainConfig(epochs=60, batch_size=10, visible_bias="keep", monitor_rows=10)
def fresh(): return rbmx.RBMParams.initial(64, 64, key=rbmx.Key(1))
whole = fresh()
rbmx.train(whole, data, config)
stopped = 0
for i in range(30):
    params = fresh()
    trainer = Trainer(params, data, config)
    timer = threading.Timer(0.002 + 0.0017 * i, lambda: os.kill(os.getpid(), signal.SIGINT))
    try:
        timer.start()
        trainer.run()
        timer.cancel()
        timer.join()
    except KeyboardInterrupt:
        stopped += 1
        rbmx.train(params, data, config, state=trainer.state)
    assert np.array_equal(params.weight, whole.weight), f"run {i}: parameters and counters disagree"
print(stopped)
"""


def test_ctrl_c_at_any_moment_leaves_parameters_and_counters_that_agree(tmp_path: Path) -> None:
    """Native calls of a few milliseconds end before they look at signals; the signal then comes as they return.

    Seen to bite: with an interrupt that is raised between the call and the counters 5 of 20 resumed runs were wrong.
    """
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5


def test_every_setting_is_told_apart_by_these_bytes() -> None:
    """The comparisons above bite: no two kinds of run over the same data give the same weights."""
    finals = {}
    for kind, (data, config) in KINDS.items():
        params = fresh()
        train(params, data, config)
        finals[kind] = params.weight.tobytes()
    for a, b in itertools.combinations(finals, 2):
        assert finals[a] != finals[b], (a, b)
