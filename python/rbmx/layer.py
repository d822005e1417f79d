"""The differentiable half of the torch module: parameters, conditionals and energies."""

from __future__ import annotations

import math
from typing import Any

from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.units import unit_type

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:  # pragma: no cover - an environment without torch
    raise ImportError("rbmx.RBM needs torch: pip install 'rbmx[torch]'; rbmx.train works without") from error

__all__ = ["RBMLayer", "torch_seed", "unit_mean"]


class RBMLayer(nn.Module):
    """Parameters of E(v, h) = U(v) - v.b + U(h) - h.c - h W v with what autograd can go through.

    Args and attributes: as of rbmx.RBM, which adds sampling, training and scoring.
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
        super().__init__()
        self._visible_unit, self._hidden_unit = unit_type(visible), unit_type(hidden)
        self.n_visible, self.n_hidden = n_visible, n_hidden
        self._seed = seed
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(n_hidden, n_visible, **factory))
        self.visible_bias = nn.Parameter(torch.empty(n_visible, **factory))
        self.hidden_bias = nn.Parameter(torch.empty(n_hidden, **factory))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights near N(0, 0.01^2) from the seed (or torch's generator), biases zero."""
        seed = int(torch_seed()) if self._seed is None else self._seed
        initial = RBMParams.initial(self.n_visible, self.n_hidden, key=Key(seed).fold_in(Purpose.INITIAL_WEIGHTS))
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(initial.weight))
            self.visible_bias.zero_()
            self.hidden_bias.zero_()

    def extra_repr(self) -> str:
        """Sizes and unit types."""
        return (
            f"n_visible={self.n_visible}, n_hidden={self.n_hidden}, "
            f"visible={self._visible_unit.name!r}, hidden={self._hidden_unit.name!r}"
        )

    def forward(self, v: Tensor) -> Tensor:
        """E[h | v], (rows, n_hidden): the machine as a layer."""
        return self.hidden_mean(v)

    def hidden_mean(self, v: Tensor) -> Tensor:
        """E[h | v], (rows, n_hidden), differentiable."""
        return unit_mean(self._hidden_unit.name, self._hidden_input(v))

    def visible_mean(self, h: Tensor) -> Tensor:
        """E[v | h], (rows, n_visible), differentiable."""
        return unit_mean(self._visible_unit.name, self._visible_input(h))

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h), (rows,), differentiable."""
        v, h = self._as_rows(v, "v", self.n_visible), self._as_rows(h, "h", self.n_hidden)
        own = _energy(self._visible_unit.name, v).sum(-1) + _energy(self._hidden_unit.name, h).sum(-1)
        return own - v @ self.visible_bias - h @ self.hidden_bias - ((h @ self.weight) * v).sum(-1)

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)), (rows,), differentiable; p(v) = exp(-F(v)) / Z."""
        v = self._as_rows(v, "v", self.n_visible)
        own = _energy(self._visible_unit.name, v).sum(-1) - v @ self.visible_bias
        return own - _cumulant(self._hidden_unit.name, self._hidden_input(v)).sum(-1)

    def _hidden_input(self, v: Tensor) -> Tensor:
        return nn.functional.linear(self._as_rows(v, "v", self.n_visible), self.weight, self.hidden_bias)

    def _visible_input(self, h: Tensor) -> Tensor:
        return nn.functional.linear(self._as_rows(h, "h", self.n_hidden), self.weight.t(), self.visible_bias)

    def _as_rows(self, values: Tensor, name: str, units: int) -> Tensor:
        if values.ndim < 1 or values.shape[-1] != units:
            raise ValueError(f"{name}: expected (rows, {units}), got {tuple(values.shape)}")
        return values.to(self.weight.dtype)


def torch_seed() -> Tensor:
    """A seed from torch's global generator, so that torch.manual_seed rules; an int64 scalar."""
    return torch.randint(2**63 - 1, (), dtype=torch.int64, device="cpu")


def unit_mean(unit: str, x: Tensor) -> Tensor:
    """E[s | x] of a unit type at the inputs x."""
    return torch.sigmoid(x) if unit == "bernoulli" else x


def _energy(unit: str, s: Tensor) -> Tensor:
    return torch.zeros_like(s) if unit == "bernoulli" else s * s / 2


def _cumulant(unit: str, x: Tensor) -> Tensor:
    return nn.functional.softplus(x) if unit == "bernoulli" else x * x / 2 + math.log(2 * math.pi) / 2
