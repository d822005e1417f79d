"""Persistent contrastive divergence: chains that go on from update to update (Tieleman 2008)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rbmx.arguments import check_types
from rbmx.backends import Rows
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key
from rbmx.samplers.base import check_chains, check_steps

__all__ = ["PCD"]


@dataclass(frozen=True)
class PCD:
    """PCD-k: k Gibbs steps per update of chains that are never restarted.

    Attributes:
        k: Gibbs steps, 1 or more.
        chains: how many; None: as many as rows in a minibatch. A short last minibatch moves all of them and
            weighs both phases by their own number of rows.
    """

    k: int = 1
    chains: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_steps(self.k)
        check_chains(self.chains)

    def initial_chains(self, params: RBMParams, batch_size: int, key: Key) -> Rows | None:
        """Hidden states drawn with input 0: fair coins for Bernoulli units.

        Raises:
            ValueError: visible units are counts.
        """
        n = batch_size if self.chains is None else self.chains
        if params.visible == "counts":
            raise ValueError(
                "sampler: a chain of counts needs a row's total, and PCD keeps hidden states; expected CD(k)"
            )
        unit = params.hidden_unit
        states = unit.sample(np.zeros((n, params.n_hidden)), Draws(key, 0, 0, 0))
        return PackedBits.pack(states) if unit.binary else states.astype(np.float32)
