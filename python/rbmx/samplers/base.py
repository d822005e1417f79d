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


def sampler_from(sampler: Sampler | str, *, k: int | None = None, persistent: bool | None = None) -> Sampler:
    """A sampler from its short name "cd" or "pcd" or the sampler itself, with its settings overridden.

    Args:
        sampler: "cd", "pcd", CD(...) or PCD(...).
        k: Gibbs steps instead of the sampler's own.
        persistent: PCD instead of CD, or the other way.
    """
    from rbmx.samplers.contrastive_divergence import CD
    from rbmx.samplers.persistent import PCD

    short: dict[str, Sampler] = {"cd": CD(), "pcd": PCD()}
    named = short.get(sampler) if isinstance(sampler, str) else sampler
    if named is None or not hasattr(named, "initial_chains"):
        raise ValueError(f"sampler: expected 'cd', 'pcd', CD(...) or PCD(...), got {sampler!r}")
    if k is None and persistent is None:
        return named
    steps = named.k if k is None else k
    if persistent if persistent is not None else isinstance(named, PCD):
        return PCD(steps, named.chains if isinstance(named, PCD) else None)
    return CD(steps)
