"""rbmx.sklearn.GaussianRBM: real columns."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rbmx.errors import DivergedError
from rbmx.sklearn import GaussianRBM


def clusters(rows: int = 300, seed: int = 0) -> NDArray[np.float64]:
    """Two groups in six columns, far apart in three of them."""
    rng = np.random.default_rng(seed)
    shift = np.outer(rng.choice([-1.0, 1.0], rows), [2.0, 2.0, -2.0, 0.0, 0.0, 0.0])
    return rng.normal(0, 1, (rows, 6)) + shift


def test_hidden_units_tell_the_groups_apart() -> None:
    x = clusters()
    rbm = GaussianRBM(2, learning_rate=0.02, n_iter=30, random_state=0).fit(x)
    features = rbm.transform(x)
    assert max(abs(np.corrcoef(features[:, j], np.sign(x[:, 0]))[0, 1]) for j in range(2)) > 0.8


def test_transform_score_and_gibbs_are_those_of_the_attributes() -> None:
    x = clusters(5000)
    rbm = GaussianRBM(3, random_state=0).fit(x[:300])
    inputs = x @ rbm.components_.T + rbm.intercept_hidden_
    np.testing.assert_allclose(rbm.transform(x), expit(inputs), atol=1e-6)
    free_energy = (x**2 / 2).sum(1) - x @ rbm.intercept_visible_ - np.logaddexp(0, inputs).sum(1)
    np.testing.assert_allclose(rbm.score_samples(x), -free_energy, rtol=1e-5, atol=1e-5)
    # v given h is N(b + h W, 1): over 5,000 draws a mean has a standard error of 0.014, a variance one of 0.02
    row, p = np.repeat(x[:1], 5000, axis=0), expit(inputs[0])
    v = rbm.gibbs(row)
    np.testing.assert_allclose(v.mean(0), rbm.intercept_visible_ + p @ rbm.components_, atol=0.06)
    np.testing.assert_allclose(v.var(0), 1 + (p * (1 - p)) @ rbm.components_**2, atol=0.08)


def test_visible_biases_start_at_the_means_of_the_columns() -> None:
    x = clusters() + 5
    for rows in (x, csr_array(x)):
        rbm = GaussianRBM(3, n_iter=0, random_state=0).fit(rows)
        np.testing.assert_allclose(rbm.intercept_visible_, x.mean(0), rtol=1e-6)


def test_it_stands_behind_a_scaler() -> None:
    x = clusters() * 1000
    features = make_pipeline(StandardScaler(), GaussianRBM(4, random_state=0)).fit_transform(x)
    assert features.shape == (300, 4)


def test_too_high_a_rate_is_told() -> None:
    with pytest.raises(DivergedError, match="lower the learning rate"):
        GaussianRBM(50, learning_rate=1.0, random_state=0).fit(clusters() * 100)
