"""Deep belief networks: a stack of RBMs as a torch module, trained greedily and by up-down, with labels if wanted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from rbmx import ops
from rbmx.arguments import whole_number
from rbmx.autoencoder import Autoencoder
from rbmx.classifier import Classifier, Regressor
from rbmx.data import Encoding
from rbmx.data.labelled import as_labels, one_hot
from rbmx.layer import torch_seed
from rbmx.likelihood import Estimate
from rbmx.likelihood.bound import stack_lower_bound
from rbmx.params import RBMParams
from rbmx.rbm import RBM
from rbmx.rng import Key
from rbmx.stack_checkpoint import StackCheckpoint, load_stack, save_stack
from rbmx.training import EpochRecord, TrainConfig
from rbmx.training.ascent import Propagation, require_stack
from rbmx.training.backprop import Network
from rbmx.training.greedy import StackState, layer_shapes, open_rows, train_stack
from rbmx.training.up_down import Directions, UpDown

__all__ = ["DBN"]

ROWS = 4096  # taken through the layers at a time


class DBN(nn.Module):
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
        super().__init__()
        self.sizes, self.n_classes = tuple(sizes), n_classes
        self._units = units
        self._seed = None if seed is None else whole_number("seed", seed)
        layers = [
            RBM(
                shape.n_visible,
                shape.n_hidden,
                visible=shape.visible,
                hidden=shape.hidden,
                seed=None if seed is None else Key(seed).fold_in(i).seed,
                device=device,
                dtype=dtype,
            )
            for i, shape in enumerate(layer_shapes(sizes, units, n_classes))
        ]
        self.layers = nn.ModuleList(layers)
        self.recognition: nn.ModuleList | None = None
        self.train_state = StackState.initial(len(layers))
        self.up_down_history: list[EpochRecord] = []
        self._configs: list[TrainConfig | None] = [None] * len(layers)
        self._encoding: Encoding | None = None

    def extra_repr(self) -> str:
        """Sizes and classes."""
        return f"sizes={list(self.sizes)}" + ("" if self.n_classes is None else f", n_classes={self.n_classes}")

    # up and down

    def forward(self, v: Tensor) -> Tensor:
        """E[h_L | ... E[h_1 | v]], (rows, sizes[-1]), differentiable; unknown labels are summed out."""
        return self._top(self._up(v))

    @torch.no_grad()
    def transform(self, v: Any) -> Tensor:
        """The same without gradients, any number of rows: the features of the top layer, (rows, sizes[-1])."""
        return torch.cat([self.forward(part) for part in self._parts(v)])

    @torch.no_grad()
    def inverse_transform(self, h: Any) -> Tensor:
        """E[v | E[h_1 | ... h_L]], (rows, sizes[0]): the means of each level going down."""
        h = self._as_tensor(h)
        if h.ndim < 1 or h.shape[-1] != self.sizes[-1]:
            raise ValueError(f"h: expected (rows, {self.sizes[-1]}), got {tuple(h.shape)}")
        return self._down(self.top.visible_mean(h)[..., : self.sizes[-2]])

    def reconstruct(self, v: Any) -> Tensor:
        """inverse_transform(transform(v)), (rows, sizes[0])."""
        return self.inverse_transform(self.transform(v))

    @property
    def top(self) -> RBM:
        """The RBM on top."""
        return self._machines[-1]

    @property
    def _machines(self) -> list[RBM]:
        return _machines(self.layers)

    def _up(self, v: Any) -> Tensor:
        """Means of the units below the top layer, (rows, sizes[-2])."""
        h = self._as_rows(v)
        for layer in self._ways_up:
            h = layer.hidden_mean(h)
        return h

    def _down(self, h: Tensor) -> Tensor:
        for layer in reversed(self._machines[:-1]):
            h = layer.visible_mean(h)
        return h

    @property
    def _ways_up(self) -> Sequence[RBM]:
        return self._machines[:-1] if self.recognition is None else _machines(self.recognition)

    def _top(self, h: Tensor) -> Tensor:
        if self.n_classes is None:
            return self.top.hidden_mean(h)
        unknown = torch.full((*h.shape[:-1], self.n_classes), torch.nan, dtype=h.dtype, device=h.device)
        return self.top.hidden_mean(torch.cat([h, unknown], dim=-1))

    # labels

    @torch.no_grad()
    def predict_log_proba(self, v: Any) -> Tensor:
        """log p(y | E[h_(L-1) | v]) by the top RBM, exact: the free energies of each class compared.

        Returns:
            (rows, n_classes), classes 0 to n_classes - 1.

        Raises:
            ValueError: the network has no labels.
        """
        self._require_labels()
        return torch.cat([self._log_classes(self._up(part)) for part in self._parts(v)])

    def _log_classes(self, h: Tensor) -> Tensor:
        """log p(y | h) of the top RBM, (rows, n_classes)."""
        hot = torch.eye(self._require_labels(), dtype=h.dtype, device=h.device)
        energies = [self.top.complete_free_energy(torch.cat([h, row.expand(len(h), -1)], dim=1)) for row in hot]
        return torch.log_softmax(-torch.stack(energies, dim=1), dim=1)

    def predict_proba(self, v: Any) -> Tensor:
        """exp of predict_log_proba, (rows, n_classes)."""
        return self.predict_log_proba(v).exp()

    def predict(self, v: Any) -> Tensor:
        """The most probable class of each row, int64 (rows,)."""
        return self.predict_log_proba(v).argmax(1)

    def score(self, v: Any, labels: Any) -> float:
        """The share of rows whose class is predicted right."""
        expected = as_labels(labels, self._require_labels(), len(v))
        return float((self.predict(v).cpu().numpy() == expected).mean())

    def _require_labels(self) -> int:
        if self.n_classes is None:
            raise ValueError(
                "n_classes: this network learned no labels; make it with DBN(sizes, n_classes=...) and fit(data, "
                "labels=...), or put a softmax on top with classifier(n_classes)"
            )
        return self.n_classes

    # sampling

    @torch.no_grad()
    def sample(
        self,
        n: int,
        steps: int = 1000,
        seed: int | None = None,
        label: int | Sequence[int] | None = None,
        start: Any = None,
        mean: bool = False,
    ) -> Tensor:
        """n visible states: Gibbs steps of the top RBM, then once down, (n, sizes[0]).

        Args:
            n: how many chains.
            steps: Gibbs steps of each.
            seed: an int repeats exactly; None never repeats.
            label: a class for all or one for each chain, clamped all the time; None: free.
            start: data to begin at, (sizes[0],) or (n, sizes[0]), taken up by sampling, free labels at the likeliest
                class; None: noise.
            mean: E[v | h_1] instead of states of v, for pictures.

        Raises:
            ValueError: labels that the network did not learn, or as in RBM.sample.
        """
        if n < 1:
            raise ValueError(f"n: expected 1 or more, got {n}")
        key = self._key(seed)
        given = None if label is None else self._given(label, n)
        first = None if start is None else self._started(start, n, key.fold_in(1))
        states = self.top.sample(n, steps, seed=key.fold_in(0).seed, given=given, start=first)[:, : self.sizes[-2]]
        for i, layer in reversed(list(enumerate(self._machines[:-1]))):
            if mean and i == 0:
                return layer.visible_mean(states)
            states = layer.sample_visible(states, seed=key.fold_in(2 + i).seed)
        if mean and len(self.layers) == 1:
            raise ValueError("mean: one layer alone ends at states; take RBM.sample and visible_mean")
        return states

    def _given(self, label: int | Sequence[int], n: int) -> Tensor:
        n_classes = self._require_labels()
        each = np.broadcast_to(np.asarray(label), (n,)) if np.ndim(label) == 0 else label
        hot = one_hot(as_labels(each, n_classes, n), n_classes)
        free = np.full((n, self.sizes[-2]), np.nan, np.float32)
        return torch.from_numpy(np.concatenate([free, hot.astype(np.float32)], axis=1))

    def _started(self, start: Any, n: int, key: Key) -> Tensor:
        states = self._as_rows(start).expand(n, self.sizes[0])
        for i, layer in enumerate(self._ways_up):
            states = layer.sample_hidden(states, seed=key.fold_in(i).seed)
        if self.n_classes is None:
            return states
        likely = torch.nn.functional.one_hot(self._log_classes(states).argmax(1), self.n_classes)
        return torch.cat([states, likely.to(states)], dim=1)

    # training

    def fit(
        self,
        data: Any,
        labels: Any = None,
        *,
        propagate: Propagation = "sample",
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
            propagate: what a layer hands up: "sample", states, the fast and exact path; "mean", real values.
            per_layer: for each layer from the data up a dict of settings of its own, {} for none.
            validation, callbacks, progress: as in rbmx.train, for each layer in turn.
            seed: an int repeats exactly; None: the module's seed, or torch's generator.
            resume: go on where an interrupted or loaded network stopped, in whatever layer, to the bit, with the
                settings of then; only `epochs` may be given.
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
        configs = self._resumed(settings, per_layer) if resume else self._settings(settings, per_layer, seed)
        params, native = self._shared(self.layers)
        dataset = open_rows(data, params, self.n_classes)
        if not resume:
            self.train_state = StackState.initial(len(params))
        before = [len(history) for history in self.train_state.histories]
        self._configs, self._encoding = list(configs), dataset.encoding
        try:
            train_stack(
                params,
                dataset,
                configs,
                propagate=propagate,
                labels=labels,
                state=self.train_state,
                validation=validation,
                callbacks=callbacks,
                progress=progress,
            )
        finally:
            self._take_back(self.layers, params, native)
        return [history[n:] for history, n in zip(self.train_state.histories, before, strict=True)]

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
        config = TrainConfig.of(seed=self._fit_seed(seed), centering=0.0, **settings)
        config = replace(config, seed=Key(config.seed).fold_in(len(self.up_down_history)).seed)
        params, native = self._shared(self.layers)
        dataset = open_rows(data, params, self.n_classes)
        ways = self.recognition if self.recognition is not None else _copies(self.layers[:-1])
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
        if per_layer and len(per_layer) != len(self.layers):
            raise ValueError(f"per_layer: expected a dict for each of {len(self.layers)} layers, got {len(per_layer)}")
        key = Key(self._fit_seed(seed))
        own = per_layer or [{}] * len(self.layers)
        return [TrainConfig.of(**{"seed": key.fold_in(i).seed, **common, **own[i]}) for i in range(len(self.layers))]

    def _resumed(self, settings: dict[str, Any], per_layer: Sequence[dict[str, Any]]) -> list[TrainConfig]:
        kept = [config for config in self._configs if config is not None]
        if len(kept) != len(self.layers):
            raise ValueError("resume: expected a network that was fitted, or loaded with its training state")
        if per_layer or set(settings) - {"epochs"}:
            raise ValueError("resume: the settings of the last fit hold; only epochs can be given")
        return [replace(config, **settings) for config in kept]

    def _fit_seed(self, seed: int | None) -> int:
        if seed is not None:
            return seed
        return int(torch_seed()) if self._seed is None else self._seed

    def _shared(self, modules: nn.ModuleList) -> tuple[list[RBMParams], bool]:
        """Parameters that the kernels write to: the modules' own memory, or copies where that cannot be."""
        machines = _machines(modules)
        native = all(ops.runs_natively(*layer._machine()) for layer in machines)
        return [layer._params() if native else layer._params_copy() for layer in machines], native

    def _take_back(self, modules: nn.ModuleList, params: Sequence[RBMParams], native: bool) -> None:
        for layer, trained in zip(_machines(modules), params, strict=True):
            layer._take_back(trained, copied=not native)

    # likelihood

    def lower_bound(self, data: Any, *, samples: int = 1, seed: int | None = None, **estimate: Any) -> Estimate:
        """Mean variational lower bound of log p(v), nats (rbmx.likelihood.stack_lower_bound).

        Args:
            data: as in fit.
            samples: draws of the hidden layers for each row.
            seed: of these draws.
            estimate: of the top layer's log Z: method, temperatures, chains as in RBM.log_partition.

        Raises:
            ValueError: labels, layers that are not Bernoulli, or two ways, for which there is no such bound here.
        """
        if self.n_classes is not None or self.recognition is not None:
            raise ValueError("lower_bound: is of networks without labels whose layers have one way (before up_down)")
        params = [layer._params_copy() for layer in self._machines]
        rows = open_rows(data, params).load()
        key = self._key(seed)
        log_z = self.top.log_partition(seed=key.fold_in(0).seed, **estimate)
        return stack_lower_bound(params, rows, log_z, samples=samples, key=key.fold_in(1))[1]

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

    def classifier(self, n_classes: int, *, seed: int | None = None) -> Classifier:
        """The way up, its parameters copied, with a softmax of `n_classes` on top that is yet to be trained.

        Labels that the network learned itself (predict) are left out.
        """
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
            network.recognition = _copies(network.layers[:-1])
            network._take_back(network.recognition, kept.recognition, native=False)
        *histories, network.up_down_history = ([*history] for history in kept.histories)
        network.train_state = StackState(list(kept.states), histories)
        network._configs = list(kept.configs)
        network._encoding = kept.encoding
        return network

    @classmethod
    def from_layers(
        cls,
        layers: Sequence[RBMParams],
        *,
        n_classes: int | None = None,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> DBN:
        """The network of machines that were trained elsewhere (rbmx.training.greedy, rbmx.jobs), copied.

        Raises:
            ValueError: layers that do not fit one another.
        """
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

    # borders

    def _parts(self, v: Any) -> Iterator[Tensor]:
        rows = self._as_rows(v)
        for start in range(0, len(rows), ROWS):
            yield rows[start : start + ROWS]

    def _as_rows(self, v: Any) -> Tensor:
        rows = self._as_tensor(v)
        if rows.ndim < 1 or rows.shape[-1] != self.sizes[0]:
            raise ValueError(f"v: expected (rows, {self.sizes[0]}), got {tuple(rows.shape)}")
        return rows

    def _as_tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values).to(self.top.weight)

    def _key(self, seed: int | None) -> Key:
        """An int seed as it is, else a key that is never used again."""
        key: Key = self.top._key(seed)
        return key


def _machines(layers: nn.ModuleList) -> list[RBM]:
    return [cast(RBM, layer) for layer in layers]


def _copies(layers: Any) -> nn.ModuleList:
    """Machines of their own with the same parameters."""
    return nn.ModuleList(deepcopy(layer) for layer in layers)
