"""The sampling half of the torch module: Gibbs steps, imputing, and the border to the kernels."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmx import marginal, ops, torch_units
from rbmx.arguments import whole_number
from rbmx.backends import Backend, Rows, backend_for
from rbmx.layer import RBMLayer, torch_seed
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.samplers.clamped import AVERAGED_STEPS, complete, mean_of_hidden, mean_of_missing
from rbmx.states import require_states
from rbmx.units.base import require_whole_groups

__all__ = ["RBMSampler"]


class RBMSampler(RBMLayer):
    """What draws from the machine, with noise that never repeats unless a seed says so.

    Args and attributes: as of rbmx.RBM, which adds training and scoring.
    """

    def __init__(self, n_visible: int, n_hidden: int, **settings: Any) -> None:
        super().__init__(n_visible, n_hidden, **settings)
        self.register_buffer("noise_counter", torch.zeros((), dtype=torch.int64))
        self.noise_counter: Tensor
        self._told_slow = False

    @torch.no_grad()
    def sample_hidden(self, v: Tensor, seed: int | None = None) -> Tensor:
        """h ~ p(h | v), (rows, n_hidden). An int seed repeats exactly; None never repeats."""
        require_states(self.visible_unit, self._as_rows(v, "v", self.n_visible), "v")
        return self._half_step("hidden", v, self._noise(seed))

    @torch.no_grad()
    def sample_visible(self, h: Tensor, seed: int | None = None) -> Tensor:
        """v ~ p(v | h), (rows, n_visible), counts of one word. An int seed repeats exactly; None never repeats."""
        require_states(self.hidden_unit, self._as_rows(h, "h", self.n_hidden), "h")
        return self._half_step("visible", h, self._noise(seed))

    @torch.no_grad()
    def gibbs(self, v: Tensor, steps: int = 1, seed: int | None = None) -> Tensor:
        """v after `steps` times h ~ p(h | v), v ~ p(v | h), (rows, n_visible)."""
        if whole_number("steps", steps) < 0:
            raise ValueError(f"steps: expected 0 or more, got {steps}")
        require_states(self.visible_unit, self._as_rows(v, "v", self.n_visible), "v")
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
        if whole_number("n", n) < 1:
            raise ValueError(f"n: expected 1 or more, got {n}")
        if whole_number("steps", steps) < 0:
            raise ValueError(f"steps: expected 0 or more, got {steps}")
        if self.visible == "counts" and (start is None or given is not None):
            raise ValueError("start: counts keep the totals of the rows they start at; expected start= and no given=")
        key = self._noise(seed)
        if start is None:
            fair = torch.zeros(n, self.n_hidden, dtype=self.weight.dtype, device=self.weight.device)
            start = self._half_step("visible", fair, ops.fold_in(key, 1))
        start = self._as_rows(start, "start", self.n_visible).to(self.weight.device).expand(n, self.n_visible)
        require_states(self.visible_unit, start, "start")
        if given is None:
            if mask is not None:
                raise ValueError("mask: expected given= beside it")
            return self._gibbs(start, steps, ops.fold_in(key, 2))
        given = torch.as_tensor(given, dtype=self.weight.dtype, device=self.weight.device)
        given = self._as_rows(given, "given", self.n_visible).expand(n, self.n_visible)
        mask = ~torch.isnan(given) if mask is None else torch.as_tensor(mask, device=given.device).bool()
        if not torch.compiler.is_compiling():
            require_whole_groups(self.visible_unit, mask.expand(n, self.n_visible).cpu().numpy())
            if bool((mask & given.isnan()).any()):
                raise ValueError("given: NaN where mask is true, expected a value to keep")
        require_states(self.visible_unit, torch.where(mask, given, torch.nan), "given", missing=True)
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
        if whole_number("steps", steps) < 2:
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
        require_states(self.visible_unit, v, "v", missing=True)
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
