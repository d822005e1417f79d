"""rbmx.sklearn.BernoulliRBM: scikit-learn's contract, and what is better kept."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.neural_network import BernoulliRBM as Theirs

from rbmx.errors import DivergedError
from rbmx.sklearn import BernoulliRBM

PUBLIC = ["components_", "intercept_hidden_", "intercept_visible_", "h_samples_", "n_features_in_"]


def bits(rows: int = 120, units: int = 12, seed: int = 0) -> NDArray[np.float64]:
    """Rows of two patterns with noise: there is something to learn."""
    rng = np.random.default_rng(seed)
    pattern = np.repeat([[1, 0], [0, 1]], units // 2, axis=1)[rng.integers(0, 2, rows)]
    return np.where(rng.random((rows, units)) < 0.1, 1 - pattern, pattern).astype(np.float64)


def fitted(**settings: Any) -> BernoulliRBM:
    return BernoulliRBM(n_components=5, random_state=1, **settings).fit(bits())


# the contract


def test_constructor_and_defaults_begin_with_scikit_learns() -> None:
    ours = list(inspect.signature(BernoulliRBM).parameters.values())
    theirs = list(inspect.signature(Theirs).parameters.values())
    pairs = list(zip(ours, theirs, strict=False))
    assert [(a.name, a.default, a.kind) for a, _ in pairs] == [(b.name, b.default, b.kind) for _, b in pairs]
    assert all(more.kind is inspect.Parameter.KEYWORD_ONLY for more in ours[len(theirs) :])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fitted_attributes_have_their_shapes_and_dtypes(dtype: Any) -> None:
    x = bits().astype(dtype)
    ours, theirs = (cls(n_components=5, batch_size=7, random_state=0).fit(x) for cls in (BernoulliRBM, Theirs))
    for name in PUBLIC:
        a, b = getattr(ours, name), getattr(theirs, name)
        assert (np.shape(a), np.asarray(a).dtype) == (np.shape(b), np.asarray(b).dtype), name
    assert ours.transform(x).dtype == dtype
    assert set(np.unique(ours.h_samples_)) <= {0, 1}
    assert ours.get_feature_names_out().tolist() == [f"bernoullirbm{i}" for i in range(5)]


def test_public_methods_are_all_there() -> None:
    def methods(cls: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(cls, callable) if not name.startswith("_")}

    assert methods(Theirs) <= methods(BernoulliRBM)


def test_transform_is_the_sigmoid_of_the_attributes() -> None:
    rbm, x = fitted(), bits()
    for rows in (x, x * 0.7):  # bits and probabilities take different kernels
        expected = expit(rows @ rbm.components_.T + rbm.intercept_hidden_)
        np.testing.assert_allclose(rbm.transform(rows), expected, atol=1e-5)  # weights are counted in 2^-20


def test_repeated_transform_is_the_same() -> None:
    rbm, x = fitted(), bits()
    assert np.array_equal(rbm.transform(x), rbm.transform(x))
    assert np.array_equal(rbm.transform(x)[3:5], rbm.transform(x[3:5]))


def test_no_iterations_leave_the_start() -> None:
    rbm = fitted(n_iter=0)
    assert abs(rbm.components_.std() - 0.01) < 0.002
    assert not rbm.intercept_hidden_.any() and not rbm.intercept_visible_.any() and not rbm.h_samples_.any()


# the algorithm


def test_the_first_update_is_scikit_learns_in_expectation() -> None:
    """PCD-1 from chains at zero: their update and ours, each averaged over 400 seeds, agree to 4 standard errors."""
    x = bits(10, 4)

    def updates(cls: Any) -> NDArray[np.float64]:
        runs = [cls(3, learning_rate=0.5, n_iter=1, random_state=seed).fit(x) for seed in range(400)]
        return np.array(
            [np.concatenate([r.intercept_visible_, r.intercept_hidden_, r.components_.ravel()]) for r in runs]
        )

    ours, theirs = updates(BernoulliRBM), updates(Theirs)
    error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 400)
    assert np.all(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4 * error)
    assert np.abs(theirs.mean(axis=0)).max() > 15 * error.max()  # there is an update to compare


def test_a_short_last_batch_weighs_both_phases_alike() -> None:
    """Rows of nothing but ones: sigmoid(b) rises to 1 under the right weights. scikit-learn's negative phase, summed
    over ten chains and divided by the one row of the batch, throws the biases ten steps the other way."""
    x = np.ones((1, 6))
    ours, theirs = (
        cls(2, batch_size=10, n_iter=200, random_state=0).fit(x).intercept_visible_ for cls in (BernoulliRBM, Theirs)
    )
    assert ours.min() > 1
    assert theirs.min() < 0


def test_partial_fit_batches_a_chunk_and_returns_self() -> None:
    x = bits()
    whole = BernoulliRBM(5, n_iter=3, random_state=1).fit(x)
    chunk = BernoulliRBM(5, random_state=1)
    for _ in range(3):
        assert chunk.partial_fit(x) is chunk
    for name in PUBLIC:
        np.testing.assert_array_equal(getattr(chunk, name), getattr(whole, name))


def test_partial_fit_carries_chains_and_velocity_from_chunk_to_chunk() -> None:
    x = bits()
    whole = BernoulliRBM(5, random_state=1, momentum=0.5).partial_fit(x)
    pieces = BernoulliRBM(5, random_state=1, momentum=0.5)
    for part in np.split(x, [30, 100]):  # whole minibatches of ten
        pieces.partial_fit(part)
    np.testing.assert_array_equal(pieces.components_, whole.components_)
    np.testing.assert_array_equal(pieces.h_samples_, whole.h_samples_)


def test_learning_raises_the_pseudo_likelihood_as_far_as_scikit_learns() -> None:
    x = bits(400)
    settings: dict[str, Any] = {"n_components": 6, "learning_rate": 0.05, "n_iter": 30}
    judge = BernoulliRBM(6).fit(x)

    def scores(cls: Any) -> NDArray[np.float64]:
        found = []
        for seed in range(8):
            model = cls(random_state=seed, **settings).fit(x)
            for name in ("components_", "intercept_hidden_", "intercept_visible_"):
                setattr(judge, name, getattr(model, name))
            found.append(judge.score_samples(x).mean())
        return np.array(found)

    ours, theirs = scores(BernoulliRBM), scores(Theirs)
    # 12 coins: -8.32, the source: near 12 times -H(0.1) = -3.9; a mean of 8 runs has a standard error of 0.02
    assert abs(ours.mean() - theirs.mean()) < 0.08
    assert ours.mean() > -4.2


@pytest.mark.parametrize("settings", [{"k": 3}, {"persistent": False}, {"momentum": 0.5}, {"weight_decay": 0.1}])
def test_further_settings_change_the_run(settings: dict[str, Any]) -> None:
    assert not np.array_equal(fitted(**settings).components_, fitted().components_)


# scores and samples


def test_score_samples_is_the_sum_of_all_conditionals() -> None:
    rbm = BernoulliRBM(3, random_state=0, learning_rate=0.5, n_iter=20).fit(bits(40, 6))
    states = np.array(list(itertools.product((0.0, 1.0), repeat=6)))
    inputs = states @ rbm.components_.T + rbm.intercept_hidden_
    log_p = states @ rbm.intercept_visible_ + np.logaddexp(0, inputs).sum(1)
    place = 2 ** np.arange(5, -1, -1)
    expected = [
        sum(log_p[r] - np.logaddexp(log_p[r], log_p[r ^ place[i]]) for i in range(6)) for r in range(len(states))
    ]
    np.testing.assert_allclose(rbm.score_samples(states), expected, atol=1e-5)  # the attributes are float32


@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_score_samples_is_what_the_mean_of_scikit_learns_draws_tends_to(scale: float) -> None:
    rbm = fitted()
    theirs = Theirs(5).fit(bits())
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        setattr(theirs, name, getattr(rbm, name))
    x = bits()[:20] * scale
    draws = np.array([theirs.set_params(random_state=s).score_samples(x) for s in range(600)])
    error = draws.std(axis=0) / np.sqrt(600)
    assert np.all(np.abs(draws.mean(axis=0) - rbm.score_samples(x)) < 4 * error + 1e-6)


def test_gibbs_returns_what_was_learned() -> None:
    """Rows that are all zeros or all ones: a step from one stays there, but for a bit here and there; at a fifth of
    the temperature, without one."""
    x = np.tile([[0.0], [1.0]], (10, 24))
    rbm = BernoulliRBM(16, n_iter=400, random_state=0).fit(x)
    assert np.mean(rbm.gibbs(x) == x) > 0.98
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        setattr(rbm, name, 5 * getattr(rbm, name))
    for rows in (x, csr_array(x)):
        np.testing.assert_array_equal(rbm.gibbs(rows), x)


def test_gibbs_never_repeats_its_noise_and_fit_begins_it_anew() -> None:
    rbm, x = fitted(), bits()
    first = rbm.gibbs(x)
    assert first.dtype == bool
    assert not np.array_equal(first, rbm.gibbs(x))
    assert np.array_equal(first, fitted().gibbs(x))


def test_rows_of_different_blocks_do_not_share_their_noise() -> None:
    same = np.zeros((5000, 12))  # more than the 4,096 rows of a block
    h = fitted()._sample_hiddens(same, RandomState(0))
    assert not np.array_equal(h[4096:], h[: 5000 - 4096])


# data


def test_sparse_and_dense_learn_the_same() -> None:
    for x in (bits(), bits() * 0.8):
        dense, sparse = (BernoulliRBM(5, random_state=3).fit(rows) for rows in (x, csr_array(x)))
        np.testing.assert_array_equal(dense.components_, sparse.components_)
        np.testing.assert_array_equal(dense.transform(x), dense.transform(csr_array(x)))
        np.testing.assert_array_equal(dense.score_samples(x), dense.score_samples(csr_array(x)))


def test_values_outside_the_range_are_told_and_not_clipped() -> None:
    x = bits() * 3 - 1
    with pytest.warns(UserWarning, match=r"X: values from -1 to 2; Bernoulli units expect \[0, 1\]"):
        rbm = BernoulliRBM(5, random_state=1).fit(x)
    expected = expit(x @ rbm.components_.T + rbm.intercept_hidden_)
    np.testing.assert_allclose(rbm.transform(x), expected, atol=1e-5)
    # biases go where such means are: above the log odds of any probability
    assert rbm.intercept_visible_.max() > fitted().intercept_visible_.max()


@pytest.mark.parametrize("random_state", [3, RandomState(3), None])
def test_random_state_is_an_int_a_generator_or_none(random_state: Any) -> None:
    first, second = (BernoulliRBM(5, random_state=random_state).fit(bits()) for _ in range(2))
    same = np.array_equal(first.components_, second.components_)
    assert same == isinstance(random_state, int)


def test_verbose_prints_a_line_an_iteration(capsys: pytest.CaptureFixture[str]) -> None:
    rbm = fitted(n_iter=2, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    score = rbm.score_samples(bits()).mean()
    assert lines[1].startswith(f"[BernoulliRBM] Iteration 2, pseudo-likelihood = {score:.2f}, time = ")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_components": 0}, ValueError, "n_components == 0, must be >= 1"),
        ({"n_components": 2.5}, TypeError, "n_components must be an instance of"),
        ({"learning_rate": 0}, ValueError, "learning_rate == 0, must be > 0"),
        ({"batch_size": 0}, ValueError, "batch_size == 0, must be >= 1"),
        ({"n_iter": -1}, ValueError, "n_iter == -1, must be >= 0"),
        ({"k": 0}, ValueError, "k: expected 1 or more"),
        ({"momentum": 1.0}, ValueError, "momentum: expected 0 <= momentum < 1, got 1.0"),
        ({"weight_decay": -1.0}, ValueError, "decay: expected 0 or more, got -1.0"),
        ({"learning_rate": 1e6}, DivergedError, "lower the learning rate"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BernoulliRBM(**{"n_components": 5, "random_state": 0} | settings).fit(bits())


def test_values_beyond_float32_are_refused() -> None:
    x = bits()
    x[4, 2] = 1e300
    with pytest.raises(ValueError, match=r"row 4, column 2 .counted from 0.: value 1e\+300 is not a finite float32"):
        fitted().transform(x)
