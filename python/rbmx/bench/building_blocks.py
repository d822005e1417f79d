"""The kernels one by one, each as a call whose output can be compared byte for byte with csrc/ref."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from rbmx.backends import Batches, State, Update, native
from rbmx.backends.native import NativeBackend
from rbmx.bench.harness import stopwatch
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose

__all__ = ["DENSITIES", "Block", "Case", "Products", "blocks"]

kernels = native._core  # type: ignore[attr-defined]  # only they can be asked for csrc/ref

LEARNING_RATE = 0.05
MOMENTUM = 0.5
BATCH = 100
WARM_ROWS = 5_000

DENSITIES: dict[str, Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]] = {
    "13 %": lambda images: images,
    "50 %": lambda images: images ^ (np.arange(images.shape[1]) % 2).astype(np.uint8),
    "87 %": lambda images: 1 - images,
}
"""Binarised MNIST as it is, with every second pixel flipped, and with all of them flipped."""

Arrays = tuple[npt.NDArray[Any], ...]
Call = Callable[[bool], Arrays]


@dataclass(frozen=True)
class Products:
    """How many matrix products per minibatch a dense program would need: up, down, and of the gradient."""

    up: int = 0
    down: int = 0
    gradient: int = 0

    def flops_per_row(self, n_visible: int, n_hidden: int) -> int:
        """A gradient is of the data and of the samples, two rows for one."""
        return 2 * n_visible * n_hidden * (self.up + self.down + 2 * self.gradient)

    def total(self, of_product: Mapping[str, float]) -> float:
        """The seconds of all, from those of each."""
        return self.up * of_product["up"] + self.down * of_product["down"] + self.gradient * of_product["gradient"]


@dataclass(frozen=True)
class Block:
    """One kernel: `fresh` makes a call with copies of all that it changes; call(True) is csrc/ref."""

    name: str
    rows: int
    batch: int  # rows that go through the products together
    products: Products
    fresh: Callable[[], Call]

    def output(self, *, reference: bool) -> list[bytes]:
        """What it computes."""
        return [array.tobytes() for array in self.fresh()(reference)]

    def seconds(self) -> float:
        """Of one call, the copies not counted."""
        call = self.fresh()
        return stopwatch(lambda: call(False))()


class Case:
    """A machine trained on rows of one density, the rows, and hidden samples given them."""

    def __init__(self, images: npt.NDArray[np.uint8], n_hidden: int) -> None:
        self.rows = PackedBits.pack(images)
        self.params = RBMParams.initial(images.shape[1], n_hidden, key=Key(0))
        few = self.rows[:WARM_ROWS]
        batches = Batches(np.arange(len(few)), BATCH, 1, Update(LEARNING_RATE), self.key, 0)
        NativeBackend().train(self.params, few, batches, State())

    key = Key(0).fold_in(Purpose.TRAINING)

    @cached_property
    def hidden(self) -> PackedBits:
        """h ~ p(h | v)."""
        return cast(PackedBits, NativeBackend().sample_hidden(self.params, self.rows, self.key))

    @property
    def arrays(self) -> Arrays:
        """The parameters as the kernels take them."""
        return self.params.weight, self.params.visible_bias, self.params.hidden_bias


def _row_wise(case: Case, rows: int) -> Iterator[Block]:
    """Kernels that take each row by itself."""
    v, h, key = case.rows.words[:rows], case.hidden.words[:rows], case.key.words

    def one(call: Callable[..., npt.NDArray[Any]]) -> Callable[[], Call]:
        return lambda: lambda reference: (call(reference=reference),)

    def gibbs() -> Call:
        state = v.copy()

        def step(reference: bool) -> Arrays:
            kernels.gibbs(*case.arrays, state, steps=1, key=key, reference=reference)
            return (state,)

        return step

    yield Block("mean of h", rows, rows, Products(up=1), one(partial(kernels.mean, *case.arrays, "hidden", v)))
    yield Block("mean of v", rows, rows, Products(down=1), one(partial(kernels.mean, *case.arrays, "visible", h)))
    yield Block(
        "sample h", rows, rows, Products(up=1), one(partial(kernels.sample, *case.arrays, "hidden", v, key=key))
    )
    yield Block(
        "sample v", rows, rows, Products(down=1), one(partial(kernels.sample, *case.arrays, "visible", h, key=key))
    )
    yield Block("Gibbs step", rows, rows, Products(up=1, down=1), gibbs)
    yield Block("free energy", rows, rows, Products(up=1), one(partial(kernels.free_energy, *case.arrays, v)))

    def statistics(reference: bool) -> Arrays:
        found: Arrays = kernels.cd_statistics(*case.arrays, v, gibbs_steps=1, key=key, reference=reference)
        return found

    yield Block("CD-1 statistics", rows, rows, Products(up=2, down=1, gradient=1), lambda: statistics)


def _training(case: Case, k: int, rows: int, *, persistent: bool, momentum: float) -> Block:
    """Minibatches of 100 one after another in one call."""
    order = np.arange(rows)
    settings = kernels.Settings(
        batch_size=BATCH,
        gibbs_steps=k,
        key=case.key.words,
        first_step=0,
        **dataclasses.asdict(Update(LEARNING_RATE * (1 - momentum), first=momentum)),
    )

    def fresh() -> Call:
        arrays = tuple(array.copy() for array in case.arrays)
        velocity = tuple(np.zeros_like(array) for array in arrays) if momentum else None
        chains = case.hidden.words[:BATCH].copy() if persistent else None

        def train(reference: bool) -> Arrays:
            kernels.train_minibatches(
                *arrays, case.rows.words, order, settings, velocity=velocity, chains=chains, reference=reference
            )
            return (*arrays, *(velocity or ()), *(() if chains is None else (chains,)))

        return train

    name = f"train, {'PCD' if persistent else 'CD'}-{k}{', momentum' if momentum else ''}"
    # A persistent chain goes down first: its state is hidden.
    return Block(name, rows, BATCH, Products(up=k + 1, down=k, gradient=1), fresh)


def blocks(case: Case, *, rows: tuple[int, ...], training_rows: int, steps: tuple[int, ...] = (1, 10)) -> list[Block]:
    """All of them.

    Args:
        case: machine and data.
        rows: of a call of the row-wise kernels, one block for each.
        training_rows: of a call of training.
        steps: k of CD-k.
    """
    found = [block for n in rows for block in _row_wise(case, n)]
    for momentum in (0.0, MOMENTUM):
        found += [_training(case, k, training_rows, persistent=False, momentum=momentum) for k in steps]
        found.append(_training(case, 1, training_rows, persistent=True, momentum=momentum))
    return found
