"""Every wrong argument of a binding is a ValueError that begins with its name; nothing is changed."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rbmx import _core
from rbmx.backends import Update

W, B, C = np.zeros((3, 5), np.float32), np.zeros(5, np.float32), np.zeros(3, np.float32)
V = np.zeros((4, 1), np.uint64)
X = np.zeros((4, 5), np.float32)
ORDER = np.arange(4)
KEY = (1, 2)


def settings(**changes: Any) -> Any:
    plain = {
        "batch_size": 2,
        "gibbs_steps": 1,
        "key": KEY,
        "first_step": 0,
        **dataclasses.asdict(Update(0.1)),
    }
    return _core.Settings(**plain | changes)


def frozen(array: Any) -> Any:
    array = array.copy()
    array.setflags(write=False)
    return array


def full(value: float) -> Any:
    return np.full((3, 5), value, np.float32)


def train(**changes: Any) -> Any:
    a = {"w": W, "b": B, "c": C, "data": V, "order": ORDER, "settings": settings()} | changes
    slots = {name: a.pop(name) for name in ("velocity", "squares", "offsets", "chains") if name in a}
    weight = a["w"].copy() if a["w"].flags.writeable else a["w"]
    return _core.train_minibatches(weight, a["b"].copy(), a["c"].copy(), a["data"], a["order"], a["settings"], **slots)


CALLS: dict[str, tuple[str, Callable[[], Any]]] = {
    "weight of one dimension": ("weight", lambda: _core.mean(W[0], B, C, "hidden", V)),
    "weight float64": ("weight", lambda: _core.mean(W.astype(np.float64), B, C, "hidden", V)),
    "weight not contiguous": ("weight", lambda: _core.mean(np.zeros((5, 3), np.float32).T, B, C, "hidden", V)),
    "weight empty": ("weight", lambda: _core.mean(np.zeros((0, 5), np.float32), B, C[:0], "hidden", V)),
    "weight not a number": ("weight", lambda: _core.mean(full(np.nan), B, C, "hidden", V)),
    "weight infinite": ("weight", lambda: _core.mean(full(np.inf), B, C, "hidden", V)),
    "weight too large": ("weight", lambda: _core.mean(full(2048), B, C, "hidden", V)),
    "sum of weights too large": ("weight", lambda: _core.mean(full(450), B, C, "hidden", V)),
    "bias not a number": ("weight, visible_bias", lambda: _core.mean(W, B + np.float32("nan"), C, "hidden", V)),
    "visible_bias of wrong length": ("visible_bias", lambda: _core.mean(W, B[:4], C, "hidden", V)),
    "hidden_bias of wrong length": ("hidden_bias", lambda: _core.mean(W, B, B, "hidden", V)),
    "unknown side": ("side", lambda: _core.mean(W, B, C, "sideways", V)),
    "given of the wrong width": ("given", lambda: _core.mean(W, B, C, "hidden", np.zeros((4, 2), np.uint64))),
    "given of the wrong dtype": ("given", lambda: _core.mean(W, B, C, "hidden", V.astype(np.int64))),
    "given of one dimension": ("given", lambda: _core.mean(W, B, C, "hidden", V[:, 0])),
    "given not contiguous": ("given", lambda: _core.mean(W, B, C, "hidden", np.zeros((8, 1), np.uint64)[::2])),
    "given with a bit behind the units": (
        "given",
        lambda: _core.mean(W, B, C, "hidden", np.full((4, 1), 1 << 63, np.uint64)),
    ),
    "first_row negative": ("first_row", lambda: _core.sample(W, B, C, "hidden", V, key=KEY, first_row=-1)),
    "real given of the wrong width": ("given", lambda: _core.mean_dense(W, B, C, "hidden", X[:, :4].copy())),
    "real given of float64": ("given", lambda: _core.mean_dense(W, B, C, "hidden", X.astype(np.float64))),
    "real first_row negative": (
        "first_row",
        lambda: _core.sample_dense(W, B, C, "hidden", X, key=KEY, first_row=-1),
    ),
    "gibbs steps negative": ("steps", lambda: _core.gibbs(W, B, C, V.copy(), steps=-1, key=KEY)),
    "gibbs visible read-only": ("visible", lambda: _core.gibbs(W, B, C, frozen(V), steps=1, key=KEY)),
    "free energy of a wrong width": ("visible", lambda: _core.free_energy(W, B, C, np.zeros((1, 2), np.uint64))),
    "k of 0": ("gibbs_steps", lambda: _core.cd_statistics(W, B, C, V, gibbs_steps=0, key=KEY)),
    "order past the end": ("order", lambda: train(order=np.array([0, 4]))),
    "order negative": ("order", lambda: train(order=np.array([-1]))),
    "order of int32": ("order", lambda: train(order=ORDER.astype(np.int32))),
    "batch_size 0": ("batch_size", lambda: train(settings=settings(batch_size=0))),
    "batch_size too large": ("batch_size", lambda: train(settings=settings(batch_size=65537))),
    "training k of 0": ("k", lambda: train(settings=settings(gibbs_steps=0))),
    "training weight read-only": ("weight", lambda: train(w=frozen(W))),
    "training weight diverged": ("weight", lambda: train(w=full(3000))),
    "data of the wrong width": ("data", lambda: train(data=np.zeros((4, 2), np.uint64))),
    "data with a bit behind the units": ("data", lambda: train(data=np.full((4, 1), 1 << 40, np.uint64))),
    "velocity of the wrong shape": ("velocity", lambda: train(velocity=(W[:2], B, C[:2]))),
    "velocity read-only": ("velocity", lambda: train(velocity=(frozen(W), B.copy(), C.copy()))),
    "a velocity that the rule does not keep": ("velocity", lambda: train(velocity=(W, B, C))),
    "no velocity": ("velocity", lambda: train(settings=settings(first=0.5))),
    "no squares": ("squares", lambda: train(settings=settings(rule="rmsprop"))),
    "an unknown rule": ("rule", lambda: settings(rule="adagrad")),
    "offsets past one": ("visible offset", lambda: train(offsets=(B + 2, C))),
    "offsets of the wrong length": ("hidden offset", lambda: train(offsets=(B, B))),
    "offsets read-only": ("visible offset", lambda: train(offsets=(frozen(B), C))),
    "chains of the wrong width": ("chains", lambda: train(chains=np.zeros((2, 2), np.uint64))),
    "no chains": ("chains", lambda: train(chains=np.zeros((0, 1), np.uint64))),
    "chains read-only": ("chains", lambda: train(chains=frozen(V))),
    "chains with a bit behind the units": ("chains", lambda: train(chains=np.full((2, 1), 1 << 9, np.uint64))),
    "permutation of a negative number": ("n", lambda: _core.permutation(-1, key=KEY)),
    "no threads": ("n", lambda: _core.set_num_threads(0)),
    "unknown instruction set": ("RBMX_ISA", lambda: _core.set_isa("mmx")),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_a_value_error_that_names_it(name: str) -> None:
    argument, call = CALLS[name]
    with pytest.raises(ValueError, match=rf"^{argument}\b.*: "):
        call()


def test_the_message_says_what_was_expected_and_what_came() -> None:
    with pytest.raises(ValueError, match=r"^hidden_bias: expected a C-contiguous float32 \(3\), got float32 \(5,\)"):
        _core.mean(W, B, B, "hidden", V)


def test_a_dtype_out_of_a_pickle_is_as_good_as_any() -> None:
    """It equals NumPy's own and is not the same object, as after joblib or multiprocessing."""
    words = pickle.loads(pickle.dumps(V))
    assert words.dtype == V.dtype and words.dtype is not V.dtype
    assert np.array_equal(_core.mean(W, B, C, "hidden", words), _core.mean(W, B, C, "hidden", V))


@pytest.mark.parametrize("out", ["velocity", "chains"])
def test_an_output_that_overlaps_an_input_is_refused(out: str) -> None:
    """Style rule 6: a velocity that is the weights, or chains that are the data, would be trained on themselves."""
    w, b, c = W.copy(), B.copy(), C.copy()
    data = V.copy()
    overlap = {"velocity": (w, b, c)} if out == "velocity" else {"chains": data}
    with pytest.raises(ValueError, match=out):
        _core.train_minibatches(w, b, c, data, ORDER, settings(first=0.5 if out == "velocity" else 0.0), **overlap)


def test_a_refused_call_changes_nothing() -> None:
    w, b, c = full(0.5), B.copy(), C.copy()
    with pytest.raises(ValueError, match="order"):
        _core.train_minibatches(w, b, c, V, np.array([9]), settings())
    assert np.all(w == 0.5) and not b.any() and not c.any()
