"""The classification RBM as a torch module (Larochelle and Bengio 2008; Larochelle, Mandel, Pascanu, Bengio 2012)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from rbmx import ops
from rbmx.arguments import number, whole_number
from rbmx.layer import torch_seed
from rbmx.model_file import interpreting, read_model, write_model
from rbmx.rbm import RBM
from rbmx.rng import Key, Purpose
from rbmx.samplers import Sampler, sampler_from
from rbmx.states import require_states
from rbmx.training import L2, Dropout
from rbmx.training import class_rbm as machine
from rbmx.training.class_rbm import ClassRBMParams, Objective
from rbmx.training.class_trainer import (
    ClassConfig,
    ClassRecord,
    ClassTrainer,
    class_log_probabilities,
    labelled_rows,
)
from rbmx.training.optimizers import Optimizer, optimizer_from
from rbmx.training.schedules import Schedule
from rbmx.units import unit_type

__all__ = ["ClassRBM"]

FORMAT = "rbmx.classrbm.1"
DISCRIMINATIVE_RATE = 1.0
_BERNOULLI = unit_type("bernoulli")
_BLOCK = 1 << 24  # hidden values of (rows, classes) worked on at once where no gradient is asked for


class ClassRBM(nn.Module):
    """p(x, y, h) = exp(-E) / Z,  E(x, y, h) = -x.b - d_y - h.c - h W x - h U_y,  all units Bernoulli, y a class.

    p(y | x) is exact and costs no more than a network of one hidden layer:
    log p(y | x) = d_y + sum_j softplus((W x + c + U_y)_j) - the log of the sum over classes of its exp.

    Args:
        n_visible, n_hidden, n_classes: units and classes, two or more of these.
        seed: of the initial weights and of all noise; None: drawn from torch's generator.
        device, dtype: of the parameters; `fit` and `sample` work on a float32 copy on the CPU elsewhere.

    Attributes:
        weight: W, (n_hidden, n_visible).   class_weight: U, (n_hidden, n_classes).
        visible_bias: b.   hidden_bias: c.   class_bias: d.
        history: ClassRecords of all fits.
    """

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        n_classes: int,
        *,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        n_visible, n_hidden, n_classes = (
            whole_number(name, value)
            for name, value in (("n_visible", n_visible), ("n_hidden", n_hidden), ("n_classes", n_classes))
        )
        seed = None if seed is None else whole_number("seed", seed)
        key = Key(int(torch_seed()) if seed is None else seed).fold_in(Purpose.INITIAL_WEIGHTS)
        initial = ClassRBMParams.initial(n_visible, n_hidden, n_classes, key=key)
        self.n_visible, self.n_hidden, self.n_classes = n_visible, n_hidden, n_classes
        self._seed = seed
        self.weight, self.class_weight, self.visible_bias, self.hidden_bias, self.class_bias = (
            nn.Parameter(torch.from_numpy(getattr(initial, name)).to(device, dtype)) for name in initial.names
        )
        self.register_buffer("noise_counter", torch.zeros((), dtype=torch.int64))
        self.noise_counter: Tensor
        self.history: list[ClassRecord] = []

    def extra_repr(self) -> str:
        """Sizes."""
        return f"n_visible={self.n_visible}, n_hidden={self.n_hidden}, n_classes={self.n_classes}"

    # what autograd goes through

    def forward(self, x: Tensor) -> Tensor:
        """log p(y | x) of every class, (rows, n_classes), differentiable."""
        return self.log_prob(x)

    def log_prob(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(y | x), (rows,), or without y of every class, (rows, n_classes); exact and differentiable."""
        every = torch.log_softmax(self._scores(x), -1)
        return every if y is None else every.gather(-1, self._as_labels(y, every.shape[:-1]).unsqueeze(-1)).squeeze(-1)

    def free_energy(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """F(x, y) = -log sum_h exp(-E(x, y, h)), or F(x) with the classes summed out too, (rows,), differentiable.

        Raises:
            ValueError: values outside [0, 1] (of an x that does not require a gradient), or labels that are no classes.
        """
        x = self._as_states(x)
        scores = self._scores(x)
        if y is None:
            return -(x @ self.visible_bias) - torch.logsumexp(scores, -1)
        chosen = scores.gather(-1, self._as_labels(y, scores.shape[:-1]).unsqueeze(-1)).squeeze(-1)
        return -(x @ self.visible_bias) - chosen

    def hidden_mean(self, x: Tensor, y: Tensor) -> Tensor:
        """P(h = 1 | x, y), (rows, n_hidden), differentiable."""
        x = self._as_rows(x)
        inputs = nn.functional.linear(x, self.weight, self.hidden_bias)
        return torch.sigmoid(inputs + self.class_weight.t()[self._as_labels(y, x.shape[:-1])])

    def _scores(self, x: Tensor) -> Tensor:
        """-F(x, y) - b.x, (rows, n_classes)."""
        inputs = nn.functional.linear(self._as_rows(x), self.weight, self.hidden_bias)
        rows = inputs.reshape(-1, self.n_hidden)
        size = max(1, _BLOCK // (self.n_classes * self.n_hidden))
        parts = [
            nn.functional.softplus(part.unsqueeze(1) + self.class_weight.t()).sum(-1)
            for part in torch.split(rows, size)
        ]
        return self.class_bias + torch.cat(parts).reshape(*inputs.shape[:-1], self.n_classes)

    # classes

    @torch.no_grad()
    def predict_proba(self, x: Any) -> Tensor:
        """p(y | x) of every class, (rows, n_classes)."""
        return self.log_prob(self._as_states(x)).exp()

    @torch.no_grad()
    def predict(self, x: Any) -> Tensor:
        """The most probable class of each row, int64 (rows,)."""
        return self._scores(self._as_states(x)).argmax(-1)

    def score(self, data: Any, labels: Any) -> float:
        """Share of rows whose class is found, of any data that fit takes.

        Raises:
            DataError: as fit.
        """
        params = self._params()
        rows, known = labelled_rows(data, labels, params)
        return float((class_log_probabilities(params, rows).argmax(axis=1) == known).mean())

    # samples

    @torch.no_grad()
    def sample(
        self, n: int | None = None, *, y: Any = None, steps: int = 1000, seed: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """(x, y) after `steps` Gibbs steps from noise: x (n, n_visible) of 0 and 1, y int64 (n,).

        Args:
            n: how many chains; with labels in y, as many as these.
            y: a class, or one for each chain, that x is drawn given; None: drawn along.
            steps: Gibbs steps, 1 or more.
            seed: an int repeats exactly; None never repeats.
        """
        labels = None if y is None else self._as_labels(torch.as_tensor(y), None)
        if n is None:
            n = 1 if labels is None else max(1, labels.numel())
        if whole_number("n", n) < 1 or whole_number("steps", steps) < 1:
            raise ValueError(f"n, steps: expected 1 or more, got {n} and {steps}")
        if labels is not None and labels.numel() not in (1, n):
            raise ValueError(f"y: expected {n} labels or one, got {labels.numel()}")
        fixed = None if labels is None else labels.cpu().reshape(-1).expand(n).numpy()
        x, drawn = machine.sample(self._params(), n, steps, ops.as_key(self._noise(seed)), fixed)
        return torch.from_numpy(x).to(self.weight), torch.from_numpy(drawn).to(self.weight.device)

    def joint(self) -> RBM:
        """The same machine as an rbmx.RBM over (x, one-hot y): log_partition, log_likelihood, Gibbs steps; a copy."""
        params = self._params().joint()
        rbm = RBM(params.n_visible, params.n_hidden, visible=params.visible, seed=0, dtype=torch.float32)
        rbm._seed = self._seed
        rbm._take_back(params, copied=True)
        return rbm

    # training

    def fit(
        self,
        data: Any,
        labels: Any,
        *,
        objective: str = "hybrid",
        alpha: float = 0.01,
        beta: float = 0.0,
        epochs: int = 20,
        batch_size: int = 100,
        sampler: Sampler | str = "cd",
        optimizer: Optimizer | str = "sgd",
        penalties: Sequence[L2 | Dropout] = (),
        schedule: Schedule | None = None,
        centering: float = ClassConfig.centering,
        averaging: float = ClassConfig.averaging,
        shuffle: bool = True,
        validation: tuple[Any, Any] | None = None,
        patience: int | None = None,
        callbacks: Sequence[Any] = (),
        seed: int | None = None,
        progress: bool | None = None,
        k: int | None = None,
        persistent: bool | None = None,
        lr: float | None = None,
        momentum: float | None = None,
    ) -> list[ClassRecord]:
        """Ascend log p(y | x), log p(x, y) or both; in NumPy, on float32 parameters.

        Args:
            data: rows of values in [0, 1]: whatever rbmx.data.open_source takes; held in memory.
            labels: whole numbers from 0 to n_classes - 1, one a row; -1 where it is not known, with beta above 0.
            objective: "discriminative": log p(y | x), whose gradient is exact; "generative": log p(x, y), by
                contrastive divergence; "hybrid": log p(y | x) + alpha log p(x, y).
            alpha: as above, 0 or more.
            beta: weight of log p(x) of the rows without a label.
            epochs, batch_size, sampler, optimizer, penalties, schedule: as in ClassConfig.
            centering, averaging, shuffle: as in ClassConfig.
            validation: rows and labels to measure after each epoch.
            patience: as in ClassConfig; the best parameters by validation are the ones that stay.
            callbacks: objects with on_epoch_end(trainer, record), which may raise StopTraining.
            seed: an int repeats exactly; None: the module's seed, or torch's generator.
            progress: a bar on stderr; None: where stderr is a terminal.
            k, persistent, momentum: short forms of sampler and optimizer.
            lr: learning rate; None: the optimizer's own, which for "sgd" is 1 where log p(y | x) is ascended (centred
                gradients bear it) and 0.05 where log p(x, y) alone is.

        Returns:
            The records of this call.

        Raises:
            ValueError, TypeError: a bad setting.
            DataError: rows of another width, values outside [0, 1], labels that are no classes.
            DivergedError: a bias passed 2047; the parameters are those before the epoch.
        """
        if optimizer == "sgd" and lr is None and objective != "generative":
            lr = DISCRIMINATIVE_RATE
        config = ClassConfig(
            epochs=epochs,
            batch_size=batch_size,
            objective=_objective(objective, alpha, beta),
            sampler=sampler_from(sampler, k=k, persistent=persistent),  # type: ignore[arg-type]
            optimizer=optimizer_from(optimizer, lr=lr, momentum=momentum),  # type: ignore[arg-type]
            penalties=penalties,  # type: ignore[arg-type]
            schedule=schedule,
            centering=centering,
            averaging=averaging,
            shuffle=shuffle,
            seed=(int(torch_seed()) if self._seed is None else self._seed) if seed is None else seed,
            patience=patience,
        )
        params = self._params()
        rows, known = labelled_rows(data, labels, params, unlabelled=beta > 0)
        if validation is not None and not (isinstance(validation, tuple) and len(validation) == 2):
            raise ValueError(f"validation: expected (data, labels), got {type(validation).__name__}")
        unseen = None if validation is None else labelled_rows(*validation, params)
        trainer = ClassTrainer(params, rows, known, config, validation=unseen, callbacks=callbacks, progress=progress)
        try:
            records = trainer.run()
        finally:
            self.history += trainer.history
            self._take_back(params)
        return records

    # files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write parameters and history to one safetensors file, atomically."""
        about = {
            "format": FORMAT,
            "seed": self._seed,
            "noise_counter": int(self.noise_counter),
            "history": [record.to_json() for record in self.history],
        }
        params = self._params()
        tensors = {name: getattr(params, name) for name in params.names}
        write_model(path, about, tensors)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: Any = None, dtype: torch.dtype | None = None) -> Self:
        """The module that save wrote.

        Raises:
            CheckpointError: the file is no classification RBM.
            OSError: it cannot be read.
        """
        about, tensors = read_model(path, FORMAT)
        with interpreting(path):
            params = ClassRBMParams(**tensors)
            module = cls(
                params.n_visible, params.n_hidden, params.n_classes, seed=about["seed"], device=device, dtype=dtype
            )
            module._take_back(params)
            module.noise_counter += about["noise_counter"]
            module.history = [ClassRecord(**record) for record in about["history"]]
        return module

    # the border to the arrays

    def _params(self) -> ClassRBMParams:
        """The parameters as float32 arrays of their own."""
        arrays = {
            name: np.array(parameter.detach().cpu().to(torch.float32).numpy(), order="C")
            for name, parameter in self.named_parameters()
        }
        return ClassRBMParams(**arrays)

    @torch.no_grad()
    def _take_back(self, params: ClassRBMParams) -> None:
        for name in params.names:
            getattr(self, name).copy_(torch.from_numpy(getattr(params, name)))

    def _noise(self, seed: int | None) -> Tensor:
        """The key of one call: an int seed as it is, else a fresh one that is never used again."""
        if seed is not None:
            return ops.key_tensor(Key(seed))
        self.noise_counter += 1
        base = torch_seed() if self._seed is None else ops.key_tensor(Key(self._seed))
        key: Tensor = ops.noise_key(base, self.noise_counter)
        return key

    def _as_rows(self, values: Any) -> Tensor:
        x = values if isinstance(values, Tensor) else torch.as_tensor(values, device=self.weight.device)
        if x.ndim < 1 or x.shape[-1] != self.n_visible:
            raise ValueError(f"x: expected (rows, {self.n_visible}), got {tuple(x.shape)}")
        rows: Tensor = x.to(self.weight.dtype)
        return rows

    def _as_states(self, values: Any) -> Tensor:
        """Rows, once it is clear that they are in [0, 1]; an x that requires a gradient may leave it."""
        x = self._as_rows(values)
        if not x.requires_grad:
            require_states(_BERNOULLI, x, "x")
        return x

    def _as_labels(self, y: Any, shape: Sequence[int] | None) -> Tensor:
        """Classes as int64, one for each row of `shape`; ValueError where they are none."""
        labels = torch.as_tensor(y, device=self.weight.device)
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise ValueError(f"y: expected whole numbers from 0 to {self.n_classes - 1}, got {labels.dtype}")
        if not torch.compiler.is_compiling() and bool(((labels < 0) | (labels >= self.n_classes)).any()):
            wrong = int(labels[(labels < 0) | (labels >= self.n_classes)].reshape(-1)[0])
            raise ValueError(f"y: expected classes from 0 to {self.n_classes - 1}, got {wrong}")
        return labels.long() if shape is None else labels.long().expand(tuple(shape))


def _objective(name: str, alpha: float, beta: float) -> Objective:
    weights = {"discriminative": (1.0, 0.0), "generative": (0.0, 1.0), "hybrid": (1.0, alpha)}
    if name not in weights:
        raise ValueError(f"objective: expected one of {', '.join(weights)}, got {name!r}")
    for argument, value in (("alpha", alpha), ("beta", beta)):
        if not number(argument, value) >= 0:
            raise ValueError(f"{argument}: expected a weight of 0 or more, got {value}")
    return Objective(*weights[name], beta)
