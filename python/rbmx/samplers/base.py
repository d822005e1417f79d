"""What a sampler is: k Gibbs steps for each update, and the chains it keeps between updates, if any."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from rbmx.backends import Rows
from rbmx.params import RBMParams
from rbmx.rng import Key

__all__ = ["Sampler", "check_chains", "check_steps", "sampler_from"]


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
    """A sampler from its short name or the sampler itself, with its settings overridden.

    Args:
        sampler: "cd", "pcd", "fast_pcd", "pt", or one with settings, CD(...), PCD(...), FastPCD(...), PT(...).
        k: Gibbs steps instead of the sampler's own.
        persistent: PCD instead of CD, or the other way.
    """
    from rbmx.samplers.contrastive_divergence import CD
    from rbmx.samplers.fast_persistent import FastPCD
    from rbmx.samplers.persistent import PCD
    from rbmx.samplers.tempering import PT

    short: dict[str, Sampler] = {"cd": CD(), "pcd": PCD(), "fast_pcd": FastPCD(), "pt": PT()}
    named = short.get(sampler) if isinstance(sampler, str) else sampler
    if named is None or not isinstance(named, CD | PCD | FastPCD | PT):
        known = ", ".join(repr(name) for name in short)
        raise ValueError(f"sampler: expected {known}, CD(...), PCD(...), FastPCD(...) or PT(...), got {sampler!r}")
    if persistent is not None and not isinstance(named, CD | PCD):
        raise ValueError(f"persistent: chooses between CD and PCD, and the sampler is {named}")
    if persistent is not None and persistent != isinstance(named, PCD):
        named = PCD(named.k) if persistent else CD(named.k)
    return named if k is None else replace(named, k=k)


def check_steps(k: int) -> None:
    """ValueError unless k is a number of Gibbs steps."""
    if k < 1:
        raise ValueError(f"k: expected 1 or more Gibbs steps, got {k}")


def check_chains(chains: int | None) -> None:
    """ValueError unless `chains` is a number of chains, or None."""
    if chains is not None and not 1 <= chains <= 65536:
        raise ValueError(f"chains: expected 1 to 65536, got {chains}")
