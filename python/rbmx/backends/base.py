"""The protocol of a backend: the same functions as csrc/include/rbmx/kernels.h, over NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rbmx.bits import PackedBits
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Key

__all__ = ["Backend", "Batches", "Outcome", "Rows", "State", "Statistics", "as_array"]

Rows = PackedBits | Float32s


def as_array(rows: Rows) -> NDArray[np.float32]:
    """Rows as float32 values, bits as 0 and 1."""
    return rows.unpack().astype(np.float32) if isinstance(rows, PackedBits) else rows


@dataclass(frozen=True)
class Batches:
    """A run of minibatches with one learning rate.

    Attributes:
        order: int64, the rows to visit.
        batch_size: rows of a minibatch; the last may be shorter.
        gibbs_steps: k of CD-k.
        learning_rate, momentum, weight_decay: of the update.
        key: of the training noise.
        first_step: number of the first minibatch in the life of the model.
    """

    order: NDArray[np.int64]
    batch_size: int
    gibbs_steps: int
    learning_rate: float
    momentum: float
    weight_decay: float
    key: Key
    first_step: int


@dataclass
class State:
    """What one minibatch leaves to the next besides the parameters; updated in place.

    Attributes:
        velocity: the last change of the parameters, None without momentum.
        chains: hidden states of the persistent chains, None for CD.
    """

    velocity: RBMParams | None
    chains: Rows | None


@dataclass(frozen=True)
class Outcome:
    """How a run of minibatches ended: "done", "diverged" or "interrupted", and after how many."""

    name: str
    batches: int
    exception: BaseException | None = None


@dataclass(frozen=True, eq=False)
class Statistics:
    """Positive minus negative phase, summed over rows: float64 arrays shaped as the parameters."""

    weight: NDArray[np.float64]
    visible: NDArray[np.float64]
    hidden: NDArray[np.float64]
    rows: int
    log_variance: NDArray[np.float64] | None = None


Progress = Callable[[int], object]


class Backend(Protocol):
    """One way to do the arithmetic. Rows are PackedBits or float32 (rows, units)."""

    name: str

    def hidden_mean(self, params: RBMParams, visible: Rows) -> Float32s:
        """E[h | v], float32 (rows, n_hidden)."""
        ...

    def visible_mean(self, params: RBMParams, hidden: Rows) -> Float32s:
        """E[v | h], float32 (rows, n_visible)."""
        ...

    def sample_hidden(self, params: RBMParams, visible: Rows, key: Key, first_row: int = 0, step: int = 0) -> Rows:
        """h ~ p(h | v)."""
        ...

    def sample_visible(self, params: RBMParams, hidden: Rows, key: Key, first_row: int = 0, step: int = 0) -> Rows:
        """v ~ p(v | h)."""
        ...

    def gibbs(
        self,
        params: RBMParams,
        visible: Rows,
        steps: int,
        key: Key,
        first_row: int = 0,
        first_step: int = 0,
    ) -> Rows:
        """v after `steps` times h ~ p(h | v), v ~ p(v | h)."""
        ...

    def reconstruct(self, params: RBMParams, visible: Rows) -> Float32s:
        """E[v | E[h | v]], the mean-field reconstruction, float32 (rows, n_visible)."""
        ...

    def free_energy(self, params: RBMParams, visible: Rows) -> NDArray[np.float64]:
        """F(v) = -log sum_h exp(-E(v, h)), float64 (rows,)."""
        ...

    def cd_statistics(
        self,
        params: RBMParams,
        visible: Rows,
        gibbs_steps: int,
        key: Key,
        first_row: int = 0,
        step: int = 0,
    ) -> Statistics:
        """Sums over rows of v0 p0 - v1 p1 and their marginals after k Gibbs steps."""
        ...

    def train(
        self,
        params: RBMParams,
        rows: Rows,
        batches: Batches,
        state: State,
        progress: Progress | None = None,
    ) -> Outcome:
        """Minibatches of contrastive divergence; parameters and state change in place.

        A run that diverges leaves parameters and velocity as they were; chains may have moved.
        """
        ...
