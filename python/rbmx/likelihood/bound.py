"""A lower bound of log p(v) for a stack of machines, and log Z of its top layer alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows, as_array, backend_for
from rbmx.likelihood.estimate import Estimate
from rbmx.params import RBMParams
from rbmx.rng import Key

__all__ = ["stack_lower_bound"]


def stack_lower_bound(
    layers: Sequence[RBMParams], rows: Rows, log_z: Estimate, *, samples: int = 1, key: Key
) -> tuple[NDArray[np.float64], Estimate]:
    """Variational lower bound of log p(v) under a deep belief network of Bernoulli hidden layers.

    The network generates from the top machine's p(h_(L-1)) downwards through p(v_l | h_l) of the layers below. With the
    factorial q(h_l | v_l) that each layer's machine gives going up,

        log p(v) >= E_q[ sum over layers below the top of log p(h_(l-1) | h_l) + H(q(h_l | h_(l-1)))
                         + log p*(h_(L-1)) ] - log Z of the top machine,   h_0 = v

    (Salakhutdinov and Murray 2008, equations 16 and 17), p* the unnormalised marginal exp(-F) of the top machine. The
    expectation is a mean over `samples` draws of the hidden layers a row; entropies are exact given the layer below.

    Args:
        layers: from the data upwards; each has as many visible units as the one below has hidden ones.
        rows: states of the lowest visible units.
        log_z: log Z of the top machine.
        samples: draws of the hidden layers for each row.
        key: of these draws.

    Returns:
        The bound of each row, float64 (rows,), and the mean as an Estimate whose interval is that of log Z.

    Raises:
        ValueError: no layers, layers that do not fit one another, hidden units that are not Bernoulli, or no samples.
    """
    if not layers:
        raise ValueError("layers: expected one machine or more, got none")
    for below, above in itertools.pairwise(layers):
        if below.n_hidden != above.n_visible or below.hidden != "bernoulli" or above.visible != "bernoulli":
            raise ValueError(
                f"layers: expected {below.n_hidden} Bernoulli units between two machines, got {below.hidden} below and "
                f"{above.n_visible} {above.visible} above"
            )
    if samples < 1:
        raise ValueError(f"samples: expected 1 or more, got {samples}")
    total = np.zeros(len(rows))
    for sample in range(samples):
        total += _one_sample(layers, rows, key.fold_in(sample))
    unnormalised = total / samples
    return unnormalised - log_z.value, log_z.log_likelihood(-float(unnormalised.mean()))


def _one_sample(layers: Sequence[RBMParams], rows: Rows, key: Key) -> NDArray[np.float64]:
    """log p(h_(l-1) | h_l) + H(q(h_l | h_(l-1))) on the way up, and -F at the top, for one draw."""
    total, below = np.zeros(len(rows)), rows
    for level, layer in enumerate(layers[:-1]):
        above = backend_for(layer).sample_hidden(layer, below, key.fold_in(level))
        visible, hidden = as_array(below).astype(np.float64), as_array(above).astype(np.float64)
        total += _log_conditional(layer, visible, hidden) + _entropy(layer, visible)
        below = above
    top = layers[-1]
    return np.asarray(total - backend_for(top).free_energy(top, below))


def _log_conditional(layer: RBMParams, v: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
    """log p(v | h) = v.x - U(v) - cumulant(x), x = b + h W."""
    unit, x = layer.visible_unit, h @ layer.weight.astype(np.float64) + layer.visible_bias
    return np.asarray((unit.statistic(v) * x).sum(axis=1) - unit.energy(v) - unit.cumulant(x))


def _entropy(layer: RBMParams, v: NDArray[np.float64]) -> NDArray[np.float64]:
    """H of independent Bernoulli hidden units with inputs x = c + W v: cumulant(x) - x mean(x), nats."""
    t = layer.visible_unit.statistic(v)
    unit, x = layer.hidden_unit, t @ layer.weight.astype(np.float64).T + layer.hidden_bias
    return np.asarray(unit.cumulant(x) - (x * unit.mean(x)).sum(axis=1))
