"""Where the arithmetic happens: the native kernels, or NumPy for every unit type (the specification)."""

from __future__ import annotations

from rbmx.backends.base import (
    Backend,
    Batches,
    Gradient,
    Memory,
    NegativePhase,
    Offsets,
    Outcome,
    Rows,
    State,
    Update,
    as_array,
)
from rbmx.params import RBMParams

__all__ = [
    "ENGINES",
    "Backend",
    "Batches",
    "Gradient",
    "Memory",
    "NegativePhase",
    "Offsets",
    "Outcome",
    "Rows",
    "State",
    "Update",
    "as_array",
    "backend_for",
    "trains_natively",
]

ENGINES = ("auto", "binary", "blas", "reference")


def trains_natively(params: RBMParams, engine: str = "auto") -> bool:
    """Whether bits of this machine train by exact sums in the native loop."""
    return (params.visible, params.hidden) == ("bernoulli", "bernoulli") and engine in ("auto", "binary")


def backend_for(params: RBMParams, engine: str = "auto", *, reproducible: bool = False) -> Backend:
    """The backend that runs these unit types under an engine.

    Args:
        params: decides by its unit types: Bernoulli pairs run natively, all others on the reference.
        engine: "auto"; "binary" (sums of selected rows, needs packed bits); "blas" (dense products);
            "reference" (NumPy).
        reproducible: real values take canonical-order products even where these are slow (no fused multiply-add).
    """
    from rbmx.backends.native import NativeBackend
    from rbmx.backends.reference import ReferenceBackend

    if engine not in ENGINES:
        raise ValueError(f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}")
    native = (params.visible, params.hidden) == ("bernoulli", "bernoulli")
    if engine == "reference" or (engine == "auto" and not native):
        return ReferenceBackend()
    if not native:
        raise ValueError(
            f"engine: {engine!r} needs Bernoulli units, got {params.visible} and {params.hidden}; use 'auto'"
        )
    return NativeBackend(engine, reproducible=reproducible)
