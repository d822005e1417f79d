"""The restricted Boltzmann machine as a torch module, its parameters shared with the native kernels."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rbmx.backends import Rows, as_array, backend_for
from rbmx.bits import PackedBits
from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rbmx.data import Encoding, open_source
from rbmx.layer import RBMLayer, torch_seed
from rbmx.likelihood import Estimate, exact, pseudolikelihood
from rbmx.likelihood.partition import estimate_log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.samplers import Sampler, sampler_from
from rbmx.training import L2, EpochRecord, TrainConfig, TrainState, train
from rbmx.training.measuring import log_odds
from rbmx.training.optimizers import Optimizer, optimizer_from
from rbmx.training.penalties import Penalty
from rbmx.training.schedules import Schedule

__all__ = ["RBM", "load"]


class RBM(RBMLayer):
    """p(v, h) = exp(-E(v, h)) / Z,  E(v, h) = U(v) - v.b + U(h) - h.c - h W v.

    U is the unit type's own term: 0 for Bernoulli, s^2 / 2 for Gaussian units. Gibbs sampling, training and scoring
    of float32 parameters on the CPU run natively on the parameters' own memory; elsewhere they run through torch,
    and say so once.

    Args:
        n_visible, n_hidden: units on each side.
        visible, hidden: unit types, "bernoulli" or "gaussian".
        seed: of the initial weights and of all noise; None: drawn from torch's generator.
        device, dtype: of the parameters.

    Attributes:
        weight: W, (n_hidden, n_visible).
        visible_bias: b, (n_visible,).   hidden_bias: c, (n_hidden,).
        history: EpochRecords of all fits.
        train_state: to go on training from, None before the first fit.
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        *,
        visible: str = "bernoulli",
        hidden: str = "bernoulli",
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(n_visible, n_hidden, visible=visible, hidden=hidden, seed=seed, device=device, dtype=dtype)
        self.register_buffer("noise_counter", torch.zeros((), dtype=torch.int64))
        self.noise_counter: Tensor
        self.history: list[EpochRecord] = []
        self.train_state: TrainState | None = None
        self._config: TrainConfig | None = None
        self._encoding: Encoding | None = None
        self._told_slow = False

    # sampling

    @torch.no_grad()
    def sample_hidden(self, v: Tensor, seed: int | None = None) -> Tensor:
        """h ~ p(h | v), (rows, n_hidden). An int seed repeats exactly; None never repeats."""
        return self._half_step("hidden", v, self._key(seed))

    @torch.no_grad()
    def sample_visible(self, h: Tensor, seed: int | None = None) -> Tensor:
        """v ~ p(v | h), (rows, n_visible). An int seed repeats exactly; None never repeats."""
        return self._half_step("visible", h, self._key(seed))

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int = 1, seed: int | None = None) -> Tensor:
        """v after `steps` times h ~ p(h | v), v ~ p(v | h), (rows, n_visible)."""
        if steps < 0:
            raise ValueError(f"steps: expected 0 or more, got {steps}")
        key = self._key(seed)
        self._as_rows(v, "v", self.n_visible)
        if self._is_native():
            params = self._params()
            rows = backend_for(params).gibbs(params, self._rows(v), steps, key)
            return self._tensor(rows)
        generator = self._generator(key)
        for _ in range(steps):
            v = self._torch_sample("visible", self._torch_sample("hidden", v, generator), generator)
        return v

    @torch.no_grad()
    def sample(
        self,
        n: int,
        steps: int = 1000,
        seed: int | None = None,
        given: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """n visible states after `steps` Gibbs steps from noise, (n, n_visible).

        Args:
            n: how many chains.
            steps: Gibbs steps of each.
            seed: an int repeats exactly.
            given: (n_visible,) or (n, n_visible), values that stay as they are where mask is true.
            mask: bool, shaped as given; None: where given is not NaN.
        """
        if n < 1:
            raise ValueError(f"n: expected 1 or more, got {n}")
        key = self._key(seed)
        fair = torch.zeros(n, self.n_hidden, dtype=self.weight.dtype, device=self.weight.device)
        start = self._half_step("visible", fair, key.fold_in(1))
        if given is None:
            if mask is not None:
                raise ValueError("mask: expected given= beside it")
            return self.gibbs(start, steps, seed=key.fold_in(2).seed)
        given = torch.as_tensor(given, dtype=self.weight.dtype, device=self.weight.device)
        given = self._as_rows(given, "given", self.n_visible).expand(n, self.n_visible)
        mask = ~torch.isnan(given) if mask is None else torch.as_tensor(mask, device=given.device).bool()
        v = torch.where(mask, given, start)
        for step in range(steps):
            v = torch.where(mask, given, self.gibbs(v, 1, seed=key.fold_in(step + 3).seed))
        return v

    @torch.no_grad()
    def reconstruct(self, v: Tensor) -> Tensor:
        """E[v | E[h | v]], the mean-field reconstruction, (rows, n_visible)."""
        return self.visible_mean(self.hidden_mean(v))

    def _half_step(self, side: str, given: Tensor, key: Key) -> Tensor:
        self._as_rows(given, "v" if side == "hidden" else "h", self.n_visible if side == "hidden" else self.n_hidden)
        if not self._is_native():
            return self._torch_sample(side, given, self._generator(key))
        params = self._params()
        backend = backend_for(params)
        draw = backend.sample_hidden if side == "hidden" else backend.sample_visible
        return self._tensor(draw(params, self._rows(given), key))

    def _torch_sample(self, side: str, given: Tensor, generator: torch.Generator) -> Tensor:
        mean = self.hidden_mean(given) if side == "hidden" else self.visible_mean(given)
        unit = self._hidden_unit if side == "hidden" else self._visible_unit
        if unit.name == "gaussian":
            return mean + torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        noise = torch.rand(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return (noise < mean).to(mean.dtype)

    # training

    def fit(
        self,
        data: Any,
        *,
        epochs: int = 10,
        batch_size: int = 100,
        sampler: Sampler | str = "cd",
        optimizer: Optimizer | str = "sgd",
        penalties: Sequence[Penalty] = (),
        schedule: Schedule | None = None,
        centering: float | None = None,
        shuffle: bool = True,
        validation: Any = None,
        callbacks: Sequence[Any] = (),
        seed: int | None = None,
        progress: bool | None = None,
        resume: bool = False,
        k: int | None = None,
        persistent: bool | None = None,
        lr: float | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        engine: str = "auto",
        reproducible: bool = False,
        visible_bias: str = "data",
        buffer_bytes: int = TrainConfig.buffer_bytes,
    ) -> list[EpochRecord]:
        """Train natively, thousands of minibatches a call.

        Args:
            data: whatever rbmx.data.open_source takes: arrays, tensors, CSR, .npy, CSV or IDX files, DataLoaders.
            epochs: passes over the data; with resume, the total to go on to.
            batch_size: rows of a minibatch.
            sampler: "cd", "pcd", CD(k) or PCD(k, chains).   optimizer: "sgd", "nesterov", "adam", "rmsprop", SGD(...),
                Adam(...) or RMSProp(...).
            penalties: L1(decay), L2(decay).   schedule: schedule(epoch, epochs) -> factor of the rate.
            centering: rate of the offsets of centred gradients, 0: plain gradients, None: as in TrainConfig.
            shuffle, validation, callbacks, progress: as in rbmx.train.
            seed: an int repeats exactly; None: the module's seed, or torch's generator.
            resume: go on from train_state, to the bit, with the settings of the last fit except `epochs`.
            k, persistent, lr, momentum, weight_decay: short forms of sampler, optimizer and penalties.
            engine, reproducible, visible_bias, buffer_bytes: as in TrainConfig.

        Returns:
            The records of this call.
        """
        if resume:
            if self.train_state is None or self._config is None:
                raise ValueError("resume: expected a module that was fitted or loaded with its training state")
            config = replace(self._config, epochs=epochs)
        else:
            config = TrainConfig(
                epochs=epochs,
                batch_size=batch_size,
                sampler=sampler_from(sampler, k=k, persistent=persistent),
                optimizer=optimizer_from(optimizer, lr=lr, momentum=momentum),
                penalties=(*penalties, *([] if weight_decay is None else [L2(weight_decay)])),
                schedule=schedule,
                centering=centering,
                shuffle=shuffle,
                seed=self._fit_seed(seed),
                engine=engine,
                reproducible=reproducible,
                visible_bias=visible_bias,
                buffer_bytes=buffer_bytes,
            )
        native = self._is_native()
        if not native:
            self._tell_slow("fit")
        params = self._params() if native else self._params_copy()
        try:
            result = train(
                params,
                data,
                config,
                state=self.train_state if resume else None,
                validation=validation,
                callbacks=[*callbacks, _Remember(self, resume)],
                progress=progress,
            )
        finally:
            self._take_back(params, copied=not native)
        return result.history

    @torch.no_grad()
    def contrastive_divergence(self, v: Tensor, k: int = 1, seed: int | None = None) -> None:
        """ADD the CD-k gradient of the negative log-likelihood (mean over rows) to .grad, as backward() does.

        Works with any torch optimizer: optimizer.zero_grad(); rbm.contrastive_divergence(v); optimizer.step().

        Args:
            v: (rows, n_visible), at least one row.
            k: Gibbs steps.
            seed: an int repeats exactly.
        """
        if k < 1:
            raise ValueError(f"k: expected 1 or more Gibbs steps, got {k}")
        v = self._as_rows(v, "v", self.n_visible)
        if v.ndim != 2 or len(v) == 0:
            raise ValueError(f"v: expected (rows, {self.n_visible}) with at least one row, got {tuple(v.shape)}")
        key = self._key(seed)
        if self._is_native():
            params = self._params()
            sums = backend_for(params).cd_statistics(params, self._rows(v), k, key)
            gradients = [torch.from_numpy(-s / sums.rows) for s in (sums.weight, sums.visible, sums.hidden)]
        else:
            generator = self._generator(key)
            p0, h = self.hidden_mean(v), self._torch_sample("hidden", v, generator)
            for _ in range(k):
                v1 = self._torch_sample("visible", h, generator)
                h = self._torch_sample("hidden", v1, generator)
            p1, n = self.hidden_mean(v1), len(v)
            gradients = [(p1.t() @ v1 - p0.t() @ v) / n, (v1 - v).mean(0), (p1 - p0).mean(0)]
        for parameter, gradient in zip((self.weight, self.visible_bias, self.hidden_bias), gradients, strict=True):
            gradient = gradient.to(parameter.dtype)
            if parameter.grad is None:
                parameter.grad = gradient.clone()
            else:
                parameter.grad.add_(gradient)

    # likelihood

    def log_partition(
        self,
        method: str = "auto",
        *,
        data: Any = None,
        temperatures: int = 1000,
        chains: int = 100,
        seed: int | None = None,
    ) -> Estimate:
        """log Z: by enumeration, or by annealed importance sampling.

        Args:
            method: "exact" (a Bernoulli side of at most 24 units), "ais", "reverse_ais", "both", or "auto": exact where
                it can be, else both, or AIS alone without `data`.
            data: rows that the chains of reverse AIS begin at (as many as `chains`) and whose means both start from.
            temperatures, chains: of AIS.
            seed: of its noise; None draws one from torch.

        Raises:
            ValueError: an unknown method, or one that lacks what it needs.
        """
        rows = None if data is None else self._source_rows(data)
        return self._log_partition(method, rows, temperatures, chains, seed)

    def log_likelihood(
        self, data: Any, method: str = "auto", *, temperatures: int = 1000, chains: int = 100, seed: int | None = None
    ) -> Estimate:
        """Mean log p(v) over the rows of `data`, in nats, with log Z by log_partition from the same data."""
        rows = self._source_rows(data)
        z = self._log_partition(method, rows, temperatures, chains, seed)
        return exact.log_likelihood(self._params_copy(), rows, z)

    def _source_rows(self, data: Any) -> Rows:
        return open_source(data, unbounded=self._visible_unit.name != "bernoulli").load()

    def _log_partition(
        self, method: str, rows: Rows | None, temperatures: int, chains: int, seed: int | None
    ) -> Estimate:
        params = self._params_copy()
        binary = rows is not None and self._visible_unit.name == "bernoulli"
        return estimate_log_partition(
            params,
            method,
            start=None if rows is None else rows[:chains],
            temperatures=temperatures,
            chains=chains,
            key=self._key(seed),
            base_bias=log_odds([rows]) if binary and rows is not None else None,
        )

    def pseudo_log_likelihood(self, v: Tensor) -> Tensor:
        """sum_i log p(v_i | all other v), float64 (rows,), over all visible units."""
        values = pseudolikelihood.pseudo_log_likelihood(self._params_copy(), self._rows(v))
        return torch.from_numpy(values)

    # files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters, training state, settings and history to one safetensors file, atomically."""
        save_checkpoint(
            path,
            Checkpoint(
                self._params_copy(),
                self.train_state,
                self._config,
                self.history,
                self._encoding,
                {"seed": json.dumps(self._seed), "noise_counter": str(int(self.noise_counter))},
            ),
        )

    # the border to the kernels

    def _is_native(self) -> bool:
        """Whether the kernels can work on the parameters' own memory."""
        return all(p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous() for p in self.parameters())

    def _params(self) -> RBMParams:
        """The parameters as arrays that share their memory."""
        return self._as_params(lambda p: p.detach().numpy())

    def _params_copy(self) -> RBMParams:
        """The parameters as float32 arrays of their own, from any device and dtype."""
        return self._as_params(lambda p: np.array(p.detach().cpu().to(torch.float32).numpy(), order="C"))

    def _as_params(self, array: Callable[[Tensor], Any]) -> RBMParams:
        return RBMParams(
            array(self.weight),
            array(self.visible_bias),
            array(self.hidden_bias),
            self._visible_unit.name,
            self._hidden_unit.name,
        )

    def _take_back(self, params: RBMParams, *, copied: bool) -> None:
        """After the kernel wrote: autograd must know that the parameters changed."""
        with torch.no_grad():
            for name in ("weight", "visible_bias", "hidden_bias"):
                parameter = getattr(self, name)
                if copied:
                    parameter.copy_(torch.from_numpy(getattr(params, name)))
                else:
                    torch.autograd.graph.increment_version(parameter)

    def _rows(self, values: Tensor) -> Rows:
        array = values.detach().cpu().to(torch.float32).contiguous().numpy()
        if array.ndim != 2:
            raise ValueError(f"expected (rows, units), got {tuple(values.shape)}")
        binary = bool(np.all((array == 0) | (array == 1)))
        return PackedBits.pack(array) if binary else array

    def _tensor(self, rows: Rows) -> Tensor:
        return torch.from_numpy(as_array(rows)).to(self.weight.device, self.weight.dtype)

    def _tell_slow(self, what: str) -> None:
        if self._told_slow:
            return
        self._told_slow = True
        device, dtype = self.weight.device, self.weight.dtype
        how = "trains a float32 copy on the CPU" if what == "fit" else "runs through torch"
        warnings.warn(f"rbmx: {what} {how}: no native path for {dtype} on {device}", stacklevel=3)

    # seeds

    def _key(self, seed: int | None) -> Key:
        """The key of one call: an int seed as it is, else a fresh one that is never used again."""
        if seed is not None:
            return Key(seed)
        self.noise_counter += 1
        base = Key(torch_seed() if self._seed is None else self._seed)
        return base.fold_in(Purpose.SAMPLING).fold_in(int(self.noise_counter))

    def _fit_seed(self, seed: int | None) -> int:
        if seed is not None:
            return seed
        return torch_seed() if self._seed is None else self._seed

    def _generator(self, key: Key) -> torch.Generator:
        self._tell_slow("sampling")
        return torch.Generator(device=self.weight.device).manual_seed(key.seed & (2**63 - 1))


class _Remember:
    """Keeps state and history on the module while it trains, so that nothing is lost by an interrupt."""

    def __init__(self, module: RBM, resume: bool) -> None:
        self.module = module
        self.before = list(module.history) if resume else []

    def on_train_end(self, trainer: Any) -> None:
        """Also called when training was interrupted or failed."""
        self.module.train_state = trainer.state
        self.module._config = trainer.config
        self.module._encoding = trainer.dataset.encoding
        self.module.history = self.before + trainer.history


def load(path: str | os.PathLike[str], *, device: Any = None, dtype: torch.dtype | None = None) -> RBM:
    """The module that save() or `rbmx fit` wrote, ready to sample or to go on training.

    Raises:
        CheckpointError: the file is no rbmx model.
    """
    checkpoint = load_checkpoint(path)
    params = checkpoint.params
    module = RBM(
        params.n_visible,
        params.n_hidden,
        visible=params.visible,
        hidden=params.hidden,
        seed=0,
        device=device,
        dtype=dtype,
    )
    module._seed = json.loads(checkpoint.extra.get("seed", "null"))
    module.noise_counter += int(checkpoint.extra.get("noise_counter", "0"))
    module._take_back(params, copied=True)
    module.train_state, module._config = checkpoint.state, checkpoint.config
    module.history, module._encoding = list(checkpoint.history), checkpoint.encoding
    return module
