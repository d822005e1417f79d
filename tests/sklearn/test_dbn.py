"""DBNTransformer and DBNClassifier: rbmx's own stack underneath, and scikit-learn's manners above."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import rbmx
from rbmx.errors import DataError
from rbmx.sklearn import DBNClassifier, DBNTransformer


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    return images / 16, labels


def test_features_are_those_of_a_dbn_with_the_same_layers(digits: tuple[np.ndarray, np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    bits = digits[0] > 0.5
    transformer = DBNTransformer((32, 16), n_iter=2, random_state=0).fit(bits)
    assert transformer.visible_ == "bernoulli"
    network = rbmx.DBN.from_layers(transformer.layers_)
    expected = network.transform(torch.from_numpy(bits)).numpy()
    np.testing.assert_allclose(transformer.transform(bits), expected, atol=1e-5)  # float32 sigmoids
    assert transformer.transform(bits.astype(np.float32)).dtype == np.float32
    assert list(transformer.get_feature_names_out())[:2] == ["dbntransformer0", "dbntransformer1"]
    np.testing.assert_array_equal(
        transformer.transform(csr_matrix(bits.astype(float))), transformer.transform(bits.astype(float))
    )


def test_the_same_random_state_gives_the_same_bytes(digits: tuple[np.ndarray, np.ndarray]) -> None:
    model = DBNTransformer((16, 8), n_iter=1, random_state=3)
    first, again = (clone(model).fit(digits[0]).transform(digits[0]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, clone(model).set_params(random_state=4).fit(digits[0]).transform(digits[0]))


def test_real_columns_take_gaussian_units_of_their_own_mean_and_variance() -> None:
    flowers, _ = load_iris(return_X_y=True)
    transformer = DBNTransformer((16, 8), random_state=0).fit(flowers)
    assert transformer.visible_ == "gaussian"
    np.testing.assert_allclose(transformer.mean_, flowers.mean(axis=0))
    scaled = DBNTransformer((16, 8), random_state=0).fit(1000 * flowers - 5)
    # the same rows to the machine but for the rounding of (x - mean) / scale to float32
    np.testing.assert_allclose(scaled.transform(1000 * flowers - 5), transformer.transform(flowers), atol=1e-3)
    assert (
        cross_val_score(
            make_pipeline(
                DBNTransformer((32,), learning_rate=0.05, n_iter=200, random_state=0), LogisticRegression(max_iter=500)
            ),
            *load_iris(return_X_y=True),
        ).mean()
        > 0.85
    )  # chance is 0.33, a linear model of the columns has 0.97


def test_a_classifier_learns_digits_and_works_in_a_search(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    names = np.array([f"digit {i}" for i in range(10)])
    model = DBNClassifier((64, 32), n_iter=5, random_state=0)
    model.fit(images[:1200], names[labels[:1200]])
    assert list(model.classes_) == sorted(names)
    assert model.score(images[1200:], names[labels[1200:]]) > 0.88  # a linear model has 0.91, chance 0.1
    proba = model.predict_proba(images[1200:])
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(images[1200:]))
    search = GridSearchCV(model, {"hidden_layer_sizes": [(8,), (32,)]}, cv=2).fit(images[:400], labels[:400])
    assert search.best_params_ == {"hidden_layer_sizes": (32,)}


@pytest.mark.parametrize("estimator", [DBNTransformer, DBNClassifier])
def test_pickles_and_data_frames(estimator: type, digits: tuple[np.ndarray, np.ndarray]) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(digits[0][:200], columns=[f"pixel{i}" for i in range(64)])
    model = estimator((8, 4), n_iter=1, random_state=0).fit(frame, digits[1][:200])
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    use = "transform" if estimator is DBNTransformer else "predict_proba"
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(getattr(again, use)(frame), getattr(model, use)(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(model, use)(frame.rename(columns={"pixel0": "other"}))
    if estimator is DBNTransformer:
        out = model.set_output(transform="pandas").transform(frame)
        assert out.columns.tolist() == [f"dbntransformer{i}" for i in range(4)]


def test_verbose_says_a_line_for_each_layer_and_pass(
    digits: tuple[np.ndarray, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    DBNTransformer((8, 4), n_iter=2, verbose=1, random_state=0).fit(digits[0][:100])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("[DBNTransformer] Layer 2/2, iteration 1, reconstruction error = 0.")


def test_bad_settings_and_data_are_refused_by_name(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits[0][:50], digits[1][:50]
    for settings, complaint in (
        ({"hidden_layer_sizes": ()}, "hidden_layer_sizes: expected the units of one hidden layer or more"),
        ({"hidden_layer_sizes": 10}, "hidden_layer_sizes"),
        ({"hidden_layer_sizes": (10, 0)}, "hidden_layer_sizes == 0, must be >= 1"),
        ({"visible": "spin"}, "visible: expected 'auto', 'bernoulli' or 'gaussian', got 'spin'"),
        ({"learning_rate": [0.1]}, None),
        ({"learning_rate": [0.1] * 3}, "learning_rate: expected one or 2, one a layer, got 3"),
        ({"learning_rate": -1.0}, "learning_rate == -1.0, must be > 0"),
        ({"propagate": "up"}, "propagate: expected 'sample', 'resample' or 'mean', got 'up'"),
    ):
        model = DBNTransformer(**{"hidden_layer_sizes": (8, 4), "n_iter": 1, **settings})
        if complaint is None:
            model.fit(images)
            continue
        with pytest.raises(ValueError, match=complaint):
            model.fit(images)
    with pytest.raises(DataError, match=r"X: row 0, column 0 .*: value -1.0 lies outside \[0, 1\]"):
        DBNTransformer((4,), visible="bernoulli").fit(images - 1)
    with pytest.raises(ValueError, match="y: expected two classes or more, got 1 class"):
        DBNClassifier((4,)).fit(images, np.zeros(50))
    with pytest.raises(ValueError, match="Unknown label type"):
        DBNClassifier((4,)).fit(images, labels + 0.5)
