from __future__ import annotations

import subprocess

import pytest

from rbmx.bench import memory
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.memory import peak_of


def test_the_peak_counts_memory_that_was_freed_again() -> None:
    small = peak_of("report()")["peak_mb"]
    large = peak_of("x = bytearray(b'1') * 100_000_000; del x; report()")["peak_mb"]
    # 100 MB of pages that were written; an interpreter's own size varies by a few MB.
    assert 90 < large - small < 115


def test_a_program_reports_figures_of_its_own_and_takes_arguments() -> None:
    assert peak_of("report(rows=int(sys.argv[1]))", ["3"])["rows"] == 3


def test_a_failing_program_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        peak_of("sys.exit(1)")


@pytest.mark.parametrize(("peak", "within"), [(100 + 75.1, True), (100 + 75.2, False)])
def test_the_limit_of_training_memory_is_four_arrays_and_8_mb(
    peak: float, within: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """4 x 2048 x 2048 x 4 bytes and 8 MB are 75.11 MB."""
    figures = {"peak_mb": peak, "rows": 5000}
    monkeypatch.setattr(
        memory, "peak_of", lambda program, arguments: figures if "train(" in program else {"peak_mb": 100.0}
    )
    row = memory.wide_memory()
    assert row["within"] is within
    assert row["weight_arrays"] == pytest.approx((peak - 100) / 16.777216)
    assert "75.1 = 4 arrays + 8" in capsys.readouterr().out


def test_training_memory_counts_the_parameters_at_least() -> None:
    row = memory.wide_memory(units=512, n_rows=100)
    # Weights, velocity and two integer copies: less cannot train. An interpreter's own size varies by a few MB.
    assert isinstance(row["above_data_mb"], float)
    assert row["above_data_mb"] > 4 * 1.05 - 3


def test_training_on_other_rows_is_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "peak_of", lambda program, arguments: {"peak_mb": 100.0, "rows": 1})
    with pytest.raises(WrongAnswerError, match="trained on 1 rows, expected 5000"):
        memory.wide_memory()
