"""The up-down algorithm: its slopes are those of the log-likelihoods, and a small network gets better by it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import rbmx
from rbmx.backends import Batches, Update, backend_for
from rbmx.backends.up_down import Directions, UpDownState, generative_slope, recognition_slope, train_directions
from rbmx.bits import PackedBits
from rbmx.data import open_source
from rbmx.errors import DivergedError
from rbmx.training import TrainConfig
from rbmx.training.greedy import initial_stack, train_stack
from rbmx.training.up_down import UpDown


def states(n: int) -> np.ndarray:
    return np.array(list(itertools.product([0, 1], repeat=n)), np.uint8)


def bars(rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """3 x 3 images of one row or one column, with a tenth of the pixels flipped; the label says which kind."""
    generator = np.random.default_rng(1)
    kind, place = generator.integers(0, 2, rows), generator.integers(0, 3, rows)
    images = np.zeros((rows, 3, 3), bool)
    for i in range(rows):
        images[i][(place[i], slice(None)) if kind[i] else (slice(None), place[i])] = True
    return images.reshape(rows, 9) ^ (generator.random((rows, 9)) < 0.05), kind


def greedy(n_classes: int | None = None, labels: Any = None) -> tuple[Directions, np.ndarray]:
    rows, kinds = bars()
    layers = initial_stack([9, 8, 8], n_classes=n_classes, seed=1)
    config = TrainConfig.of(epochs=20, batch_size=20, lr=0.1, momentum=0.5)
    train_stack(layers, rows, [config] * 2, labels=kinds if n_classes else None)
    return Directions([layers[0].copy()], [layers[0]], layers[1]), rows


def exact_log_likelihood(stack: Directions, rows: np.ndarray) -> float:
    """Mean log p(v), by enumeration of the units below the top."""
    h = states(8)
    energy = backend_for(stack.top).free_energy(stack.top, PackedBits.pack(h))
    log_p = -energy - np.logaddexp.reduce(-energy)
    mean = backend_for(stack.generative[0]).visible_mean(stack.generative[0], PackedBits.pack(h)).astype(float)
    conditional = rows @ np.log(mean).T + (1.0 - rows) @ np.log1p(-mean).T
    return float(np.logaddexp.reduce(conditional + log_p, axis=1).mean())


def test_the_slopes_are_those_of_the_conditional_log_likelihoods() -> None:
    """Central differences, whose error is about 1e-3 of float32 sigmoids at a step of 1e-2."""
    layer = rbmx.RBMParams.initial(4, 3, key=rbmx.Key(0), std=0.7)
    generator = np.random.default_rng(2)
    v, h = (PackedBits.pack(generator.random((50, n)) < 0.5) for n in (4, 3))

    def log_q() -> float:
        mean = backend_for(layer).hidden_mean(layer, v).astype(float)
        return float((h.unpack() * np.log(mean) + (1 - h.unpack()) * np.log1p(-mean)).sum(axis=1).mean())

    def log_p() -> float:
        mean = backend_for(layer).visible_mean(layer, h).astype(float)
        return float((v.unpack() * np.log(mean) + (1 - v.unpack()) * np.log1p(-mean)).sum(axis=1).mean())

    for value, slope in ((log_q, recognition_slope(layer, v, h)), (log_p, generative_slope(layer, v, h))):
        for name, expected in slope.items():
            array = getattr(layer, name)
            for place in np.ndindex(array.shape):
                kept = array[place]
                array[place] = kept + 0.01
                above = value()
                array[place] = kept - 0.01
                below = value()
                array[place] = kept
                assert (above - below) / 0.02 == pytest.approx(expected[place], abs=2e-3)


def test_up_down_makes_a_greedy_network_better() -> None:
    """By exact log-likelihood; seeds are fixed, and the gain is far above its spread over seeds (0.01 nats)."""
    stack, rows = greedy()
    before = exact_log_likelihood(stack, rows)
    UpDown(stack, open_source(rows), TrainConfig.of(epochs=40, batch_size=20, lr=0.05, k=3, seed=3)).run()
    after = exact_log_likelihood(stack, rows)
    assert after > before + 0.1
    assert not np.array_equal(stack.recognition[0].weight, stack.generative[0].weight)


def test_persistent_chains_of_the_top() -> None:
    stack, rows = greedy()
    before = exact_log_likelihood(stack, rows)
    config = TrainConfig.of(epochs=20, batch_size=20, lr=0.02, persistent=True, seed=3)
    UpDown(stack, open_source(rows), config).run()
    assert exact_log_likelihood(stack, rows) > before


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    outcomes = []
    for seed in (3, 3, 4):
        stack, rows = greedy(2)
        config = TrainConfig.of(epochs=2, batch_size=50, lr=0.05, momentum=0.5, weight_decay=1e-4, seed=seed)
        records = UpDown(stack, open_source(rows), config, labels=bars()[1]).run()
        outcomes.append((stack.top.weight.copy(), stack.recognition[0].weight.copy()))
        assert [record.rows for record in records] == [600, 600]
    for first, again, other in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)


def certain(n_visible: int, n_hidden: int, seed: int) -> rbmx.RBMParams:
    """A machine whose inputs are 25 away from zero or more, so that nothing is left to chance."""
    generator = np.random.default_rng(seed)
    weight = 50.0 * generator.integers(-1, 2, (n_hidden, n_visible))
    biases = (25.0 + 50 * generator.integers(-3, 3, n) for n in (n_visible, n_hidden))
    return rbmx.RBMParams(weight.astype(np.float32), *(bias.astype(np.float32) for bias in biases))


@pytest.mark.parametrize("chains", [None, 5])
def test_the_loop_in_python_and_the_native_one_learn_the_same(chains: int | None) -> None:
    """Real values take the one, bits the other; without chance they differ by the rounding of means."""
    rows = np.random.default_rng(6).random((60, 12)) < 0.5
    ends = []
    for given in (PackedBits.pack(rows), rows.astype(np.float32)):
        up, down = [certain(12, 9, 1), certain(9, 8, 2)], [certain(12, 9, 3), certain(9, 8, 4)]
        stack = Directions(up, down, certain(8, 10, 5))
        hidden = None if chains is None else PackedBits.pack(np.random.default_rng(7).random((chains, 10)) < 0.5)
        state = UpDownState(stack.zeros(), hidden)
        update = Update(0.01, first=0.5, weight_decay=1e-3)
        batches = Batches(np.arange(60), 20, 3, update, rbmx.Key(3), 0)
        assert train_directions(stack, given, batches, state).name == "done"
        ends.append((stack, state))
    (native, kept), (python, kept_python) = ends
    start = Directions([certain(12, 9, 1), certain(9, 8, 2)], [certain(12, 9, 3), certain(9, 8, 4)], certain(8, 10, 5))
    for one, other, before in zip(native.layers, python.layers, start.layers, strict=True):
        for name in one.names:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=2e-5)
        assert np.abs(one.weight - before.weight).max() > 1e-3
    if chains is not None:
        assert isinstance(kept.chains, PackedBits) and isinstance(kept_python.chains, PackedBits)
        np.testing.assert_array_equal(kept.chains.words, kept_python.chains.words)


@pytest.mark.parametrize("settings", [{}, {"sampler": rbmx.PCD(3, 7)}, {"k": 2, "momentum": 0.5, "weight_decay": 1e-4}])
def test_real_values_train_by_every_setting_and_seed(settings: dict[str, Any]) -> None:
    rows, kinds = np.clip(bars()[0] * 0.8 + 0.1, 0, 1), bars()[1]
    outcomes = []
    for seed in (3, 3, 4):
        stack, _ = greedy(2)
        config = TrainConfig.of(epochs=4, batch_size=50, lr=0.05, seed=seed, **settings)
        records = UpDown(stack, open_source(rows), config, labels=kinds).run()
        assert records[-1].reconstruction_error < records[0].reconstruction_error
        outcomes.append(
            (stack.top.weight.copy(), stack.recognition[0].weight.copy(), stack.generative[0].weight.copy())
        )
    for first, again, other in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)


def test_real_values_go_down_as_means() -> None:
    rows = np.clip(bars()[0] * 0.8 + 0.1, 0, 1)
    layers = initial_stack([9, 8, 8], seed=1)
    records = UpDown(
        Directions([layers[0].copy()], [layers[0]], layers[1]), open_source(rows), TrainConfig.of(epochs=2, lr=0.05)
    ).run()
    assert records[-1].reconstruction_error < records[0].reconstruction_error


def test_what_the_algorithm_does_not_know_is_refused() -> None:
    stack, rows = greedy()
    for settings, complaint in (
        ({"optimizer": "adam"}, "optimizer: up-down takes SGD"),
        ({"sampler": "pt"}, r"sampler: up-down takes CD\(k\) or PCD\(k\)"),
        ({"penalties": [rbmx.L1(0.1)]}, "penalties: up-down takes L2"),
    ):
        with pytest.raises(ValueError, match=complaint):
            UpDown(stack, open_source(rows), TrainConfig.of(**settings))
    with pytest.raises(ValueError, match="each with a way up and a way down, got 0 and 0"):
        UpDown(Directions([], [], stack.top), open_source(rows), TrainConfig())
    with pytest.raises(ValueError, match="expected weights of its own for each way, two of them share their memory"):
        UpDown(Directions(stack.generative, stack.generative, stack.top), open_source(rows), TrainConfig())
    relu = rbmx.RBMParams.initial(9, 8, key=rbmx.Key(0), hidden="relu")
    with pytest.raises(ValueError, match="Bernoulli hidden units and fixed variances"):
        UpDown(Directions([relu], [relu], stack.top), open_source(rows), TrainConfig())
    with pytest.raises(ValueError, match="labels: expected a top layer with a softmax"):
        UpDown(stack, open_source(rows), TrainConfig(), labels=bars()[1])
    with pytest.raises(DivergedError, match="weights diverged at minibatch"):
        UpDown(stack, open_source(rows), TrainConfig.of(lr=1e5)).run()
