"""Denoising autoencoders: they learn to put right what noise has spoiled, one layer or a stack of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from rbmx.arguments import check_types
from rbmx.autoencoder import OUTPUTS, Autoencoder
from rbmx.classifier import Classifier, Regressor
from rbmx.encoded import EncodedSource
from rbmx.rng import Draws, Key
from rbmx.tied import TiedLinear
from rbmx.training.backprop import Network
from rbmx.training.history import TuningRecord
from rbmx.training.schedules import Schedule
from rbmx.training.tuner import TuningConfig
from rbmx.tuning import Regularization, activation_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DenoisingAutoencoder", "GaussianNoise", "Masking", "SaltAndPepper", "StackedDenoisingAutoencoder"]


def _require_share(noise: Masking | SaltAndPepper) -> None:
    check_types(noise)
    if not 0 <= noise.share <= 1:
        raise ValueError(f"share: expected a number from 0 to 1, got {noise.share}")


@dataclass(frozen=True)
class Masking:
    """A share of the values of a row becomes 0 (Vincent, Larochelle, Bengio and Manzagol 2008).

    Attributes:
        share: the probability of each value to be lost.
    """

    share: float = 0.3

    def __post_init__(self) -> None:
        _require_share(self)

    def corrupt(self, x: Tensor, draws: Draws) -> Tensor:
        """Rows (rows, units), spoiled."""
        return x * torch.from_numpy(draws.uniform(*x.shape) >= self.share).to(x.device)


@dataclass(frozen=True)
class SaltAndPepper:
    """A share of the values of a row becomes 0 or 1, as a fair coin says (Vincent et al. 2010).

    Attributes:
        share: the probability of each value to be replaced.
    """

    share: float = 0.3

    def __post_init__(self) -> None:
        _require_share(self)

    def corrupt(self, x: Tensor, draws: Draws) -> Tensor:
        """Rows (rows, units), spoiled."""
        u = torch.from_numpy(draws.uniform(*x.shape)).to(x.device)
        return torch.where(u < self.share, (u < self.share / 2).to(x.dtype), x)


@dataclass(frozen=True)
class GaussianNoise:
    """x + N(0, std^2), each value on its own.

    Attributes:
        std: standard deviation of what is added.
    """

    std: float = 0.3

    def __post_init__(self) -> None:
        check_types(self)
        if not (self.std >= 0 and math.isfinite(self.std)):
            raise ValueError(f"std: expected 0 or more, got {self.std}")

    def corrupt(self, x: Tensor, draws: Draws) -> Tensor:
        """Rows (rows, units), spoiled."""
        return x + self.std * torch.from_numpy(draws.normal(*x.shape)).to(x)


Corruption = Masking | SaltAndPepper | GaussianNoise
_NOISES = {cls.__name__: cls for cls in (Masking, SaltAndPepper, GaussianNoise)}


class StackedDenoisingAutoencoder(Autoencoder):
    """A deep autoencoder, pre-trained layer by layer as denoising autoencoders (Vincent et al., JMLR 11, 2010).

        model.pretrain(data)                # each layer learns to restore the means that the layer below hands up
        model.fit(data)                     # all layers together restore spoiled rows
        model.classifier(10).fit(data, labels)

    The noise of a row belongs to its place in the order of an epoch: the same seed spoils the same values.

    Args:
        sizes: units from the data to the code.
        noise: Masking(share), SaltAndPepper(share) or GaussianNoise(std), in pre-training and in fit.
        code, output, tied, seed, device, dtype: as of Autoencoder.
        hidden: activation of the layers between, "sigmoid" or "linear", or one for each.

    Attributes:
        encoder, decoder, history: as of Autoencoder.
        noise: what spoils the rows.
    """

    format: ClassVar[str] = "rbmx.stacked_denoising_autoencoder.1"

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        noise: Corruption = Masking(),
        code: str = "sigmoid",
        output: str = "sigmoid",
        hidden: str | Sequence[str] = "sigmoid",
        tied: bool = False,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not isinstance(noise, Corruption):
            raise ValueError(f"noise: expected Masking(...), SaltAndPepper(...) or GaussianNoise(...), got {noise!r}")
        if not {hidden} <= set(OUTPUTS) if isinstance(hidden, str) else not set(hidden) <= set(OUTPUTS):
            raise ValueError(f"hidden: expected {' or '.join(OUTPUTS)}, which a layer restores, got {hidden!r}")
        super().__init__(
            sizes, code=code, output=output, hidden=hidden, tied=tied, seed=seed, device=device, dtype=dtype
        )
        self.noise = noise
        self._settings["noise"] = {"type": type(noise).__name__, **dataclasses.asdict(noise)}

    @classmethod
    def _from_settings(cls, settings: dict[str, Any], **more: Any) -> Self:
        settings = dict(settings)
        if "noise" in settings:
            values = dict(settings["noise"])
            settings["noise"] = _NOISES[values.pop("type")](**values)
        return cls._of(**settings, **more)

    @classmethod
    def _of(cls, **settings: Any) -> Self:
        return cls(**settings)

    def pretrain(
        self,
        data: Any,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        optimizer: Any = "adam",
        lr: float | None = None,
        momentum: float | None = None,
        weight_decay: float = 0.0,
        schedule: Schedule | None = None,
        shuffle: bool = True,
        callbacks: Sequence[Any] = (),
        seed: int | None = None,
        progress: bool | None = None,
        buffer_bytes: int = TuningConfig.buffer_bytes,
    ) -> list[list[TuningRecord]]:
        """Train layer after layer, from the data up, each on the clean output of those below.

        Args:
            data: as in fit.
            epochs, batch_size, optimizer, lr, momentum, weight_decay: of each layer, as in Autoencoder.fit.
            schedule, shuffle, callbacks, seed, progress, buffer_bytes: as there; the loss is its default.

        Returns:
            The records of each layer.
        """
        key = Key(self._fit_seed(seed))
        lower: list[nn.Module] = []
        records = []
        for i, (up, down) in enumerate(zip(_by_layer(self.encoder), reversed(_by_layer(self.decoder)), strict=True)):
            output = activation_of(down)
            rows = data if i == 0 else EncodedSource.dataset(self._open(data).dataset, lower)
            records.append(
                self._tune(
                    rows,
                    None,
                    stages=[*up, *down],
                    loss="cross_entropy" if output == "sigmoid" else "squared_error",
                    unbounded=output == "linear",
                    optimizer=optimizer,
                    lr=lr,
                    momentum=momentum,
                    regularization=Regularization(),
                    validation=None,
                    callbacks=callbacks,
                    seed=key.fold_in(i).seed,
                    progress=progress,
                    epochs=epochs,
                    batch_size=batch_size,
                    weight_decay=weight_decay,
                    schedule=schedule,
                    shuffle=shuffle,
                    buffer_bytes=buffer_bytes,
                )
            )
            lower += up
        return records

    def classifier(self, n_classes: int, *, seed: int | None = None) -> Classifier:
        """A softmax on a copy of the encoder, to be fine-tuned."""
        return Classifier.from_network(self._encoder_network(), n_classes, **self._like(seed))

    def regressor(self, n_outputs: int = 1, *, seed: int | None = None) -> Regressor:
        """A linear head on a copy of the encoder, to be fine-tuned."""
        return Regressor.from_network(self._encoder_network(), n_outputs, **self._like(seed))

    def _encoder_network(self) -> Network:
        layers = self.network().layers
        return Network(layers[: len(layers) // 2])

    def _like(self, seed: int | None) -> dict[str, Any]:
        weight = self._first_weight
        return {"seed": self._seed if seed is None else seed, "device": weight.device, "dtype": weight.dtype}


class DenoisingAutoencoder(StackedDenoisingAutoencoder):
    """One layer that restores spoiled rows: y = g(W' f(W x~ + b) + c), x~ the row with noise (Vincent et al. 2008).

    Args:
        n_visible, n_hidden: values in a row, and in its code.
        noise: Masking(share), SaltAndPepper(share) or GaussianNoise(std).
        code, output: activations f and g.
        tied: W' = W^T, one parameter.
        seed, device, dtype: as of Autoencoder.

    Attributes:
        encoder, decoder, history, noise: as of StackedDenoisingAutoencoder.
    """

    format = "rbmx.denoising_autoencoder.1"

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        *,
        noise: Corruption = Masking(),
        code: str = "sigmoid",
        output: str = "sigmoid",
        tied: bool = True,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            [n_visible, n_hidden],
            noise=noise,
            code=code,
            output=output,
            tied=tied,
            seed=seed,
            device=device,
            dtype=dtype,
        )

    @classmethod
    def _of(cls, **settings: Any) -> Self:
        sizes, between = settings.pop("sizes"), settings.pop("hidden")
        if len(sizes) != 2 or between:
            raise ValueError(f"layers: expected one, got {len(sizes) - 1}; StackedDenoisingAutoencoder takes more")
        return cls(*sizes, **settings)


def _by_layer(stages: nn.Sequential) -> list[list[nn.Module]]:
    """Each layer with its activation."""
    layers: list[list[nn.Module]] = []
    for stage in stages:
        if isinstance(stage, nn.Linear | TiedLinear):
            layers.append([])
        layers[-1].append(stage)
    return layers
