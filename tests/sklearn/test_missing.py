"""NaN in the estimators is a missing entry: summed out by fit and transform, filled in by impute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
import pandas
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neural_network import BernoulliRBM as ScikitLearns
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rbmx.likelihood.exact import product_of
from rbmx.sklearn import BernoulliRBM, GaussianRBM, MixedRBM
from tests.sklearn.test_mixed import TYPES, table, values

NAN = float("nan")


def reals(rows: int = 200, gaps: float = 0.2) -> NDArray[np.float64]:
    """Two columns that go together, a third alone."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, rows)
    x = np.column_stack([2.0 * kind - 1, 1 - 2.0 * kind, np.zeros(rows)]) + rng.normal(0, 0.5, (rows, 3))
    gone = rng.random(x.shape) < gaps
    gone[gone.all(axis=1), 0] = False
    x[gone] = NAN
    return x


def posterior(rbm: Any, coded: NDArray[Any]) -> NDArray[Any]:
    """E[h | known entries] by enumeration: missing Gaussian units are integrated out, x^2 / 2 each."""
    h = product_of([np.array([[0.0], [1.0]])] * len(rbm.components_))
    x = h @ rbm.components_ + rbm.intercept_visible_
    found = []
    for row in coded:
        known = ~np.isnan(row)
        log_p = h @ rbm.intercept_hidden_ + x[:, known] @ row[known] + (x[:, ~known] ** 2 / 2).sum(1)
        p = np.exp(log_p - log_p.max())
        found.append(p @ h / p.sum())
    return np.array(found)


def test_transform_is_the_mean_over_what_is_not_known() -> None:
    """100 steps of a chain, 300 rows with the same gap: a standard error of 0.005 with its memory of some steps."""
    rbm = GaussianRBM(3, n_iter=0, random_state=0).fit(reals())
    rbm.components_[...] = [[1.5, -1, 0], [-1, 1, 0.5], [0, 0.5, -1]]
    rows = np.repeat([[1.2, NAN, 0.1]], 300, axis=0)
    features = rbm.transform(rows)
    np.testing.assert_allclose(features.mean(axis=0), posterior(rbm, rows[:1])[0], atol=0.02)
    zero_filled = rbm.transform([[1.2, 0.0, 0.1]])[0]
    assert np.abs(zero_filled - posterior(rbm, rows[:1])[0]).max() > 0.04  # it would not pass
    np.testing.assert_array_equal(rbm.transform(rows), features)


def test_complete_rows_are_untouched_by_their_neighbours_gaps() -> None:
    rbm = GaussianRBM(3, random_state=0).fit(reals())
    rows = np.array([[1.0, -1, 0], [NAN, 1, 0], [0.5, 0, NAN]], np.float32)
    features = rbm.transform(rows)
    assert features.dtype == np.float32 and np.isfinite(features).all()
    np.testing.assert_array_equal(features[0], rbm.transform(rows[:1])[0])


def test_training_with_gaps_finds_what_goes_together() -> None:
    x = reals(200)
    rbm = GaussianRBM(4, learning_rate=0.1, n_iter=20, random_state=0).fit(x)
    np.testing.assert_allclose(GaussianRBM(2, n_iter=0).fit(x).intercept_visible_, np.nanmean(x, axis=0), rtol=1e-6)
    filled = rbm.impute([[1.0, NAN, 0.0], [-1.0, NAN, 0.0], [0.5, -0.5, 0.25]])
    assert filled[0, 1] < -0.4 < 0.4 < filled[1, 1]  # -1 and 1 in the data
    np.testing.assert_array_equal(filled[2], [0.5, -0.5, 0.25])
    for chunk in (x[:100], x[100:]):
        rbm.partial_fit(chunk)
    assert np.isfinite(rbm.components_).all()


def test_sparse_rows_and_pipelines_take_gaps() -> None:
    x = reals(60)
    dense, sparse = (GaussianRBM(3, random_state=0).fit(form(x)) for form in (np.array, csr_array))
    np.testing.assert_allclose(sparse.components_, dense.components_, atol=1e-6)
    np.testing.assert_allclose(sparse.transform(csr_array(x)), dense.transform(x), atol=1e-6)
    assert np.isfinite(make_pipeline(StandardScaler(), GaussianRBM(3, random_state=0)).fit_transform(x)).all()


def test_verbose_scores_rows_with_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    GaussianRBM(2, n_iter=1, verbose=1, random_state=0).fit(reals(50))
    printed = capsys.readouterr().out
    assert "unnormalised log-likelihood = " in printed and "nan" not in printed


@pytest.mark.parametrize("make", [GaussianRBM, MixedRBM])
def test_what_gaps_leave_no_answer_to_is_refused(make: Any) -> None:
    rbm = make(2, random_state=0).fit(reals(50))
    row = [[1.0, NAN, 0.0]]
    for call in (rbm.score_samples, rbm.gibbs):
        with pytest.raises(ValueError, match="contains NaN"):
            call(row)
    with pytest.raises(ValueError, match="inf"):
        rbm.transform([[1.0, np.inf, 0.0]])
    gone = reals(50, gaps=0)
    gone[:, 1] = NAN
    with pytest.raises(ValueError, match=r"is NaN in every row|column 1: all values are missing"):
        make(2).fit(gone)


def test_a_drop_in_refuses_nan_as_its_model_does_but_imputes() -> None:
    x = np.random.default_rng(0).integers(0, 2, (50, 2)).repeat(2, axis=1).astype(float)
    gaps = x.copy()
    gaps[0, 0] = NAN
    for kind in (ScikitLearns, BernoulliRBM):
        with pytest.raises(ValueError, match="NaN"):
            kind(2).fit(gaps)
        with pytest.raises(ValueError, match="NaN"):
            kind(2).fit(x).transform(gaps)
    rbm = BernoulliRBM(4, learning_rate=0.5, n_iter=200, random_state=0).fit(x)
    off, on = rbm.impute([[NAN, 0.0, 1, 1], [NAN, 1.0, 1, 1]])[:, 0]
    assert off < 0.3 < 0.7 < on


def test_a_table_with_gaps_is_learned_and_filled() -> None:
    frame = table(200)
    rng = np.random.default_rng(1)
    gaps = frame.astype({"colour": object, "striped": "boolean"}).mask(rng.random(frame.shape) < 0.15)
    rbm = MixedRBM(8, learning_rate=0.1, n_iter=20, random_state=0).fit(gaps)
    assert rbm._visible == "gaussian + softmax(3) + gaussian + bernoulli"
    np.testing.assert_allclose(rbm.mean_, gaps[["weight", "length"]].mean())
    assert rbm.categories_ == [("blue", "green", "red")]
    filled = rbm.impute(gaps)
    assert not filled.isna().to_numpy().any() and list(filled.columns) == list(frame.columns)
    known = gaps.notna().to_numpy()
    np.testing.assert_array_equal(filled.to_numpy()[known], gaps.to_numpy()[known])
    assert set(filled.colour) <= {"blue", "green", "red"} and set(filled.striped) <= {False, True}
    gone = gaps.colour.isna().to_numpy()
    assert (filled.colour[gone] == frame.colour[gone]).mean() > 0.75  # a tenth are green whatever the rest
    assert np.isfinite(rbm.transform(gaps)).all()


@pytest.mark.parametrize("nothing", [None, NAN, pandas.NA])
def test_every_word_for_missing_is_understood(nothing: object) -> None:
    rows = values(table(60))
    rows[:5, 1], rows[5:9, 3] = nothing, nothing
    rbm = MixedRBM(2, column_types=TYPES, random_state=0).fit(rows)
    assert rbm.categories_ == [("blue", "green", "red")]
    filled = rbm.impute(rows)
    assert set(filled[:, 1]) <= {"blue", "green", "red"} and set(filled[:, 3]) <= {0, 1}


def test_samples_and_inverses_are_tables_of_the_columns_own_kinds() -> None:
    frame = table(300).assign(colour=lambda t: pandas.Categorical(t.colour))
    rbm = MixedRBM(8, learning_rate=0.03, n_iter=20, random_state=0).fit(frame)
    drawn = rbm.sample(400, steps=100)
    assert isinstance(drawn, pandas.DataFrame) and list(drawn.columns) == list(frame.columns)
    assert (drawn.dtypes == frame.dtypes).all() and len(drawn) == 400
    red, blue = (drawn.weight[drawn.colour == colour].mean() for colour in ("red", "blue"))
    assert red - blue > 15  # 40 in the data
    assert not drawn.equals(rbm.sample(400, steps=100))
    back = rbm.inverse_transform(rbm.transform(frame))
    assert (back.dtypes == frame.dtypes).all()
    assert ((back.weight > 50) == (frame.weight > 50)).mean() > 0.9
    told = MixedRBM(2, column_types=TYPES, random_state=0).fit(values(frame))
    assert told.sample(3, steps=2).shape == (3, 4) and isinstance(told.sample(3, steps=2), np.ndarray)


def test_the_inverse_is_the_mean_of_the_visible_units() -> None:
    rbm = GaussianRBM(3, random_state=0).fit(reals(gaps=0))
    h = np.array([[0.0, 1, 0.5]])
    np.testing.assert_allclose(rbm.inverse_transform(h), h @ rbm.components_ + rbm.intercept_visible_, atol=1e-6)
    with pytest.raises(ValueError, match=r"X: expected 3 hidden units \(n_components\), got 2"):
        rbm.inverse_transform(h[:, :2])


def test_gaps_of_flags_become_flags_and_those_of_integers_numbers() -> None:
    known = pandas.DataFrame({"flag": [True, False] * 20, "count": np.arange(40), "size": np.linspace(0, 1, 40)})
    model = MixedRBM(4, n_iter=1, random_state=0).fit(known)
    gaps = known.astype({"flag": object, "count": "Int64"})
    gaps.loc[0, "flag"] = gaps.loc[1, "count"] = None
    filled = model.impute(gaps)
    assert {type(value) for value in filled["flag"]} == {bool}
    assert filled["count"].dtype == "Float64" and filled["count"].notna().all()
    assert list(filled["count"][2:]) == list(known["count"][2:])
