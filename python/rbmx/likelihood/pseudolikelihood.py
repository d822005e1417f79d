"""Pseudo-likelihood: how well each visible unit is predicted from all others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows, native
from rbmx.bits import PackedBits
from rbmx.params import RBMParams

__all__ = ["pseudo_log_likelihood"]


def pseudo_log_likelihood(params: RBMParams, rows: Rows) -> NDArray[np.float64]:
    """sum_i log p(v_i | v without i), float64 (rows,), over all Bernoulli visible units.

    log p(v_i | rest) = -softplus(F(v) - F(v with bit i flipped)). Native: all units of 10,000 rows of 784 by 500 in
    a second or two on two cores.

    Raises:
        ValueError: visible or hidden units are not Bernoulli, values are not 0 and 1, or a weight is beyond 600, where
            exp(W) leaves the range of float64.
    """
    if (params.visible, params.hidden) != ("bernoulli", "bernoulli"):
        raise ValueError(f"pseudo_log_likelihood: expected Bernoulli units, got {params.visible} and {params.hidden}")
    if not isinstance(rows, PackedBits):
        if np.any((rows != 0) & (rows != 1)):
            raise ValueError("pseudo_log_likelihood: expected visible values 0 and 1")
        rows = PackedBits.pack(rows)
    return native.pseudo_log_likelihood(params, rows)
