"""Averages and sums of shards: known answers, any order of arrival, and nothing counted twice or left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.errors import DataError
from rbmx.jobs.fixed_point import FIXED_POINT
from rbmx.jobs.merge import ArrayMean, ArraySum, in_order, merge
from rbmx.jobs.records import Arrays, Name, Result
from rbmx.jobs.round import Round
from rbmx.jobs.shard import ShardResult, ShardState, Statistics
from rbmx.jobs.step import next_round
from rbmx.params import RBMParams
from rbmx.rng import Key
from tests.jobs.data import digest, settings


def full(value: float, velocity: float | None = None) -> ShardResult:
    """A shard whose weights are all `value`."""
    params = RBMParams(*(np.full(s, value, np.float32) for s in ((2, 3), (3,), (2,))))  # type: ignore[call-arg,arg-type]
    moving = None if velocity is None else full(velocity).params
    return ShardResult(params, ShardState(None, moving), 1, 1)


def result(number: int, of: int, value: float, rows: int = 1, velocity: float | None = None) -> Result:
    return Result(Name(f"{number:06d}", number, of), replace(full(value, velocity), rows=rows), {"train": 1.0})


def test_rows_weigh_the_average() -> None:
    merged = merge([result(0, 2, 1.0, rows=2), result(1, 2, 4.0, rows=1)], settings())
    assert merged.params is not None
    assert np.all(merged.params.weight == 2.0)
    assert merged.rows == {"000000": 2, "000001": 1}


def test_uniform_weighting_counts_shards_alike() -> None:
    merged = merge([result(0, 2, 1.0, rows=2), result(1, 2, 4.0, rows=1)], settings(weighting="uniform"))
    assert merged.params is not None
    assert np.all(merged.params.weight == 2.5)


def test_shards_that_agree_are_left_as_they_are() -> None:
    """A weighted mean of equal numbers in float64 is off by 2^-52 at most: float32 does not see it."""
    params = RBMParams.initial(20, 8, key=Key(2), std=1.0)
    same = [Result(Name(f"{i:06d}", i, 7), ShardResult(params, ShardState(), 11 + i, 1)) for i in range(7)]
    merged = merge(same, settings())
    assert merged.params is not None
    assert digest(merged.params) == digest(params)


@pytest.mark.parametrize(("rule", "expected"), [("average", 3.0), ("keep", None), ("reset", None)])
def test_velocities_are_averaged_where_the_rule_says_so(rule: str, expected: float | None) -> None:
    moving = [result(0, 2, 0.0, velocity=2.0), result(1, 2, 0.0, velocity=4.0)]
    merged = merge(moving, settings(momentum=0.5, momentum_rule=rule))
    assert (None if merged.velocity is None else merged.velocity.weight[0, 0]) == expected


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), max_size=4))
def test_order_and_second_copies_do_not_show(order: list[int], again: list[int]) -> None:
    values = [0.1, 0.7, -3.0, 1e-3, 2.5, 100.0]
    results = [result(i, 6, values[i], rows=i + 1) for i in range(6)]
    expected = merge(results, settings())
    found = merge([results[i] for i in [*order, *again]], settings())
    assert found.params is not None
    assert expected.params is not None
    assert digest(found.params) == digest(expected.params)
    assert found.rows == expected.rows


def test_each_result_is_handed_on_as_soon_as_it_is_its_turn() -> None:
    arrived: list[int] = []

    def arriving() -> Any:
        for i in (1, 0, 2):
            arrived.append(i)
            yield result(i, 3, 0.0)

    taken = []
    for found in in_order(arriving()):
        taken.append((found.name.number, len(arrived)))
    assert taken == [(0, 2), (1, 2), (2, 3)]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([result(0, 3, 1.0), result(2, 3, 1.0)], "3 expected, without result: 1"),
        ([result(0, 2, 1.0), result(0, 2, 2.0), result(1, 2, 0.0)], "000000: two results that differ"),
        ([result(0, 2, 1.0), result(1, 3, 1.0)], "of 3, expected shards of 2"),
        ([], "no result"),
    ],
)
def test_results_that_make_no_whole_are_refused(results: list[Result], message: str) -> None:
    with pytest.raises(DataError, match=message):
        merge(results, settings())


def test_splits_of_text_are_taken_in_the_order_of_their_digests() -> None:
    results = [Result(Name(text), full(value)) for text, value in (("cc", 1.0), ("aa", 2.0), ("bb", 6.0))]
    assert [found.name.text for found in in_order(results)] == ["aa", "bb", "cc"]
    merged = merge(results, settings())
    assert merged.params is not None
    assert np.all(merged.params.weight == 3.0)


def statistics(value: int, rows: int) -> Statistics:
    arrays = (np.full(shape, value, np.int64) for shape in ((2, 3), (3,), (2,)))
    return Statistics.of(arrays, rows)


def test_a_gradient_round_is_one_update_by_the_mean_over_all_rows() -> None:
    plan = settings(merge="gradient", lr=0.5, rounds=4)
    unit = int(FIXED_POINT)
    parts = [
        Result(Name("000000", 0, 2), statistics(3 * unit, 4)),
        Result(Name("000001", 1, 2), statistics(5 * unit, 12)),
    ]
    job = Round(full(1.0).params, plan)
    following = next_round(job, merge(parts, plan), {})
    assert np.all(following.params.weight == 1.0 + 0.5 * 8 / 16)
    assert np.all(following.params.visible_bias == 1.25)
    assert following.number == 1


def test_outer_momentum_carries_the_last_move_on() -> None:
    """From 0 to the mean 1: a move of 1. Then the mean asks for 0 more, and half of the last move comes on top."""
    job = Round(full(0.0).params, settings(outer_momentum=0.5))
    job = next_round(job, merge([result(0, 1, 1.0)], job.settings), {})
    assert np.all(job.params.weight == 1.0)
    job = next_round(job, merge([result(0, 1, 1.0)], job.settings), {})
    assert np.all(job.params.weight == 1.5)


def arrays(number: int, value: float, rows: int, dtype: type = np.float32) -> Result:
    return Result(Name(f"{number:06d}", number, 2), Arrays({"a": np.full((2, 3), value, dtype)}, rows, {"loss": value}))


@pytest.mark.parametrize(("weighting", "expected"), [("rows", 2.0), ("uniform", 2.5)])
def test_arrays_are_averaged_as_weights_are(weighting: str, expected: float) -> None:
    mean = ArrayMean(weighting)
    for each in (arrays(0, 1.0, 2), arrays(1, 4.0, 1)):
        mean.add(each)
    record = mean.record()
    assert record.tensors["a"].dtype == np.float32 and np.all(record.tensors["a"] == expected)
    assert record.facts["rows"] == {"000000": 2, "000001": 1}


def test_arrays_of_integers_are_summed() -> None:
    total = ArraySum()
    for each in (arrays(0, 2**40, 2, np.int64), arrays(1, 3, 1, np.int64)):
        total.add(each)
    record = total.record()
    assert record.tensors["a"].dtype == np.int64 and np.all(record.tensors["a"] == 2**40 + 3)
    assert record.facts["sums"] == {"loss": 2**40 + 3}


@pytest.mark.parametrize("total", [ArrayMean("rows"), ArraySum()])
def test_arrays_that_do_not_fit_one_another_are_refused(total: Any) -> None:
    with pytest.raises(DataError, match="is the input empty"):
        total.record()
    total.add(arrays(0, 1, 1, np.int64))
    with pytest.raises(DataError, match=r"shard 000001: expected arrays of \(2, 3\), got \(3,\)"):
        total.add(Result(Name("000001", 1, 2), Arrays({"a": np.zeros(3, np.int64)}, 1)))
    with pytest.raises(DataError, match="shard 000001: expected arrays, got ShardResult"):
        total.add(result(1, 2, 1.0))
