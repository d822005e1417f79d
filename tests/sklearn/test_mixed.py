"""rbmx.sklearn.MixedRBM: tables of numbers, categories and flags."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
import pandas
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone

from rbmx.sklearn import MixedRBM
from rbmx.sklearn.columns import Category, Flag, Number


def table(rows: int = 300, seed: int = 0) -> Any:
    """Two kinds of things that differ in all four columns."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, rows)
    frame = {
        "weight": np.where(kind, 70.0, 30.0) + rng.normal(0, 5, rows),
        "colour": np.where(rng.random(rows) < 0.1, "green", np.where(kind, "red", "blue")),
        "length": np.where(kind, 1.0, 3.0) + rng.normal(0, 0.2, rows),
        "striped": rng.random(rows) < np.where(kind, 0.9, 0.1),
    }
    return pandas.DataFrame(frame)


def values(frame: Any) -> NDArray[Any]:
    return np.array(frame.to_numpy(dtype=object))


TYPES = ["number", "category", "number", "flag"]


def test_columns_of_a_data_frame_become_what_their_dtypes_say() -> None:
    frame = table()
    rbm = MixedRBM(4, random_state=0).fit(frame)
    weight, colour, length, striped = rbm.columns_
    assert isinstance(weight, Number) and isinstance(length, Number)
    assert colour == Category(("blue", "green", "red")) and striped == Flag()
    assert rbm._visible == "gaussian + softmax(3) + gaussian + bernoulli"
    assert rbm.components_.shape == (4, 6)
    np.testing.assert_allclose(rbm.mean_, frame[["weight", "length"]].mean())
    np.testing.assert_allclose(rbm.scale_, frame[["weight", "length"]].std(ddof=0))
    assert rbm.categories_ == [("blue", "green", "red")]


def test_neighbours_of_one_type_are_one_block() -> None:
    frame = table()[["weight", "length", "striped", "colour"]]
    assert MixedRBM(2, n_iter=0).fit(frame)._visible == "gaussian*2 + bernoulli + softmax(3)"


def test_an_array_is_numbers_unless_it_is_told() -> None:
    frame = table()
    x = frame[["weight", "length"]].to_numpy()
    assert MixedRBM(2).fit(x)._visible == "gaussian*2"
    told = MixedRBM(2, column_types=TYPES, random_state=0).fit(values(frame))
    framed = MixedRBM(2, random_state=0).fit(frame)
    np.testing.assert_array_equal(told.transform(values(frame)), framed.transform(frame))


def test_types_can_be_told_for_some_columns() -> None:
    frame = table().assign(striped=lambda t: t.striped.astype(int))
    assert MixedRBM(2).fit(frame)._visible == "gaussian + softmax(3) + gaussian*2"
    for column in ("striped", 3):
        assert MixedRBM(2, column_types={column: "flag"}).fit(frame)._visible.endswith("gaussian + bernoulli")


def test_transform_is_the_sigmoid_of_the_coded_row() -> None:
    frame = table(50)
    rbm = MixedRBM(3, random_state=0).fit(frame)
    coded = np.column_stack(
        [
            (frame.weight - frame.weight.mean()) / frame.weight.std(ddof=0),
            *(frame.colour == colour for colour in ("blue", "green", "red")),
            (frame.length - frame.length.mean()) / frame.length.std(ddof=0),
            frame.striped,
        ]
    ).astype(float)
    expected = expit(coded @ rbm.components_.T + rbm.intercept_hidden_)
    np.testing.assert_allclose(rbm.transform(frame), expected, atol=1e-5)


def test_visible_biases_start_where_units_alone_have_the_means() -> None:
    frame = table(5000)
    rbm = MixedRBM(3, n_iter=0, random_state=0).fit(frame)
    rbm.components_[:] = 0
    drawn = pandas.DataFrame(rbm.gibbs(frame), columns=frame.columns)
    # standard errors over 5,000 rows: 0.3 of the weight's deviation of 20, 0.007 of a frequency
    assert abs(drawn.weight.astype(float).mean() - frame.weight.mean()) < 1.2
    for colour in ("blue", "green", "red"):
        assert abs((drawn.colour == colour).mean() - (frame.colour == colour).mean()) < 0.03
    assert abs(drawn.striped.astype(float).mean() - frame.striped.mean()) < 0.03


def test_what_goes_together_is_learned() -> None:
    """After a Gibbs step from a red thing it is still red and heavy: the columns know of each other."""
    frame = table(300)
    rbm = MixedRBM(8, learning_rate=0.03, n_iter=20, random_state=0).fit(frame)
    drawn = pandas.DataFrame(rbm.gibbs(frame), columns=frame.columns)
    red, blue = (drawn.weight[drawn.colour == colour].astype(float).mean() for colour in ("red", "blue"))
    assert red - blue > 20  # 40 in the data
    shuffled = frame.assign(colour=frame.colour.sample(frac=1, random_state=0).to_numpy())
    assert rbm.score_samples(frame).mean() > rbm.score_samples(shuffled).mean() + 0.2


def test_a_categorical_dtype_names_categories_that_are_not_there_yet() -> None:
    frame = table().assign(colour=lambda t: pandas.Categorical(t.colour, ["red", "blue", "green", "white"]))
    rbm = MixedRBM(2).fit(frame)
    assert rbm.categories_ == [("red", "blue", "green", "white")]
    told = MixedRBM(2, categories={"colour": ["red", "blue", "green", "white"]}).fit(table())
    told.partial_fit(table().assign(colour="white"))


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({}, {"colour": "white"}, "column 'colour': category 'white' was not seen in training, which knew"),
        ({}, {"weight": "heavy"}, "column 'weight': expected numbers"),
        ({}, {"striped": 2}, "column 'striped': expected flags, 0 and 1 or False and True, got 2"),
    ],
)
def test_values_a_column_cannot_have_are_named(settings: Any, change: dict[str, Any], message: str) -> None:
    rbm = MixedRBM(2).fit(table())
    for call in (rbm.transform, rbm.partial_fit, rbm.gibbs, rbm.score_samples):
        with pytest.raises(ValueError, match=message):
            call(table().assign(**change))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"column_types": ["number"]}, "column_types: expected one for each of 4 columns, got 1"),
        ({"column_types": {"size": "number"}}, "column_types: there is no column 'size'"),
        ({"column_types": {"weight": "text"}}, "column 'weight': expected type 'number', 'category' or 'flag', got"),
        ({"column_types": {"weight": "flag"}}, "column 'weight': expected flags"),
        ({"column_types": {"colour": "number"}}, "column 'colour': expected numbers"),
        ({"categories": {"colour": ["red"]}}, "column 'colour': expected two categories or more"),
        ({"categories": {"size": ["red"]}}, "categories: there is no column 'size'"),
        ({"categories": {"colour": ["red", "blue"]}}, "column 'colour': category 'green' was not seen"),
    ],
)
def test_bad_layouts_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixedRBM(2, **settings).fit(table())


def test_a_clone_keeps_the_layout_asked_for() -> None:
    rbm = MixedRBM(2, column_types=TYPES, categories={1: ["red", "blue", "green"]})
    assert clone(rbm).get_params() == rbm.get_params()
