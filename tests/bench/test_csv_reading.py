from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rbmx.bench.csv_reading import run_csv, write_csv


def test_written_rows_are_label_and_pixels(tmp_path: Path) -> None:
    images = np.array([[0, 255, 7], [1, 2, 3]], np.uint8)
    rows = write_csv(tmp_path / "x.csv", images, np.array([9, 4]))
    assert rows == 2
    assert (tmp_path / "x.csv").read_text() == "9,0,255,7\n4,1,2,3\n"


def test_rows_repeat_until_the_file_is_large_enough(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rows = write_csv(path, np.array([[1], [2]], np.uint8), np.array([0, 1]), min_bytes=20)
    assert rows == 6
    assert path.read_text() == "0,1\n1,2\n" * 3


def test_csv_benchmark_checks_and_prints(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(50, 784), dtype=np.uint8)
    report = run_csv(images, rng.integers(10, size=50), rounds=1)
    assert [row["name"] for row in report.rows] == ["rbmx.data.read_csv", "np.loadtxt, uint8"]
    assert "np.loadtxt" in capsys.readouterr().out
