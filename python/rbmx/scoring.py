"""The scoring half of the torch module: log Z and likelihoods."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rbmx import marginal, ops
from rbmx.backends import Rows
from rbmx.bits import PackedBits
from rbmx.data import open_source
from rbmx.likelihood import Estimate, exact, pseudolikelihood
from rbmx.likelihood.clamped import log_marginals
from rbmx.likelihood.partition import estimate_log_partition
from rbmx.samplers.clamped import has_missing
from rbmx.sampling import RBMSampler
from rbmx.training.measuring import log_odds

__all__ = ["RBMScorer"]


class RBMScorer(RBMSampler):
    """What says how good the machine is; rbmx.RBM adds training."""

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
            v: (rows, n_visible); NaN is a missing entry, neither given nor asked for: it is summed out.
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
        known = torch.as_tensor(given, device=v.device).bool().expand_as(v)
        hidden_from_view = torch.where(known, v, torch.nan)
        given_rows, rows = self._require_states(hidden_from_view), self._require_states(v)
        both = (hidden_from_view, v)
        if method == "exact" or (method == "auto" and all(marginal.can_sum_out(self, part) for part in both)):
            return (marginal.free_energy(self, hidden_from_view) - marginal.free_energy(self, v)).double()
        asked = (~known & ~v.isnan()).any(1)  # the other rows have nothing to predict
        whole, key = ~v.isnan().any(1), self._key(seed)
        settings: dict[str, Any] = {"temperatures": temperatures, "chains": chains}
        found = torch.zeros(len(v), dtype=torch.float64)
        found[asked] -= torch.from_numpy(
            log_marginals(self._params_copy(), given_rows[asked.cpu().numpy()], key=key.fold_in(0), **settings)
        )
        found[asked & whole] -= self.complete_free_energy(v[asked & whole]).double().cpu()
        gaps = asked & ~whole
        found[gaps] += torch.from_numpy(
            log_marginals(self._params_copy(), rows[gaps.cpu().numpy()], key=key.fold_in(1), **settings)
        )
        return found

    def pseudo_log_likelihood(self, v: Tensor) -> Tensor:
        """sum_i log p(v_i | all other v), float64 (rows,), over all visible units."""
        values = pseudolikelihood.pseudo_log_likelihood(self._params_copy(), ops.as_rows(v))
        return torch.from_numpy(values)
