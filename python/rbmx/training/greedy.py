"""A stack of RBMs, one after another from the data up: greedy layer-wise training."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import items, whole_number
from rbmx.data import Dataset, open_source
from rbmx.data.labelled import as_labels, labelled
from rbmx.errors import DataError
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.training.ascent import Propagation, ascended, require_stack
from rbmx.training.callbacks import ProgressBar
from rbmx.training.config import TrainConfig
from rbmx.training.history import EpochRecord
from rbmx.training.state import TrainState
from rbmx.training.trainer import Trainer
from rbmx.units import unit_type
from rbmx.units.mixed import Mixed
from rbmx.units.softmax import Softmax

__all__ = ["StackState", "beside_labels", "classes_of", "initial_stack", "open_rows", "stack_units", "train_stack"]


@dataclass(eq=False)
class StackState:
    """Where the training of a stack stands, kept up to date in place, so that it is there after an interrupt too.

    Attributes:
        states: of each layer from the data up, None of one that was not begun.
        histories: all epochs of each.
        finished: the epochs that were asked for when each came to its end, by them or by a callback; 0: it did not.
        propagate: what the layers hand up.
    """

    states: list[TrainState | None]
    histories: list[list[EpochRecord]]
    finished: list[int]
    propagate: Propagation = "sample"

    @classmethod
    def initial(cls, n_layers: int, propagate: Propagation = "sample") -> StackState:
        """Of a stack that was not begun."""
        return cls([None] * n_layers, [[] for _ in range(n_layers)], [0] * n_layers, propagate)

    @property
    def begun(self) -> bool:
        """Whether any layer was."""
        return any(state is not None for state in self.states)


def stack_units(sizes: Sequence[int], units: str | Sequence[str] | None = None) -> list[str]:
    """The unit types of a stack's levels, from the data up.

    Args:
        sizes: units of each level, two or more.
        units: None: Bernoulli; one spec: of the visible units, Bernoulli above; or one for each level.

    Raises:
        ValueError: fewer than two sizes, or another number of specs.
    """
    if len(items("sizes", sizes, "numbers of units")) < 2:
        raise ValueError(f"sizes: expected the units of two levels or more, got {list(sizes)}")
    if units is None or isinstance(units, str):
        return [units or "bernoulli", *["bernoulli"] * (len(sizes) - 1)]
    if len(units) != len(sizes):
        raise ValueError(f"units: expected a unit type for each of {len(sizes)} levels, got {list(units)}")
    return list(units)


@dataclass(frozen=True)
class LayerShape:
    """Units of a layer: how many, and their types."""

    n_visible: int
    n_hidden: int
    visible: str
    hidden: str


def layer_shapes(
    sizes: Sequence[int], units: str | Sequence[str] | None = None, n_classes: int | None = None
) -> list[LayerShape]:
    """The layers between these levels; the arguments are those of initial_stack."""
    specs = stack_units(sizes, units)
    shapes = [LayerShape(sizes[i], sizes[i + 1], specs[i], specs[i + 1]) for i in range(len(sizes) - 1)]
    if n_classes is not None:
        top = shapes[-1]
        visible = beside_labels(top.visible, top.n_visible, n_classes)
        shapes[-1] = replace(top, n_visible=top.n_visible + n_classes, visible=visible)
    return shapes


def initial_stack(
    sizes: Sequence[int], *, units: str | Sequence[str] | None = None, n_classes: int | None = None, seed: int
) -> list[RBMParams]:
    """New layers between these levels: weights near N(0, 0.01^2), biases zero.

    Args:
        sizes, units: as in stack_units.
        n_classes: a softmax of so many labels stands beside the visible units of the top layer.
        seed: of the weights; layer i has the seed Key(seed).fold_in(i).seed.

    Raises:
        ValueError: as in stack_units and RBMParams.initial.
    """
    return [
        RBMParams.initial(
            shape.n_visible,
            shape.n_hidden,
            key=Key(seed).fold_in(i).fold_in(Purpose.INITIAL_WEIGHTS),
            visible=shape.visible,
            hidden=shape.hidden,
        )
        for i, shape in enumerate(layer_shapes(sizes, units, n_classes))
    ]


def beside_labels(units: str, n_units: int, n_classes: int) -> str:
    """The spec of a layer of `units` with a softmax of `n_classes` behind."""
    if whole_number("n_classes", n_classes) < 2:
        raise ValueError(f"n_classes: expected 2 or more, got {n_classes}")
    unit = unit_type(units, n_units)
    blocks = unit.name if isinstance(unit, Mixed) else f"{unit.name}*{n_units // unit.group}"
    return f"{blocks} + softmax({n_classes})"


def train_stack(
    layers: Sequence[RBMParams],
    data: Any,
    configs: Sequence[TrainConfig],
    *,
    propagate: Propagation = "sample",
    labels: Any = None,
    state: StackState | None = None,
    validation: Any = None,
    callbacks: Sequence[Any] = (),
    progress: bool | None = None,
) -> StackState:
    """Train each layer on what the trained ones below make of the data, in place (Hinton, Osindero and Teh 2006).

    Rows go up a block at a time; only what fits a layer's buffer_bytes is kept in memory.

    Args:
        layers: from the data up; each has as many visible units as the one below has hidden ones, the top one a softmax
            of the classes behind them where labels are given.
        data: as in rbmx.train, without missing entries; read once for each layer, so no iterator.
        configs: settings of each layer.
        propagate: what a layer hands up: "sample": states, which are bits of Bernoulli units, drawn once, the fast and
            exact path; "resample": states drawn anew in each epoch, of which the layer above cannot learn the noise by
            heart: the data are read and taken up once an epoch, not once a layer; "mean": real values.
        labels: int (rows,), learned together with the states below the top layer.
        state: of an earlier call with the same settings, to go on from; layers that are finished are left as they are,
            unless more epochs are asked for now.
        validation: as in rbmx.train; (data, labels) where labels are given.
        callbacks: for each layer in turn.
        progress: a bar for each layer on stderr; None: where stderr is a terminal.

    Returns:
        The state, the one given or a new one.

    Raises:
        ValueError: layers that do not fit one another, or settings of another number of layers.
        DataError, DivergedError: as in rbmx.train.
    """
    if len(configs) != len(layers):
        raise ValueError(f"configs: expected settings for each of {len(layers)} layers, got {len(configs)}")
    n_classes = classes_of(layers) if labels is not None else None
    require_stack(layers, n_classes)
    state = StackState.initial(len(layers), propagate) if state is None else state
    if len(state.states) != len(layers):
        raise ValueError(f"state: expected one of {len(layers)} layers, got {len(state.states)}")
    if state.begun and state.propagate != propagate:
        raise ValueError(f"propagate: expected {state.propagate!r}, that of the run to go on with, got {propagate!r}")
    dataset = open_rows(data, layers, n_classes)
    if labels is not None and n_classes is not None:
        labels = as_labels(labels, n_classes, dataset.n_rows)
    ascended(dataset, [], mode=propagate, seed=0)  # a mode that there is not is an error before any work
    held_out, held_labels = _open_validation(validation, layers, n_classes)
    state.propagate = propagate
    show = sys.stderr.isatty() if progress is None else progress
    for i, (layer, config) in enumerate(zip(layers, configs, strict=True)):
        own = state.states[i]
        if own is not None and state.finished[i] >= config.epochs:
            continue
        below = ascended(dataset, layers[:i], mode=propagate, seed=config.seed)
        seen = None if held_out is None else ascended(held_out, layers[:i], mode=propagate, seed=config.seed)
        if n_classes is not None and i == len(layers) - 1:
            below = labelled(below, labels, n_classes)
            seen = None if seen is None else labelled(seen, held_labels, n_classes)
        bar = [ProgressBar(f"layer {i + 1}/{len(layers)}")] if show else []
        trainer = Trainer(
            layer,
            below,
            config,
            state=own,
            validation=seen,
            callbacks=[*callbacks, *bar],
            progress=False,
            missing=False,
        )
        try:
            trainer.run()
        finally:
            state.states[i] = trainer.state
            state.histories[i] += trainer.history
            state.finished[i] = config.epochs if trainer.finished else 0
    return state


def _open_validation(
    validation: Any, layers: Sequence[RBMParams], n_classes: int | None
) -> tuple[Dataset | None, NDArray[np.int64] | None]:
    if validation is None or n_classes is None:
        return None if validation is None else open_rows(validation, layers), None
    if not (isinstance(validation, tuple) and len(validation) == 2):
        raise ValueError("validation: expected (data, labels), for the top layer learns labels")
    dataset = open_rows(validation[0], layers, n_classes)
    return dataset, as_labels(validation[1], n_classes, dataset.n_rows)


def classes_of(layers: Sequence[RBMParams]) -> int:
    """How many labels the top layer learns.

    Raises:
        ValueError: no softmax stands behind its visible units.
    """
    unit = layers[-1].visible_unit
    last, count = unit.blocks[-1] if isinstance(unit, Mixed) else (unit, 0)
    if not isinstance(last, Softmax) or count != 1:
        raise ValueError(f"labels: expected a top layer with a softmax of labels (n_classes=), it has {unit.name}")
    return last.group


def open_rows(data: Any, layers: Sequence[RBMParams], n_classes: int | None = None) -> Dataset:
    """The rows that the lowest layer of a stack sees, as rbmx.train opens them.

    Raises:
        DataError: rows of another width, values that are no states, or an iterator, which can be read only once.
    """
    bottom = layers[0]
    width, unit = bottom.n_visible, bottom.visible_unit
    if n_classes is not None and len(layers) == 1:
        width -= n_classes
        unit = unit.select(np.arange(bottom.n_visible) < width)
    dataset = open_source(data, unit=unit)
    if dataset.n_visible != width:
        raise DataError(f"{dataset.name}: expected rows of {width} values (n_visible), got {dataset.n_visible}")
    if dataset.one_pass:
        raise DataError(
            f"{dataset.name}: an iterator gives its blocks once, and a stack reads them for each layer; pass a "
            "function that returns a new iterator, a list of blocks, or an array"
        )
    return dataset
