"""Training on rows with missing entries: clamped chains complete each minibatch under the weights of the moment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Backend, Batches, Outcome, Rows, State, as_array
from rbmx.backends.base import Progress
from rbmx.backends.loop import one_by_one
from rbmx.data import Dataset
from rbmx.errors import DataError
from rbmx.params import RBMParams
from rbmx.rng import Purpose
from rbmx.samplers.clamped import complete
from rbmx.training.measuring import leading_blocks

__all__ = ["require_known_columns", "train_completing"]


def train_completing(
    backend: Backend,
    params: RBMParams,
    rows: Rows,
    batches: Batches,
    state: State,
    clamped_steps: int,
    progress: Progress | None = None,
) -> Outcome:
    """As backend.train, of rows with NaN where an entry is missing.

    d/dW log p(v_observed) is E[h t(v) | v_observed] - E[h t(v)]: the positive phase is a sample of the missing entries
    given the observed ones, after `clamped_steps` Gibbs steps that change the missing ones only; the negative phase is
    as ever.
    """
    noise = batches.key.fold_in((1 << 32) + Purpose.CLAMPED)  # beyond the numbers of minibatches
    values = as_array(rows)

    def learn(chosen: NDArray[np.int64], step: int) -> None:
        completed = complete(backend, params, values[chosen], clamped_steps, noise.fold_in(step))
        one = replace(batches, order=np.arange(len(chosen)), first_step=step)
        if backend.train(params, completed, one, state).name == "diverged":
            raise ArithmeticError("a minibatch of completed rows diverged")

    return one_by_one(learn, state.learning(params), batches, progress)


def require_known_columns(dataset: Dataset) -> None:
    """DataError where a column is missing in every row; reads no further than to the last column's first value."""
    unseen = np.ones(dataset.n_visible, bool)
    for block in leading_blocks(dataset):
        unseen &= np.isnan(as_array(block)).all(axis=0)
        if not unseen.any():
            return
    where = " of the first block, all that an iterator shows ahead" if dataset.one_pass else ""
    raise DataError(
        f"{dataset.name}: column {int(unseen.argmax())} (counted from 0) is NaN in every row{where}: it says nothing; "
        "leave it out"
    )
