"""A trial run of the benchmark: each machine learns, and nothing is held to a figure."""

from __future__ import annotations

import pytest

from rbmx.bench.classrbm import RECIPES, run_classrbm


def test_a_quick_run_prints_the_curve_beside_the_published_figures(capsys: pytest.CaptureFixture[str]) -> None:
    report = run_classrbm(["discriminative", "hybrid"], quick=True)
    printed = capsys.readouterr().out
    for row, name in zip(report.rows, ("discriminative", "hybrid"), strict=True):
        assert row["name"] == name and "within" not in row
        assert float(row["test_error"]) < 25  # type: ignore[arg-type]
        assert f"{RECIPES[name].published}" in printed
    assert printed.count("  epoch   2") == 2
