"""Gibbs chains over the missing entries of rows, the observed ones clamped: samples of p(v_missing, h | v_observed)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Backend, Rows, as_array
from rbmx.bits import PackedBits
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Key

__all__ = ["AVERAGED_STEPS", "clamped_chain", "complete", "has_missing", "mean_of_hidden", "mean_of_missing"]


AVERAGED_STEPS = 200  # of the chain whose second half hidden means of many missing entries are averaged over


def has_missing(rows: Rows) -> bool:
    """Whether any entry is NaN, missing."""
    return not isinstance(rows, PackedBits) and bool(np.isnan(rows).any())


def clamped_chain(
    backend: Backend, params: RBMParams, rows: Float32s, steps: int, key: Key
) -> Iterator[tuple[Float32s, Rows]]:
    """(v, h) after each of `steps` times h ~ p(h | v), v_missing ~ p(v | h).

    Missing entries begin at their units' mean without hidden units.

    Args:
        backend: what draws.
        params: the machine.
        rows: float32 (rows, n_visible), NaN where missing; whole groups of a softmax.
        steps: 1 or more.
        key: of the noise.
    """
    known = ~np.isnan(rows)
    start = params.visible_unit.mean(params.visible_bias.astype(np.float64)[None])
    v = np.where(known, rows, start).astype(np.float32)
    for step in range(steps):
        h = backend.sample_hidden(params, _packed(params, v), key, 0, step)
        v = np.where(known, rows, as_array(backend.sample_visible(params, h, key, 0, step)))
        yield v, h


def complete(backend: Backend, params: RBMParams, rows: Float32s, steps: int, key: Key) -> Rows:
    """The rows with what a clamped chain of `steps` steps ends at in place of NaN; bits where all are."""
    *_, (v, _) = clamped_chain(backend, params, rows, steps, key)
    return _packed(params, v)


def mean_of_missing(backend: Backend, params: RBMParams, rows: Float32s, steps: int, key: Key) -> Float32s:
    """The rows with E[v_missing | v_observed] in place of NaN: E[v | h] averaged over half a clamped chain."""
    chain = clamped_chain(backend, params, rows, steps, key)
    means = [backend.visible_mean(params, h) for _, h in islice(chain, steps // 2, None)]
    return np.where(np.isnan(rows), np.mean(means, axis=0, dtype=np.float64), rows).astype(np.float32)


def mean_of_hidden(backend: Backend, params: RBMParams, rows: Float32s, steps: int, key: Key) -> Float32s:
    """E[h | v_observed], float32 (rows, n_hidden): E[h | v] averaged over the second half of a clamped chain."""
    chain = clamped_chain(backend, params, rows, steps, key)
    means = [backend.hidden_mean(params, v) for v, _ in islice(chain, steps // 2, None)]
    return np.asarray(np.mean(means, axis=0, dtype=np.float64), np.float32)


def _packed(params: RBMParams, v: NDArray[np.float32]) -> Rows:
    """Bits where the kernels take them."""
    binary = params.visible_unit.binary and bool(np.all((v == 0) | (v == 1)))
    return PackedBits.pack(v) if binary else v
