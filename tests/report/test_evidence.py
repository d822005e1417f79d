"""What a report shows is what the model computes."""

from __future__ import annotations

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.report.evidence import chain_over_time, gather, landmarks, sort_filters, spread_steps
from rbmx.rng import Key


@pytest.fixture
def params() -> RBMParams:
    return RBMParams.initial(9, 4, key=Key(1), std=1.0)


@pytest.fixture
def rows() -> PackedBits:
    return PackedBits.pack(np.random.default_rng(0).random((30, 9)) < 0.5)


def test_landmarks_are_round_numbers_up_to_the_last_step():
    assert landmarks(1000) == (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    assert landmarks(7) == (0, 1, 2, 5, 7)
    assert landmarks(1) == (0, 1)


@pytest.mark.parametrize("steps", [1, 3, 64, 1000])
def test_the_film_contains_every_landmark(steps):
    film = spread_steps(steps)
    assert set(landmarks(steps)) <= set(film) and list(film) == sorted(set(film))


def test_filters_are_the_weights_largest_first(params):
    filters = sort_filters(params)
    norms = np.linalg.norm(filters, axis=1)
    assert (np.diff(norms) <= 0).all()
    assert sorted(map(bytes, filters)) == sorted(map(bytes, params.weight))


def test_the_chain_does_not_depend_on_which_steps_are_shown(params, rows):
    backend = backend_for(params)
    few = chain_over_time(backend, params, rows, (0, 5), key=Key(3))
    many = chain_over_time(backend, params, rows, (0, 1, 2, 3, 4, 5), key=Key(3))
    assert np.array_equal(few[-1], many[-1])
    assert np.array_equal(few[0], rows.unpack())


def test_without_data_chains_start_from_coin_flips_and_nothing_is_reconstructed(params):
    evidence = gather(params, None, key=Key(0), steps=4, chains=200)
    assert not evidence.from_data and evidence.originals is None and evidence.activations is None
    assert 0.4 < evidence.film[0].mean() < 0.6  # 1,800 fair coins: within 8 standard errors
    assert evidence.film.shape == (len(evidence.film_steps), 200, 9)


def test_with_data_rows_are_reconstructed_and_start_the_chains(params, rows):
    evidence = gather(params, rows, key=Key(0), steps=4)
    assert evidence.from_data
    assert np.array_equal(evidence.film[0], rows.unpack()[:24])
    assert np.array_equal(evidence.reconstructions, backend_for(params).reconstruct(params, rows))
    assert evidence.activations.shape == (30, 4)


def test_real_valued_rows_work_as_well(params):
    values = np.random.default_rng(1).random((6, 9), np.float32)
    evidence = gather(params, values, key=Key(0), steps=3)
    assert np.array_equal(evidence.film[0], values)


def test_no_steps_are_refused(params):
    with pytest.raises(ValueError, match="steps: expected at least 1, got 0"):
        gather(params, None, key=Key(0), steps=0)
