"""What one shard does: a pure function of weights, state, rows, settings and key."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.backends import Batches, Outcome, backend_for
from rbmx.backends.native import get_num_threads, set_num_threads
from rbmx.bits import PackedBits
from rbmx.errors import DivergedError
from rbmx.jobs.fixed_point import FIXED_POINT
from rbmx.jobs.shard import ShardState, shard_key, shard_statistics, train_shard
from rbmx.rng import Key, Purpose, uniform
from rbmx.samplers import PCD
from tests.jobs.data import digest, settings, stripes, weights

ROWS = PackedBits.pack(stripes())
KEY = shard_key(7, 0, 0)


def train(**changes: Any) -> Any:
    plan = settings(momentum=0.5, **changes)
    return train_shard(weights(), ShardState(), ROWS, plan, KEY)


def test_the_same_call_gives_the_same_bytes() -> None:
    first, second = train(), train()
    assert digest(first.params) == digest(second.params)
    assert digest(first.state.velocity) == digest(second.state.velocity)
    assert np.array_equal(first.state.chains.words, second.state.chains.words)


def test_threads_do_not_show() -> None:
    before = get_num_threads()
    try:
        found = set()
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.add(digest(train(local_epochs=2).params))
        assert len(found) == 1
    finally:
        set_num_threads(before)


def test_what_is_given_is_not_changed() -> None:
    start, left = weights(), train()
    before, words, velocity = digest(start), left.state.chains.words.copy(), digest(left.state.velocity)
    train_shard(start, left.state, ROWS, settings(momentum=0.5), KEY)
    assert digest(start) == before
    assert np.array_equal(left.state.chains.words, words)
    assert digest(left.state.velocity) == velocity


def test_shards_and_rounds_have_numbers_of_their_own() -> None:
    keys = {shard_key(7, shard, round_number) for shard in range(4) for round_number in range(4)}
    assert len(keys) == 16
    assert len({digest(train_shard(weights(), ShardState(), ROWS, settings(), key).params) for key in keys}) == 16


def test_the_schedule_runs_over_the_rounds() -> None:
    """LinearDecay over two rounds of two epochs: 1, 3/4, 1/2, 1/4 of the rate."""
    plan = settings(rounds=2, local_epochs=2, lr=0.4)
    assert [plan.learning_rate(r, e) for r in (0, 1) for e in (0, 1)] == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_a_batch_of_one_place_is_split() -> None:
    assert settings(batch_size=100, shards=4).config.batch_size == 25
    assert settings(batch_size=100, shards=16).config.batch_size == 12
    assert settings(batch_size=5, shards=16).config.batch_size == 5
    assert settings(batch_size=100, shards=4, split_batch=False).config.batch_size == 100


def test_the_rate_grows_where_the_batch_of_all_shards_does() -> None:
    assert settings(batch_size=100, shards=8, lr=0.1).config.optimizer.lr == pytest.approx(0.1)
    assert settings(batch_size=100, shards=16, lr=0.1).config.optimizer.lr == pytest.approx(0.192)
    assert settings(batch_size=100, shards=16, lr=0.1, split_batch=False).config.optimizer.lr == pytest.approx(0.1)


def test_a_shard_keeps_twice_as_many_chains_as_its_minibatch_has_rows() -> None:
    assert settings(batch_size=100, shards=4).config.sampler == PCD(1, 50)
    assert settings(batch_size=100, shards=4, sampler=PCD(3, 10)).config.sampler == PCD(3, 10)


def test_divergence_names_the_rate_and_the_round() -> None:
    plan = settings(lr=1e6, schedule=None)
    with pytest.raises(DivergedError, match=r"round 4 .* learning rate 1e\+06"):
        train_shard(weights(), ShardState(), ROWS, plan, KEY, round_number=3)


def test_progress_counts_the_minibatches_of_all_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stub:
        def train(self, params: Any, rows: Any, batches: Batches, state: Any, progress: Any) -> Outcome:
            progress(10)
            return Outcome("done", len(batches.order) // batches.batch_size)

    monkeypatch.setattr("rbmx.jobs.shard.backend_for", lambda *_, **__: Stub())
    heard: list[int] = []
    result = train_shard(weights(), ShardState(), ROWS, settings(local_epochs=3), KEY, report=heard.append)
    assert heard == [10, 20, 30]
    assert result.minibatches == 30


def gradient_settings() -> Any:
    return settings(merge="gradient", k=2)


@given(st.lists(st.integers(1, 119), max_size=5, unique=True))
def test_statistics_of_bits_add_up_the_same_wherever_shards_are_cut(cuts: list[int]) -> None:
    plan, key = gradient_settings(), shard_key(7, 0, 0)
    whole = shard_statistics(weights(), ROWS, plan, key, first_row=0)
    bounds = [0, *sorted(cuts), 120]
    parts = [shard_statistics(weights(), ROWS[a:b], plan, key, first_row=a) for a, b in pairwise(bounds)]
    assert np.array_equal(sum(part.weight for part in parts), whole.weight)
    assert np.array_equal(sum(part.visible_bias for part in parts), whole.visible_bias)
    assert np.array_equal(sum(part.hidden_bias for part in parts), whole.hidden_bias)
    assert sum(part.rows for part in parts) == whole.rows == 120


def test_statistics_of_real_rows_add_up_the_same_at_thousands() -> None:
    rows = uniform(Key(5), 0, 2500, 20).astype(np.float32)
    plan, key = gradient_settings(), shard_key(7, 0, 0)
    whole = shard_statistics(weights(), rows, plan, key, first_row=0)
    parts = [
        shard_statistics(weights(), rows[a:b], plan, key, first_row=a)
        for a, b in ((0, 1000), (1000, 2000), (2000, 2500))
    ]
    assert np.array_equal(sum(part.weight for part in parts), whole.weight)


def test_statistics_are_those_of_contrastive_divergence() -> None:
    """Sums of multiples of 2^-15 are exact in float64, so the integers are the same numbers."""
    plan, key = gradient_settings(), shard_key(7, 0, 0)
    found = shard_statistics(weights(), ROWS, plan, key, first_row=0)
    plain = backend_for(weights()).cd_statistics(weights(), ROWS, 2, key.fold_in(Purpose.TRAINING), 0)
    assert np.array_equal(found.weight / FIXED_POINT, plain.weight)
    assert np.array_equal(found.hidden_bias / FIXED_POINT, plain.hidden)
    assert np.array_equal(found.visible_bias / FIXED_POINT, plain.visible)
