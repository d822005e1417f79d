"""`rbmx.train` with `engine="blas"`: the same step as dense products, as a cross-check."""

from __future__ import annotations

from typing import Literal

from peers.rbmx_cd import RbmxLoop

__all__ = ["RbmxBlasLoop", "build"]


class RbmxBlasLoop(RbmxLoop):
    label = 'rbmx, engine="blas"'
    engine: Literal["auto", "blas"] = "blas"


build = RbmxBlasLoop
