"""Fine-tuning in NumPy: the same epochs as torch's nets, byte-repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rbmx.backends import Rows, as_array
from rbmx.backends.loop import move
from rbmx.training.backprop import Network, flattened, require_loss
from rbmx.training.examples import Examples, open_examples
from rbmx.training.feed import Window
from rbmx.training.history import TuningRecord
from rbmx.training.minimizing import METHODS
from rbmx.training.optimizers import SGD, Optimizer, optimizer_from
from rbmx.training.tuner import FineTuner, Places, TuningConfig, Vector

__all__ = ["fine_tune"]


def fine_tune(
    network: Network,
    data: Any,
    targets: Any = None,
    *,
    loss: str = "squared_error",
    optimizer: Optimizer | str = "sgd",
    validation: Any = None,
    callbacks: Sequence[Any] = (),
    progress: bool | None = None,
    **settings: Any,
) -> list[TuningRecord]:
    """Tune a net in place, in NumPy: the same bytes from the same seed for one number of BLAS threads.

    A float32 net that is `reproducible` has them for any number of threads and on any processor.

    Args:
        network: changed in place.
        data: whatever rbmx.data.open_source takes.
        targets: (rows, n_out) values, or labels (rows,) for "nll"; None: the rows themselves.
        loss: "squared_error", "cross_entropy" or "nll"; as in Network.loss_and_gradient.
        optimizer: "sgd", "nesterov", "adam", "rmsprop", one with settings, or "lbfgs" or "cg".
        validation: rows, or (rows, targets), measured after each epoch.
        callbacks: objects with any of the methods of rbmx.training.Callback.
        progress: a bar on stderr; None: where stderr is a terminal.
        settings: of a TuningConfig: epochs=, batch_size=, seed=, patience= ...

    Raises:
        DataError, ValueError: what does not fit, before any work.
        DivergedError: a loss that is not finite.
    """
    if optimizer in METHODS:
        settings["method"], optimizer = optimizer, SGD()
    rule = optimizer_from(optimizer, or_else="'lbfgs' or 'cg'")
    config = TuningConfig(**settings)
    examples = _open(network, data, targets, loss)
    held_out = None
    if validation is not None:
        rows, wanted = validation if isinstance(validation, tuple) else (validation, None)
        held_out = _open(network, rows, wanted, loss)
    learner = _NetworkLearner(network, examples, loss, rule, config.weight_decay, held_out)
    return FineTuner(learner, examples.dataset, config, callbacks=callbacks, progress=progress).run()


def _open(network: Network, data: Any, targets: Any, loss: str) -> Examples:
    require_loss(loss, network.layers[-1].activation)
    bounded = targets is None and network.layers[-1].activation == "sigmoid"
    examples = open_examples(data, targets, n_in=network.n_in, unbounded=not bounded)
    network.require_targets(examples.targets if targets is not None else np.zeros((1, network.n_in)), loss)
    return examples


class _NetworkLearner:
    """A Network with an optimizer's moments, in the dtype of its parameters."""

    def __init__(
        self,
        network: Network,
        examples: Examples,
        loss: str,
        optimizer: Optimizer,
        weight_decay: float,
        validation: Examples | None,
    ) -> None:
        self.network, self.lr = network, optimizer.lr
        self._examples, self._loss, self._validation = examples, loss, validation
        self._optimizer, self._weight_decay = optimizer, weight_decay
        self._parameters = [array for layer in network.layers for array in (layer.weight, layer.bias)]
        update = optimizer.update(optimizer.lr)
        self._velocity = [np.zeros_like(a) if update.has_velocity else None for a in self._parameters]
        self._squares = [np.zeros_like(a) if update.has_squares else None for a in self._parameters]
        self._steps = 0
        self._total = 0.0

    @property
    def has_validation(self) -> bool:
        return self._validation is not None

    def take(self, window: Window) -> None:
        self._rows: Rows = window.rows
        self._targets = self._examples.of(window)

    def learn(self, places: Places, factor: float, epoch: int, first: int) -> None:
        total, gradient = self._sums(places)
        self._total += total
        self._steps += 1
        slopes = [slope / -len(places) for pair in gradient for slope in pair]
        plain = self._optimizer.update(self.lr * factor)
        for i, (parameter, slope) in enumerate(zip(self._parameters, slopes, strict=True)):
            rule = replace(plain, weight_decay=self._weight_decay) if parameter.ndim == 2 else plain
            move(parameter, slope, self._velocity[i], self._squares[i], rule, self._steps)

    def take_loss(self) -> float:
        total, self._total = self._total, 0.0
        return total

    def loss_and_gradient(self, places: Places, first: int) -> tuple[float, Vector]:
        total, gradient = self._sums(places)
        return total, flattened(gradient)

    def flat(self) -> Vector:
        return self.network.flat()

    def set_flat(self, vector: Vector) -> None:
        for layer, other in zip(self.network.layers, self.network.unflat(vector).layers, strict=True):
            layer.weight[...], layer.bias[...] = other.weight, other.bias

    def decaying(self) -> Vector:
        return np.concatenate([np.full(array.size, float(array.ndim == 2)) for array in self._parameters])

    def validate(self) -> tuple[float, float] | None:
        if self._validation is None:
            return None
        total, wrong, rows = 0.0, 0.0, 0
        for first, block in self._validation.dataset.blocks():
            targets = self._validation.targets
            target = as_array(block) if targets is None else targets[first : first + len(block)]
            output = self.network.forward(block)
            total += self.network.loss(block, target, self._loss)
            rows += len(block)
            if self._loss == "nll":
                wrong += float((output.argmax(axis=1) != target).sum())
            else:
                wrong += float(np.square(output - target).sum(dtype=np.float64))
        return total / rows, wrong / rows

    def _sums(self, places: Places) -> tuple[float, Any]:
        rows = as_array(self._rows[places])
        target = rows if self._targets is None else self._targets[places]
        return self.network.loss_and_gradient(rows, target, self._loss)
