"""The restricted Boltzmann machine as a torch module, its parameters shared with the native kernels."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmx import marginal, ops, torch_units
from rbmx.backends import Backend, Rows, backend_for
from rbmx.bits import PackedBits
from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rbmx.data import Encoding, open_source
from rbmx.layer import RBMLayer, torch_seed
from rbmx.likelihood import Estimate, exact, pseudolikelihood
from rbmx.likelihood.clamped import log_marginals
from rbmx.likelihood.partition import estimate_log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.samplers import Sampler, sampler_from
from rbmx.samplers.clamped import complete, has_missing, mean_of_hidden, mean_of_missing
from rbmx.training import L2, EpochRecord, TrainConfig, TrainState, train
from rbmx.training.measuring import log_odds
from rbmx.training.optimizers import Optimizer, optimizer_from
from rbmx.training.penalties import Penalty
from rbmx.training.schedules import Schedule
from rbmx.units.base import require_whole_groups

__all__ = ["RBM", "load"]

AVERAGED_STEPS = 200  # of the chain whose second half hidden means of many missing entries are averaged over


class RBM(RBMLayer):
    """p(v, h) = exp(-E(v, h)) / Z,  E(v, h) = U(v) - v.b + U(h) - h.c - h W v.

    U is the unit type's own term (docs/units.md): 0 for Bernoulli, s^2 / 2 for Gaussian units. Gibbs sampling, training
    and scoring of float32 parameters on the CPU run natively on the parameters' own memory; elsewhere they run through
    torch, and say so once.

    Args:
        n_visible, n_hidden: units on each side.
        visible, hidden: unit types: "bernoulli", "spin", "gaussian", "gaussian(learned)", "softmax(5)", "counts",
            "relu", "drelu(1,1,0,0)", "exponential", or blocks of them: "gaussian*3 + softmax(4) + bernoulli*2".
        seed: of the initial weights and of all noise; None: drawn from torch's generator.
        device, dtype: of the parameters.

    Attributes:
        weight: W, (n_hidden, n_visible).
        visible_bias: b, (n_visible,).   hidden_bias: c, (n_hidden,).
        log_variance: z, (n_visible,), where variances are learned, else None.
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
        _require_known(self._as_rows(v, "v", self.n_visible), "v")
        return self._half_step("hidden", v, self._noise(seed))

    @torch.no_grad()
    def sample_visible(self, h: Tensor, seed: int | None = None) -> Tensor:
        """v ~ p(v | h), (rows, n_visible), counts of one word. An int seed repeats exactly; None never repeats."""
        _require_known(self._as_rows(h, "h", self.n_hidden), "h")
        return self._half_step("visible", h, self._noise(seed))

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int = 1, seed: int | None = None) -> Tensor:
        """v after `steps` times h ~ p(h | v), v ~ p(v | h), (rows, n_visible)."""
        if steps < 0:
            raise ValueError(f"steps: expected 0 or more, got {steps}")
        _require_known(self._as_rows(v, "v", self.n_visible), "v")
        return self._gibbs(v, steps, self._noise(seed))

    @torch.no_grad()
    def sample(
        self,
        n: int,
        steps: int = 1000,
        seed: int | None = None,
        given: Tensor | None = None,
        mask: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Tensor:
        """n visible states after `steps` Gibbs steps from noise, (n, n_visible).

        Args:
            n: how many chains.
            steps: Gibbs steps of each.
            seed: an int repeats exactly.
            given: (n_visible,) or (n, n_visible), values that stay as they are where mask is true.
            mask: bool, shaped as given; None: where given is not NaN. A softmax group is given whole or not at all.
            start: (n_visible,) or (n, n_visible), states to begin at instead of noise; required for counts, whose
                totals a chain keeps.
        """
        if n < 1:
            raise ValueError(f"n: expected 1 or more, got {n}")
        if self.visible == "counts" and (start is None or given is not None):
            raise ValueError("start: counts keep the totals of the rows they start at; expected start= and no given=")
        key = self._noise(seed)
        if start is None:
            fair = torch.zeros(n, self.n_hidden, dtype=self.weight.dtype, device=self.weight.device)
            start = self._half_step("visible", fair, ops.fold_in(key, 1))
        start = self._as_rows(start, "start", self.n_visible).to(self.weight.device).expand(n, self.n_visible)
        if given is None:
            if mask is not None:
                raise ValueError("mask: expected given= beside it")
            return self._gibbs(start, steps, ops.fold_in(key, 2))
        given = torch.as_tensor(given, dtype=self.weight.dtype, device=self.weight.device)
        given = self._as_rows(given, "given", self.n_visible).expand(n, self.n_visible)
        mask = ~torch.isnan(given) if mask is None else torch.as_tensor(mask, device=given.device).bool()
        if not torch.compiler.is_compiling():
            require_whole_groups(self.visible_unit, mask.expand(n, self.n_visible).cpu().numpy())
        v = torch.where(mask, given, start)
        for step in range(steps):
            v = torch.where(mask, given, self._gibbs(v, 1, ops.fold_in(key, step + 3)))
        return v

    @torch.no_grad()
    def impute(self, v: Tensor, steps: int = 100, seed: int | None = None, mode: str = "mean") -> Tensor:
        """v with every missing entry (NaN) filled in from p(v_missing | v_observed), (rows, n_visible).

        Args:
            v: (rows, n_visible); a softmax group is missing whole.
            steps: Gibbs steps with the observed entries clamped, 2 or more.
            seed: an int repeats exactly.
            mode: "mean": the average of E[v | h] over the second half of the steps (probabilities for Bernoulli and
                softmax units); "sample": where the chain ends.
        """
        if mode not in ("mean", "sample"):
            raise ValueError(f"mode: expected 'mean' or 'sample', got {mode!r}")
        if steps < 2:
            raise ValueError(f"steps: expected 2 or more, got {steps}")
        rows = self._require_states(self._as_rows(v, "v", self.n_visible))
        fill = mean_of_missing if mode == "mean" else complete
        return self._tensor(fill(*self._engine("impute"), rows, steps, self._key(seed)))

    def _marginal_hidden_mean(self, v: Tensor) -> Tensor:
        """Exact where entries can be summed out, else averaged over a clamped chain with noise of its own."""
        if marginal.can_sum_out(self, v):
            return marginal.hidden_mean(self, v)
        engine = self._engine("hidden_mean of missing entries")
        mean = mean_of_hidden(*engine, self._require_states(v), AVERAGED_STEPS, Key(0))
        return cast(Tensor, marginal.SampledMean.apply(self._tensor(mean), self.weight))

    def _require_states(self, v: Tensor) -> NDArray[np.float32]:
        """Rows as arrays, once it is clear that they are states with whole groups missing."""
        rows = v.detach().cpu().to(torch.float32).contiguous().numpy()
        if rows.ndim != 2:
            raise ValueError(f"v: expected (rows, {self.n_visible}), got {tuple(v.shape)}")
        found = self.visible_unit.check(rows.astype(np.float64), missing=True)
        if found is not None:
            value = rows[found.row, found.column]
            raise ValueError(
                f"v: row {found.row}, column {found.column}: value {value}: {found.unit} units take {found.expected}"
            )
        return rows

    def _engine(self, what: str) -> tuple[Backend, RBMParams]:
        """A backend and parameters that it takes: the module's own memory, or a float32 copy on the CPU."""
        native = ops.runs_natively(*self._machine())
        self._tell_slow(f"{what} runs on a float32 copy on the CPU")
        params = self._params() if native else self._params_copy()
        return backend_for(params), params

    @torch.no_grad()
    def reconstruct(self, v: Tensor) -> Tensor:
        """E[v | E[h | v]], the mean-field reconstruction, (rows, n_visible)."""
        mean = self.visible_mean(self.hidden_mean(v))
        return mean * torch_units.replicas(self.visible_unit, v)

    def _half_step(self, side: str, given: Tensor, key: Tensor) -> Tensor:
        self._tell_slow("sampling runs through torch")
        sampled: Tensor = ops.half_step(given, self._machine(), key, side, self.visible, self.hidden)
        return sampled

    def _gibbs(self, v: Tensor, steps: int, key: Tensor) -> Tensor:
        self._tell_slow("sampling runs through torch")
        sampled: Tensor = ops.gibbs(v, self._machine(), key, steps, self.visible, self.hidden)
        return sampled

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
        clamped_steps: int = TrainConfig.clamped_steps,
        buffer_bytes: int = TrainConfig.buffer_bytes,
    ) -> list[EpochRecord]:
        """Train natively, thousands of minibatches a call.

        Args:
            data: whatever rbmx.data.open_source takes: arrays, tensors, CSR, .npy, CSV or IDX files, DataLoaders.
                NaN in real values is a missing entry, which is summed out.
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
            engine, reproducible, visible_bias, clamped_steps, buffer_bytes: as in TrainConfig.

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
                clamped_steps=clamped_steps,
                buffer_bytes=buffer_bytes,
            )
        native = ops.runs_natively(*self._machine())
        self._tell_slow("fit trains a float32 copy on the CPU")
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
    def contrastive_divergence(
        self, v: Tensor, k: int = 1, seed: int | None = None, clamped_steps: int = TrainConfig.clamped_steps
    ) -> None:
        """ADD the CD-k gradient of the negative log-likelihood (mean over rows) to .grad, as backward() does.

        Works with any torch optimizer: optimizer.zero_grad(); rbm.contrastive_divergence(v); optimizer.step().

        Args:
            v: (rows, n_visible), at least one row; NaN is a missing entry, which is summed out.
            k: Gibbs steps.
            seed: an int repeats exactly.
            clamped_steps: Gibbs steps that fill in missing entries first.
        """
        if k < 1:
            raise ValueError(f"k: expected 1 or more Gibbs steps, got {k}")
        v = self._as_rows(v, "v", self.n_visible)
        if v.ndim != 2 or len(v) == 0:
            raise ValueError(f"v: expected (rows, {self.n_visible}) with at least one row, got {tuple(v.shape)}")
        self._tell_slow("contrastive divergence runs through torch")
        machine, key = self._machine(), self._noise(seed)
        if marginal.may_be_missing(v):
            engine = self._engine("contrastive divergence")
            v = self._tensor(complete(*engine, self._require_states(v), clamped_steps, ops.as_key(key).fold_in(1)))
        gradients = ops.contrastive_divergence(v, machine, key, k, self.visible, self.hidden)
        for parameter, gradient in zip(machine, gradients, strict=True):
            if parameter.grad is None:
                parameter.grad = gradient
            else:
                parameter.grad.add_(gradient)

    def _torch_gradients(self, v: Tensor, k: int, key: Key) -> list[Tensor]:
        """The slopes of F(v) less those of F after k Gibbs steps; a log variance has the negative phase 1/2."""
        after = self.gibbs(v, k, seed=key.seed)
        with torch.enable_grad():
            positive, negative = self.free_energy(v).mean(), self.free_energy(after).mean()
            plain = [self.weight, self.visible_bias, self.hidden_bias]
            gradients = list(torch.autograd.grad(positive - negative, plain, retain_graph=True))
            if self.log_variance is not None:
                (slope,) = torch.autograd.grad(positive, self.log_variance)
                learned = torch.from_numpy(self.visible_unit.learned(self.n_visible)).to(slope)
                gradients.append(slope + learned / 2)
        return gradients

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
            method: "exact" (a side of at most 2^24 states, as 24 Bernoulli units have), "ais", "reverse_ais", "both",
                or "auto": exact where it can be, else both, or AIS alone without `data`.
            data: rows that the chains of reverse AIS begin at (as many as `chains`) and whose means both start from.
            temperatures, chains: of AIS.
            seed: of its noise; None draws one from torch.

        Raises:
            ValueError: an unknown method, or one that lacks what it needs.
        """
        rows = None if data is None else self._source_rows(data, missing=False)
        return self._log_partition(method, rows, temperatures, chains, seed)

    def log_likelihood(
        self, data: Any, method: str = "auto", *, temperatures: int = 1000, chains: int = 100, seed: int | None = None
    ) -> Estimate:
        """Mean log p(v) over the rows of `data`, in nats, with log Z by log_partition from the same data.

        Missing entries (NaN) are summed out as in free_energy, and log Z is then found without the data.
        """
        rows = self._source_rows(data, missing=True)
        if not isinstance(rows, PackedBits) and has_missing(rows):
            z = self._log_partition(method, None, temperatures, chains, seed)
            with torch.no_grad():
                energy = float(self.free_energy(torch.from_numpy(rows).to(self.weight.device)).double().mean())
            return Estimate(-energy - z.value, -energy - z.high, -energy - z.low, z.method)
        if self.visible == "counts" and method in ("auto", "exact"):
            return exact.log_likelihood(self._params_copy(), rows)
        z = self._log_partition(method, rows, temperatures, chains, seed)
        return exact.log_likelihood(self._params_copy(), rows, z)

    def _source_rows(self, data: Any, *, missing: bool) -> Rows:
        return open_source(data, unit=self.visible_unit, missing=missing).load()

    def _log_partition(
        self, method: str, rows: Rows | None, temperatures: int, chains: int, seed: int | None
    ) -> Estimate:
        params = self._params_copy()
        binary = rows is not None and self.visible == "bernoulli"
        return estimate_log_partition(
            params,
            method,
            start=None if rows is None else rows[:chains],
            temperatures=temperatures,
            chains=chains,
            key=self._key(seed),
            base_bias=log_odds([rows]) if binary and rows is not None else None,
        )

    @torch.no_grad()
    def conditional_log_likelihood(
        self,
        v: Tensor,
        given: Tensor,
        method: str = "auto",
        *,
        temperatures: int = 1000,
        chains: int = 100,
        seed: int | None = None,
    ) -> Tensor:
        """log p(the other entries of v | those where `given` is true), float64 (rows,); log Z cancels.

        Args:
            v: (rows, n_visible), no entry missing.
            given: bool, (n_visible,) or as v; a softmax group is given whole or not at all.
            method: "exact" (as free_energy), "ais" (log Z of the machine with the given entries clamped, a run a row),
                "auto": exact where it can be.
            temperatures, chains, seed: of AIS.

        Raises:
            ValueError: an unknown method, counts, or "exact" where states are too many.
        """
        if method not in ("auto", "exact", "ais"):
            raise ValueError(f"method: expected one of auto, exact, ais, got {method!r}")
        v = self._as_rows(v, "v", self.n_visible)
        _require_known(v, "v")
        known = torch.as_tensor(given, device=v.device).bool().expand_as(v)
        hidden_from_view = torch.where(known, v, torch.nan)
        rows = self._require_states(hidden_from_view)
        if method == "exact" or (method == "auto" and marginal.can_sum_out(self, hidden_from_view)):
            return (marginal.free_energy(self, hidden_from_view) - self.complete_free_energy(v)).double()
        part = ~known.all(1).cpu().numpy()  # the others have nothing to predict
        found = np.zeros(len(v))
        found[part] = -self.complete_free_energy(v).double().cpu().numpy()[part] - log_marginals(
            self._params_copy(), rows[part], temperatures=temperatures, chains=chains, key=self._key(seed)
        )
        return torch.from_numpy(found)

    def pseudo_log_likelihood(self, v: Tensor) -> Tensor:
        """sum_i log p(v_i | all other v), float64 (rows,), over all visible units."""
        values = pseudolikelihood.pseudo_log_likelihood(self._params_copy(), ops.as_rows(v))
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

    def _machine(self) -> list[Tensor]:
        """Weight, visible and hidden bias, and log variances where they are learned."""
        learned = [] if self.log_variance is None else [self.log_variance]
        return [self.weight, self.visible_bias, self.hidden_bias, *learned]

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
            self.visible,
            self.hidden,
            None if self.log_variance is None else array(self.log_variance),
        )

    def _take_back(self, params: RBMParams, *, copied: bool) -> None:
        """After the kernel wrote: autograd must know that the parameters changed."""
        with torch.no_grad():
            for name in params.names:
                parameter = getattr(self, name)
                if copied:
                    parameter.copy_(torch.from_numpy(getattr(params, name)))
                else:
                    torch.autograd.graph.increment_version(parameter)

    def _tensor(self, rows: Rows) -> Tensor:
        return ops.as_tensor(rows).to(self.weight)

    def _tell_slow(self, how: str) -> None:
        """Warn once that parameters without a native path take a slower one; a compiled program says nothing."""
        if self._told_slow or torch.compiler.is_compiling() or ops.runs_natively(*self._machine()):
            return
        self._told_slow = True
        warnings.warn(f"rbmx: {how}: no native path for {self.weight.dtype} on {self.weight.device}", stacklevel=3)

    # seeds

    def _noise(self, seed: int | None) -> Tensor:
        """The key of one call: an int seed as it is, else a fresh one that is never used again."""
        if seed is not None:
            return ops.key_tensor(Key(seed))
        self.noise_counter += 1
        base = torch_seed() if self._seed is None else ops.key_tensor(Key(self._seed))
        key: Tensor = ops.noise_key(base, self.noise_counter)
        return key

    def _key(self, seed: int | None) -> Key:
        """The same as a Key."""
        return ops.as_key(self._noise(seed))

    def _fit_seed(self, seed: int | None) -> int:
        if seed is not None:
            return seed
        return int(torch_seed()) if self._seed is None else self._seed


def _require_known(values: Tensor, name: str) -> None:
    """ValueError where an entry is missing; a compiled program does not look."""
    if marginal.may_be_missing(values):
        raise ValueError(
            f"{name}: NaN, a missing entry; fill it in with impute(v) or keep what is known with sample(given=)"
        )


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
