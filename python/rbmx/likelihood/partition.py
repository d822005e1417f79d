"""log Z by the best way there is: enumeration, or annealed importance sampling from both sides."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows
from rbmx.likelihood import exact
from rbmx.likelihood.ais import ais_log_partition, reverse_ais_log_partition
from rbmx.likelihood.estimate import Estimate
from rbmx.likelihood.normalisable import require_partition_function
from rbmx.params import RBMParams
from rbmx.rng import Key

__all__ = ["METHODS", "can_enumerate", "estimate_log_partition"]

METHODS = ("auto", "exact", "ais", "reverse_ais", "both")
DISAGREEMENT = 3.0  # nats between the two directions that are worth a warning


def can_enumerate(params: RBMParams) -> bool:
    """Whether a side is small enough to go through all its states."""
    sides = (params.hidden_unit.states(params.n_hidden), params.visible_unit.states(params.n_visible))
    return any(states is not None and exact.count_states(states) <= 1 << exact.MAX_ENUMERATED for states in sides)


def estimate_log_partition(
    params: RBMParams,
    method: str = "auto",
    *,
    start: Rows | None = None,
    temperatures: int = 1000,
    chains: int = 100,
    key: Key,
    base_bias: NDArray[np.float32] | None = None,
) -> Estimate:
    """log Z with an interval.

    Args:
        params: the machine.
        method: "exact" (a side of at most 2^24 states, as 24 Bernoulli units have), "ais" (from below), "reverse_ais"
            (from above), "both" (the middle of the two, an interval over both), "auto" ("exact" where it can be, else
            "both").
        start: rows of data that the chains of reverse AIS begin at.
        temperatures, chains, base_bias: as in ais_log_partition; reverse AIS has a chain for each row of `start`.
        key: of the noise.

    Raises:
        ValueError: an unknown method, or one that lacks what it needs; counts; energies that cannot be normalised.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    require_partition_function(params)
    if method == "exact" or (method == "auto" and can_enumerate(params)):
        return exact.log_partition(params)
    if method != "ais" and start is None:
        if method == "auto":
            method = "ais"
        else:
            raise ValueError(f"start: method {method!r} begins its chains at rows of data; give some")
    found: list[Estimate] = []
    if method != "reverse_ais":
        up = ais_log_partition(
            params, temperatures=temperatures, chains=chains, key=key.fold_in(0), base_bias=base_bias
        )
        found.append(up)
    if method != "ais" and start is not None:
        found.append(
            reverse_ais_log_partition(params, start, temperatures=temperatures, key=key.fold_in(1), base_bias=base_bias)
        )
    return found[0] if len(found) == 1 else _between(*found)


def _between(up: Estimate, down: Estimate) -> Estimate:
    """The middle of the two, and an interval over both; a warning where they are far apart."""
    gap = down.value - up.value
    if abs(gap) > DISAGREEMENT:
        warnings.warn(
            f"log Z: AIS says {up.value:.2f}, reverse AIS {down.value:.2f}: chains mix badly; take more temperatures",
            stacklevel=3,
        )
    value = (up.value + down.value) / 2
    low, high = min(up.low, down.low), max(up.high, down.high)
    return Estimate(value, low, high, f"between {up.method} ({up.value:.2f}) and {down.method} ({down.value:.2f})")
