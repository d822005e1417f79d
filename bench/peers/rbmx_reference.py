"""`rbmx.train` on the reference backend: NumPy in float64, any unit types."""

from __future__ import annotations

from peers.rbmx_dense import RbmxDenseLoop

__all__ = ["RbmxReferenceLoop", "build"]


class RbmxReferenceLoop(RbmxDenseLoop):
    label = "rbmx, reference backend"
    engine = "reference"


build = RbmxReferenceLoop
