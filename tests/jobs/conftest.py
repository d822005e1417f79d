"""A small job over four shards, begun, and what a round of it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rbmx.data import open_source
from rbmx.jobs import write_shards

ROWS, UNITS = 800, 64


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    """Rows of bits with something to learn: two patterns under noise."""
    rng = np.random.default_rng(0)
    patterns = rng.random((2, UNITS)) < 0.3
    return (patterns[rng.integers(0, 2, ROWS)] ^ (rng.random((ROWS, UNITS)) < 0.1)).astype(np.uint8)


@pytest.fixture(scope="session")
def shards(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four files of one shard line each."""
    return write_shards(open_source(rows), 4, tmp_path_factory.mktemp("data") / "shards")
