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
    from rbmx.backends.native import is_binary

    return is_binary(params) and engine in ("auto", "binary")


def backend_for(params: RBMParams, engine: str = "auto", *, reproducible: bool = False) -> Backend:
    """The backend that runs these unit types under an engine.

    Args:
        params: decides by its unit types: Bernoulli, "gaussian" and "relu" layers, and visible layers of Bernoulli
            units and softmax groups, run natively, all others on the reference.
        engine: "auto"; "binary" (sums of selected rows, needs packed bits); "blas" (dense products);
            "reference" (NumPy).
        reproducible: real values take canonical-order products even where these are slow (no fused multiply-add).
    """
    from rbmx.backends.native import NativeBackend, has_kernels, is_binary
    from rbmx.backends.reference import ReferenceBackend

    if engine not in ENGINES:
        raise ValueError(f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}")
    native = has_kernels(params)
    if engine == "reference" or (engine == "auto" and not native):
        return ReferenceBackend()
    if not native:
        raise ValueError(
            f"engine: {engine!r} has no kernels for {params.visible} visible and {params.hidden} hidden units; "
            "use 'auto'"
        )
    if engine == "binary" and not is_binary(params):
        raise ValueError(
            f"engine: 'binary' needs Bernoulli units, got {params.visible} visible and {params.hidden} hidden ones; "
            "use 'auto'"
        )
    return NativeBackend(engine, reproducible=reproducible)
