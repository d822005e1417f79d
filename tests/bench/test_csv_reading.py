from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbmx.backends.native import build_info, get_num_threads
from rbmx.bench.csv_peers import PEERS
from rbmx.bench.csv_reading import run_csv, write_csv
from rbmx.bench.harness import WrongAnswerError


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
    before = build_info()["instruction_set"], get_num_threads()
    report = run_csv(images, rng.integers(10, size=50), rounds=1, threads=2)
    assert (build_info()["instruction_set"], get_num_threads()) == before
    isas = build_info()["instruction_sets"]
    for case, outs in (("integers", {"uint8", "float32", "bits"}), ("decimals", {"float32", "bits"})):
        rows = [row for row in report.rows if row["case"] == case]
        parsed = {(row["isa"], row["output"], row["threads"]) for row in rows if row["name"] == "rbmx parse"}
        assert parsed >= {(isa, out, 1) for isa in isas for out in outs}  # type: ignore[attr-defined]
        assert {row["threads"] for row in rows if row["name"] == "rbmx read_csv"} == {1, 2}
        assert {str(row["name"]) for row in rows} >= set(PEERS)
    assert "np.loadtxt" in capsys.readouterr().out


def test_a_wrong_answer_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    def off_by_one(path: Path, dtype: Any, threads: int, n_fields: int) -> Callable[[], Any]:
        return lambda: np.loadtxt(path, delimiter=",", dtype=dtype) + np.uint8(1)

    monkeypatch.setitem(PEERS, "np.loadtxt", off_by_one)
    with pytest.raises(WrongAnswerError, match=r"np\.loadtxt"):
        run_csv(np.zeros((4, 3), np.uint8), np.zeros(4, np.int64), rounds=1)


def test_a_missing_library_is_left_out_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    report = run_csv(np.zeros((4, 3), np.uint8), np.zeros(4, np.int64), rounds=1)
    reasons = [row["left_out"] for row in report.rows if row["name"] == "pandas"]
    assert len(reasons) == 2 and "pandas" in str(reasons[0])
    assert "left out: pandas" in capsys.readouterr().err
