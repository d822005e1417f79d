"""The draw: 16 bits decide, 16 more break a tie; together exactly 32 bits compared with the mean."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx import _core
from rbmx.bits import PackedBits
from rbmx.rng import Key, draw32

KEY = Key(0x0123456789ABCDEF)
ROWS = 40_000


def coins(bias: np.ndarray[Any, Any]) -> tuple[Any, Any, Any]:
    """A machine whose hidden units see their bias alone."""
    return np.zeros((len(bias), 1), np.float32), np.zeros(1, np.float32), bias


def means_of(bias: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return _core.mean(*coins(bias), "hidden", np.zeros((1, 1), np.uint64))[0]


def biases_with_means_at(fraction: float, count: int) -> np.ndarray[Any, Any]:
    """Biases whose float32 mean is exactly (k + fraction) / 65536 for some k."""
    found: list[float] = []
    for k in range(20_000, 60_000, 37):
        target = (k + fraction) / 65536
        near = np.float32(np.log(target / (1 - target)))
        steps = np.arange(-200, 201) * np.spacing(abs(near) + np.float32(1e-3))
        candidates = (near + steps).astype(np.float32)
        hits = candidates[means_of(candidates) == np.float32(target)]
        if len(hits):
            found.append(float(hits[0]))
        if len(found) == count:
            break
    assert len(found) == count
    return np.array(found, np.float32)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 0.75])
def test_samples_compare_all_32_bits_with_the_mean_also_where_the_first_16_tie(
    fraction: float, each_setting: Any
) -> None:
    """40,000 rows of 32 units tie about 20 times (1 in 65,536), and ties go both ways as 32 bits say."""
    bias = biases_with_means_at(fraction, 32)
    mean = means_of(bias).astype(np.float64)
    assert np.all(mean * 65536 % 1 == fraction)
    u = draw32(KEY, 3, ROWS, 32, step=5, stream=1).astype(np.uint64)
    expected = u < mean * 2.0**32
    ties = u >> np.uint64(16) == np.floor(mean * 65536).astype(np.uint64)
    assert ties.sum() >= 10
    assert expected[ties].any() == (fraction > 0)
    assert not expected[ties].all()
    zeros = np.zeros((ROWS, 1), np.uint64)
    for setting in each_setting((1, 2)):
        words = _core.sample(*coins(bias), "hidden", zeros, key=KEY.words, first_row=3, step=5)
        np.testing.assert_array_equal(PackedBits(words, 32).unpack(), expected, setting)


@pytest.mark.parametrize("canonical", [True, False])
def test_samples_of_real_valued_units_follow_the_same_32_bits(canonical: bool, each_setting: Any) -> None:
    bias = biases_with_means_at(0.5, 32)
    expected = draw32(KEY, 3, ROWS, 32, step=5, stream=1) < means_of(bias).astype(np.float64) * 2.0**32
    zeros = np.zeros((ROWS, 1), np.float32)
    for setting in each_setting((1, 2)):
        words = _core.sample_dense(
            *coins(bias), "hidden", zeros, key=KEY.words, first_row=3, step=5, canonical=canonical
        )
        np.testing.assert_array_equal(PackedBits(words, 32).unpack(), expected, setting)


def test_comparing_sixteen_bits_alone_is_noticed() -> None:
    """The two tests above bite: a draw that ignores the second sixteen bits gives other samples."""
    mean = means_of(biases_with_means_at(0.5, 32)).astype(np.float64)
    u = draw32(KEY, 3, ROWS, 32, step=5, stream=1).astype(np.uint64)
    exact = u < mean * 2.0**32
    for short in (u >> np.uint64(16) < np.floor(mean * 65536), u >> np.uint64(16) <= np.floor(mean * 65536)):
        assert np.any(short != exact)


@given(
    cuts=st.lists(st.integers(0, 60), max_size=4),
    first_row=st.integers(0, 2**40),
    step=st.integers(0, 2**32 - 1),
)
def test_any_split_of_rows_gives_the_same_samples(cuts: list[int], first_row: int, step: int) -> None:
    rng = np.random.default_rng(0)
    params = (
        rng.normal(0, 1, (19, 23)).astype(np.float32),
        rng.normal(0, 1, 23).astype(np.float32),
        rng.normal(0, 1, 19).astype(np.float32),
    )
    rows = PackedBits.pack(rng.integers(0, 2, (60, 23))).words
    at = {"key": KEY.words, "step": step}
    sample = _core.sample(*params, "hidden", rows, first_row=first_row, **at)
    chain = rows.copy()
    _core.gibbs(*params, chain, steps=2, first_row=first_row, **at)
    sums = _core.cd_statistics(*params, rows, gibbs_steps=2, first_row=first_row, **at)
    edges = [0, *sorted(cuts), 60]
    total = [np.zeros_like(s) for s in sums]
    for start, stop in itertools.pairwise(edges):
        part, place = rows[start:stop].copy(), first_row + start
        np.testing.assert_array_equal(_core.sample(*params, "hidden", part, first_row=place, **at), sample[start:stop])
        for s, t in zip(_core.cd_statistics(*params, part, gibbs_steps=2, first_row=place, **at), total, strict=True):
            t += s
        _core.gibbs(*params, part, steps=2, first_row=place, **at)
        np.testing.assert_array_equal(part, chain[start:stop])
    for s, t in zip(sums, total, strict=True):
        np.testing.assert_array_equal(s, t)
