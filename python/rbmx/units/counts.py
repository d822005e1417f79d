"""Counts: replicated softmax units, how often each of n words occurs in a row of D words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmx.rng import Draws
from rbmx.units.base import Bools, Real, UnitType

__all__ = ["Counts"]


class Counts(UnitType):
    """D draws of a softmax over all units: U(s) = sum log s_i! - log D!, cumulant D log sum exp(x), D the row's total.

    The hidden biases count D times: E(v, h) = U(v) - v.b - D h.c - h W v (Salakhutdinov and Hinton 2009, "Replicated
    softmax: an undirected topic model", equations 4 and 5; log D! in U makes p(v | D) a distribution over counts rather
    than over sequences of words). A model is one of p(v | D): a Gibbs step keeps D, which `like` binds.

    Args:
        totals: D of each row, (rows, 1); None: 1, so that means are the probabilities of one word.
    """

    kind = usage = "counts"
    domain = "whole numbers of 0 or more"
    visible_only = "a row's total comes from data"

    def __init__(self, totals: Real | None = None) -> None:
        self._totals = totals

    def energy(self, state: Real) -> Real:
        """sum log s_i! - log D!, (rows,)."""
        totals = state.sum(axis=-1)
        table = _log_factorials(int(totals.max(initial=0)))
        return np.asarray(table[state.astype(np.int64)].sum(axis=-1) - table[totals.astype(np.int64)])

    def cumulant(self, x: Real) -> Real:
        """D log sum exp(x)."""
        one = np.logaddexp.reduce(x, axis=-1)
        return one if self._totals is None else np.asarray(one * self._totals[..., 0])

    def mean(self, x: Real) -> Real:
        """D exp(x) / sum exp(x)."""
        p = np.exp(x - np.logaddexp.reduce(x, axis=-1, keepdims=True))
        return p if self._totals is None else np.asarray(p * self._totals)

    def sample(self, x: Real, draws: Draws) -> Real:
        """D words, each by a number of its own, word d's at the place of unit d."""
        totals = np.ones(len(x), np.int64) if self._totals is None else self._totals[:, 0].astype(np.int64)
        cumulative = np.exp(x - x.max(axis=1, keepdims=True)).cumsum(axis=1)
        numbers = draws.uniform(len(x), int(totals.max(initial=0)))
        counts = np.zeros_like(x)
        for row, total in enumerate(totals):
            levels = cumulative[row]
            words = np.searchsorted(levels, numbers[row, :total] * levels[-1], side="right")
            counts[row] = np.bincount(words, minlength=x.shape[1])
        return counts

    def contains(self, values: Real) -> Bools:
        """Whole numbers of 0 or more."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))

    def missing(self, values: Real) -> Bools:
        """Nowhere: without all counts a row has no total."""
        return np.zeros(values.shape, bool)

    def replicas(self, state: Real) -> Real:
        """D."""
        return np.asarray(state.sum(axis=-1, keepdims=True))

    def like(self, state: Real) -> UnitType:
        """With the totals of these rows."""
        return Counts(self.replicas(state))

    def groups(self, n_units: int) -> NDArray[np.int64]:
        """One group: a row's total ties all its units."""
        return np.zeros(n_units, np.int64)

    def start_at(self, mean: Real, rows: Real) -> Real:
        """log of the words' frequencies, one imaginary occurrence of each added."""
        return np.asarray(np.log((mean * rows + 1) / (mean.sum() * rows + len(mean))))


def _log_factorials(largest: int) -> Real:
    """log 0! to log largest!."""
    return np.concatenate([[0.0], np.log(np.arange(1, largest + 1, dtype=np.float64)).cumsum()])
