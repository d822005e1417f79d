"""Rows taken up through frozen layers are the same however they are cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbmx import Key, RBMParams
from rbmx.backends import as_array, backend_for
from rbmx.bits import PackedBits
from rbmx.data import open_source
from rbmx.rng import Purpose
from rbmx.training.ascent import Ascent, ascend, ascended, require_stack


def stack(*sizes: int) -> list[RBMParams]:
    layers = [
        RBMParams.initial(below, above, key=Key(i), std=0.5)
        for i, (below, above) in enumerate(itertools.pairwise(sizes))
    ]
    for layer in layers:
        layer.hidden_bias[...] = np.linspace(-1, 1, layer.n_hidden)
    return layers


def bits(rows: int, units: int) -> np.ndarray:
    return np.random.default_rng(3).random((rows, units)) < 0.4


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.sampled_from(["sample", "resample", "mean"]))
def test_a_row_gives_the_same_whatever_block_it_comes_in(cut: int, mode: str) -> None:
    layers, rows = stack(9, 7, 5), bits(41, 9)
    whole = ascend(PackedBits.pack(rows), layers, mode=mode, seed=4, epoch=2)
    parts = [
        ascend(PackedBits.pack(part), layers, mode=mode, seed=4, first_row=first, epoch=2)
        for first, part in ((0, rows[:cut]), (cut, rows[cut:]))
    ]
    other = ascend(PackedBits.pack(rows), layers, mode=mode, seed=4, epoch=3)
    assert np.array_equal(as_array(other), as_array(whole)) == (mode != "resample")
    if mode != "mean":
        np.testing.assert_array_equal(PackedBits.concatenate(parts).words, whole.words)
    else:
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_layer_by_layer_by_hand() -> None:
    layers, rows = stack(9, 7, 5), PackedBits.pack(bits(20, 9))
    key = Key(4).fold_in(Purpose.SAMPLING)
    below = backend_for(layers[0]).sample_hidden(layers[0], rows, key.fold_in(0))
    above = backend_for(layers[1]).sample_hidden(layers[1], below, key.fold_in(1))
    np.testing.assert_array_equal(ascend(rows, layers, mode="sample", seed=4).words, above.words)
    mean = layers[1].hidden_unit.mean(
        layers[0].hidden_unit.mean(rows.unpack() @ layers[0].weight.T.astype(float) + layers[0].hidden_bias)
        @ layers[1].weight.T.astype(float)
        + layers[1].hidden_bias
    )
    # float32 sigmoids, twice
    np.testing.assert_allclose(ascend(rows, layers, mode="mean", seed=4), mean, atol=1e-5)


def test_samples_stay_bits_and_means_are_real() -> None:
    layers, data = stack(9, 7), open_source(bits(20, 9))
    assert ascended(data, layers, mode="sample", seed=0).kind == "bits"
    layers[0].hidden_bias[...] = 200.0  # every mean rounds to 1
    means = ascended(data, layers, mode="mean", seed=0)
    assert means.kind == "real"
    np.testing.assert_array_equal(means.load(), np.ones((20, 7)))


def test_a_source_that_is_read_by_number() -> None:
    source = Ascent(open_source(bits(20, 9)), stack(9, 7), mode="sample", seed=0)
    assert (source.n_rows, source.n_blocks, source.n_visible) == (20, 1, 7)
    np.testing.assert_array_equal(source.read_block(0).values.words, next(source.blocks()).values.words)
    assert "hidden unit 3 of layer 0" in source.place(5, 3)


def test_no_layers_hand_up_the_data_themselves() -> None:
    data = open_source(bits(20, 9))
    assert ascended(data, [], mode="mean", seed=0) is data


def test_layers_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="layer 0 has 7 bernoulli hidden units, layer 1 6 bernoulli visible ones"):
        require_stack([*stack(9, 7), *stack(6, 3)])
    with pytest.raises(ValueError, match="expected one layer or more"):
        require_stack([])
    with pytest.raises(ValueError, match="propagate: expected 'sample', 'resample' or 'mean', got 'median'"):
        ascended(open_source(bits(20, 9)), stack(9, 7), mode="median", seed=0)
