"""Nets that learn from targets: a classifier with log-softmax on top, a regressor with a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rbmx.arguments import whole_number
from rbmx.feed_forward import FeedForward, affine_stages, params_of, require_sizes
from rbmx.params import MAX_UNITS, RBMParams
from rbmx.sampling import RBMSampler
from rbmx.training.backprop import Network, require_labels
from rbmx.training.examples import open_examples
from rbmx.training.history import TuningRecord
from rbmx.training.schedules import Schedule
from rbmx.training.tuner import TuningConfig
from rbmx.tuning import Regularization, blocks

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Classifier", "Regressor"]

HIDDEN = ("sigmoid", "relu", "linear")


class _Supervised(FeedForward):
    """Hidden layers and a head; the head's activation and loss are the subclass's."""

    head: str
    loss: str
    layers: nn.Sequential

    def __init__(
        self,
        sizes: Sequence[int],
        n_outputs: int,
        hidden: str | Sequence[str],
        seed: int | None,
        settings: dict[str, Any],
        factory: dict[str, Any],
    ) -> None:
        sizes = require_sizes(sizes, at_least=1)
        activations = [hidden] * (len(sizes) - 1) if isinstance(hidden, str) else list(hidden)
        if len(activations) != len(sizes) - 1 or not set(activations) <= set(HIDDEN):
            raise ValueError(f"hidden: expected {', '.join(HIDDEN)} for {len(sizes) - 1} layers, got {hidden!r}")
        super().__init__({"sizes": sizes, **settings, "hidden": activations}, seed)
        self.layers = affine_stages([*sizes, n_outputs], [*activations, self.head], **factory)
        self.reset_parameters()

    @classmethod
    def from_layers(cls, layers: Sequence[RBMParams | RBMSampler], n_outputs: int, **settings: Any) -> Self:
        """A net whose hidden layers compute the hidden means of a stack of machines, under a head of random weights.

        Args:
            layers: RBMParams or rbmx.RBM, from the data up, of Bernoulli or Gaussian units.
            n_outputs: classes, or outputs.
            settings: seed, device and dtype, as of the class.

        Raises:
            ValueError: machines that do not fit on one another; units whose mean no layer computes.
        """
        return cls.from_network(Network.from_stack(params_of(layers)), n_outputs, **settings)

    @classmethod
    def from_network(cls, network: Network, n_outputs: int, **settings: Any) -> Self:
        """A head of random weights on a net, such as the encoder of an autoencoder; arguments as in from_layers."""
        sizes = [network.n_in, *(affine.n_out for affine in network.layers)]
        model = cls(sizes, n_outputs, hidden=[affine.activation for affine in network.layers], **settings)
        return model.load_network(Network([*network.layers, model.network().layers[-1]]))

    def stages(self) -> list[nn.Module]:
        """Layers and activations from the data to the head."""
        return list(self.layers)

    def forward(self, x: Tensor) -> Tensor:
        """The head's output, (rows, outputs)."""
        output: Tensor = self.layers(x)
        return output

    def fit(
        self,
        data: Any,
        targets: Any,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        optimizer: Any = "adam",
        lr: float | None = None,
        momentum: float | None = None,
        weight_decay: float = 0.0,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        max_norm: float | None = None,
        schedule: Schedule | None = None,
        shuffle: bool = True,
        validation: tuple[Any, Any] | None = None,
        patience: int | None = None,
        callbacks: Sequence[Any] = (),
        seed: int | None = None,
        progress: bool | None = None,
        buffer_bytes: int = TuningConfig.buffer_bytes,
        first_epoch: int = 0,
    ) -> list[TuningRecord]:
        """Learn the targets, all layers together.

        Args:
            data: whatever rbmx.data.open_source takes.
            targets: one for each row: of a Classifier labels (rows,), integers from 0 to n_classes - 1; of a Regressor
                real values, (rows,) or (rows, n_outputs).
            validation: (data, targets) to measure after each epoch.
            epochs, batch_size, optimizer, lr, momentum: as in Autoencoder.fit.
            weight_decay, dropout, input_dropout, max_norm, schedule, shuffle: as there.
            patience, callbacks, seed, progress, buffer_bytes, first_epoch: as there.

        Returns:
            The records of this call.

        Raises:
            DataError, ValueError: what does not fit, before any work.
            DivergedError: a loss that is not finite.
        """
        if validation is not None and not (isinstance(validation, tuple) and len(validation) == 2):
            raise ValueError(f"validation: expected (data, {self._targets_name}), got {type(validation).__name__}")
        return self._tune(
            data,
            self._targets(targets, self._targets_name),
            loss=self.loss,
            unbounded=True,
            optimizer=optimizer,
            lr=lr,
            momentum=momentum,
            regularization=Regularization(dropout, input_dropout, max_norm),
            validation=validation and (validation[0], self._targets(validation[1], f"validation {self._targets_name}")),
            callbacks=callbacks,
            seed=seed,
            progress=progress,
            epochs=epochs,
            batch_size=batch_size,
            weight_decay=weight_decay,
            schedule=schedule,
            shuffle=shuffle,
            patience=patience,
            buffer_bytes=buffer_bytes,
            first_epoch=first_epoch,
        )

    @torch.no_grad()
    def _outputs(self, data: Any) -> Tensor:
        """The head's output for all rows, 1,000 at a time."""
        weight = self._first_weight
        examples = open_examples(data, None, n_in=int(weight.shape[1]), unbounded=True)
        return torch.cat([self(x) for x, _ in blocks(examples, weight)])

    def _targets(self, values: Any, name: str) -> NDArray[Any]:
        raise NotImplementedError


class Classifier(_Supervised):
    """Hidden layers under a softmax: log p(class | x) = log_softmax(W h(x) + b).

    Args:
        sizes: units from the data to the last hidden layer, [784, 500, 100]; [784] alone is logistic regression.
        n_classes: classes 0 to n_classes - 1.
        hidden: activation of the hidden layers, "sigmoid", "relu" or "linear", or one for each.
        seed: of the initial weights, orders and dropout; None: drawn from torch's generator.
        device, dtype: of the parameters.

    Attributes:
        layers: nn.Sequential of layers and activations, log-softmax at its end.
        history: TuningRecords of all fits.
    """

    format = "rbmx.classifier.1"
    head, loss, _targets_name = "log_softmax", "nll", "labels"

    def __init__(
        self,
        sizes: Sequence[int],
        n_classes: int,
        *,
        hidden: str | Sequence[str] = "sigmoid",
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        n_classes = whole_number("n_classes", n_classes)
        if not 2 <= n_classes <= MAX_UNITS:
            raise ValueError(f"n_classes: expected 2 or more, got {n_classes}")
        self.n_classes = n_classes
        super().__init__(sizes, n_classes, hidden, seed, {"n_classes": n_classes}, {"device": device, "dtype": dtype})

    def predict(self, data: Any) -> Tensor:
        """The most probable class of each row, int64 (rows,); data as in fit."""
        return self._outputs(data).argmax(1)

    def predict_proba(self, data: Any) -> Tensor:
        """p(class | x), (rows, n_classes)."""
        return self._outputs(data).exp()

    def score(self, data: Any, labels: Any) -> float:
        """The share of rows whose class is predicted.

        Raises:
            ValueError: labels that are none of the classes, or of another length.
        """
        wanted, found = self._targets(labels, "labels"), self.predict(data).cpu().numpy()
        if len(wanted) != len(found):
            raise ValueError(f"labels: expected {len(found)}, one for each row of the data, got {wanted.shape}")
        return float(np.mean(wanted == found))

    def _targets(self, values: Any, name: str) -> NDArray[Any]:
        labels = _array(values)
        require_labels(labels, self.n_classes, name)
        return labels.astype(np.int64)


class Regressor(_Supervised):
    """Hidden layers under a linear head: y = W h(x) + b, tuned to the least squared error.

    The stacked autoencoder that predicts traffic flow (Lv, Duan, Kang, Li and Wang 2015) is from_layers of a stack,
    or the regressor of a StackedDenoisingAutoencoder.

    Args:
        sizes: units from the data to the last hidden layer; [n] alone is linear regression.
        n_outputs: values to predict.
        hidden, seed, device, dtype: as of Classifier.

    Attributes:
        layers: nn.Sequential of layers and activations.
        history: TuningRecords of all fits.
    """

    format = "rbmx.regressor.1"
    head, loss = "linear", "squared_error"

    def __init__(
        self,
        sizes: Sequence[int],
        n_outputs: int = 1,
        *,
        hidden: str | Sequence[str] = "sigmoid",
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        n_outputs = whole_number("n_outputs", n_outputs)
        if not 1 <= n_outputs <= MAX_UNITS:
            raise ValueError(f"n_outputs: expected 1 or more, got {n_outputs}")
        self.n_outputs = n_outputs
        super().__init__(sizes, n_outputs, hidden, seed, {"n_outputs": n_outputs}, {"device": device, "dtype": dtype})

    def predict(self, data: Any) -> Tensor:
        """The outputs for each row: (rows,) of one output, else (rows, n_outputs)."""
        output = self._outputs(data)
        return output[:, 0] if self.n_outputs == 1 else output

    def score(self, data: Any, targets: Any) -> float:
        """R^2: 1 - squared error / squared deviation from the mean, averaged over outputs; 1 is perfect.

        Raises:
            ValueError: targets of another shape, or that do not vary.
        """
        wanted = self._targets(targets, "targets").astype(np.float64)
        found = self._outputs(data).double().cpu().numpy()
        if len(wanted) != len(found):
            raise ValueError(f"targets: expected {len(found)}, one for each row of the data, got {wanted.shape}")
        deviation = np.square(wanted - wanted.mean(axis=0)).sum(axis=0)
        if not deviation.all():
            raise ValueError("targets: expected values that vary in each output, R^2 compares with their deviation")
        return float(np.mean(1 - np.square(wanted - found).sum(axis=0) / deviation))

    def _targets(self, values: Any, name: str) -> NDArray[Any]:
        """Real values as (rows, n_outputs)."""
        wanted = _array(values)
        if wanted.dtype.kind not in "biuf":
            raise ValueError(f"{name}: expected real numbers, got {wanted.dtype}")
        if wanted.ndim == 1 and self.n_outputs == 1:
            wanted = wanted[:, None]
        if wanted.ndim != 2 or wanted.shape[1] != self.n_outputs:
            raise ValueError(f"{name}: expected (rows, {self.n_outputs}), got {wanted.shape}")
        wanted = wanted.astype(np.float64 if wanted.dtype.itemsize > 4 else np.float32)
        known = np.isfinite(wanted).all(axis=1)
        if not known.all():
            raise ValueError(f"{name}: expected finite values, got {wanted[known.argmin()]} in row {known.argmin()}")
        return wanted


def _array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
