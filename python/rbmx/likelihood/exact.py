"""Exact partition functions: enumerate the states of the smaller binary side, integrate the other side out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows, backend_for, native
from rbmx.likelihood.estimate import Estimate
from rbmx.params import RBMParams
from rbmx.units import unit_type

__all__ = ["MAX_ENUMERATED", "log_likelihood", "log_partition"]

MAX_ENUMERATED = 24
_BLOCK_BITS = 10


def log_partition(params: RBMParams) -> Estimate:
    """log Z = log sum_v sum_h exp(-E(v, h)), by enumerating 2^n states of the smaller Bernoulli side.

    Z = sum_h exp(c.h) prod_i exp(cumulant(b_i + (h W)_i)), or the same with the sides exchanged; in float64, natively
    where both sides are Bernoulli. Cost: 2^n times the other side, 0.2 s for 20 by 784 and 4 s for 24 natively, a
    second for 16 by 784 otherwise.

    Raises:
        ValueError: no Bernoulli side has at most 24 units.
    """
    sides = [
        (params.n_hidden, params.hidden, params.visible, params.weight, params.hidden_bias, params.visible_bias),
        (params.n_visible, params.visible, params.hidden, params.weight.T, params.visible_bias, params.hidden_bias),
    ]
    binary = [side for side in sides if side[1] == "bernoulli" and side[0] <= MAX_ENUMERATED]
    if not binary:
        raise ValueError(
            f"method 'exact': expected a Bernoulli side of at most {MAX_ENUMERATED} units, got "
            f"{params.n_visible} {params.visible} visible and {params.n_hidden} {params.hidden} hidden"
        )
    n, _, other, weight, bias, other_bias = min(binary, key=lambda side: side[0])
    if other == "bernoulli":
        value = native.enumerate_log_partition(weight, bias, other_bias)
        return Estimate(value, value, value, f"exact, {2**n} states enumerated")
    weight, bias = weight.astype(np.float64), bias.astype(np.float64)
    cumulant = unit_type(other).cumulant
    low = min(n, _BLOCK_BITS)
    low_states = _states(low)
    low_inputs, low_terms = low_states @ weight[:low], low_states @ bias[:low]
    total = -np.inf
    for high_state in _states(n - low):
        inputs = low_inputs + (high_state @ weight[low:] + other_bias)
        terms = cumulant(inputs).sum(axis=1) + low_terms + high_state @ bias[low:]
        total = np.logaddexp(total, np.logaddexp.reduce(terms))
    value = float(total)
    return Estimate(value, value, value, f"exact, {2**n} states enumerated")


def log_likelihood(params: RBMParams, rows: Rows, log_z: Estimate | None = None) -> Estimate:
    """Mean of -F(v) - log Z over `rows`, in nats."""
    z = log_partition(params) if log_z is None else log_z
    return z.log_likelihood(float(np.mean(backend_for(params).free_energy(params, rows))))


def _states(n: int) -> NDArray[np.float64]:
    """All 2^n rows of n bits; row s has bit i of s in column i."""
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(np.float64)
