"""Pseudo-likelihood: how well each visible unit is predicted from all others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows, as_array
from rbmx.params import RBMParams

__all__ = ["pseudo_log_likelihood"]


def pseudo_log_likelihood(params: RBMParams, rows: Rows) -> NDArray[np.float64]:
    """sum_i log p(v_i | v without i), float64 (rows,), over all Bernoulli visible units.

    log p(v_i | rest) = -softplus(F(v) - F(v with bit i flipped)). Cost: n_visible times a free energy.

    Raises:
        ValueError: visible or hidden units are not Bernoulli, or values are not 0 and 1.
    """
    if (params.visible, params.hidden) != ("bernoulli", "bernoulli"):
        raise ValueError(f"pseudo_log_likelihood: expected Bernoulli units, got {params.visible} and {params.hidden}")
    values = as_array(rows).astype(np.float64)
    if np.any((values != 0) & (values != 1)):
        raise ValueError("pseudo_log_likelihood: expected visible values 0 and 1")
    weight = params.weight.astype(np.float64)
    inputs = values @ weight.T + params.hidden_bias
    base = np.logaddexp(0.0, inputs).sum(axis=1)
    total = np.zeros(len(values))
    for i in range(params.n_visible):
        step = 1 - 2 * values[:, i]
        flipped = np.logaddexp(0.0, inputs + step[:, None] * weight[:, i]).sum(axis=1)
        gain = step * float(params.visible_bias[i]) + flipped - base  # F(v) - F(flipped)
        total -= np.logaddexp(0.0, gain)
    return total
