"""The estimators inside scikit-learn: pipelines, searches, joblib, clone, pickle, DataFrames."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

import rbmx.sklearn

ESTIMATORS = [rbmx.sklearn.BernoulliRBM, rbmx.sklearn.GaussianRBM, rbmx.sklearn.MixedRBM]


def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    x, y = load_digits(n_class=3, return_X_y=True)
    return x / 16, y


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_a_grid_search_in_processes_gives_what_one_process_gives(backend: str) -> None:
    """multiprocessing forks after this process has used its threads; loky starts anew."""
    import joblib

    x, y = digits()
    pipeline = Pipeline(
        [("rbm", rbmx.sklearn.BernoulliRBM(20, n_iter=10, random_state=0)), ("logistic", LogisticRegression())]
    )
    pipeline.fit(x, y)
    grid = {"rbm__learning_rate": [0.02, 0.2]}
    alone = GridSearchCV(pipeline, grid, cv=2).fit(x, y)
    with joblib.parallel_backend(backend, n_jobs=2):
        together = GridSearchCV(pipeline, grid, cv=2).fit(x, y)
    assert together.cv_results_["mean_test_score"].tolist() == alone.cv_results_["mean_test_score"].tolist()
    assert together.best_score_ > 0.8


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_clone_has_the_settings_and_a_pickle_goes_on_to_the_bit(estimator: Any) -> None:
    x, _ = digits()
    model = estimator(n_components=8, random_state=1).partial_fit(x)
    assert clone(model).get_params() == model.get_params()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(x), model.transform(x))
    np.testing.assert_array_equal(again.partial_fit(x).components_, model.partial_fit(x).components_)
    np.testing.assert_array_equal(again.gibbs(x), model.gibbs(x))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_data_frames_go_in_and_come_out(estimator: Any) -> None:
    pandas = pytest.importorskip("pandas")
    x, _ = digits()
    frame = pandas.DataFrame(x, columns=[f"pixel{i}" for i in range(64)])
    model = estimator(n_components=3, random_state=0).set_output(transform="pandas").fit(frame)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    out = model.transform(frame)
    assert out.columns.tolist() == [f"{estimator.__name__.lower()}{i}" for i in range(3)]
    assert out.index.equals(frame.index)
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(frame.rename(columns={"pixel0": "other"}))


def test_the_estimators_load_no_torch(run_python: Callable[..., str]) -> None:
    script = """
import numpy as np, sys, rbmx
rbmx.sklearn.BernoulliRBM(2).fit(np.eye(4))
print("torch" in sys.modules)
"""
    assert run_python(script).strip() == "False"
