from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.backends import ENGINES
from rbmx.samplers import CD, PCD, PT, sampler_from
from rbmx.training import (
    L1,
    L2,
    SGD,
    Adam,
    Dropout,
    EpochRecord,
    ExponentialDecay,
    LinearDecay,
    RMSProp,
    Sparsity,
    TrainConfig,
)
from rbmx.training.history import record_from_json
from rbmx.training.optimizers import optimizer_from

positive = st.floats(1e-9, 1e3)
samplers = st.builds(CD, st.integers(1, 100)) | st.builds(PCD, st.integers(1, 100), st.none() | st.integers(1, 65536))
schedules = st.none() | st.builds(LinearDecay, st.floats(0, 1)) | st.builds(ExponentialDecay, st.floats(1e-6, 1))
optimizers = (
    st.builds(SGD, positive, st.floats(0, 0.99))
    | st.builds(SGD, positive, st.floats(0.01, 0.99), st.just(True))
    | st.builds(Adam, positive, st.floats(0.1, 0.99), st.floats(0, 0.999))
    | st.builds(RMSProp, positive, st.floats(0, 0.99))
)
penalties = st.lists(st.builds(L1, st.floats(0, 1)) | st.builds(L2, st.floats(0, 1)), max_size=3)
configs = st.builds(
    TrainConfig,
    epochs=st.integers(0, 10**6),
    batch_size=st.integers(1, 65536),
    sampler=samplers,
    optimizer=optimizers,
    penalties=penalties.map(tuple),
    schedule=schedules,
    centering=st.floats(0, 1),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    engine=st.sampled_from(ENGINES),
    reproducible=st.booleans(),
    visible_bias=st.sampled_from(["data", "keep"]),
    buffer_bytes=st.integers(1, 2**40),
    monitor_rows=st.integers(1, 10**6),
)


@given(configs)
def test_a_config_survives_json(config: TrainConfig) -> None:
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_schedule_that_is_a_function_is_kept_by_name_and_must_be_passed_again() -> None:
    def halves(epoch: int, epochs: int) -> float:
        return 0.5**epoch

    values = TrainConfig(schedule=halves).to_dict()
    assert values["schedule"] == {"type": "function", "name": "halves"}
    rebuilt = TrainConfig.from_dict(values)
    assert rebuilt.to_dict() == values
    with pytest.raises(ValueError, match=r"schedule: the function 'halves' .* pass it again"):
        rebuilt.learning_rate(0)
    with pytest.raises(ValueError, match="cannot rebuild 'AdaGrad'"):
        TrainConfig.from_dict({"optimizer": {"type": "AdaGrad", "lr": 0.1}})


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: TrainConfig(epochs=-1), "epochs: expected 0 or more, got -1"),
        (lambda: TrainConfig(batch_size=0), "batch_size: expected 1 to 65536, got 0"),
        (lambda: TrainConfig(batch_size=65537), "batch_size"),
        (lambda: TrainConfig(seed=-1), "seed"),
        (lambda: TrainConfig(seed=2**64), "seed"),
        (lambda: TrainConfig(engine="cuda"), "engine: expected one of auto"),
        (lambda: TrainConfig(visible_bias="zero"), "visible_bias"),
        (lambda: TrainConfig(buffer_bytes=0), "buffer_bytes"),
        (lambda: TrainConfig(monitor_rows=0), "monitor_rows"),
        (lambda: TrainConfig(penalties=(0.1,)), r"penalties: expected L1"),  # type: ignore[arg-type]
        (lambda: CD(0), "k: expected 1 or more Gibbs steps, got 0"),
        (lambda: PCD(0), "k: expected"),
        (lambda: PCD(1, 0), "chains: expected 1 to 65536, got 0"),
        (lambda: PCD(1, 65537), "chains"),
        (lambda: SGD(0), "lr: expected a positive"),
        (lambda: SGD(-0.1), "lr"),
        (lambda: SGD(float("nan")), "lr"),
        (lambda: SGD(float("inf")), "lr"),
        (lambda: SGD(0.1, 1.0), "momentum: expected"),
        (lambda: SGD(0.1, -0.1), "momentum"),
        (lambda: SGD(0.1, float("nan")), "momentum"),
        (lambda: L2(-1), "decay: expected 0 or more"),
        (lambda: L2(float("nan")), "decay"),
        (lambda: LinearDecay(1.5), "end: expected"),
        (lambda: ExponentialDecay(0), "rate: expected"),
        (lambda: sampler_from("gibbs"), "sampler: expected 'cd', 'pcd'"),
        (lambda: sampler_from(3), "sampler"),  # type: ignore[arg-type]
        (lambda: optimizer_from("adagrad"), "optimizer: expected 'sgd'"),
        (lambda: optimizer_from("adam", momentum=0.5), "momentum: Adam"),
        (lambda: SGD(nesterov=True), "nesterov: expected momentum"),
        (lambda: Adam(lr=0), "lr"),
        (lambda: Adam(beta1=0), "beta1"),
        (lambda: Adam(beta2=1), "beta2"),
        (lambda: RMSProp(decay=-0.1), "decay"),
        (lambda: RMSProp(epsilon=0), "epsilon"),
        (lambda: L1(-1), "decay"),
        (lambda: TrainConfig(optimizer="foo"), "optimizer: expected"),  # type: ignore[arg-type]
        (lambda: TrainConfig(sampler="foo"), "sampler: expected"),  # type: ignore[arg-type]
        (lambda: TrainConfig(schedule="linear"), "schedule: expected a function"),  # type: ignore[arg-type]
        (lambda: TrainConfig(schedule=lambda epoch, epochs: -1.0).learning_rate(0), "schedule: expected a factor"),
        (lambda: TrainConfig(penalties=(Sparsity(0.1), Sparsity(0.2))), "penalties: expected one Sparsity"),
        (lambda: TrainConfig(sampler=PT(), penalties=(Dropout(0.5),)), "penalties: Dropout goes with CD and PCD"),
        (lambda: sampler_from("pt", persistent=False), "persistent: chooses between CD and PCD"),
        (lambda: Adam(epsilon=1e-40), "epsilon: expected 1e-30"),
        (lambda: TrainConfig(centering=1.5), "centering: expected a rate"),
        (lambda: TrainConfig(penalties=(SGD(),)), "penalties: expected L1"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_setting_is_named(make: Any, match: str) -> None:
    with pytest.raises(ValueError, match=f"^{match}"):
        make()


def test_samplers_and_optimizers_have_short_names() -> None:
    assert (sampler_from("cd"), sampler_from("pcd"), sampler_from(PCD(3))) == (CD(), PCD(), PCD(3))
    assert (optimizer_from("sgd"), optimizer_from(SGD(0.3))) == (SGD(), SGD(0.3))
    assert (optimizer_from("adam", lr=0.5), optimizer_from("rmsprop")) == (Adam(0.5), RMSProp())
    assert optimizer_from("nesterov", momentum=0.5) == SGD(0.05, 0.5, nesterov=True)


def test_a_config_takes_short_names() -> None:
    assert TrainConfig(sampler="pcd", optimizer="adam") == TrainConfig(sampler=PCD(), optimizer=Adam())  # type: ignore[arg-type]


def test_penalties_add_up_and_may_come_as_a_list() -> None:
    config = TrainConfig(penalties=[L2(0.25), L2(0.5)])  # type: ignore[arg-type]
    assert config.weight_decay == 0.75
    assert config.penalties == (L2(0.25), L2(0.5))


def test_schedules_give_the_factors_that_they_say() -> None:
    assert [LinearDecay(0.5)(epoch, 4) for epoch in range(5)] == [1.0, 0.875, 0.75, 0.625, 0.5]
    assert [LinearDecay()(epoch, 2) for epoch in (0, 1, 2, 9)] == [1.0, 0.5, 0.0, 0.0]
    assert LinearDecay()(0, 0) == 1.0
    assert [ExponentialDecay(0.5)(epoch, 9) for epoch in range(3)] == [1.0, 0.5, 0.25]
    config = TrainConfig(epochs=4, optimizer=SGD(0.2), schedule=LinearDecay(0.5))
    assert [config.learning_rate(epoch) for epoch in range(3)] == pytest.approx([0.2, 0.175, 0.15])
    assert TrainConfig(optimizer=SGD(0.2)).learning_rate(7) == 0.2


@given(st.tuples(*[st.floats(allow_nan=False)] * 4), st.none() | st.floats(allow_nan=False))
def test_an_epoch_record_survives_json(numbers: tuple[float, ...], validation: float | None) -> None:
    record = EpochRecord(3, 100, 1.5, *numbers, validation)  # type: ignore[arg-type]
    assert record_from_json(json.loads(json.dumps(record.to_json()))) == record
