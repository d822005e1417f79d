"""Parallel tempering: replicas from independent units to the machine, which exchange their states.

Desjardins, Courville, Bengio, Vincent and Delalleau (2010), "Parallel tempering for training of restricted Boltzmann
machines"; temperatures that even out the exchanges: Syed, Bouchard-Cote, Deligiannidis and Doucet (2022),
"Non-reversible parallel tempering".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rbmx.arguments import check_types
from rbmx.backends import Backend, Gradient, Memory, Rows
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key, uniform
from rbmx.samplers.base import check_chains, check_steps

__all__ = ["PT"]

RATE_MEMORY = 0.99  # of the running acceptance rates
ADAPTATION = 0.01  # by which inverse temperatures move towards equal exchanges at each update


@dataclass(frozen=True)
class PT:
    """k Gibbs steps of every replica, then exchanges of neighbours; runs in Python around the backend's Gibbs steps.

    Replica m has p_m(v, h) ~ exp(-U(v) - U(h) + v.(a + beta_m (b - a)) + beta_m h.(c + W v)), beta from 0 to 1, a the
    visible biases that training began with. Neighbours m, m + 1 exchange v with probability
    min(1, p_m(v') p_m+1(v) / (p_m(v) p_m+1(v'))); even and odd pairs take turns.

    Attributes:
        k: Gibbs steps of a replica in each update.
        temperatures: how many replicas, 2 or more.
        chains: how many sets of replicas; None: as many as rows in a minibatch.
        adaptive: move the inverse temperatures until all pairs exchange equally often.
    """

    k: int = 1
    temperatures: int = 10
    chains: int | None = None
    adaptive: bool = True

    def __post_init__(self) -> None:
        check_types(self)
        check_steps(self.k)
        check_chains(self.chains)
        if self.temperatures < 2:
            raise ValueError(f"temperatures: expected 2 or more, got {self.temperatures}")

    def initial_chains(self, params: RBMParams, batch_size: int, key: Key) -> Rows | None:
        """None: the replicas are in the memory."""
        return None

    def initial_memory(self, params: RBMParams, batch_size: int, key: Key) -> Memory:
        """Replicas of independent units with the visible biases, at evenly spaced inverse temperatures."""
        n = (batch_size if self.chains is None else self.chains) * self.temperatures
        unit = params.visible_unit
        inputs = np.broadcast_to(params.visible_bias.astype(np.float64), (n, params.n_visible))
        states = unit.sample(inputs, Draws(key, 0, 0, 0))
        return {
            "replicas": PackedBits.pack(states).words if unit.binary else states.astype(np.float32),
            "base": params.visible_bias.copy(),
            "betas": np.linspace(0.0, 1.0, self.temperatures),
            "rates": np.ones(self.temperatures - 1),
            "parity": np.zeros(1, np.int64),
        }

    def draw(self, backend: Backend, params: RBMParams, memory: Memory, key: Key) -> Rows:
        """Visible states of the replicas at beta 1, after Gibbs steps and exchanges."""
        machines = [_tempered(params, memory["base"], beta) for beta in memory["betas"]]
        n = len(memory["replicas"]) // self.temperatures
        replicas = memory["replicas"]
        rows = [_rows(replicas[m * n : (m + 1) * n], params) for m in range(self.temperatures)]
        for m, machine in enumerate(machines):
            rows[m] = backend.gibbs(machine, rows[m], self.k, key.fold_in(m))
            replicas[m * n : (m + 1) * n] = _array(rows[m])
        self._exchange(backend, machines, memory, rows, key.fold_in(self.temperatures))
        if self.adaptive:
            _even_out(memory)
        return _rows(replicas[-n:], params)

    def learn(self, gradient: Gradient, memory: Memory) -> None:
        """Nothing: the replicas follow the parameters."""

    def _exchange(
        self, backend: Backend, machines: list[RBMParams], memory: Memory, rows: list[Rows], key: Key
    ) -> None:
        n = len(rows[0])
        first = int(memory["parity"][0])
        memory["parity"][0] = 1 - first
        draws = uniform(key, 0, n, self.temperatures)
        for m in range(first, self.temperatures - 1, 2):
            colder, warmer = machines[m + 1], machines[m]
            low, high = rows[m], rows[m + 1]
            gain = (
                backend.free_energy(warmer, low)
                + backend.free_energy(colder, high)
                - backend.free_energy(warmer, high)
                - backend.free_energy(colder, low)
            )
            chance = np.exp(np.minimum(gain, 0.0))
            swap = draws[:, m] < chance
            below, above = (memory["replicas"][i * n : (i + 1) * n] for i in (m, m + 1))
            below[swap], above[swap] = above[swap], below[swap]
            rate = memory["rates"][m : m + 1]
            rate[...] = RATE_MEMORY * rate + (1 - RATE_MEMORY) * chance.mean()


def _tempered(params: RBMParams, base: np.ndarray, beta: float) -> RBMParams:
    b = np.float32(beta)
    visible_bias = (1 - b) * base + b * params.visible_bias
    return replace(params, weight=params.weight * b, visible_bias=visible_bias, hidden_bias=params.hidden_bias * b)


def _even_out(memory: Memory) -> None:
    """Inverse temperatures towards equal shares of what the exchanges are refused, the communication barrier."""
    betas = memory["betas"]
    barrier = np.concatenate([[0.0], np.cumsum(1 - memory["rates"] + 1e-6)])
    wanted = np.interp(np.linspace(0.0, barrier[-1], len(betas)), barrier, betas)
    betas[1:-1] += ADAPTATION * (wanted - betas)[1:-1]


def _rows(array: np.ndarray, params: RBMParams) -> Rows:
    return PackedBits(array, params.n_visible) if array.dtype == np.uint64 else array


def _array(rows: Rows) -> np.ndarray:
    return rows.words if isinstance(rows, PackedBits) else rows
