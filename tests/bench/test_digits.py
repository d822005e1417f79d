from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.datasets import load_digits

from rbmx.bench import digits


def test_the_digits_are_nudged_as_in_the_gallery() -> None:
    """Its scipy.ndimage.convolve with one weight above the middle takes each pixel from below, and so on."""
    images, labels = digits.nudged_digits()
    assert images.shape == (8985, 64) and images.min() == 0 and images.max() == 1
    plain, up, _, _, down = images.reshape(5, 1797, 8, 8)
    pixels, expected = load_digits(return_X_y=True)
    assert np.array_equal(plain > 0, pixels.reshape(-1, 8, 8) > 0)
    assert np.array_equal(up[:, :7] > 0, plain[:, 1:] > 0) and not up[:, 7].any()
    assert np.array_equal(down[:, 1:] > 0, plain[:, :7] > 0) and not down[:, 0].any()
    assert np.array_equal(labels.reshape(5, -1), np.tile(expected, (5, 1)))


def test_our_features_reach_93_percent(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = digits.run_digits(rounds=1, threads=1, features=["rbmx"]).rows
    assert row["lowest_accuracy"] >= 0.93 and row["median_macro_f1"] >= 0.93  # type: ignore[operator]
    assert row["within"] is True
    assert "macro F1" in capsys.readouterr().out
