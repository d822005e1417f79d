"""Autoencoders: a code that data can be put together again from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rbmx.feed_forward import FeedForward, activation_stage, affine_stages, params_of, require_sizes
from rbmx.params import RBMParams
from rbmx.sampling import RBMSampler
from rbmx.tied import TiedLinear
from rbmx.training.backprop import Network, require_loss
from rbmx.training.examples import Examples, open_examples
from rbmx.training.history import TuningRecord
from rbmx.training.schedules import Schedule
from rbmx.training.tuner import TuningConfig
from rbmx.tuning import Regularization, blocks, measure

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Autoencoder"]

CODES = ("linear", "sigmoid", "relu")
OUTPUTS = ("sigmoid", "linear")


class Autoencoder(FeedForward):
    """x -> code -> x, by layers of W x + b (Hinton and Salakhutdinov, Science 313, 2006).

    Args:
        sizes: units from the data to the code, [784, 1000, 500, 250, 30]; the decoder goes back through them.
        code: activation of the code: "linear", "sigmoid" or "relu".
        output: "sigmoid" for data in [0, 1], "linear" for any real values.
        hidden: activation of the layers between, "sigmoid", "relu" or "linear", or one for each.
        tied: the decoder's weights are the encoder's transposed, one parameter each.
        seed: of the initial weights, orders and noise; None: drawn from torch's generator.
        device, dtype: of the parameters.

    Attributes:
        encoder, decoder: nn.Sequential of layers and activations.
        history: TuningRecords of all fits.

    Raises:
        ValueError: sizes or activations that are none.
    """

    format = "rbmx.autoencoder.1"
    encoder: nn.Sequential
    decoder: nn.Sequential

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        code: str = "linear",
        output: str = "sigmoid",
        hidden: str | Sequence[str] = "sigmoid",
        tied: bool = False,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = require_sizes(sizes)
        between = [hidden] * (len(sizes) - 2) if isinstance(hidden, str) else list(hidden)
        if len(between) != len(sizes) - 2 or not set(between) <= set(CODES):
            raise ValueError(f"hidden: expected {', '.join(CODES)} for {len(sizes) - 2} layers, got {hidden!r}")
        for name, value, known in (("code", code, CODES), ("output", output, OUTPUTS)):
            if value not in known:
                raise ValueError(f"{name}: expected {' or '.join(known)}, got {value!r}")
        settings = {"sizes": sizes, "code": code, "output": output, "hidden": between, "tied": bool(tied)}
        super().__init__(settings, seed)
        self.encoder = affine_stages(sizes, [*between, code], device=device, dtype=dtype)
        if tied:
            self.decoder = _tied_decoder(self.encoder, [*between[::-1], output])
        else:
            self.decoder = affine_stages(sizes[::-1], [*between[::-1], output], device=device, dtype=dtype)
        self.reset_parameters()

    @classmethod
    def from_layers(
        cls,
        layers: Sequence[RBMParams | RBMSampler],
        *,
        code: str | None = None,
        tied: bool = False,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """A stack of machines unrolled: up by E[h | v], down by E[v | h].

        Args:
            layers: RBMParams or rbmx.RBM, from the data up, of Bernoulli or Gaussian units.
            code: "linear" or "sigmoid" instead of the mean of the top machine's hidden units.
            tied, seed, device, dtype: as of the class.

        Raises:
            ValueError: machines that do not fit on one another; units whose mean no layer computes; tied weights where
                visible units have variances of their own, by which one side divides and the other multiplies.
        """
        machines = params_of(layers)
        network = Network.autoencoder_of(machines, code)
        activations = [affine.activation for affine in network.layers]
        n = len(machines)
        if activations[: n - 1] != activations[n:-1][::-1]:
            raise ValueError("layers: expected visible units of the same type as the hidden units of the machine below")
        if tied and any(machine.log_variance is not None for machine in machines):
            raise ValueError("tied: expected visible units without learned variances; leave weights free")
        model = cls._from_settings(
            {
                "sizes": [network.n_in, *(affine.n_out for affine in network.layers[:n])],
                "code": activations[n - 1],
                "output": activations[-1],
                "hidden": activations[: n - 1],
                "tied": tied,
            },
            seed=seed,
            device=device,
            dtype=dtype,
        )
        return model.load_network(network)

    def stages(self) -> list[nn.Module]:
        """Layers and activations from the data to its reconstruction."""
        return [*self.encoder, *self.decoder]

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, (rows, n_visible)."""
        reconstruction: Tensor = self.decoder(self.encoder(x))
        return reconstruction

    def encode(self, x: Tensor) -> Tensor:
        """The code, (rows, n_code), differentiable; transform takes whatever fit does."""
        code: Tensor = self.encoder(x)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """What a code stands for, (rows, n_visible)."""
        x: Tensor = self.decoder(code)
        return x

    def fit(
        self,
        data: Any,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        optimizer: Any = "adam",
        lr: float | None = None,
        momentum: float | None = None,
        loss: str | None = None,
        weight_decay: float = 0.0,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        max_norm: float | None = None,
        schedule: Schedule | None = None,
        shuffle: bool = True,
        validation: Any = None,
        patience: int | None = None,
        callbacks: Sequence[Any] = (),
        seed: int | None = None,
        progress: bool | None = None,
        buffer_bytes: int = TuningConfig.buffer_bytes,
        first_epoch: int = 0,
    ) -> list[TuningRecord]:
        """Learn to reconstruct the data.

        Args:
            data: whatever rbmx.data.open_source takes; values in [0, 1] for sigmoid outputs.
            epochs: passes over the data; iterations of "lbfgs" and "cg".
            batch_size: rows of a minibatch; "lbfgs" and "cg" take all rows, in blocks that bound the memory.
            optimizer: "sgd", "nesterov", "adam", "rmsprop", SGD(...), Adam(...), RMSProp(...), a class of torch.optim,
                an instance of one over this module's parameters, "lbfgs" or "cg".
            lr, momentum: instead of the optimizer's own.
            loss: of a row: "cross_entropy", -sum x log y + (1 - x) log(1 - y), for sigmoid outputs, whose default it
                is; "squared_error", |y - x|^2.
            weight_decay: half of it times the squares of the weights is added to the mean loss.
            dropout, input_dropout: shares of hidden units, those of the code too, and of inputs without which each
                row goes.
            max_norm: the largest length of a hidden unit's incoming weights.
            schedule: schedule(epoch, epochs) -> factor of the rate.
            shuffle: visit rows in a new seeded order each epoch.
            validation: rows to measure after each epoch.
            patience: stop when validation_loss has not improved for so many epochs, and go back to the best.
            callbacks: objects with any of the methods of rbmx.training.Callback; they get a FineTuner.
            seed: an int repeats exactly; None: drawn from the module's seed and the epochs that are done, or from
                torch's generator.
            progress: a bar on stderr; None: where stderr is a terminal.
            buffer_bytes: larger data stream through a buffer of this size.
            first_epoch: epochs that are done already: with the optimizer instance that did them (or a new one with its
                state_dict), and the same seed, the run goes on as if it had not been interrupted.

        Returns:
            The records of this call.

        Raises:
            DataError, ValueError: what does not fit, before any work.
            DivergedError: a loss that is not finite.
        """
        loss = loss or ("cross_entropy" if self._output == "sigmoid" else "squared_error")
        require_loss(loss, self._output)
        return self._tune(
            data,
            None,
            loss=loss,
            unbounded=self._output == "linear",
            optimizer=optimizer,
            lr=lr,
            momentum=momentum,
            regularization=Regularization(dropout, input_dropout, max_norm),
            validation=None if validation is None else (validation, None),
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

    def transform(self, data: Any) -> Tensor:
        """The codes of all rows without gradients, (rows, n_code); data as in fit."""
        return self._through(self.encoder, data)

    def reconstruct(self, data: Any) -> Tensor:
        """decode(encode(x)) for all rows without gradients, (rows, n_visible); data as in fit."""
        return self._through(self, data)

    @torch.no_grad()
    def _through(self, module: nn.Module, data: Any) -> Tensor:
        """The module's output for all rows, a block at a time."""
        return torch.cat([module(x) for x, _ in blocks(self._open(data), next(self.parameters()))])

    def reconstruction_error(self, data: Any) -> float:
        """The mean over rows of |y - x|^2, y the reconstruction of x: squared errors summed over a row's values."""
        return measure(self.stages(), self._open(data), "squared_error")[1]

    def _open(self, data: Any) -> Examples:
        n_in = int(self._first_weight.shape[1])
        return open_examples(data, None, n_in=n_in, unbounded=self._output == "linear")

    @property
    def _output(self) -> str:
        return str(self._settings["output"])


def _tied_decoder(encoder: nn.Sequential, activations: Sequence[str]) -> nn.Sequential:
    layers = [stage for stage in encoder if isinstance(stage, nn.Linear)]
    stages: list[nn.Module] = []
    for layer, activation in zip(reversed(layers), activations, strict=True):
        stages += [TiedLinear(layer), *activation_stage(activation)]
    return nn.Sequential(*stages)
