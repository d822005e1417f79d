"""The benchmark of unit types: its contestants compute the specification's updates, and a wrong one is found out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rbmx.bench.contestant import load_loop
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.task import CDTask, Images
from rbmx.bench.units import CASES, check, labelled, standardised
from rbmx.params import RBMParams

pytest.importorskip("torch")


class InProcess:
    """A contestant without a process of its own."""

    def __init__(self, name: str, factor: float = 1.0) -> None:
        self.name, self.factor = name, factor

    def answer(self, task: CDTask, images: Images) -> RBMParams | None:
        loop = load_loop(self.name, replace(task, learning_rate=self.factor * task.learning_rate), images)
        loop.train(0, len(images))
        return loop.params()


def small(visible: str, hidden: str) -> tuple[CDTask, Images, str]:
    rng = np.random.default_rng(0)
    images: Any = (rng.random((2000, 40)) < 0.3).view(np.uint8)
    if visible == "gaussian":
        images = rng.normal(0, 1, (2000, 40)).astype(np.float32) * np.linspace(0, 2, 40, dtype=np.float32)
    if "softmax" in visible:
        images = np.hstack([images[:, :30], np.eye(10, dtype=np.uint8)[rng.integers(0, 10, 2000)]])
    task = CDTask(n_visible=40, n_hidden=25, learning_rate=0.01, threads=1, visible=visible, hidden=hidden)
    return task, images, "rbmx_dense" if visible == "gaussian" else "rbmx_cd"


PAIRS = [
    ("gaussian", "bernoulli"),
    ("gaussian", "relu"),
    ("bernoulli", "relu"),
    ("bernoulli*30 + softmax(10)", "bernoulli"),
]


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_kernels_and_torch_compute_the_updates_of_the_specification(visible: str, hidden: str) -> None:
    task, images, native = small(visible, hidden)
    reference = InProcess("rbmx_reference")
    contestants: Any = (InProcess(native), reference, InProcess("torch_units"))
    check(*contestants, task, images)
    wrong: Any = (InProcess(native, 1.1), reference, InProcess("torch_units"))
    with pytest.raises(WrongAnswerError, match="rbmx: wrong updates"):
        check(*wrong, task, images)
    wrong = (InProcess(native), reference, InProcess("torch_units", 3.0))
    with pytest.raises(WrongAnswerError, match="torch: wrong updates"):
        check(*wrong, task, images)


def test_rows_are_states_of_their_machines() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (50, 784)).astype(np.uint8)
    gray[:, 7] = 0
    labels = np.arange(50) % 10
    values = standardised(gray, labels)
    np.testing.assert_allclose(values.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(np.delete(values.std(0), 7), 1, atol=1e-5)
    assert np.all(values[:, 7] == 0)
    rows = labelled(gray, labels)
    assert rows.shape == (50, 510) and np.array_equal(rows[:, 500:].argmax(1), labels)
    for case in CASES:
        values = case.rows(gray, labels).astype(np.float64)
        assert case.task.initial().visible_unit.check(values) is None
