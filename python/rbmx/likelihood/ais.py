"""Annealed importance sampling, forwards and backwards: log Z where no side can be enumerated.

Neal (2001), "Annealed importance sampling"; Salakhutdinov and Murray (2008), "On the quantitative analysis of deep
belief networks"; backwards: Burda, Grosse and Salakhutdinov (2015), "Accurate and conservative estimates of MRF
log-likelihood using reverse annealing".
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows, backend_for
from rbmx.bits import PackedBits
from rbmx.likelihood.estimate import Estimate
from rbmx.likelihood.normalisable import require_partition_function
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key

__all__ = ["ais_log_partition", "reverse_ais_log_partition"]

SIGMAS = 3.0  # of the interval


def ais_log_partition(
    params: RBMParams,
    *,
    temperatures: int = 1000,
    chains: int = 100,
    key: Key,
    base_bias: NDArray[np.float32] | None = None,
) -> Estimate:
    """log Z from independent units upwards: unbiased for Z, so low for log Z where chains do not find all modes.

    Path: p_k(v, h) ~ exp(-U(v) - U(h) + v.(a + beta_k (b - a)) + beta_k h.(c + W v)), beta from 0 to 1, a the base
    bias. With w = prod_k p_k(v_k) / p_(k-1)(v_k) over Gibbs chains, Z = Z_0 E[w]; p_k(v) is taken with h summed out.

    Args:
        params: the machine, of any unit types.
        temperatures: steps of the path, 2 or more.
        chains: independent runs.
        key: of their noise.
        base_bias: a, visible biases of the base: log odds of the data bring the ends closer; None: the machine's own.

    Returns:
        Estimate(log Z, low, high, method): the interval is three standard errors of the mean of w, and only covers
        what the chains have seen.

    Raises:
        ValueError: too few temperatures or chains, counts, or energies that cannot be normalised.
    """
    path = _Path(params, base_bias, temperatures, chains)
    noise, weights = key, np.zeros(chains)
    v = path.base_sample(key.fold_in(0))
    for step in range(1, temperatures + 1):
        before, now = path.at(step - 1), path.at(step)
        weights += path.free_energy(before, v) - path.free_energy(now, v)
        if step < temperatures:
            v = path.gibbs(now, v, noise.fold_in(1), step)
    return _estimate(path.log_base, weights, 1.0, f"AIS, {temperatures} temperatures, {chains} chains")


def reverse_ais_log_partition(
    params: RBMParams,
    start: Rows,
    *,
    temperatures: int = 1000,
    burn_in: int = 1000,
    key: Key,
    base_bias: NDArray[np.float32] | None = None,
) -> Estimate:
    """log Z from the machine's own samples downwards: unbiased for 1 / Z, so high for log Z.

    Args:
        params: the machine, of any unit types.
        start: where the chains begin, a row each: rows of the data.
        temperatures: steps of the path, 2 or more.
        burn_in: Gibbs steps that take the chains from `start` to samples of the machine.
        key: of their noise.
        base_bias: as in ais_log_partition.

    Returns:
        Estimate(log Z, low, high, method). True samples would make it a bound in expectation; chains that stay near the
        data make it less than that.
    """
    chains = len(start)
    path = _Path(params, base_bias, temperatures, chains)
    v = path.backend.gibbs(params, start, burn_in, key.fold_in(2)) if burn_in else start
    weights = np.zeros(chains)
    for step in range(temperatures - 1, -1, -1):
        before, now = path.at(step + 1), path.at(step)
        weights += path.free_energy(before, v) - path.free_energy(now, v)
        if step > 0:
            v = path.gibbs(now, v, key.fold_in(3), step)
    method = f"reverse AIS, {temperatures} temperatures, {chains} chains, {burn_in} steps of burn-in"
    return _estimate(path.log_base, weights, -1.0, method)


class _Path:
    """The machines between a base of independent units and the one asked about."""

    def __init__(
        self, params: RBMParams, base_bias: NDArray[np.float32] | None, temperatures: int, chains: int
    ) -> None:
        if temperatures < 2:
            raise ValueError(f"temperatures: expected 2 or more, got {temperatures}")
        if chains < 2:
            raise ValueError(f"chains: expected 2 or more, for an interval, got {chains}")
        base = params.visible_bias if base_bias is None else np.asarray(base_bias, np.float32)
        if base.shape != params.visible_bias.shape:
            raise ValueError(f"base_bias: expected {params.visible_bias.shape}, got {base.shape}")
        self.params, self.base, self.chains, self.steps = params, base, chains, temperatures
        self.backend = backend_for(params, reproducible=True)
        require_partition_function(params)
        idle = float(params.hidden_unit.cumulant(np.zeros(params.n_hidden)))
        self.log_base = float(params.visible_unit.cumulant(base.astype(np.float64))) + idle

    def at(self, step: int) -> RBMParams:
        """The machine at beta = step / steps."""
        beta = np.float32(step / self.steps)
        p = self.params
        visible_bias = self.base + beta * (p.visible_bias - self.base) if step < self.steps else p.visible_bias
        return replace(p, weight=p.weight * beta, visible_bias=visible_bias, hidden_bias=p.hidden_bias * beta)

    def free_energy(self, machine: RBMParams, v: Rows) -> NDArray[np.float64]:
        """-log p_k(v), unnormalised, (chains,)."""
        return self.backend.free_energy(machine, v)

    def gibbs(self, machine: RBMParams, v: Rows, key: Key, step: int) -> Rows:
        """One Gibbs step at this temperature."""
        return self.backend.gibbs(machine, v, 1, key, first_step=step)

    def base_sample(self, key: Key) -> Rows:
        """v of the base, a row a chain."""
        unit = self.params.visible_unit
        inputs = np.broadcast_to(self.base.astype(np.float64), (self.chains, self.params.n_visible))
        states = unit.sample(inputs, Draws(key, 0, 0, 0))
        return PackedBits.pack(states) if unit.name == "bernoulli" else states.astype(np.float32)


def _estimate(log_base: float, weights: NDArray[np.float64], sign: float, method: str) -> Estimate:
    """log Z = log Z_0 + log mean w, or log Z_0 - log mean 1 / w; the interval by the mean's standard error."""
    top = float(weights.max())
    shares = np.exp(weights - top)
    mean, error = float(shares.mean()), float(shares.std(ddof=1)) / math.sqrt(len(shares))
    effective = float(shares.sum()) ** 2 / float(np.square(shares).sum())
    least = max(mean - SIGMAS * error, 1e-300)
    ends = sorted(log_base + sign * (top + math.log(m)) for m in (least, mean + SIGMAS * error))
    value = log_base + sign * (top + math.log(mean))
    return Estimate(value, ends[0], ends[1], f"{method}, effective sample size {effective:.1f}")
