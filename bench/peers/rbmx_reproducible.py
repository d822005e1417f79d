"""`rbmx.train` on real-valued images with `reproducible=True`."""

from __future__ import annotations

from peers.rbmx_dense import RbmxDenseLoop

__all__ = ["RbmxReproducibleLoop", "build"]


class RbmxReproducibleLoop(RbmxDenseLoop):
    label = "rbmx, reproducible=True"
    reproducible = True


build = RbmxReproducibleLoop
