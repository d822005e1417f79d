from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rbmx.rng
from rbmx import _core
from rbmx.backends import State, Update
from rbmx.backends.base import Batches
from rbmx.backends.native import permutation
from rbmx.backends.reference import ReferenceBackend
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key, Purpose, draw32, philox, uniform
from rbmx.samplers import PCD
from rbmx.training import SGD, TrainConfig, train

# The known-answer vectors of Random123 (kat_vectors, philox4x32 10): counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
words32 = st.integers(0, 2**32 - 1)


def words(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


def numpy_philox(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    columns = tuple(np.array([word], np.uint64) for word in counter)
    return tuple(int(word[0]) for word in philox(columns, key))  # type: ignore[arg-type]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(counter: str, key: str, answer: str) -> None:
    assert numpy_philox(words(counter), words(key)) == words(answer)
    assert tuple(_core.philox(words(counter), words(key))) == words(answer)


@given(counter=st.tuples(*[words32] * 4), key=st.tuples(*[words32] * 2))
def test_philox_in_numpy_is_philox_in_cpp(counter: tuple[int, ...], key: tuple[int, ...]) -> None:
    assert numpy_philox(counter, key) == tuple(_core.philox(counter, key))


def test_draw32_reads_the_words_that_the_document_names() -> None:
    """Eight rows of a unit share a call: row r has the low or high half of word r % 8 // 2; the tie call is second."""
    key = Key(0xDEADBEEF12345678)
    drawn = draw32(key, 5, 20, 3, step=9, stream=4)
    for row in range(20):
        for unit in range(3):
            place = 5 + row
            halves = []
            for stream in (4, 4 | 1 << 31):
                word = _core.philox((unit, place // 8, 9, stream), key.words)[place % 8 // 2]
                halves.append(word >> 16 if place % 2 else word & 0xFFFF)
            assert drawn[row, unit] == halves[0] << 16 | halves[1]


@given(
    cuts=st.lists(st.integers(0, 40), max_size=5),
    first_row=st.integers(0, 2**36),
    step=words32,
    stream=st.integers(0, 2**31 - 1),
)
def test_draw32_does_not_depend_on_how_rows_are_split(cuts: list[int], first_row: int, step: int, stream: int) -> None:
    key = Key(42)
    whole = draw32(key, first_row, 40, 5, step=step, stream=stream)
    edges = [0, *sorted(cuts), 40]
    parts = [
        draw32(key, first_row + start, stop - start, 5, step=step, stream=stream)
        for start, stop in itertools.pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(draw32(key, first_row, 40, 3, step=step, stream=stream), whole[:, :3])


def test_each_of_the_32_bits_is_a_fair_coin() -> None:
    """320,000 draws: a count of ones has deviation 283, so 5 of them are half a per cent of its mean."""
    drawn = draw32(Key(1), 0, 10_000, 32, stream=2).ravel()
    ones = np.array([int((drawn >> np.uint32(bit) & np.uint32(1)).sum()) for bit in range(32)])
    assert np.all(np.abs(ones - 160_000) < 5 * 283)


def test_uniform_lies_in_the_half_open_interval_and_normal_has_the_moments_of_a_normal() -> None:
    u = uniform(Key(3), 0, 4000, 25)
    assert u.min() >= 0 and u.max() < 1
    z = Draws(Key(3), 0, 1, 1).normal(4000, 25)  # 100,000 numbers: 5 deviations of each sample moment
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / z.size)
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / z.size)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / z.size)
    assert abs(np.corrcoef(z[:, 0::2][:, :12].ravel(), z[:, 1::2].ravel())[0, 1]) < 5 / np.sqrt(z.size / 2)


@pytest.mark.parametrize("seed", [-1, 1 << 64])
def test_a_seed_has_64_bits(seed: int) -> None:
    with pytest.raises(ValueError, match="seed: expected"):
        Key(seed)
    with pytest.raises(ValueError, match="n: expected"):
        Key(0).fold_in(-1)


def test_keys_derived_for_different_purposes_and_numbers_are_different() -> None:
    keys = {Key(seed).fold_in(n).seed for seed in range(50) for n in [*Purpose, *range(100, 150), 1 << 40]}
    assert len(keys) == 50 * (len(Purpose) + 51)
    assert Key(7).fold_in(3) == Key(7).fold_in(3)


# ---- permutations


def fisher_yates(n: int, key: Key) -> list[int]:
    """Durstenfeld's shuffle in Python integers: j = floor(r (i + 1) / 2^64) of 64 random bits r at counter i."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        low, high, _, _ = _core.philox((i & 0xFFFFFFFF, i >> 32, 0, 0), key.words)
        j = (high << 32 | low) * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return order


@given(n=st.integers(0, 300), seed=st.integers(0, 2**64 - 1))
def test_permutation_is_a_plain_fisher_yates_shuffle(n: int, seed: int) -> None:
    order = permutation(n, Key(seed))
    assert order.dtype == np.int64
    assert order.tolist() == fisher_yates(n, Key(seed))
    assert sorted(order.tolist()) == list(range(n))


def test_all_orders_of_four_things_are_equally_likely() -> None:
    """24,000 keys, chi-square of 23 degrees: 60 has probability 4e-5. Sattolo's shuffle (j < i) gives 72,000."""
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(24_000):
        order = tuple(permutation(4, Key(seed)).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 60


# ---- no place is used twice


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Every (key, unit, row, step, stream) that the NumPy specification draws at; native draws at the same."""
    seen: list[tuple[int, ...]] = []
    draw16 = rbmx.rng._draw16

    def watched(key: Key, first_row: int, n_rows: int, units: Any, step: int, stream: int) -> Any:
        seen.extend(
            (key.seed, int(unit), row, step, stream) for row in range(first_row, first_row + n_rows) for unit in units
        )
        return draw16(key, first_row, n_rows, units, step, stream)

    monkeypatch.setattr(rbmx.rng, "_draw16", watched)
    return seen


def data() -> Any:
    return np.random.default_rng(0).integers(0, 2, (11, 5)).astype(np.uint8)


@pytest.mark.parametrize("sampler", ["cd", "pcd"])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_a_life_of_training_never_draws_at_one_place_twice(
    sampler: str, hidden: str, places: list[tuple[int, ...]]
) -> None:
    """Initial weights, chains, then v and h over Gibbs steps, batches, epochs, windows, and a restart from bytes."""
    from rbmx.samplers import CD
    from rbmx.training import TrainState

    params = RBMParams.initial(5, 4, key=Key(3).fold_in(Purpose.INITIAL_WEIGHTS), hidden=hidden)
    settings: dict[str, Any] = {
        "batch_size": 4,
        "sampler": CD(3) if sampler == "cd" else PCD(3, 6),
        "optimizer": SGD(0.01),
        "seed": 3,
        "engine": "reference",
        "buffer_bytes": 1,
    }
    first = train(params, data(), TrainConfig(epochs=2, **settings))
    state = TrainState.from_bytes(first.state.to_bytes())
    train(params, data(), TrainConfig(epochs=4, **settings), state=state)
    assert len(places) > 1000
    assert len(set(places)) == len(places)


def test_gibbs_and_half_steps_never_draw_at_one_place_twice(places: list[tuple[int, ...]]) -> None:
    backend, params, key = ReferenceBackend(), RBMParams.initial(5, 4, key=Key(1)), Key(9)
    places.clear()
    v = PackedBits.pack(data())
    v = backend.gibbs(params, v, 3, key, 0, 0)  # type: ignore[assignment]
    v = backend.gibbs(params, v, 3, key, 0, 3)  # type: ignore[assignment]
    backend.gibbs(params, v, 3, key, 11, 0)
    h = backend.sample_hidden(params, v, key, 0, 6)
    backend.sample_visible(params, h, key, 0, 6)
    assert len(set(places)) == len(places) > 500


def test_a_restart_of_the_step_counter_is_noticed(places: list[tuple[int, ...]]) -> None:
    """The two tests above bite: a second run that counts its minibatches from 0 again draws twice."""
    params = RBMParams.initial(5, 4, key=Key(1))
    batches = Batches(np.arange(11), 4, 1, Update(0.1), Key(5), 0)
    for _ in range(2):
        ReferenceBackend().train(params, PackedBits.pack(data()), batches, State())
    assert len(set(places)) < len(places)


def test_deriving_a_key_draws_at_no_place_of_a_sampler() -> None:
    """fold_in(n) reads counter (n, n >> 32, 0, 1), which is unit n, row 0, step 0, stream 1: that of sampled h.

    So a key must not serve both; numbers for keys belong to a stream that no half-step has.
    """
    key = Key(4)
    derived = key.fold_in(2).words
    for stream in range(64):
        low = _core.philox((2, 0, 0, stream), key.words)
        assert derived != (low[0], low[1]), f"fold_in shares stream {stream} with the samplers"
