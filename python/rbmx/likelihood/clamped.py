"""A machine with some entries clamped is a machine of the others: marginals from its partition function."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rbmx.likelihood.ais import ais_log_partition
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Key

__all__ = ["clamped_machine", "log_marginals"]


def clamped_machine(params: RBMParams, row: Float32s) -> tuple[RBMParams, float]:
    """The machine of the entries of `row` that are NaN, and -E of the known ones alone.

    p(v_missing, h, v_known) Z = exp(constant - E') with E' of a machine whose hidden biases are c + W t(v_known), so
    log of the sum over v_missing and h is constant + log Z' (rbmx.marginal has it by direct sums).

    Args:
        params: the machine; visible units are not counts.
        row: (n_visible,), at least one entry NaN, softmax groups whole.
    """
    known = ~np.isnan(row)
    unit = params.visible_unit
    constant, pull = 0.0, np.zeros(params.n_hidden)
    if known.any():
        part = unit.select(known)
        values = row[known].astype(np.float64)
        t = part.statistic(values)
        constant = float(t @ params.visible_bias[known] - part.energy(values))
        pull = params.weight[:, known].astype(np.float64) @ t
    machine = replace(
        params,
        weight=np.ascontiguousarray(params.weight[:, ~known]),
        visible_bias=params.visible_bias[~known],
        hidden_bias=(params.hidden_bias + pull).astype(np.float32),
        visible=unit.select(~known).name,
        log_variance=None if params.log_variance is None else params.log_variance[~known],
    )
    return machine, constant


def log_marginals(
    params: RBMParams, rows: Float32s, *, temperatures: int = 1000, chains: int = 100, key: Key
) -> NDArray[np.float64]:
    """log of the sum of exp(-E) over hidden units and missing entries (NaN), (rows,), by a run of AIS for each row.

    Less log Z it is log p(v_observed); between two sets of observed entries log Z cancels.
    """
    found = np.zeros(len(rows))
    for i, row in enumerate(rows):
        machine, constant = clamped_machine(params, row)
        z = ais_log_partition(machine, temperatures=temperatures, chains=chains, key=key.fold_in(i))
        found[i] = constant + z.value
    return found
