"""Small CSV files of grey levels with their labels first, as the paper's scripts read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
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


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, 400 rows, and test.csv, 200."""
    folder = tmp_path_factory.mktemp("paper")
    write(folder / "train.csv", table(400, 0))
    write(folder / "test.csv", table(200, 1))
    return folder
