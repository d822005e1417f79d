"""What all nets of torch share: affine layers from a seed or from a stack of machines, one way to be tuned, files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from rbmx.arguments import whole_number
from rbmx.files import write_atomically
from rbmx.layer import torch_seed
from rbmx.model_file import interpreting, read_model
from rbmx.params import MAX_UNITS, RBMParams
from rbmx.rng import Key, Purpose, uniform
from rbmx.sampling import RBMSampler
from rbmx.tied import TiedLinear
from rbmx.training.backprop import Affine, Network
from rbmx.training.examples import Examples, open_examples
from rbmx.training.history import TuningRecord
from rbmx.training.minimizing import METHODS
from rbmx.training.tuner import FineTuner, TuningConfig
from rbmx.tuning import ACTIVATION_OF, ModuleLearner, Noise, Regularization, activation_of, stepper_from

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FeedForward", "activation_stage", "affine_stages", "params_of", "require_sizes"]

GAINS = {"sigmoid": 4.0, "relu": math.sqrt(2)}
MODULE_OF = {name: module for module, name in ACTIVATION_OF.items()}


class FeedForward(nn.Module):
    """Base of Autoencoder, Classifier and Regressor.

    Attributes:
        history: TuningRecords of all fits.
        noise: what spoils the rows that it is tuned on, None: nothing.
    """

    format: ClassVar[str]
    noise: Noise | None = None

    def __init__(self, settings: dict[str, Any], seed: int | None) -> None:
        super().__init__()
        self._settings, self._seed = settings, None if seed is None else whole_number("seed", seed)
        self.history: list[TuningRecord] = []

    def stages(self) -> list[nn.Module]:
        """Layers and activations from input to output."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Weights uniform in +-g sqrt(6 / (n_in + n_out)) (Glorot and Bengio 2010), biases zero.

        The gain g keeps variances through an activation: 4 for a sigmoid, whose slope at 0 is 1/4, sqrt(2) for ReLU,
        else 1.
        """
        key = Key(self._own_seed()).fold_in(Purpose.INITIAL_WEIGHTS)
        with torch.no_grad():
            stages = self.stages()
            for i, layer in enumerate(self._layers()):
                layer.bias.zero_()
                if isinstance(layer, nn.Linear):
                    gain = GAINS.get(activation_of(stages[: stages.index(layer) + 2]), 1.0)
                    weight = gain * _glorot(key.fold_in(i), *layer.weight.shape)
                    layer.weight.copy_(torch.from_numpy(weight))

    def network(self) -> Network:
        """A copy of the net as NumPy arrays, float32 or float64, as jobs over shards train it."""
        affines: list[Affine] = []
        for stage in self.stages():
            if isinstance(stage, nn.Linear | TiedLinear):
                weight, bias = _array(stage.weight), _array(stage.bias)
                matrix = weight.T.copy() if isinstance(stage, TiedLinear) else weight
                affines.append(Affine(matrix, bias, "linear"))
            else:
                affines[-1] = replace(affines[-1], activation=ACTIVATION_OF[type(stage)])
        return Network(affines)

    @torch.no_grad()
    def load_network(self, network: Network) -> Self:
        """Take the parameters of a net of the same shape.

        Raises:
            ValueError: a net of another shape, or of free weights where they are tied here.
        """
        layers = self._layers()
        sizes = [(layer.in_features, layer.out_features) for layer in layers]
        given = [(affine.n_in, affine.n_out) for affine in network.layers]
        if given != sizes:
            raise ValueError(f"network: expected layers of {sizes} (inputs, outputs), got {given}")
        n = len(layers)
        for i, layer in enumerate(layers):
            partner = network.layers[n - 1 - i].weight.T
            if isinstance(layer, TiedLinear) and not np.array_equal(network.layers[i].weight, partner):
                raise ValueError(
                    f"network: expected weights of layer {i} that are those of layer {n - 1 - i} transposed"
                )
        for layer, affine in zip(layers, network.layers, strict=True):
            layer.bias.copy_(torch.from_numpy(np.array(affine.bias)))
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(torch.from_numpy(np.array(affine.weight)))
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write settings, parameters and history to one safetensors file, atomically; rbmx.load reads it."""
        about = {
            "format": self.format,
            "settings": self._settings,
            "seed": self._seed,
            "history": [record.to_json() for record in self.history],
        }
        tensors = {name: parameter.detach().contiguous() for name, parameter in self.named_parameters()}
        metadata = {name: json.dumps(value) for name, value in about.items()}
        write_atomically(path, safetensors.torch.save(tensors, metadata))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: Any = None, dtype: torch.dtype | None = None) -> Self:
        """The net that save() wrote; dtype: instead of the file's.

        Raises:
            CheckpointError: the file is no such net, or damaged.
            OSError: it cannot be read.
        """
        about, tensors = read_model(path, cls.format, "pt")
        with interpreting(path):
            own = next(iter(tensors.values())).dtype
            model = cls._from_settings(about["settings"], seed=0, device=device, dtype=dtype or own)
            parameters = dict(model.named_parameters())
            if parameters.keys() != tensors.keys():
                raise KeyError(f"parameters {sorted(parameters.keys() ^ tensors.keys())}")
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.copy_(tensors[name])
            model._seed = about["seed"]
            model.history = [TuningRecord(**record) for record in about["history"]]
            return model

    @classmethod
    def _from_settings(cls, settings: dict[str, Any], **more: Any) -> Self:
        return cls(**settings, **more)

    def _layers(self) -> list[nn.Linear | TiedLinear]:
        return [stage for stage in self.stages() if isinstance(stage, nn.Linear | TiedLinear)]

    def _own_seed(self) -> int:
        return int(torch_seed()) if self._seed is None else self._seed

    def _fit_seed(self, seed: int | None, first_epoch: int = 0) -> int:
        """The seed of a fit: of the module's, another one for each number of epochs that were done before the run."""
        if seed is not None:
            return seed
        before = len(self.history) - first_epoch
        return Key(self._own_seed()).fold_in(Purpose.TRAINING).fold_in(before).seed if before > 0 else self._own_seed()

    @property
    def _first_weight(self) -> Tensor:
        return self._layers()[0].weight

    def _tune(
        self,
        data: Any,
        targets: Any,
        *,
        loss: str,
        unbounded: bool,
        optimizer: Any,
        lr: float | None,
        momentum: float | None,
        regularization: Regularization,
        validation: tuple[Any, Any] | None,
        callbacks: Sequence[Any],
        seed: int | None,
        progress: bool | None,
        stages: Sequence[nn.Module] | None = None,
        **settings: Any,
    ) -> list[TuningRecord]:
        """The fit of all nets, of some of the stages where they are given; settings: of a TuningConfig."""
        stages = self.stages() if stages is None else stages
        seed = self._fit_seed(seed, settings.get("first_epoch", 0))
        method = optimizer if isinstance(optimizer, str) and optimizer in METHODS else "minibatches"
        if method != "minibatches" and regularization != Regularization():
            raise ValueError(f"dropout, max_norm: go with minibatches, not with {method}")
        config = TuningConfig(seed=seed, method=method, **settings)
        decay = config.weight_decay
        stepper = stepper_from(optimizer, nn.ModuleList(stages), lr=lr, momentum=momentum, weight_decay=decay)
        n_in = int(next(nn.ModuleList(stages).parameters()).shape[1])

        def examples_of(rows: Any, wanted: Any, name: str) -> Examples:
            return open_examples(rows, wanted, n_in=n_in, unbounded=unbounded, name=name)

        examples = examples_of(data, targets, self._targets_name)
        held_out = validation and examples_of(*validation, f"validation {self._targets_name}")
        learner = ModuleLearner(
            stages,
            examples,
            loss=loss,
            stepper=stepper,
            regularization=regularization,
            noise=self.noise,
            seed=seed,
            validation=held_out,
        )
        tuner = FineTuner(learner, examples.dataset, config, callbacks=callbacks, progress=progress)
        try:
            return tuner.run()
        finally:
            self.history += tuner.history

    _targets_name = "targets"


def require_sizes(sizes: Sequence[int], at_least: int = 2) -> list[int]:
    """The sizes of layers; ValueError where they are none."""
    checked = [whole_number("sizes", size) for size in sizes]
    if len(checked) < at_least or any(not 1 <= size <= MAX_UNITS for size in checked):
        raise ValueError(f"sizes: expected {at_least} or more positive numbers of units, got {list(sizes)}")
    return checked


def affine_stages(
    sizes: Sequence[int], activations: Sequence[str], *, device: Any, dtype: torch.dtype | None
) -> nn.Sequential:
    """Layers from size to size, each followed by its activation where that is not "linear"."""
    stages: list[nn.Module] = []
    for (n_in, n_out), activation in zip(pairwise(sizes), activations, strict=True):
        place = torch.get_default_device() if device is None else device
        skip_init: Any = nn.utils.skip_init  # reset_parameters sets them, from a key
        stages.append(skip_init(nn.Linear, n_in, n_out, device=place, dtype=dtype))
        stages += activation_stage(activation)
    return nn.Sequential(*stages)


def activation_stage(activation: str) -> list[nn.Module]:
    """The module of an activation, none for "linear"."""
    if activation == "linear":
        return []
    return [nn.LogSoftmax(dim=-1) if activation == "log_softmax" else MODULE_OF[activation]()]


def params_of(layers: Sequence[RBMParams | RBMSampler]) -> list[RBMParams]:
    """Machines as arrays: torch modules are copied from any device and dtype."""
    return [layer._params_copy() if isinstance(layer, RBMSampler) else layer for layer in layers]


def _glorot(key: Key, n_out: int, n_in: int) -> np.ndarray[Any, Any]:
    limit = math.sqrt(6 / (n_in + n_out))
    return (2 * uniform(key, 0, n_out, n_in) - 1) * limit


def _array(parameter: Tensor) -> np.ndarray[Any, Any]:
    values = parameter.detach().cpu()
    if values.dtype != torch.float64:
        values = values.float()
    return np.array(values.numpy(), order="C")
