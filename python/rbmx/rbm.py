"""The restricted Boltzmann machine as a torch module, its parameters shared with the native kernels."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rbmx import marginal, ops
from rbmx.arguments import whole_number
from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rbmx.data import Encoding
from rbmx.layer import torch_seed
from rbmx.samplers import Sampler
from rbmx.samplers.clamped import complete
from rbmx.scoring import RBMScorer
from rbmx.states import require_states
from rbmx.training import EpochRecord, TrainConfig, TrainState, train
from rbmx.training.callbacks import require_callbacks
from rbmx.training.optimizers import Optimizer
from rbmx.training.penalties import Penalty
from rbmx.training.schedules import Schedule

__all__ = ["RBM"]


class RBM(RBMScorer):
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
        self.history: list[EpochRecord] = []
        self.train_state: TrainState | None = None
        self._config: TrainConfig | None = None
        self._encoding: Encoding | None = None

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
            sampler: "cd", "pcd", "fast_pcd", "pt", CD(k), PCD(k, chains), FastPCD(...) or PT(...).
            optimizer: "sgd", "nesterov", "adam", "rmsprop", SGD(...), Adam(...) or RMSProp(...).
            penalties: a list of L1, L2, GroupL2, MaxNorm, Sparsity, Dropout.
            schedule: schedule(epoch, epochs) -> factor of the rate.
            centering: rate of the offsets of centred gradients, 0: plain gradients, None: as in TrainConfig.
            shuffle, validation, callbacks, progress: as in rbmx.train.
            seed: an int repeats exactly; None: the module's seed, or torch's generator.
            resume: go on from train_state, to the bit, with the settings of the last fit except `epochs`; others given
                are an error, but for a schedule that is a function, which no file holds.
            k, persistent, lr, momentum, weight_decay: short forms of sampler, optimizer and penalties.
            engine, reproducible, visible_bias, clamped_steps, buffer_bytes: as in TrainConfig.

        Returns:
            The records of this call.
        """
        asked = TrainConfig.of(
            epochs=epochs,
            batch_size=batch_size,
            sampler=sampler,
            optimizer=optimizer,
            penalties=penalties,
            k=k,
            persistent=persistent,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            schedule=schedule,
            centering=centering,
            shuffle=shuffle,
            seed=self._config.seed if resume and self._config and seed is None else self._fit_seed(seed),
            engine=engine,
            reproducible=reproducible,
            visible_bias=visible_bias,
            clamped_steps=clamped_steps,
            buffer_bytes=buffer_bytes,
        )
        config = self._resumed_config(asked) if resume else asked
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
                callbacks=[*require_callbacks(callbacks), _Remember(self, resume)],
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
        if whole_number("k", k) < 1:
            raise ValueError(f"k: expected 1 or more Gibbs steps, got {k}")
        v = self._as_rows(v, "v", self.n_visible)
        if v.ndim != 2 or len(v) == 0:
            raise ValueError(f"v: expected (rows, {self.n_visible}) with at least one row, got {tuple(v.shape)}")
        require_states(self.visible_unit, v, "v", missing=True)
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

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: Any = None, dtype: torch.dtype | None = None) -> RBM:
        """The module that save() or `rbmx fit` wrote, ready to sample or to go on training.

        Raises:
            CheckpointError: the file is no RBM.
        """
        checkpoint = load_checkpoint(path)
        params = checkpoint.params
        module = cls(
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

    def _resumed_config(self, asked: TrainConfig) -> TrainConfig:
        """The settings of the last fit, with more epochs and a function that no file could hold.

        Raises:
            ValueError: no last fit, or another setting is asked for.
        """
        last = self._config
        if self.train_state is None or last is None:
            raise ValueError("resume: expected a module that was fitted or loaded with its training state")
        return last.resumed(asked)

    def _fit_seed(self, seed: int | None) -> int:
        if seed is not None:
            return seed
        return int(torch_seed()) if self._seed is None else self._seed


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
