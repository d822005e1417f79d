"""Annealed importance sampling, forwards and backwards: log Z where no side can be enumerated.

Neal (2001), "Annealed importance sampling"; Salakhutdinov and Murray (2008), "On the quantitative analysis of deep
belief networks"; backwards: Burda, Grosse and Salakhutdinov (2015), "Accurate and conservative estimates of MRF
log-likelihood using reverse annealing".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import whole_number
from rbmx.backends import Rows, backend_for
from rbmx.bits import PackedBits
from rbmx.likelihood.estimate import Estimate, log_mean, lognormal_mean
from rbmx.likelihood.normalisable import require_partition_function
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key

__all__ = ["ais_log_partition", "reverse_ais_log_partition"]

Progress = Callable[[int], object]


def ais_log_partition(
    params: RBMParams,
    *,
    temperatures: int | Sequence[float] = 1000,
    chains: int = 100,
    key: Key,
    base_bias: NDArray[np.float32] | None = None,
    lognormal: bool = False,
    progress: Progress | None = None,
) -> Estimate:
    """log Z from independent units upwards: unbiased for Z, so low for log Z where chains do not find all modes.

    Path: p_k(v, h) ~ exp(-U(v) - U(h) + v.(a + beta_k (b - a)) + beta_k h.(c + W v)), beta from 0 to 1, a the base
    bias. With w = prod_k p_k(v_k) / p_(k-1)(v_k) over Gibbs chains, Z = Z_0 E[w]; p_k(v) is taken with h summed out.

    Args:
        params: the machine, of any unit types.
        temperatures: steps of the path, 2 or more, evenly spaced; or the inverse temperatures themselves, rising from
            0 to 1.
        chains: independent runs.
        key: of their noise.
        base_bias: a, visible biases of the base: log odds of the data bring the ends closer; None: the machine's own.
        lognormal: take the log weights as normal (log E[w] = m + s^2 / 2): for runs of few chains, 8 to 32, where the
            mean of w misses the rare large ones.
        progress: is told the steps done of chains * temperatures, now and then.

    Returns:
        Estimate of log Z: the interval is three standard errors of the mean of w (99 % where lognormal), and only
        covers what the chains have seen.

    Raises:
        ValueError: too few temperatures or chains, temperatures that do not rise from 0 to 1, counts, or energies that
            cannot be normalised.
    """
    path = _Path(params, base_bias, temperatures, chains)
    start = path.base_sample(chains, key.fold_in(0))
    _, weights = path.backend.anneal(params, path.base, path.betas, start, key.fold_in(1), progress)
    mean = lognormal_mean if lognormal else log_mean
    estimate = mean(weights, f"AIS, {path.steps} temperatures, {chains} chains")
    return _shifted(estimate, path.log_base, 1.0)


def reverse_ais_log_partition(
    params: RBMParams,
    start: Rows,
    *,
    temperatures: int | Sequence[float] = 1000,
    burn_in: int = 1000,
    key: Key,
    base_bias: NDArray[np.float32] | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """log Z from the machine's own samples downwards: unbiased for 1 / Z, so high for log Z.

    Args:
        params: the machine, of any unit types.
        start: where the chains begin, a row each: rows of the data.
        temperatures, key, base_bias, progress: as in ais_log_partition.
        burn_in: Gibbs steps that take the chains from `start` to samples of the machine.

    Returns:
        Estimate of log Z. True samples would make it a bound in expectation; chains that stay near the data make it
        less than that.
    """
    chains = len(start)
    path = _Path(params, base_bias, temperatures, chains)
    v = path.backend.gibbs(params, start, burn_in, key.fold_in(2))
    _, weights = path.backend.anneal(params, path.base, path.betas[::-1].copy(), v, key.fold_in(3), progress)
    method = f"reverse AIS, {path.steps} temperatures, {chains} chains, {burn_in} steps of burn-in"
    return _shifted(log_mean(weights, method), path.log_base, -1.0)


class _Path:
    """The machines between a base of independent units and the one asked about."""

    def __init__(
        self,
        params: RBMParams,
        base_bias: NDArray[np.float32] | None,
        temperatures: int | Sequence[float],
        chains: int,
    ) -> None:
        self.betas = _inverse_temperatures(temperatures)
        self.steps = len(self.betas) - 1
        if whole_number("chains", chains) < 2:
            raise ValueError(f"chains: expected 2 or more, for an interval, got {chains}")
        base = params.visible_bias if base_bias is None else np.asarray(base_bias, np.float32)
        if base.shape != params.visible_bias.shape:
            raise ValueError(f"base_bias: expected {params.visible_bias.shape}, got {base.shape}")
        self.params, self.base = params, base
        self.backend = backend_for(params, reproducible=True)
        require_partition_function(params)
        idle = float(params.hidden_unit.cumulant(np.zeros(params.n_hidden)))
        self.log_base = float(params.visible_unit.cumulant(base.astype(np.float64))) + idle

    def base_sample(self, chains: int, key: Key) -> Rows:
        """v of the base, a row a chain."""
        unit = self.params.visible_unit
        inputs = np.broadcast_to(self.base.astype(np.float64), (chains, self.params.n_visible))
        states = unit.sample(inputs, Draws(key, 0, 0, 0))
        return PackedBits.pack(states) if unit.binary else states.astype(np.float32)


def _inverse_temperatures(temperatures: int | Sequence[float]) -> NDArray[np.float64]:
    """0 = beta_0 < ... < beta_n = 1."""
    if not isinstance(temperatures, Sequence | np.ndarray):
        if whole_number("temperatures", temperatures) < 2:
            raise ValueError(f"temperatures: expected 2 or more, got {temperatures}")
        return np.arange(temperatures + 1) / temperatures
    betas = np.array(temperatures, np.float64)
    if betas.ndim != 1 or len(betas) < 3 or betas[0] != 0 or betas[-1] != 1 or not np.all(np.diff(betas) > 0):
        raise ValueError("temperatures: expected 3 or more numbers that rise from 0 to 1")
    return betas


def _shifted(estimate: Estimate, log_base: float, sign: float) -> Estimate:
    """log Z = log Z_0 + log mean w, or log Z_0 - log mean 1 / w."""
    low, high = sorted(log_base + sign * end for end in (estimate.low, estimate.high))
    return estimate._replace(value=log_base + sign * estimate.value, low=low, high=high)
