"""Fast persistent contrastive divergence (Tieleman and Hinton 2009, "Using fast weights to improve PCD").

The chains see the parameters plus fast ones, which learn from the same gradient at a rate of their own and fade: where
chains stay too long the energy rises under them, so they move on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rbmx.arguments import check_types
from rbmx.backends import Backend, Gradient, Memory, Rows
from rbmx.backends.loop import require_usable
from rbmx.bits import PackedBits
from rbmx.params import PARAMETERS, RBMParams
from rbmx.rng import Key
from rbmx.samplers.base import check_chains, check_steps
from rbmx.samplers.persistent import PCD

__all__ = ["FastPCD"]


@dataclass(frozen=True)
class FastPCD:
    """PCD-k whose chains run on parameters + fast parameters; runs in Python around the backend's half-steps.

    Attributes:
        k: Gibbs steps, 1 or more.
        chains: how many; None: as many as rows in a minibatch.
        fast_lr: rate of the fast parameters, constant.
        fast_decay: what is left of them after each update.
    """

    k: int = 1
    chains: int | None = None
    fast_lr: float = 0.05
    fast_decay: float = 0.95

    def __post_init__(self) -> None:
        check_types(self)
        check_steps(self.k)
        check_chains(self.chains)
        if not self.fast_lr > 0:
            raise ValueError(f"fast_lr: expected a positive learning rate, got {self.fast_lr}")
        if not 0 <= self.fast_decay < 1:
            raise ValueError(f"fast_decay: expected 0 <= fast_decay < 1, got {self.fast_decay}")

    def initial_chains(self, params: RBMParams, batch_size: int, key: Key) -> Rows | None:
        """None: the chains are in the memory."""
        return None

    def initial_memory(self, params: RBMParams, batch_size: int, key: Key) -> Memory:
        """Chains as those of PCD, and fast parameters of zero."""
        chains = PCD(self.k, self.chains).initial_chains(params, batch_size, key)
        zeros = params.zeros()
        return _kept(chains) | {f"fast.{name}": getattr(zeros, name) for name in PARAMETERS}

    def draw(self, backend: Backend, params: RBMParams, memory: Memory, key: Key) -> Rows:
        """Visible states after k Gibbs steps under the sum of both parameters; ArithmeticError where that diverged."""
        machine = params.copy()
        for name in PARAMETERS:
            getattr(machine, name)[...] += memory[f"fast.{name}"]
        require_usable(backend, machine)
        hidden = _chains(memory, params.n_hidden)
        for step in range(self.k):
            visible = backend.sample_visible(machine, hidden, key, step=step)
            hidden = backend.sample_hidden(machine, visible, key, step=step + 1)
        memory.update(_kept(hidden))
        return visible

    def learn(self, gradient: Gradient, memory: Memory) -> None:
        """fast = fast_decay * fast + fast_lr * gradient."""
        for name in PARAMETERS:
            fast = memory[f"fast.{name}"]
            fast[...] = self.fast_decay * fast + self.fast_lr * gradient[name]


def _kept(hidden: Rows | None) -> Memory:
    if hidden is None:
        return {}
    return {"chains": hidden.words if isinstance(hidden, PackedBits) else hidden}


def _chains(memory: Memory, n_hidden: int) -> Rows:
    array = memory["chains"]
    return PackedBits(array, n_hidden) if array.dtype == np.uint64 else array
