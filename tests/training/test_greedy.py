"""Greedy training is rbmx.train layer after layer, and can be taken up anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import rbmx
from rbmx.data import open_source
from rbmx.errors import DataError
from rbmx.training import TrainConfig
from rbmx.training.ascent import ascend, ascended
from rbmx.training.greedy import StackState, initial_stack, stack_units, train_stack

SIZES = [12, 8, 6, 4]


def data(rows: int = 300) -> np.ndarray:
    return np.random.default_rng(5).random((rows, SIZES[0])) < np.linspace(0.1, 0.9, SIZES[0])


def configs(**settings: Any) -> list[TrainConfig]:
    return [TrainConfig.of(epochs=3, batch_size=20, lr=0.1, seed=i, **settings) for i in range(len(SIZES) - 1)]


def assert_same(first: list[rbmx.RBMParams], second: list[rbmx.RBMParams]) -> None:
    for one, other in zip(first, second, strict=True):
        for name in one.names:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("propagate", ["sample", "mean"])
def test_a_stack_is_its_layers_trained_one_after_another(propagate: str) -> None:
    layers, alone = initial_stack(SIZES, seed=1), initial_stack(SIZES, seed=1)
    train_stack(layers, data(), configs(), propagate=propagate)
    rows = open_source(data()).load()
    for layer, config in zip(alone, configs(), strict=True):
        below = alone[: config.seed]
        seen = ascend(rows, below, mode=propagate, seed=config.seed)
        rbmx.train(layer, open_source(seen, unbounded=not isinstance(seen, rbmx.data.PackedBits)), config)
    assert_same(layers, alone)


@pytest.mark.parametrize("buffer_bytes", [64 * 8, 1 << 20])
def test_states_drawn_anew_are_those_of_their_epoch(buffer_bytes: int) -> None:
    """Epoch e of a layer is an epoch on what `ascend` draws for it, in memory and streamed; labels stay beside them."""
    labels = np.arange(300) % 3
    settings = {"shuffle": False, "persistent": True, "buffer_bytes": buffer_bytes}
    layers = initial_stack(SIZES, n_classes=3, seed=1)
    train_stack(layers, data(), configs(**settings), propagate="resample", labels=labels)
    alone, rows = initial_stack(SIZES, n_classes=3, seed=1), open_source(data()).load()
    for i, (layer, config) in enumerate(zip(alone, configs(**settings), strict=True)):
        state = None
        for epoch in range(config.epochs):
            seen = ascend(rows, alone[:i], mode="resample", seed=config.seed, epoch=epoch)
            if i == 2:
                seen = rbmx.data.PackedBits.pack(np.hstack([seen.unpack(), np.eye(3, dtype=np.uint8)[labels]]))
            state = rbmx.train(layer, open_source(seen), replace(config, epochs=epoch + 1), state=state).state
    assert_same(layers, alone)
    once = initial_stack(SIZES, n_classes=3, seed=1)
    train_stack(once, data(), configs(**settings), labels=labels)
    assert not np.array_equal(once[1].weight, layers[1].weight)


class Interrupt:
    def __init__(self, after: int) -> None:
        self.left = after

    def on_epoch_end(self, trainer: Any, record: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("propagate", ["sample", "resample"])
@pytest.mark.parametrize("epochs", [1, 4, 5, 7])
def test_resume_in_the_middle_of_a_stack_to_the_bit(epochs: int, propagate: Any) -> None:
    straight, broken = initial_stack(SIZES, seed=1), initial_stack(SIZES, seed=1)
    settings = configs(momentum=0.5, persistent=True)
    whole = train_stack(straight, data(), settings, propagate=propagate)
    state = StackState.initial(len(broken), propagate)
    with pytest.raises(KeyboardInterrupt):
        train_stack(broken, data(), settings, propagate=propagate, state=state, callbacks=[Interrupt(epochs)])
    rest = train_stack(broken, data(), settings, propagate=propagate, state=state)
    assert_same(straight, broken)
    assert rest is state
    for kept in (rest, whole):
        assert [own.epoch for own in kept.states if own is not None] == [3, 3, 3]
        assert kept.finished == [3, 3, 3]
        assert [[record.epoch for record in history] for history in kept.histories] == [[1, 2, 3]] * 3


def test_rows_that_do_not_fit_the_buffer_stream_from_layer_to_layer() -> None:
    """A buffer of 64 rows: more than one window a layer, and nothing larger than a block is asked for."""
    layers = initial_stack(SIZES, seed=1)
    result = train_stack(layers, data(), configs(buffer_bytes=64 * 8))
    assert [history[-1].rows for history in result.histories] == [300, 300, 300]


def test_labels_stand_beside_the_states_below_the_top() -> None:
    rows = data()
    labels = rows[:, 0].astype(int) + 2 * rows[:, 11]
    layers = initial_stack([12, 8, 6], n_classes=4, seed=1)
    assert (layers[1].visible, layers[1].n_visible) == ("bernoulli*8 + softmax(4)", 12)
    train_stack(layers, rows, configs()[:2], labels=labels)
    top = initial_stack([12, 8, 6], n_classes=4, seed=1)[1]
    seen = ascended(open_source(rows), layers[:1], mode="sample", seed=1).load().unpack()
    rbmx.train(top, np.concatenate([seen, np.eye(4)[labels]], axis=1), configs()[1])
    assert_same([layers[1]], [top])


def test_validation_goes_up_as_the_data_do() -> None:
    result = train_stack(initial_stack(SIZES, seed=1), data(), configs(), validation=data(60))
    assert all(history[-1].validation_free_energy is not None for history in result.histories)


def test_units_of_the_levels() -> None:
    assert stack_units([3, 2, 1], "gaussian") == ["gaussian", "bernoulli", "bernoulli"]
    assert stack_units([3, 2], ["gaussian", "relu"]) == ["gaussian", "relu"]
    with pytest.raises(ValueError, match=r"units: expected a unit type for each of 3 levels, got \['gaussian'\]"):
        stack_units([3, 2, 1], ["gaussian"])
    with pytest.raises(ValueError, match=r"sizes: expected the units of two levels or more, got \[3\]"):
        stack_units([3])
    with pytest.raises(ValueError, match="n_classes: expected 2 or more, got 1"):
        initial_stack([3, 2], n_classes=1, seed=0)


def test_what_cannot_be_trained_is_refused_before_any_work() -> None:
    layers, plain = initial_stack(SIZES, seed=1), configs()
    for broken, complaint in (
        (lambda: train_stack(layers, data(), plain[:2]), "configs: expected settings for each of 3 layers, got 2"),
        (lambda: train_stack(layers, data()[:, :5], plain), "expected rows of 12 values"),
        (lambda: train_stack(layers, data(), plain, labels=np.zeros(300)), "softmax of labels"),
        (lambda: train_stack(layers, iter([data()]), plain), "an iterator gives its blocks once"),
        (lambda: train_stack(layers, np.full((3, 12), np.nan), plain), "not a finite number"),
        (lambda: train_stack(layers, data(), plain, propagate="up"), "propagate"),
    ):
        with pytest.raises((ValueError, DataError), match=complaint):
            broken()
    assert_same(layers, initial_stack(SIZES, seed=1))
    labelled = initial_stack([12, 8], n_classes=4, seed=1)
    for labels, complaint in (
        (np.zeros(299, int), "labels: expected 300, one for each row of the data, got 299"),
        (np.full(300, 4), "labels: row 0: 4 is none of the classes 0 to 3"),
        (np.full(300, 0.5), "labels: expected integers from 0 to 3"),
        (np.zeros((300, 2), int), "labels: expected one integer a row"),
    ):
        with pytest.raises(DataError, match=complaint):
            train_stack(labelled, data(), plain[:1], labels=labels)
