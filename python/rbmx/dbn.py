"""Deep belief networks: a stack of RBMs as a torch module, trained greedily and by up-down, with labels if wanted."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from rbmx import ops
from rbmx.arguments import items
from rbmx.autoencoder import Autoencoder
from rbmx.backends.up_down import Directions
from rbmx.classifier import Classifier, Regressor
from rbmx.data import Encoding
from rbmx.feed_forward import params_of
from rbmx.layer import torch_seed
from rbmx.params import RBMParams
from rbmx.rbm import RBM
from rbmx.rng import Key
from rbmx.stack import RBMStack, copies, machines
from rbmx.stack_checkpoint import StackCheckpoint, load_stack, save_stack
from rbmx.training import EpochRecord, TrainConfig
from rbmx.training.ascent import Propagation, require_stack
from rbmx.training.backprop import Network
from rbmx.training.callbacks import require_callbacks
from rbmx.training.greedy import StackState, layer_shapes, open_rows, train_stack
from rbmx.training.up_down import UpDown

__all__ = ["DBN"]


class DBN(RBMStack):
    """p(v, h_1 ... h_L) = p(v | h_1) ... p(h_(L-2) | h_(L-1)) p(h_(L-1), h_L), the last factor an RBM.

    Layers are trained one after another from the data up (Hinton, Osindero and Teh 2006). With `n_classes` the top RBM
    sees a softmax of the label beside the states below it, and the network classifies and generates by class.

    Args:
        sizes: units of each level from the data up, two or more: [784, 500, 500, 2000].
        units: None: Bernoulli; one unit type: of the visible units, Bernoulli above; or one for each level.
        n_classes: labels that the top layer learns too; None: none.
        seed: of the initial weights and of all noise; None: drawn from torch's generator.
        device, dtype: of the parameters.

    Attributes:
        layers: an nn.ModuleList of rbmx.RBM, from the data up.
        recognition: after up_down the way up of the layers below the top, where weight and hidden_bias count; of
            `layers` below the top then weight and visible_bias count. None before.
        train_state: where the training of each layer stands, and its EpochRecords: .states, .histories.
        up_down_history: EpochRecords of up_down.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        units: str | Sequence[str] | None = None,
        n_classes: int | None = None,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(sizes, units=units, n_classes=n_classes, seed=seed, device=device, dtype=dtype)
        self.train_state = StackState.initial(len(self.layers))
        self.up_down_history: list[EpochRecord] = []
        self._configs: list[TrainConfig | None] = [None] * len(self.layers)
        self._encoding: Encoding | None = None

    # training

    def fit(
        self,
        data: Any,
        labels: Any = None,
        *,
        propagate: Propagation | None = None,
        per_layer: Sequence[dict[str, Any]] = (),
        validation: Any = None,
        callbacks: Sequence[Any] = (),
        seed: int | None = None,
        progress: bool | None = None,
        resume: bool = False,
        **settings: Any,
    ) -> list[list[EpochRecord]]:
        """Greedy layer-wise training with the native kernels; rows stream up, no level of them is ever kept whole.

        Args:
            data: as in RBM.fit, without missing entries.
            labels: int (rows,), 0 to n_classes - 1; needed where the network has labels.
            propagate: what a layer hands up: "sample", states drawn once, the fast and exact path and the default;
                "resample", states drawn anew in each epoch, for layers that shall not learn their noise by heart (data
                are then read once an epoch, not once a layer);
                "mean", real values.
            per_layer: for each layer from the data up a dict of settings of its own, {} for none.
            validation: as in rbmx.train, measured as each layer sees it; (data, labels) where labels are learned.
            callbacks, progress: as in rbmx.train, for each layer in turn.
            seed: an int repeats exactly; None: the module's seed, or torch's generator.
            resume: go on where an interrupted or loaded network stopped, in whatever layer, to the bit, with the
                settings of then except `epochs`; others given are an error. Layers that are finished stay as they are.
            settings: of all layers: epochs, batch_size, sampler, k, persistent, optimizer, lr, momentum, penalties,
                weight_decay, schedule, centering ... as in RBM.fit.

        Returns:
            The records of this call, a list for each layer.

        Raises:
            DataError, DivergedError: as in rbmx.train; labels that are missing, too many, or none of the classes.
        """
        if (labels is None) != (self.n_classes is None):
            if labels is None:
                raise ValueError(f"labels: expected one for each row, the network has n_classes={self.n_classes}")
            self._require_labels()
        if self.recognition is not None:
            raise ValueError("fit: up_down has given this network two ways; go on with up_down, or make a new one")
        configs = self._settings(settings, per_layer, seed)
        if resume:
            configs = self._resumed(configs, settings, per_layer)
        state = self.train_state if resume else StackState.initial(len(self.layers), propagate or "sample")
        params, native = self._shared(self.layers)
        dataset = open_rows(data, params, self.n_classes)
        before = [len(history) for history in state.histories]
        try:
            train_stack(
                params,
                dataset,
                configs,
                propagate=propagate or state.propagate,
                labels=labels,
                state=state,
                validation=validation,
                callbacks=[*require_callbacks(callbacks), _Begun(self, state, configs, dataset.encoding)],
                progress=progress,
            )
        finally:
            self._take_back(self.layers, params, native)
        return [history[n:] for history, n in zip(state.histories, before, strict=True)]

    def up_down(
        self,
        data: Any,
        labels: Any = None,
        *,
        callbacks: Sequence[Any] = (),
        seed: int | None = None,
        progress: bool | None = None,
        **settings: Any,
    ) -> list[EpochRecord]:
        """Fine-tune the whole network as a generative model, by the up-down algorithm (rbmx.training.up_down).

        From then on each layer below the top has a way up (`recognition`) of its own.

        Args:
            data, labels, callbacks, seed, progress: as in fit.
            settings: epochs, batch_size, k, sampler (CD or PCD), lr, momentum, weight_decay, schedule.

        Returns:
            The records of this call: reconstruction by means, and the free energy of the top layer.

        Raises:
            ValueError: a single layer, hidden units that are not Bernoulli, or settings it does not know.
        """
        if (labels is None) != (self.n_classes is None):
            if labels is None:
                raise ValueError(f"labels: expected one for each row, the network has n_classes={self.n_classes}")
            self._require_labels()
        config = TrainConfig.of(**{"seed": self._fit_seed(seed), **settings})
        config = replace(config, seed=Key(config.seed).fold_in(len(self.up_down_history)).seed)
        params, native = self._shared(self.layers)
        dataset = open_rows(data, params, self.n_classes)
        ways = self.recognition if self.recognition is not None else copies(self.layers[:-1])
        up, up_native = self._shared(ways)
        run = UpDown(
            Directions(up, params[:-1], params[-1]),
            dataset,
            config,
            labels=labels,
            callbacks=callbacks,
            progress=progress,
        )
        self.recognition = ways
        try:
            run.run()
        finally:
            self._take_back(self.layers, params, native)
            self._take_back(ways, up, up_native)
            self.up_down_history += run.history
        return run.history

    def _settings(
        self, common: dict[str, Any], per_layer: Sequence[dict[str, Any]], seed: int | None
    ) -> list[TrainConfig]:
        if per_layer and len(items("per_layer", per_layer, "dicts")) != len(self.layers):
            raise ValueError(f"per_layer: expected a dict for each of {len(self.layers)} layers, got {len(per_layer)}")
        key = Key(self._fit_seed(seed))
        configs = []
        for i, own in enumerate(per_layer or [{}] * len(self.layers)):
            try:
                configs.append(TrainConfig.of(**{"seed": key.fold_in(i).seed, **common, **own}))
            except (TypeError, ValueError) as error:
                if own:
                    raise type(error)(f"per_layer: layer {i}: {error}") from None
                raise
        return configs

    def _resumed(
        self, asked: Sequence[TrainConfig], common: dict[str, Any], per_layer: Sequence[dict[str, Any]]
    ) -> list[TrainConfig]:
        """The settings of the last fit, with more epochs where they are given."""
        kept = [config for config in self._configs if config is not None]
        if len(kept) != len(self.layers):
            raise ValueError("resume: expected a network that was fitted, or loaded with its training state")
        configs = []
        for last, new, own in zip(kept, asked, per_layer or [{}] * len(kept), strict=True):
            epochs = new.epochs if "epochs" in {**common, **own} else last.epochs
            configs.append(last.resumed(replace(new, seed=last.seed, epochs=epochs)))
        return configs

    def _fit_seed(self, seed: int | None) -> int:
        if seed is not None:
            return seed
        return int(torch_seed()) if self._seed is None else self._seed

    def _shared(self, modules: nn.ModuleList) -> tuple[list[RBMParams], bool]:
        """Parameters that the kernels write to: the modules' own memory, or copies where that cannot be."""
        layers = machines(modules)
        native = all(ops.runs_natively(*layer._machine()) for layer in layers)
        return [layer._params() if native else layer._params_copy() for layer in layers], native

    def _take_back(self, modules: nn.ModuleList, params: Sequence[RBMParams], native: bool) -> None:
        for layer, trained in zip(machines(modules), params, strict=True):
            layer._take_back(trained, copied=not native)

    # nets to tune by backprop

    def autoencoder(self, *, code: str | None = None, tied: bool = False, seed: int | None = None) -> Autoencoder:
        """The network unrolled, its parameters copied: up to the code and down again (Hinton and Salakhutdinov 2006).

        Args:
            code: "linear" or "sigmoid"; None: the mean of the top units.
            tied: one weight for a layer's way up and its way down.
            seed: of the noise of its training.
        """
        ups, downs = self._without_labels()
        model = Autoencoder.from_layers(downs, code=code, tied=tied, seed=seed).to(self.top.weight)
        if self.recognition is None:
            return model
        if tied:
            raise ValueError("tied: after up_down the two ways have weights of their own; leave them free")
        down = model.network()
        return model.load_network(Network([*Network.from_stack(ups).layers, *down.layers[len(ups) :]]))

    def classifier(self, n_classes: int | None = None, *, seed: int | None = None) -> Classifier:
        """The way up, its parameters copied, with a softmax of `n_classes` on top that is yet to be trained.

        Labels that the network learned itself (predict) are left out; None: as many classes as it has.
        """
        if n_classes is None:
            n_classes = self._require_labels()
        return Classifier.from_layers(self._without_labels()[0], n_classes, seed=seed).to(self.top.weight)

    def regressor(self, n_outputs: int = 1, *, seed: int | None = None) -> Regressor:
        """The way up, its parameters copied, with `n_outputs` linear units on top that are yet to be trained."""
        return Regressor.from_layers(self._without_labels()[0], n_outputs, seed=seed).to(self.top.weight)

    def _without_labels(self) -> tuple[list[RBMParams], list[RBMParams]]:
        """Machines for the way up and for the way down, the top one without its labels."""
        top, units = self.top._params_copy(), self.sizes[-2]
        if self.n_classes is not None:
            shape = layer_shapes(self.sizes, self._units)[-1]
            top = RBMParams(
                np.ascontiguousarray(top.weight[:, :units]),
                top.visible_bias[:units].copy(),
                top.hidden_bias,
                shape.visible,
                shape.hidden,
                None if top.log_variance is None else top.log_variance[:units].copy(),
            )
        ups, downs = ([layer._params_copy() for layer in ways] for ways in (self._ways_up, self._machines[:-1]))
        return [*ups, top], [*downs, top]

    # files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write layers, training states, settings and histories to one safetensors file, atomically."""
        ways = None if self.recognition is None else [layer._params_copy() for layer in self._ways_up]
        save_stack(
            path,
            StackCheckpoint(
                [layer._params_copy() for layer in self._machines],
                self.n_classes,
                ways,
                self.train_state.states,
                self._configs,
                [*self.train_state.histories, self.up_down_history],
                self.train_state.finished,
                self.train_state.propagate,
                self._encoding,
                {"seed": json.dumps(self._seed)},
            ),
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: Any = None, dtype: torch.dtype | None = None) -> DBN:
        """The network that save() wrote, ready to sample or to go on training; CheckpointError for another file."""
        kept = load_stack(path)
        network = cls.from_layers(kept.layers, n_classes=kept.n_classes, device=device, dtype=dtype)
        network._seed = json.loads(kept.extra.get("seed", "null"))
        if kept.recognition is not None:
            network.recognition = copies(network.layers[:-1])
            network._take_back(network.recognition, kept.recognition, native=False)
        *histories, network.up_down_history = ([*history] for history in kept.histories)
        propagate: Any = kept.propagate
        network.train_state = StackState(list(kept.states), histories, list(kept.finished), propagate)
        network._configs = list(kept.configs)
        network._encoding = kept.encoding
        return network

    @classmethod
    def from_layers(
        cls,
        layers: Sequence[RBMParams | RBM],
        *,
        n_classes: int | None = None,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> DBN:
        """The network of machines that were trained elsewhere (as RBMs, by rbmx.training.greedy or rbmx.jobs), copied.

        Raises:
            ValueError: layers that do not fit one another.
        """
        layers = params_of(layers)
        require_stack(layers, n_classes)
        sizes = [layer.n_visible for layer in layers] + [layers[-1].n_hidden]
        units = [layer.visible for layer in layers] + [layers[-1].hidden]
        if n_classes is not None:
            sizes[-2] -= n_classes
            known = np.arange(layers[-1].n_visible) < sizes[-2]
            units[-2] = layers[-2].hidden if len(layers) > 1 else layers[0].visible_unit.select(known).name
        network = cls(sizes, units=units, n_classes=n_classes, seed=seed, device=device, dtype=dtype)
        network._take_back(network.layers, layers, native=False)
        return network


class _Begun:
    """Puts state and settings on the module when training begins: what is refused before leaves the earlier ones."""

    def __init__(self, network: DBN, state: StackState, configs: Sequence[TrainConfig], encoding: Encoding) -> None:
        self.network, self.state, self.configs, self.encoding = network, state, configs, encoding

    def on_train_start(self, trainer: Any) -> None:
        """Of any layer."""
        self.network.train_state, self.network._encoding = self.state, self.encoding
        self.network._configs = list(self.configs)
