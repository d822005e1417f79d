"""Small tables of grey levels with their labels first, as the paper's scripts read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASSES, SIDE = 4, 6


def table(rows: int, seed: int) -> NDArray[np.int64]:
    """Labels, then pictures of a bright quarter each, under noise: a class is a quarter."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, rows)
    pictures = rng.integers(0, 90, (rows, SIDE, SIDE))
    half = SIDE // 2
    for picture, label in zip(pictures, labels, strict=True):
        down, right = divmod(int(label), 2)
        picture[down * half : (down + 1) * half, right * half : (right + 1) * half] += 130
    return np.column_stack([labels, pictures.reshape(rows, -1)])


def write(path: Path, values: NDArray[np.int64]) -> Path:
    np.savetxt(path, values, fmt="%d", delimiter=",")
    return path
