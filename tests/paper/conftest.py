"""The files that the paper's scripts read, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.paper.data import table, write


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, 400 rows, and test.csv, 200."""
    folder = tmp_path_factory.mktemp("paper")
    write(folder / "train.csv", table(400, 0))
    write(folder / "test.csv", table(200, 1))
    return folder
