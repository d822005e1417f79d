"""Arguments of a wrong type: one TypeError that names the argument, its value and what was expected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rbmx
from rbmx.arguments import number, whole_number
from rbmx.jobs import JobSettings, train_rounds
from rbmx.samplers import CD, PCD, PT, FastPCD
from rbmx.training import (
    L1,
    L2,
    SGD,
    Adam,
    Dropout,
    EarlyStopping,
    ExponentialDecay,
    LikelihoodMonitor,
    LinearDecay,
    MaxNorm,
    RMSProp,
    Sparsity,
    TrainConfig,
    WeightAverage,
)

ROWS = np.eye(4, dtype=np.uint8)
WHOLE, NUMBER, TRUTH = "expected a whole number, got", "expected a number, got", "expected True or False, got"


def fit(**settings: Any) -> Callable[[], object]:
    pytest.importorskip("torch")
    return lambda: rbmx.RBM(4, 3, seed=0).fit(ROWS, **settings)


def rounds(**settings: Any) -> Callable[[], object]:
    return lambda: train_rounds(ROWS, 3, **settings)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TrainConfig(epochs=1.5), f"epochs: {WHOLE} 1.5"),  # type: ignore[arg-type]
        (lambda: TrainConfig(epochs=True), f"epochs: {WHOLE} True"),
        (lambda: TrainConfig(batch_size="100"), f"batch_size: {WHOLE} '100'"),  # type: ignore[arg-type]
        (lambda: TrainConfig(seed=1.5), f"seed: {WHOLE} 1.5"),  # type: ignore[arg-type]
        (lambda: TrainConfig(shuffle="no"), f"shuffle: {TRUTH} 'no'"),  # type: ignore[arg-type]
        (lambda: TrainConfig(centering="auto"), f"centering: {NUMBER} 'auto'"),  # type: ignore[arg-type]
        (lambda: TrainConfig(engine=3), "engine: expected a str, got 3"),  # type: ignore[arg-type]
        (lambda: TrainConfig(buffer_bytes=1e6), f"buffer_bytes: {WHOLE} 1000000.0"),  # type: ignore[arg-type]
        (lambda: TrainConfig(penalties=L2(0.1)), "penalties: expected a list of penalties, got L2"),  # type: ignore[arg-type]
        (lambda: CD(2.0), f"k: {WHOLE} 2.0"),  # type: ignore[arg-type]
        (lambda: PCD(1, 2.0), f"chains: {WHOLE} 2.0"),  # type: ignore[arg-type]
        (lambda: FastPCD(fast_lr="fast"), f"fast_lr: {NUMBER} 'fast'"),  # type: ignore[arg-type]
        (lambda: PT(temperatures=2.5), f"temperatures: {WHOLE} 2.5"),  # type: ignore[arg-type]
        (lambda: SGD("fast"), f"lr: {NUMBER} 'fast'"),  # type: ignore[arg-type]
        (lambda: SGD(0.1, None), f"momentum: {NUMBER} None"),  # type: ignore[arg-type]
        (lambda: Adam(beta1="0.9"), f"beta1: {NUMBER} '0.9'"),  # type: ignore[arg-type]
        (lambda: RMSProp(decay=[0.9]), rf"decay: {NUMBER} \[0.9\]"),  # type: ignore[arg-type]
        (lambda: L1("0"), f"decay: {NUMBER} '0'"),  # type: ignore[arg-type]
        (lambda: MaxNorm("3"), f"limit: {NUMBER} '3'"),  # type: ignore[arg-type]
        (lambda: Sparsity("low"), f"target: {NUMBER} 'low'"),  # type: ignore[arg-type]
        (lambda: Dropout("half"), f"rate: {NUMBER} 'half'"),  # type: ignore[arg-type]
        (lambda: LinearDecay("0"), f"end: {NUMBER} '0'"),  # type: ignore[arg-type]
        (lambda: ExponentialDecay("0.9"), f"rate: {NUMBER} '0.9'"),  # type: ignore[arg-type]
        (lambda: EarlyStopping(patience=2.5), f"patience: {WHOLE} 2.5"),  # type: ignore[arg-type]
        (lambda: WeightAverage("1"), f"start: {WHOLE} '1'"),  # type: ignore[arg-type]
        (lambda: LikelihoodMonitor(every=0.5), f"every: {WHOLE} 0.5"),  # type: ignore[arg-type]
        (lambda: rbmx.Key("0"), f"seed: {WHOLE} '0'"),  # type: ignore[arg-type]
        (lambda: rbmx.RBMParams.initial(4, 3.0, key=rbmx.Key(0)), f"n_hidden: {WHOLE} 3.0"),  # type: ignore[arg-type]
        (lambda: JobSettings(rounds=2.0), f"rounds: {WHOLE} 2.0"),  # type: ignore[arg-type]
        (fit(epochs=1.5), f"epochs: {WHOLE} 1.5"),
        (fit(k=2.0), f"k: {WHOLE} 2.0"),
        (fit(lr="fast"), f"lr: {NUMBER} 'fast'"),
        (fit(momentum="0.9"), f"momentum: {NUMBER} '0.9'"),
        (fit(weight_decay="little"), f"weight_decay: {NUMBER} 'little'"),
        (fit(penalties=0.1), "penalties: expected a list of penalties, got 0.1"),
        (fit(callbacks=EarlyStopping()), "callbacks: expected a list of callbacks, got"),
        (fit(callbacks=[EarlyStopping]), "callbacks: expected objects with any of on_train_start"),
        (rounds(rounds=1.5), f"rounds: {WHOLE} 1.5"),
        (rounds(shards="4"), f"shards: {WHOLE} '4'"),
        (rounds(batch_size="100"), f"batch_size: {WHOLE} '100'"),
        (rounds(local_epochs=1.0), f"local_epochs: {WHOLE} 1.0"),
        (rounds(lr="fast"), f"lr: {NUMBER} 'fast'"),
        (rounds(k=2.0), f"k: {WHOLE} 2.0"),
        (lambda: train_rounds(ROWS, 3.0), f"n_hidden: {WHOLE} 3.0"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_type_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rbm: rbmx.RBM(4.0, 3), f"n_visible: {WHOLE} 4.0"),
        (lambda rbm: rbmx.RBM(4, "3"), f"n_hidden: {WHOLE} '3'"),
        (lambda rbm: rbmx.RBM(4, 3, visible=["bernoulli"]), r"visible: expected a str, got \['bernoulli'\]"),
        (lambda rbm: rbmx.RBM(4, 3, hidden=None), "hidden: expected a str, got None"),
        (lambda rbm: rbmx.RBM(4, 3, seed=1.5), f"seed: {WHOLE} 1.5"),
        (lambda rbm: rbm.sample(2.0), f"n: {WHOLE} 2.0"),
        (lambda rbm: rbm.sample(2, steps="10"), f"steps: {WHOLE} '10'"),
        (lambda rbm: rbm.gibbs(ROWS, 1.0), f"steps: {WHOLE} 1.0"),
        (lambda rbm: rbm.impute(ROWS, 2.5), f"steps: {WHOLE} 2.5"),
        (lambda rbm: rbm.sample(2, seed="a"), f"seed: {WHOLE} 'a'"),
        (lambda rbm: rbm.contrastive_divergence(ROWS, k=1.0), f"k: {WHOLE} 1.0"),
        (lambda rbm: rbm.log_partition("ais", chains=10.0), f"chains: {WHOLE} 10.0"),
        (lambda rbm: rbm.log_partition("ais", temperatures=10.5), f"temperatures: {WHOLE} 10.5"),
    ],
)
def test_the_module_names_a_wrong_type(call: Callable[[Any], object], message: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(TypeError, match=f"^{message}"):
        call(rbmx.RBM(4, 3, seed=0))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_a_value_error(seed: int) -> None:
    pytest.importorskip("torch")
    for call in (fit(seed=seed), rounds(seed=seed), lambda: rbmx.RBM(4, 3, seed=seed)):
        with pytest.raises(ValueError, match=f"^seed: expected an integer from 0 to 2\\^64 - 1, got {seed}"):
            call()


def test_numpy_scalars_are_numbers_and_become_what_files_can_hold() -> None:
    config = TrainConfig(
        epochs=np.int64(3),  # type: ignore[arg-type]
        shuffle=np.True_,  # type: ignore[arg-type]
        sampler=CD(np.int32(2)),  # type: ignore[arg-type]
        optimizer=SGD(np.float32(0.5)),  # type: ignore[arg-type]
    )
    assert config == TrainConfig(epochs=3, shuffle=True, sampler=CD(2), optimizer=SGD(0.5))
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert whole_number("n", np.uint8(3)) == 3 and number("x", 2) == 2
