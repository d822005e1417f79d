"""What a sampler is: k Gibbs steps for each update, and the chains it keeps between updates, if any."""

from __future__ import annotations

from typing import Protocol

from rbmx.backends import Rows
from rbmx.params import RBMParams
from rbmx.rng import Key

__all__ = ["Sampler", "sampler_from"]


class Sampler(Protocol):
    """A frozen dataclass of settings; the chains themselves live in the training state."""

    @property
    def k(self) -> int:
        """Gibbs steps of an update."""
        ...

    def initial_chains(self, params: RBMParams, batch_size: int, key: Key) -> Rows | None:
        """Hidden states to start from, or None where each minibatch starts its own chains from data."""
        ...


def sampler_from(sampler: Sampler | str) -> Sampler:
    """A sampler from its short name "cd" or "pcd", or the sampler itself."""
    from rbmx.samplers.contrastive_divergence import CD
    from rbmx.samplers.persistent import PCD

    if sampler == "cd":
        return CD()
    if sampler == "pcd":
        return PCD()
    if isinstance(sampler, str) or not hasattr(sampler, "initial_chains"):
        raise ValueError(f"sampler: expected 'cd', 'pcd', CD(...) or PCD(...), got {sampler!r}")
    return sampler
