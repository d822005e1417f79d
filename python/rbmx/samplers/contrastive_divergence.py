"""Contrastive divergence: each minibatch starts its chains at the data (Hinton 2002)."""

from __future__ import annotations

from dataclasses import dataclass

from rbmx.arguments import check_types
from rbmx.backends import Rows
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.samplers.base import check_steps

__all__ = ["CD"]


@dataclass(frozen=True)
class CD:
    """CD-k: k Gibbs steps from the data.

    Attributes:
        k: Gibbs steps, 1 or more.
    """

    k: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        check_steps(self.k)

    def initial_chains(self, params: RBMParams, batch_size: int, key: Key) -> Rows | None:
        """None: nothing is kept between minibatches."""
        return None
