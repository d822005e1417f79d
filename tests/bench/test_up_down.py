"""The up-down benchmark: torch's minibatches are those of the native loop, and a wrong one is noticed."""

from __future__ import annotations

import numpy as np
import pytest

from rbmx.backends.up_down import Directions
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.up_down import UpDownTask, _change, check


class StrongTask(UpDownTask):
    """Its weights decide, so that updates stand out from their noise."""

    def start(self) -> Directions:
        stack = super().start()
        for layer in stack.layers:
            layer.weight[...] *= 10
        return stack


def task() -> UpDownTask:
    """Rows of ten kinds."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 4_000)
    kinds = generator.random((10, 40)) < 0.3
    bits = kinds[labels] ^ (generator.random((4_000, 40)) < 0.05)
    return StrongTask(bits.view(np.uint8), labels, sizes=(40, 30, 20, 50), threads=1)


def test_torch_learns_what_the_native_loop_does_and_something_else_is_noticed() -> None:
    work = task()
    ours, again, theirs = (_change(name, work, 3, seed) for name, seed in (("rbmx", 1), ("rbmx", 2), ("torch", 1)))
    check(ours, again, theirs)
    for layer in range(len(ours)):
        wrong = [-change if i == layer else change for i, change in enumerate(theirs)]
        with pytest.raises(WrongAnswerError, match=f"layer {layer}: torch's update is"):
            check(ours, again, wrong)
