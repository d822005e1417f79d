"""`rbmx.train` on real-valued images as they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from peers.rbmx_cd import RbmxLoop
from rbmx.bench.task import Images

__all__ = ["RbmxDenseLoop", "build"]


class RbmxDenseLoop(RbmxLoop):
    label = "rbmx"

    def prepare(self, images: Images) -> npt.NDArray[np.float32]:
        """Float32 rows."""
        return images.astype(np.float32)


build = RbmxDenseLoop
