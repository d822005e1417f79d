"""The benchmark of the paper's Fig. 6 in small: its programs run, its figures add up, its limits bite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from rbmx.bench import autoencoder
from rbmx.bench.autoencoder import Run, Size, run_autoencoder


def test_both_programs_train_and_their_errors_fall_with_backprop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(autoencoder, "SIZES", (49, 30, 20, 8))
    monkeypatch.setitem(autoencoder.SETTINGS, "tuning-rate", 0.01)
    monkeypatch.setitem(autoencoder.SETTINGS, "tuning-batch", 20)
    generator = np.random.default_rng(0)
    codes = generator.random((600, 4)) < 0.5
    images = (codes @ generator.random((4, 49))) > 1.0  # four causes, which 8 units can hold
    picture = tmp_path / "fig6.png"
    report = run_autoencoder(
        images[:500], images[500:], rows=(500,), seeds=(1,), epochs=5, backprop=5, hadoop=False, threads=1, plot=picture
    )
    assert picture.stat().st_size > 1000
    assert [row["name"] for row in report.rows] == ["500 images, torch", "500 images, rbmx"]
    for row in report.rows:
        (run,) = row["runs"]  # type: ignore[misc]
        assert run["tuned_error"] < run["greedy_error"] < 49 / 4  # of coins
        assert run["tuned_seconds"] > run["greedy_seconds"] > 0
    assert "of it backprop s" in capsys.readouterr().out


def test_reductions_shares_and_the_projection() -> None:
    size = Size(
        5000,
        torch=[Run(90.0, 100.0, 40.0, 30.0, 10.0), Run(110.0, 120.0, 40.0, 28.0, 12.0)],
        rbmx=[Run(20.0, 30.0, 40.0, 30.0, 5.0), Run(20.0, 30.0, 40.0, 29.0, 5.0)],
        hadoop=[Run(30.0, 40.0, 40.0, 30.0, 8.0, 12.0), Run(30.0, None, 40.0, None, None, 8.0)],
    )
    assert autoencoder.ratio(size, size.hadoop, "greedy_seconds") == pytest.approx(0.3)
    # (b) ran on Hadoop with the first seed only, whose error is PyTorch's: no difference of seeds counts
    assert autoencoder.ratio(size, size.hadoop, "tuned_error") == 1
    lines = autoencoder._table([size]).splitlines()
    assert lines[-1].split() == ["5,000", "Hadoop", "30.0", "70%", "58%", "40.00", "40.0", "60%", "30.00", "8.0"]
    # PyTorch: 110 s, 11 of them backprop; without the others it would be 90 % less
    assert lines[-3].split() == ["5,000", "torch", "100.0", "40.00", "110.0", "29.00", "11.0", "90%"]
    # fixed 10 s, work 20 s: 10 + 20 / n
    assert autoencoder._projection([size]).splitlines()[-1].split() == ["5,000", "10.0", "30.0", "20.0", "15.0", "12.5"]
    rows = {row["name"]: row for row in autoencoder._rows(size)}
    assert rows["5000 images, hadoop"]["within"] is True
    slow = Size(5000, size.torch, 2 * [Run(50.0, 60.0, 40.0, 29.0)], [])
    worse = Size(5000, size.torch, 2 * [Run(20.0, 30.0, 41.0, 29.0)], [])
    tuned_worse = Size(5000, size.torch, 2 * [Run(20.0, 30.0, 40.0, 29.7)], [])
    for changed in (slow, worse, tuned_worse):
        assert autoencoder._rows(changed)[1]["within"] is False
