"""What torch does in an epoch of a net: its minibatches by any optimizer, and sums of gradients over blocks of rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rbmx.arguments import check_types
from rbmx.backends import Rows
from rbmx.bits import PackedBits
from rbmx.rng import Draws, Key, Purpose
from rbmx.tied import TiedLinear
from rbmx.training.backprop import require_loss
from rbmx.training.examples import Examples
from rbmx.training.feed import Window
from rbmx.training.minimizing import METHODS
from rbmx.training.optimizers import SGD, Adam, Optimizer, RMSProp, optimizer_from
from rbmx.training.tuner import BLOCK_ROWS, Vector

__all__ = [
    "ModuleLearner",
    "Noise",
    "Regularization",
    "activation_of",
    "blocks",
    "measure",
    "rows_tensor",
    "stepper_from",
]

ACTIVATION_OF: dict[type[nn.Module], str] = {
    nn.Sigmoid: "sigmoid",
    nn.ReLU: "relu",
    nn.LogSoftmax: "log_softmax",
}


class Noise(Protocol):
    """What spoils the rows that a denoising net learns from."""

    def corrupt(self, x: Tensor, draws: Draws) -> Tensor:
        """Rows (rows, units) with the noise at their places."""
        ...


@dataclass(frozen=True)
class Regularization:
    """What keeps a net from fitting its rows too closely, beside weight decay.

    Attributes:
        dropout: the share of hidden units without which each row goes, the others scaled up (Srivastava et al. 2014):
            of every layer but the output, whatever its activation, the code of an autoencoder too.
        input_dropout: the same share of the inputs.
        max_norm: the largest length of a hidden unit's incoming weights, in every layer but the output, tied ones too;
            None: no bound.
    """

    dropout: float = 0.0
    input_dropout: float = 0.0
    max_norm: float | None = None

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("dropout", "input_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a share from 0 to less than 1, got {getattr(self, name)}")
        if self.max_norm is not None and not (self.max_norm > 0 and math.isfinite(self.max_norm)):
            raise ValueError(f"max_norm: expected a positive length, got {self.max_norm}")


def stepper_from(
    optimizer: Any, module: nn.Module, *, lr: float | None, momentum: float | None, weight_decay: float
) -> torch.optim.Optimizer | None:
    """A torch optimizer of a module's parameters; None for "lbfgs" and "cg", which search with all rows.

    Args:
        optimizer: "sgd", "nesterov", "adam", "rmsprop", "lbfgs", "cg", SGD(...), Adam(...) or RMSProp(...) of
            rbmx.training, a class of torch.optim, or an instance of one over the module's parameters.
        module: whose parameters are tuned, but those that require no gradient.
        lr, momentum: instead of the optimizer's own.
        weight_decay: of the weights, not of the biases.

    Raises:
        ValueError: an unknown optimizer, or settings that it does not take.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError("optimizer: expected parameters that require gradients, the module has none")
    searches = isinstance(optimizer, str) and optimizer in METHODS
    asked: dict[str, Any] = {name: value for name, value in (("lr", lr), ("momentum", momentum)) if value is not None}
    if asked and (searches or isinstance(optimizer, torch.optim.Optimizer)):
        raise ValueError(f"{', '.join(asked)}: {_name(optimizer)} has its own or none; leave it out")
    if searches:
        return None
    if isinstance(optimizer, torch.optim.Optimizer):
        own = {id(parameter) for parameter in module.parameters()}
        if not all(id(p) in own for group in optimizer.param_groups for p in group["params"]):
            raise ValueError("optimizer: expected one over the parameters of this module, got one over others")
        if weight_decay:
            raise ValueError(f"weight_decay: {_name(optimizer)} has its own; leave it out")
        return optimizer
    groups: list[Any] = parameters
    if weight_decay:
        groups = [
            {"params": [p for p in parameters if p.ndim == 2], "weight_decay": weight_decay},
            {"params": [p for p in parameters if p.ndim != 2], "weight_decay": 0.0},
        ]
    if isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer):
        stepper = optimizer(groups, **asked)
        if weight_decay and "weight_decay" not in stepper.defaults:
            raise ValueError(f"weight_decay: {_name(optimizer)} has none")
        return stepper
    rule = optimizer_from(
        optimizer, lr=lr, momentum=momentum, or_else="'lbfgs', 'cg', or a class of torch.optim or an instance of one"
    )
    return _torch_rule(rule, groups, parameters)


def _torch_rule(rule: Optimizer, groups: list[Any], parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The same rule by torch, fused where it can be."""
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in parameters)
    if isinstance(rule, SGD):
        return torch.optim.SGD(groups, lr=rule.lr, momentum=rule.momentum, nesterov=rule.nesterov, fused=fused)
    if isinstance(rule, Adam):
        betas = (rule.beta1, rule.beta2)
        return torch.optim.Adam(groups, lr=rule.lr, betas=betas, eps=rule.epsilon, fused=fused)
    assert isinstance(rule, RMSProp)
    return torch.optim.RMSprop(groups, lr=rule.lr, alpha=rule.decay, eps=rule.epsilon)


def _name(optimizer: Any) -> str:
    return optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", type(optimizer).__name__)


class ModuleLearner:
    """Stages of a torch net with a loss and an optimizer: the rbmx.training.tuner.Learner of modules.

    Args:
        stages: from input to output: layers with `weight` and `bias`, and activations.
        examples: what it learns.
        loss: "squared_error", "cross_entropy" or "nll"; as in rbmx.training.backprop.
        stepper: a torch optimizer, None for full-batch searches.
        regularization: dropout and norms, for minibatches.
        noise: what spoils the rows first.
        seed: of noise and dropout.
        validation: what is measured after each epoch.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        examples: Examples,
        *,
        loss: str,
        stepper: torch.optim.Optimizer | None,
        regularization: Regularization,
        noise: Noise | None,
        seed: int,
        validation: Examples | None,
    ) -> None:
        require_loss(loss, activation_of(stages))
        self._stages, self._loss = stages, loss
        self._examples, self._validation = examples, validation
        self._stepper, self._regularization, self._noise = stepper, regularization, noise
        self._noise_key = Key(seed).fold_in(Purpose.CORRUPTION)
        self._dropout_key = Key(seed).fold_in(Purpose.DROPOUT)
        modules = nn.ModuleList(stages)
        self._parameters = [parameter for parameter in modules.parameters() if parameter.requires_grad]
        self._total = torch.zeros((), dtype=torch.float64, device=self._device)
        self._window: Window | None = None

    @property
    def lr(self) -> float:
        """The rate of the first group of parameters, which a torch lr_scheduler in a callback may have moved."""
        return 0.0 if self._stepper is None else float(self._stepper.param_groups[0]["lr"])

    @property
    def has_validation(self) -> bool:
        """Whether there are validation rows."""
        return self._validation is not None

    @property
    def _device(self) -> torch.device:
        return self._parameters[0].device

    def take(self, window: Window) -> None:
        """Hold a window; one in memory comes again each epoch and is converted once."""
        if self._window is not None and window.rows is self._window.rows:
            return
        self._window = window
        self._rows = rows_tensor(window.rows).to(self._device)
        targets = self._examples.of(window)
        self._targets = None if targets is None else torch.from_numpy(targets).to(self._device)

    def learn(self, places: NDArray[np.int64], factor: float, epoch: int, first: int) -> None:
        """One step of the optimizer down the mean loss of these rows."""
        stepper = self._stepper
        assert stepper is not None
        x, target = self._chosen(places)

        def mean_loss() -> Any:
            stepper.zero_grad(set_to_none=True)
            loss = self._sum(x, target, epoch, first) / len(places)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        with _scaled(stepper, factor):
            loss: Any = stepper.step(mean_loss)  # of the first evaluation, for optimizers that make more
        self._total += loss.detach() * len(places)
        if self._regularization.max_norm is not None:
            self._bound_norms(self._regularization.max_norm)

    def take_loss(self) -> float:
        """The one place that waits for the device, once an epoch."""
        total = float(self._total)
        self._total.zero_()
        return total

    def loss_and_gradient(self, places: NDArray[np.int64], first: int) -> tuple[float, Vector]:
        """Sums over these rows; the noise stays that of the first epoch, so that there is one function to minimise."""
        loss = self._sum(*self._chosen(places), 0, first)
        return float(loss.detach()), _vector(torch.autograd.grad(loss, self._parameters))

    def flat(self) -> Vector:
        """All parameters that are tuned."""
        return _vector([parameter.detach() for parameter in self._parameters])

    @torch.no_grad()
    def set_flat(self, vector: Vector) -> None:
        """Put them back."""
        values = torch.from_numpy(vector)
        start = 0
        for parameter in self._parameters:
            parameter.copy_(values[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()

    def decaying(self) -> Vector:
        """1 for weights, 0 for biases."""
        return np.concatenate([np.full(p.numel(), float(p.ndim == 2)) for p in self._parameters])

    def validate(self) -> tuple[float, float] | None:
        """Mean loss and error without noise and dropout."""
        return None if self._validation is None else measure(self._stages, self._validation, self._loss)

    def _chosen(self, places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        index = torch.from_numpy(places).to(self._device)
        dtype = self._parameters[0].dtype
        x = self._rows.index_select(0, index).to(dtype)
        if self._targets is None:
            return x, x
        return x, _target(self._targets.index_select(0, index), dtype)

    def _sum(self, x: Tensor, target: Tensor, epoch: int, first: int) -> Tensor:
        if self._noise is not None:
            x = self._noise.corrupt(x, Draws(self._noise_key, first, epoch, 0))
        regularization = self._regularization

        def drop(values: Tensor, place: int) -> Tensor:
            share = regularization.dropout if place else regularization.input_dropout
            if not share:
                return values
            left = Draws(self._dropout_key, first, epoch, place).uniform(*values.shape) >= share
            return values * torch.from_numpy(left).to(values.device) / (1 - share)

        return _loss_sum(self._stages, x, target, self._loss, drop)

    @torch.no_grad()
    def _bound_norms(self, max_norm: float) -> None:
        layers = [stage for stage in self._stages if isinstance(stage, nn.Linear | TiedLinear)]
        for layer in layers[:-1]:
            units = 0 if isinstance(layer, nn.Linear) else 1  # shrinking columns of tied weights lengthens no row
            layer.weight.copy_(torch.renorm(layer.weight, 2, units, max_norm))


@contextmanager
def _scaled(stepper: torch.optim.Optimizer, factor: float) -> Iterator[None]:
    """The optimizer's rates times the factor for one step: between steps they are its own, for schedulers to move."""
    rates = [group["lr"] for group in stepper.param_groups]
    try:
        for group, rate in zip(stepper.param_groups, rates, strict=True):
            group["lr"] = rate * factor
        yield
    finally:
        for group, rate in zip(stepper.param_groups, rates, strict=True):
            group["lr"] = rate


def activation_of(stages: Sequence[nn.Module]) -> str:
    """The name of the output's activation."""
    return ACTIVATION_OF.get(type(stages[-1]), "linear")


def blocks(examples: Examples, like: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and targets, 1,000 at a time, on the device of `like` and in its dtype."""
    for first, block in examples.dataset.blocks():
        rows = rows_tensor(block)
        for start in range(0, len(rows), BLOCK_ROWS):
            x = rows[start : start + BLOCK_ROWS].to(like)
            if examples.targets is None:
                yield x, x
            else:
                targets = examples.targets[first + start : first + start + len(x)]
                yield x, _target(torch.from_numpy(targets).to(like.device), like.dtype)


@torch.no_grad()
def measure(stages: Sequence[nn.Module], examples: Examples, loss: str) -> tuple[float, float]:
    """Mean loss, and mean error: the share of rows misclassified ("nll"), or the squared error of a row."""
    like = next(nn.ModuleList(stages).parameters())
    total, wrong, rows = 0.0, 0.0, 0
    for x, target in blocks(examples, like):
        total += float(_loss_sum(stages, x, target, loss))
        for stage in stages:
            x = stage(x)
        error = x.argmax(1) != target if loss == "nll" else (x - target) ** 2
        wrong += float(error.sum(dtype=torch.float64))
        rows += len(target)
    return total / rows, wrong / rows


def rows_tensor(rows: Rows) -> Tensor:
    """Rows as a tensor: bits as uint8, real values as they are."""
    values = rows.unpack() if isinstance(rows, PackedBits) else rows
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def _target(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Labels as int64, of which there is one a row; values in the dtype of the net."""
    return values.to(torch.int64 if values.ndim == 1 else dtype)


def _loss_sum(
    stages: Sequence[nn.Module],
    x: Tensor,
    target: Tensor,
    loss: str,
    drop: Callable[[Tensor, int], Tensor] = lambda values, place: values,
) -> Tensor:
    """The loss summed over rows, from the last net input where that is the stable way."""
    last = len(stages) - (activation_of(stages) != "linear")
    x = drop(x, 0)
    for i, stage in enumerate(stages[:last]):
        x = stage(x)
        if i + 1 < last and type(stages[i + 1]) not in ACTIVATION_OF:  # a hidden layer is complete
            x = drop(x, i + 1)
    wide = torch.promote_types(x.dtype, torch.float32)  # half precision cannot add up a batch
    x = x.to(wide)
    if loss != "nll":
        target = target.to(wide)
    if loss == "cross_entropy":
        return functional.binary_cross_entropy_with_logits(x, target, reduction="sum")
    if loss == "nll":
        return functional.cross_entropy(x, target, reduction="sum")
    for stage in stages[last:]:
        x = stage(x)
    return functional.mse_loss(x, target, reduction="sum")


def _vector(tensors: Sequence[Tensor]) -> Vector:
    vector: Vector = torch.cat([tensor.reshape(-1).double() for tensor in tensors]).cpu().numpy()
    return vector
