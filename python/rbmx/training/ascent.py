"""Rows taken up through frozen layers: what the next layer of a stack is trained on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

import numpy as np

from rbmx.backends import Rows, backend_for
from rbmx.data import Block, Dataset, Encoding
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose

__all__ = ["Ascent", "Propagation", "ascend", "ascended", "require_stack"]

_EPOCHS = 1 << 32  # of the key, beyond the numbers of layers
Propagation = Literal["sample", "resample", "mean"]


def require_stack(layers: Sequence[RBMParams], n_classes: int | None = None) -> None:
    """ValueError where the units between two layers are not the same to both; labels stand behind the top's."""
    if not layers:
        raise ValueError("layers: expected one layer or more, got none")
    for i, (below, above) in enumerate(itertools.pairwise(layers)):
        labels = n_classes if n_classes is not None and i == len(layers) - 2 else 0
        n_visible, visible = above.n_visible - labels, above.visible_unit
        if labels:
            visible = visible.select(np.arange(above.n_visible) < n_visible)
        if below.n_hidden != n_visible or visible.name not in (below.hidden, f"{below.hidden}*{n_visible}"):
            raise ValueError(
                f"layers: layer {i} has {below.n_hidden} {below.hidden} hidden units, layer {i + 1} {n_visible} "
                f"{visible.name} visible ones"
            )


def ascend(
    rows: Rows,
    layers: Sequence[RBMParams],
    *,
    mode: Propagation,
    seed: int,
    first_row: int = 0,
    engine: str = "auto",
    epoch: int = 0,
) -> Rows:
    """The hidden states of the last of `layers`, given `rows` below the first.

    Args:
        rows: states of the lowest visible units, (rows, n_visible).
        layers: from the data up; none: the rows as they are.
        mode: "sample": h ~ p(h | v), drawn at the rows' global numbers, so a row gives the same states in every pass
            and whatever block it comes in, and Bernoulli units stay bits; "resample": the same, drawn anew in each
            epoch; "mean": E[h | v], real values.
        seed: of the draws.
        first_row: the global number of the first row.
        epoch: whose draws, where each epoch has its own.
        engine: as in rbmx.backends.backend_for.
    """
    key = Key(seed).fold_in(Purpose.SAMPLING)
    if mode == "resample":
        key = key.fold_in(_EPOCHS + epoch)
    for i, layer in enumerate(layers):
        backend = backend_for(layer, engine, reproducible=True)
        if mode == "mean":
            rows = backend.hidden_mean(layer, rows)
        else:
            rows = backend.sample_hidden(layer, rows, key.fold_in(i), first_row)
    return rows


def ascended(
    dataset: Dataset, layers: Sequence[RBMParams], *, mode: Propagation, seed: int, engine: str = "auto"
) -> Dataset:
    """The dataset that `layers` make of one, a block at a time: nothing of it is kept.

    Raises:
        ValueError: a mode that there is not.
    """
    if mode not in get_args(Propagation):
        raise ValueError(f"propagate: expected 'sample', 'resample' or 'mean', got {mode!r}")
    if not layers:
        return dataset
    source = Ascent(dataset, layers, mode=mode, seed=seed, engine=engine)
    # one block of means may be all zeros and ones by rounding: they are real values all the same
    bits = mode != "mean" and layers[-1].hidden_unit.binary
    return Dataset(source, Encoding() if bits else Encoding(unbounded=True))


class Ascent:
    """A source of rows: those of a dataset, as the hidden states of the last of some layers.

    Args:
        dataset: states of the lowest visible units.
        layers, mode, seed, engine, epoch: as in ascend.
    """

    in_memory = False

    def __init__(
        self,
        dataset: Dataset,
        layers: Sequence[RBMParams],
        *,
        mode: Propagation,
        seed: int,
        engine: str = "auto",
        epoch: int = 0,
    ) -> None:
        self.dataset, self.layers = dataset, list(layers)
        self.mode: Propagation = mode
        self.seed, self.engine, self.epoch = seed, engine, epoch
        self.name = dataset.name
        self.n_visible = self.layers[-1].n_hidden

    @property
    def n_rows(self) -> int | None:
        """Rows of the dataset."""
        return self.dataset.n_rows

    @property
    def n_blocks(self) -> int | None:
        """Blocks of the dataset."""
        return self.dataset.n_blocks

    @property
    def one_pass(self) -> bool:
        """Whether only the first block can be looked at before the one pass over all."""
        return self.dataset.one_pass

    @property
    def redrawn(self) -> bool:
        """Whether each epoch draws its own states, here or below."""
        return self.mode == "resample" or self.dataset.redrawn

    def in_epoch(self, epoch: int) -> Ascent:
        """The states of an epoch."""
        return Ascent(
            self.dataset.in_epoch(epoch), self.layers, mode=self.mode, seed=self.seed, engine=self.engine, epoch=epoch
        )

    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order."""
        for first_row, rows in self.dataset.blocks():
            yield self._up(first_row, rows)

    def read_block(self, i: int) -> Block:
        """Block i of n_blocks."""
        return self._up(*self.dataset.read_block(i))

    def place(self, row: int, column: int) -> str:
        """Where a value stands, in words."""
        return f"row {row}, hidden unit {column} of layer {len(self.layers) - 1} (counted from 0)"

    def _up(self, first_row: int, rows: Rows) -> Block:
        up = ascend(
            rows,
            self.layers,
            mode=self.mode,
            seed=self.seed,
            first_row=first_row,
            engine=self.engine,
            epoch=self.epoch,
        )
        return Block(first_row, up)
