"""The differentiable half of the torch module: parameters, conditionals and energies."""

from __future__ import annotations

from typing import Any

from rbmx.arguments import whole_number
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.units import UnitType, unit_type

try:
    import torch
    from torch import Tensor, nn

    from rbmx import marginal, torch_units
    from rbmx.states import require_states
except ImportError as error:  # pragma: no cover - an environment without torch
    raise ImportError("rbmx.RBM needs torch: pip install 'rbmx[torch]'; rbmx.train works without") from error

__all__ = ["RBMLayer", "torch_seed"]


class RBMLayer(nn.Module):
    """Parameters of E(v, h) = U(v) - t(v).b + U(h) - h.c - h W t(v) with what autograd can go through.

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
        self.visible, self.hidden = visible, hidden
        self.n_visible, self.n_hidden = n_visible, n_hidden
        self._seed = None if seed is None else whole_number("seed", seed)
        initial = self._initial_params()
        self.visible_unit, self.hidden_unit = unit_type(visible, n_visible), unit_type(hidden, n_hidden)
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(n_hidden, n_visible, **factory))
        self.visible_bias = nn.Parameter(torch.empty(n_visible, **factory))
        self.hidden_bias = nn.Parameter(torch.empty(n_hidden, **factory))
        learned = initial.log_variance is not None
        self.log_variance = nn.Parameter(torch.empty(n_visible, **factory)) if learned else None
        self._set_parameters(initial)

    def reset_parameters(self) -> None:
        """Weights near N(0, 0.01^2) from the seed (or torch's generator), biases zero, learned variances 1."""
        self._set_parameters(self._initial_params())

    def _initial_params(self) -> RBMParams:
        key = Key(int(torch_seed()) if self._seed is None else self._seed).fold_in(Purpose.INITIAL_WEIGHTS)
        return RBMParams.initial(self.n_visible, self.n_hidden, key=key, visible=self.visible, hidden=self.hidden)

    def _set_parameters(self, params: RBMParams) -> None:
        with torch.no_grad():
            for name in params.names:
                getattr(self, name).copy_(torch.from_numpy(getattr(params, name)))

    def extra_repr(self) -> str:
        """Sizes and unit types."""
        return f"n_visible={self.n_visible}, n_hidden={self.n_hidden}, visible={self.visible!r}, hidden={self.hidden!r}"

    def forward(self, v: Tensor) -> Tensor:
        """E[h | v], (rows, n_hidden): the machine as a layer."""
        return self.hidden_mean(v)

    def hidden_mean(self, v: Tensor) -> Tensor:
        """E[h | v], (rows, n_hidden), differentiable; NaN is a missing entry, summed out (rbmx.marginal).

        A smooth function of any real v, like those of other layers: it does not ask whether v can be a state.
        """
        v = self._as_rows(v, "v", self.n_visible)
        return self._marginal_hidden_mean(v) if marginal.may_be_missing(v) else self.complete_hidden_mean(v)

    def _marginal_hidden_mean(self, v: Tensor) -> Tensor:
        return marginal.hidden_mean(self, v)

    def complete_hidden_mean(self, v: Tensor) -> Tensor:
        """hidden_mean of rows without missing entries."""
        return torch_units.mean(self.hidden_unit, self._hidden_input(v))

    def visible_mean(self, h: Tensor) -> Tensor:
        """E[v | h], (rows, n_visible), differentiable; for counts the probabilities of one word."""
        return torch_units.mean(self.visible_unit, self._visible_input(h), self.log_variance)

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h), (rows,), differentiable; what free_energy says of v holds for both.

        Raises:
            ValueError: values that are no states of their units, nor means of states.
        """
        v, h = self._as_rows(v, "v", self.n_visible), self._as_rows(h, "h", self.n_hidden)
        _require_states_but_variables(self.visible_unit, v, "v")
        _require_states_but_variables(self.hidden_unit, h, "h")
        return self._visible_energy(v) + torch_units.energy(self.hidden_unit, h) - (self._hidden_input(v) * h).sum(-1)

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)), (rows,), differentiable; p(v) = exp(-F(v)) / Z.

        NaN is a missing entry: with F(v) = -log of the sum over them as well, p(observed) = exp(-F(v)) / Z. A v that
        requires a gradient is one to move, and may leave the range of its units.

        Raises:
            ValueError: values that are no states of their units, nor means of states, or entries are missing that
                cannot be summed out (rbmx.marginal).
        """
        v = self._as_rows(v, "v", self.n_visible)
        _require_states_but_variables(self.visible_unit, v, "v", missing=True)
        return marginal.free_energy(self, v) if marginal.may_be_missing(v) else self.complete_free_energy(v)

    def complete_free_energy(self, v: Tensor) -> Tensor:
        """free_energy of rows without missing entries."""
        return self._visible_energy(v) - torch_units.cumulant(self.hidden_unit, self._hidden_input(v))

    def _visible_energy(self, v: Tensor) -> Tensor:
        """U(v) - t(v).b."""
        own = torch_units.energy(self.visible_unit, v, self.log_variance)
        return own - torch_units.statistic(self.visible_unit, v, self.log_variance) @ self.visible_bias

    def _hidden_input(self, v: Tensor) -> Tensor:
        v = self._as_rows(v, "v", self.n_visible)
        t = torch_units.statistic(self.visible_unit, v, self.log_variance)
        return t @ self.weight.t() + torch_units.replicas(self.visible_unit, v) * self.hidden_bias

    def _visible_input(self, h: Tensor) -> Tensor:
        return nn.functional.linear(self._as_rows(h, "h", self.n_hidden), self.weight.t(), self.visible_bias)

    def _as_rows(self, values: Any, name: str, units: int) -> Tensor:
        if not isinstance(values, Tensor):
            values = torch.as_tensor(values, device=self.weight.device)
        if values.ndim < 1 or values.shape[-1] != units:
            raise ValueError(f"{name}: expected (rows, {units}), got {tuple(values.shape)}")
        rows: Tensor = values.to(self.weight.dtype)
        return rows


def _require_states_but_variables(unit: UnitType, values: Tensor, name: str, *, missing: bool = False) -> None:
    """require_states, but of values that a gradient is asked for: they move off the states."""
    if not values.requires_grad:
        require_states(unit, values, name, missing=missing)


def torch_seed() -> Tensor:
    """A seed from torch's global generator, so that torch.manual_seed rules; an int64 scalar."""
    return torch.randint(2**63 - 1, (), dtype=torch.int64, device="cpu")
