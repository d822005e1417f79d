"""Replicated softmax: a distribution over counts for each total, and chains that keep theirs."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from rbmx.backends import as_array, backend_for
from rbmx.errors import DataError
from rbmx.likelihood import ais_log_partition, log_likelihood, log_partition
from rbmx.likelihood.partition import estimate_log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training import SGD, TrainConfig, train


def of_total(total: int, words: int = 3) -> Any:
    rows = [row for row in itertools.product(range(total + 1), repeat=words) if sum(row) == total]
    return np.array(rows, np.float32)


@pytest.fixture
def params(machine: Any) -> RBMParams:
    found: RBMParams = machine(3, 2, scale=0.8, visible="counts")
    return found


@pytest.mark.parametrize("total", [0, 1, 2, 7])
def test_probabilities_of_one_total_sum_to_one(total: int, params: RBMParams) -> None:
    energies = backend_for(params).free_energy(params, of_total(total))
    assert np.exp(-energies - log_partition(params, total).value).sum() == pytest.approx(1, abs=1e-9)


def test_a_total_of_one_is_a_softmax_unit(params: RBMParams) -> None:
    softmax = RBMParams(params.weight, params.visible_bias, params.hidden_bias, "softmax(3)", "bernoulli")
    rows = np.eye(3, dtype=np.float32)
    for name in ("free_energy", "hidden_mean"):
        np.testing.assert_allclose(
            getattr(backend_for(params), name)(params, rows), getattr(backend_for(softmax), name)(softmax, rows)
        )
    assert log_partition(params, 1).value == pytest.approx(log_partition(softmax).value, abs=1e-12)


def test_log_likelihood_takes_the_partition_function_of_each_rows_total(params: RBMParams) -> None:
    rows = np.concatenate([of_total(2)[:2], of_total(5)[:3], of_total(2)[4:]])
    expected = [
        -backend_for(params).free_energy(params, row[None])[0] - log_partition(params, int(row.sum())).value
        for row in rows
    ]
    found = log_likelihood(params, rows)
    assert found.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert found.method == "exact, 4 states enumerated for each of 2 totals"


def test_a_gibbs_step_keeps_every_rows_total(params: RBMParams) -> None:
    rows = np.concatenate([of_total(d) for d in range(6)])
    moved = as_array(backend_for(params).gibbs(params, rows, 2, Key(0)))
    np.testing.assert_array_equal(moved.sum(1), rows.sum(1))
    assert not np.array_equal(moved, rows)


def test_reconstructions_have_the_rows_total_and_visible_means_that_of_one_word(params: RBMParams) -> None:
    rows = np.concatenate([of_total(d) for d in range(1, 6)])
    backend = backend_for(params)
    np.testing.assert_allclose(backend.reconstruct(params, rows).sum(1), rows.sum(1), rtol=1e-6)
    np.testing.assert_allclose(backend.visible_mean(params, np.eye(2, dtype=np.float32)).sum(1), 1, rtol=1e-6)


def test_two_topics_are_found() -> None:
    """Documents of 20 words from one of two vocabularies: after training the hidden unit tells them apart."""
    rng = np.random.default_rng(0)
    topics = np.array([[0.3, 0.3, 0.3, 0.05, 0.03, 0.02], [0.02, 0.03, 0.05, 0.3, 0.3, 0.3]])
    which = rng.integers(0, 2, 400)
    rows = np.array([rng.multinomial(20, topics[w]) for w in which])
    params = RBMParams.initial(6, 1, key=Key(1), visible="counts")
    before = log_likelihood(params, rows.astype(np.float32)).value
    train(params, rows, TrainConfig(20, 20, optimizer=SGD(0.02)))
    h = backend_for(params).hidden_mean(params, rows.astype(np.float32))[:, 0] > 0.5
    assert max(np.mean(h == which), np.mean(h != which)) > 0.97
    assert log_likelihood(params, rows.astype(np.float32)).value > before + 5


def test_what_has_no_total_or_is_no_count_is_refused(params: RBMParams) -> None:
    for estimate in (ais_log_partition, estimate_log_partition):
        with pytest.raises(ValueError, match="log Z: that of counts is one for each total"):
            estimate(params, key=Key(0))
    with pytest.raises(ValueError, match="total: expected the total of rows of counts"):
        log_partition(params)
    with pytest.raises(ValueError, match="hidden: counts units are visible ones: a row's total comes from data"):
        RBMParams(params.weight, params.visible_bias, params.hidden_bias, hidden="counts")
    with pytest.raises(DataError, match=r"row 1, column 2 .*: value 0.5: counts units take whole numbers of 0 or more"):
        train(params, np.array([[1, 2, 0], [0, 1, 0.5]]))
