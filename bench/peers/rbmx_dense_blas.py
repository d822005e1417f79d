"""`rbmx.train` on real-valued images with `engine="blas"`: all products by BLAS, as a cross-check."""

from __future__ import annotations

from typing import Literal

from peers.rbmx_dense import RbmxDenseLoop

__all__ = ["RbmxDenseBlasLoop", "build"]


class RbmxDenseBlasLoop(RbmxDenseLoop):
    label = 'rbmx, engine="blas"'
    engine: Literal["auto", "blas"] = "blas"


build = RbmxDenseBlasLoop
