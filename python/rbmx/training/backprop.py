"""Small feed-forward nets in NumPy: their losses and gradients as sums over rows, so that shards add.

Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323, 1986. What tasks on a
cluster run, where torch is not; checked against autograd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows
from rbmx.backends.native import product
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.units import UnitType

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "Affine",
    "Gradient",
    "Network",
    "flattened",
    "require_labels",
    "require_loss",
    "require_shares",
]

ACTIVATIONS = ("sigmoid", "relu", "linear", "log_softmax")
# what each loss takes at the output: its slope by the net input is then a difference, or stable
LOSSES = {
    "squared_error": ("sigmoid", "relu", "linear"),
    "cross_entropy": ("sigmoid",),
    "nll": ("log_softmax",),
}
MEAN_OF = {"bernoulli": "sigmoid", "gaussian": "linear", "gaussian(learned)": "linear"}

Array = NDArray[np.floating]
Gradient = list[tuple[Array, Array]]


@dataclass(eq=False)
class Affine:
    """y = f(W x + b).

    Attributes:
        weight: W, (n_out, n_in), float32 or float64.
        bias: b, (n_out,), of the same dtype.
        activation: f: "sigmoid", "relu", "linear" or "log_softmax".
    """

    weight: Array
    bias: Array
    activation: str = "sigmoid"

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        if self.weight.ndim != 2 or self.weight.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"weight: expected float32 or float64 (n_out, n_in), got {self.weight.dtype} {self.weight.shape}"
            )
        if self.bias.shape != (self.n_out,) or self.bias.dtype != self.weight.dtype:
            raise ValueError(
                f"bias: expected {self.weight.dtype} ({self.n_out},), got {self.bias.dtype} {self.bias.shape}"
            )

    @property
    def n_in(self) -> int:
        """Values it takes."""
        return int(self.weight.shape[1])

    @property
    def n_out(self) -> int:
        """Values it gives."""
        return int(self.weight.shape[0])

    @classmethod
    def up(cls, layer: RBMParams) -> Affine:
        """E[h | v] of a machine; the standard deviations of its visible units go into the weights.

        Raises:
            ValueError: units whose mean is none of the activations.
        """
        activation = _activation(layer.hidden_unit, "hidden")
        _activation(layer.visible_unit, "visible")
        return cls(layer.weight / _deviation(layer), layer.hidden_bias.copy(), activation)

    @classmethod
    def down(cls, layer: RBMParams) -> Affine:
        """E[v | h] of a machine; the standard deviations of its visible units go into weights and biases.

        Raises:
            ValueError: units whose mean is none of the activations.
        """
        activation = _activation(layer.visible_unit, "visible")
        deviation = _deviation(layer)
        weight = np.ascontiguousarray((layer.weight * deviation).T)
        return cls(weight, layer.visible_bias * deviation, activation)

    def activate(self, net_input: Array) -> Array:
        """f of net inputs, which are left as they are."""
        if self.activation == "sigmoid":
            return np.asarray((np.tanh(net_input / 2) + 1) / 2)
        if self.activation == "relu":
            return np.maximum(net_input, 0)
        if self.activation == "log_softmax":
            below = net_input - net_input.max(axis=1, keepdims=True)
            return np.asarray(below - np.log(np.exp(below).sum(axis=1, keepdims=True)))
        return net_input

    def slope(self, output: Array) -> Array:
        """f' where f has this value, element by element."""
        if self.activation == "sigmoid":
            return np.asarray(output * (1 - output))
        return (output > 0 if self.activation == "relu" else np.ones_like(output)).astype(output.dtype)


@dataclass(eq=False)
class Network:
    """Affine layers one after another; log_softmax only at the end.

    Attributes:
        layers: from input to output, of one dtype.
        reproducible: float32 products in canonical order, the same bytes on any number of threads and any processor,
            as tasks on a cluster need; else those of BLAS.
    """

    layers: Sequence[Affine]
    reproducible: bool = False

    def __post_init__(self) -> None:
        if not self.layers:
            raise ValueError("layers: expected one or more, got none")
        for i, (lower, upper) in enumerate(pairwise(self.layers)):
            if upper.n_in != lower.n_out or upper.weight.dtype != lower.weight.dtype:
                raise ValueError(
                    f"layers: layer {i} gives {lower.n_out} values of {lower.weight.dtype}, "
                    f"layer {i + 1} takes {upper.n_in} of {upper.weight.dtype}"
                )
            if lower.activation == "log_softmax":
                raise ValueError(f"layers: log_softmax is for the last layer, layer {i} of {len(self.layers)} has it")

    @classmethod
    def from_stack(cls, layers: Sequence[RBMParams], head: Affine | None = None) -> Network:
        """A stack of machines from its data up, each handing on its hidden means; a head on top of them.

        Raises:
            ValueError: machines that do not fit on one another, or units whose mean is none of the activations.
        """
        return cls([*_ups(layers), *([] if head is None else [head])])

    @classmethod
    def autoencoder_of(cls, layers: Sequence[RBMParams], code: str | None = None) -> Network:
        """A stack unrolled: up to the code and down again (Hinton and Salakhutdinov 2006, figure 1).

        Args:
            layers: from the data up.
            code: "linear" or "sigmoid"; None: the mean of the top machine's hidden units.
        """
        ups = _ups(layers)
        if code is not None:
            ups[-1] = replace(ups[-1], activation=code)
        return cls([*ups, *(Affine.down(layer) for layer in reversed(layers))])

    @property
    def n_in(self) -> int:
        """Values in a row of input."""
        return self.layers[0].n_in

    @property
    def n_out(self) -> int:
        """Values in a row of output."""
        return self.layers[-1].n_out

    def copy(self) -> Network:
        """The same numbers in memory of their own."""
        return replace(self, layers=[replace(a, weight=a.weight.copy(), bias=a.bias.copy()) for a in self.layers])

    def forward(self, x: Rows | Array) -> Array:
        """The output for each row, (rows, n_out).

        Args:
            x: (rows, n_in), real values or packed bits.
        """
        return self._pass(x)[1][-1]

    def loss(self, x: Rows | Array, target: Any, loss: str = "squared_error") -> float:
        """The loss summed over rows; arguments as in loss_and_gradient."""
        net_input, outputs = self._pass(x)
        return self._loss(net_input, outputs[-1], self._target(target, loss, len(net_input)), loss)

    def loss_and_gradient(self, x: Rows | Array, target: Any, loss: str = "squared_error") -> tuple[float, Gradient]:
        """The loss and its gradient, both SUMMED over rows.

        Args:
            x: (rows, n_in), real values or packed bits.
            target: (rows, n_out) values or packed bits; for "nll" labels (rows,) from 0 to n_out - 1.
            loss: of a row: "squared_error", |y - t|^2; "cross_entropy", -sum t log y + (1 - t) log(1 - y), for
                sigmoid outputs; "nll", -y[t], for log_softmax outputs.

        Returns:
            The sum (added up in float64), and (dW, db) of each layer, of the layers' dtype.

        Raises:
            ValueError: shapes that do not fit, labels that are none, a loss that does not go with the output.
        """
        net_input, outputs = self._pass(x)
        wanted = self._target(target, loss, len(net_input))
        total = self._loss(net_input, outputs[-1], wanted, loss)
        delta = self._delta(outputs[-1], wanted, loss)
        gradient: Gradient = []
        for i in reversed(range(len(self.layers))):
            gradient.append((self._product(delta.T, outputs[i]), delta.sum(axis=0)))
            if i > 0:
                delta = self._product(delta, self.layers[i].weight) * self.layers[i - 1].slope(outputs[i])
        return total, gradient[::-1]

    def flat(self) -> NDArray[np.float64]:
        """All parameters in one vector, each layer's weight and bias in turn."""
        return flattened([(layer.weight, layer.bias) for layer in self.layers])

    def unflat(self, vector: NDArray[np.float64]) -> Network:
        """The net of this shape whose flat() is the vector, as far as the dtype holds it."""
        size = sum(layer.weight.size + layer.bias.size for layer in self.layers)
        if vector.shape != (size,):
            raise ValueError(f"vector: expected ({size},), got {vector.shape}")
        layers, start = [], 0
        for layer in self.layers:
            middle, stop = start + layer.weight.size, start + layer.weight.size + layer.bias.size
            weight = vector[start:middle].reshape(layer.weight.shape).astype(layer.weight.dtype)
            layers.append(Affine(weight, vector[middle:stop].astype(layer.bias.dtype), layer.activation))
            start = stop
        return replace(self, layers=layers)

    def _pass(self, x: Rows | Array) -> tuple[Array, list[Array]]:
        """The last net input, and the rows with the output of each layer."""
        rows = self._real(x, "x", self.n_in)
        outputs = [rows]
        for layer in self.layers:
            net_input = self._product(outputs[-1], layer.weight.T) + layer.bias
            outputs.append(layer.activate(net_input))
        return net_input, outputs

    def _product(self, a: Array, b: Array) -> Array:
        canonical = self.reproducible and a.dtype == b.dtype == np.float32
        return product(a, b) if canonical else np.asarray(a @ b)

    def _real(self, values: Any, name: str, width: int) -> Array:
        rows: NDArray[Any] = values.unpack() if isinstance(values, PackedBits) else np.asarray(values)
        if rows.ndim != 2 or rows.shape[1] != width:
            raise ValueError(f"{name}: expected (rows, {width}), got {rows.shape}")
        real: Array = rows.astype(self.layers[0].weight.dtype, copy=False)
        return real

    def _target(self, target: Any, loss: str, rows: int, name: str = "target") -> NDArray[Any]:
        require_loss(loss, self.layers[-1].activation)
        if loss == "nll":
            require_labels(target, self.n_out, name)
        if len(target) != rows:
            raise ValueError(f"{name}: expected {rows} rows, one for each row of x, got {len(target)}")
        return np.asarray(target) if loss == "nll" else self._real(target, name, self.n_out)

    def require_targets(self, targets: Any, loss: str) -> None:
        """ValueError where values are no targets of a loss, looked at one by one."""
        wanted = self._target(targets, loss, len(targets), "targets")
        if loss == "cross_entropy":
            require_shares(wanted, "targets")

    @staticmethod
    def _loss(net_input: Array, output: Array, target: NDArray[Any], loss: str) -> float:
        if loss == "nll":
            return -float(output[np.arange(len(target)), target].sum(dtype=np.float64))
        if loss == "squared_error":
            return float(np.square(output - target).sum(dtype=np.float64))
        softplus = np.maximum(net_input, 0) + np.log1p(np.exp(-np.abs(net_input)))
        return float((softplus - target * net_input).sum(dtype=np.float64))

    def _delta(self, output: Array, target: NDArray[Any], loss: str) -> Array:
        """The slope of the loss by the last net input."""
        if loss == "nll":
            delta = np.exp(output)
            delta[np.arange(len(target)), target] -= 1
            return delta
        if loss == "cross_entropy":
            return np.asarray(output - target)
        return np.asarray(2 * (output - target) * self.layers[-1].slope(output))


def flattened(parts: Gradient) -> NDArray[np.float64]:
    """Pairs of weight and bias, or of their gradients, in the order of Network.flat()."""
    return np.concatenate([array.ravel() for pair in parts for array in pair]).astype(np.float64)


def require_loss(loss: str, activation: str) -> None:
    """ValueError where a loss is unknown or does not go with the output's activation."""
    if loss not in LOSSES:
        raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, got {loss!r}")
    if activation not in LOSSES[loss]:
        raise ValueError(f"loss: {loss} goes with {' or '.join(LOSSES[loss])} outputs, got {activation}")


def require_labels(labels: Any, n_classes: int, name: str) -> None:
    """ValueError where labels are not integers (rows,) from 0 to n_classes - 1."""
    values = np.asarray(labels)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integer labels (rows,), got {values.dtype} {values.shape}")
    wrong = (values < 0) | (values >= n_classes)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{name}: expected labels from 0 to {n_classes - 1}, got {values[row]} in row {row}")


def require_shares(values: Array, name: str) -> None:
    """ValueError where values (rows, n) do not lie in [0, 1], as sigmoid outputs do."""
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{name}: expected values in [0, 1], got {values[row, column]} in row {row}, column {column}")


def _ups(layers: Sequence[RBMParams]) -> list[Affine]:
    if not layers:
        raise ValueError("layers: expected one machine or more, got none")
    for i, (lower, upper) in enumerate(pairwise(layers)):
        if upper.n_visible != lower.n_hidden:
            raise ValueError(
                f"layers: machine {i} has {lower.n_hidden} hidden units, machine {i + 1} {upper.n_visible} visible ones"
            )
    return [Affine.up(layer) for layer in layers]


def _activation(unit: UnitType, side: str) -> str:
    if unit.name not in MEAN_OF:
        raise ValueError(
            f"layers: expected {side} units of {', '.join(MEAN_OF)}, whose mean a net has, got {unit.name}"
        )
    return MEAN_OF[unit.name]


def _deviation(layer: RBMParams) -> Array:
    """The visible units' standard deviations, by which a machine of learned variances divides what it sees."""
    if layer.log_variance is None:
        return np.ones(layer.n_visible, np.float32)
    return np.asarray(layer.visible_unit.mean(np.ones((1, layer.n_visible)))[0], np.float32)
