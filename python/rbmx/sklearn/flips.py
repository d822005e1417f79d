"""The pseudo-likelihood of scikit-learn for rows that are not bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmx.params import Float32s, RBMParams

__all__ = ["score_of_flips"]


def score_of_flips(params: RBMParams, values: Float32s) -> NDArray[np.float64]:
    """sum_i log sigmoid(F(v with v_i -> 1 - v_i) - F(v)), float64 (rows,).

    The expectation of n_visible log sigmoid(...) over one random i, which is what
    sklearn.neural_network.BernoulliRBM.score_samples draws. On bits it is the log pseudo-likelihood; on probabilities
    it has no name. Cost: n_visible times a free energy.
    """
    weight = params.weight.astype(np.float64)
    inputs = values.astype(np.float64) @ weight.T + params.hidden_bias
    base = np.logaddexp(0.0, inputs).sum(axis=1)
    total = np.zeros(len(values))
    for i in range(params.n_visible):
        step = 1 - 2 * values[:, i].astype(np.float64)
        flipped = np.logaddexp(0.0, inputs + step[:, None] * weight[:, i]).sum(axis=1)
        gain = step * float(params.visible_bias[i]) + flipped - base  # F(v) - F(flipped)
        total -= np.logaddexp(0.0, gain)
    return total
