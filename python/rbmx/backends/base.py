"""The protocol of a backend: the same functions as csrc/include/rbmx/kernels.h, over NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rbmx.bits import PackedBits
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Key

__all__ = [
    "Backend",
    "Batches",
    "Gradient",
    "Memory",
    "NegativePhase",
    "Offsets",
    "Outcome",
    "Penalty",
    "Rows",
    "State",
    "Statistics",
    "Update",
    "as_array",
]

Rows = PackedBits | Float32s


def as_array(rows: Rows) -> NDArray[np.float32]:
    """Rows as float32 values, bits as 0 and 1."""
    return rows.unpack().astype(np.float32) if isinstance(rows, PackedBits) else rows


@dataclass(frozen=True)
class Update:
    """How the mean gradient of a minibatch changes a parameter: the formulas stand beside Rule in rbmx/kernels.h.

    Attributes:
        learning_rate: of this run of minibatches.
        rule: "momentum", "nesterov", "rmsprop" or "adam".
        first, second: factors of the moments m and s.
        epsilon: of rmsprop and adam.
        weight_decay, l1: of the weights.
        offset_rate: by which the offsets of centred gradients follow a minibatch.
    """

    learning_rate: float
    rule: str = "momentum"
    first: float = 0.0
    second: float = 0.0
    epsilon: float = 0.0
    weight_decay: float = 0.0
    l1: float = 0.0
    offset_rate: float = 0.0

    @property
    def has_velocity(self) -> bool:
        """Whether the rule keeps first moments."""
        return self.rule == "adam" or (self.rule != "rmsprop" and self.first != 0)

    @property
    def has_squares(self) -> bool:
        """Whether the rule keeps second moments."""
        return self.rule in ("rmsprop", "adam")


Gradient = dict[str, NDArray[np.float64]]
Memory = dict[str, NDArray[Any]]


@runtime_checkable
class NegativePhase(Protocol):
    """Chains of the model that no native loop runs; what they keep is in State.memory."""

    def initial_memory(self, params: RBMParams, batch_size: int, key: Key) -> Memory:
        """The chains of a new run."""
        ...

    def draw(self, backend: Backend, params: RBMParams, memory: Memory, key: Key) -> Rows:
        """Visible states for one update; the chains move on. ArithmeticError where they have diverged."""
        ...

    def learn(self, gradient: Gradient, memory: Memory) -> None:
        """Told the gradient of the update, before it is applied."""
        ...


class Penalty(Protocol):
    """A term of the objective, or a limit, that the native loops do not know."""

    def on_gradient(
        self, gradient: Gradient, hidden_means: NDArray[np.float64], params: RBMParams, memory: Memory
    ) -> None:
        """Change the gradient, in place; hidden_means: of the positive phase, (n_hidden,)."""
        ...

    def on_step(self, params: RBMParams, learning_rate: float) -> None:
        """Change the parameters after a step, in place."""
        ...


@dataclass(frozen=True)
class Batches:
    """A run of minibatches with one learning rate.

    Attributes:
        order: int64, the rows to visit.
        batch_size: rows of a minibatch; the last may be shorter.
        gibbs_steps: k of CD-k.
        update: what each does to the parameters.
        key: of the training noise.
        first_step: number of the first minibatch in the life of the model.
        negative: where the negative phase comes from, None for CD and PCD.
        penalties: beyond the decays of `update`.
        dropout: the share of hidden units that each row goes without.
    """

    order: NDArray[np.int64]
    batch_size: int
    gibbs_steps: int
    update: Update
    key: Key
    first_step: int
    negative: NegativePhase | None = None
    penalties: tuple[Penalty, ...] = ()
    dropout: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Whether the native loops do all of it."""
        return self.negative is None and not self.penalties and self.dropout == 0


@dataclass(frozen=True, eq=False)
class Offsets:
    """Means of the units that centred gradients take away, updated in place.

    Attributes:
        visible: mu, float32 (n_visible,).
        hidden: lambda, float32 (n_hidden,).
    """

    visible: Float32s
    hidden: Float32s

    def copy(self) -> Offsets:
        """The same numbers in memory of their own."""
        return Offsets(self.visible.copy(), self.hidden.copy())


@dataclass
class State:
    """What one minibatch leaves to the next besides the parameters; updated in place.

    Attributes:
        velocity: first moments, None where the rule keeps none.
        chains: hidden states of the persistent chains, None for CD.
        squares: second moments, None where the rule keeps none.
        offsets: of centred gradients, None for plain ones.
        memory: what negative phases and penalties keep, arrays by name.
    """

    velocity: RBMParams | None = None
    chains: Rows | None = None
    squares: RBMParams | None = None
    offsets: Offsets | None = None
    memory: Memory = field(default_factory=dict)

    def learning(self, params: RBMParams) -> list[RBMParams]:
        """The parameters and their moments."""
        return [kept for kept in (params, self.velocity, self.squares) if kept is not None]


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
    """One way to do the arithmetic. Rows are PackedBits or float32 (rows, units).

    Attributes:
        name: for messages.
        limits_sums: whether the magnitudes of a unit's weights must sum to less than 2048 (docs/determinism.md).
    """

    name: str
    limits_sums: bool

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

    def anneal(
        self,
        params: RBMParams,
        base_bias: Float32s,
        betas: NDArray[np.float64],
        visible: Rows,
        key: Key,
        progress: Progress | None = None,
    ) -> tuple[Rows, NDArray[np.float64]]:
        """Take chains along p_beta(v, h) ~ exp(-U(v) - U(h) + v.(a + beta (b - a)) + beta h.(c + W v)), a the base.

        From `visible` at betas[0], with a Gibbs step at each beta but the first and the last.

        Returns:
            Where the chains are, and log weights float64 (rows,): the sum over steps of F_before(v) - F_after(v).
        """
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

        A run that diverges leaves parameters and moments as they were; chains and offsets may have moved. While it
        trains they are not to be read, by `progress`, another thread or a process that shares or inherits the memory: a
        native run has them in an order of its own.
        """
        ...
