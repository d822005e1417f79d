"""What the anchors are measured on, and the small one to the end in few epochs."""

from __future__ import annotations

import numpy as np
import pytest

from rbmx.bench.anchors import _mixed_sources, run_anchors


def test_the_mixture_is_white_and_its_density_is_the_laplace_entropy() -> None:
    rows, test, density = _mixed_sources(50_000, 0)
    np.testing.assert_allclose(np.cov(np.asarray(rows).T), np.eye(2), atol=1e-3)  # whitened on these rows
    np.testing.assert_allclose(np.cov(np.asarray(test).T), np.eye(2), atol=0.05)
    # two independent Laplace variables of variance 1 have -2 (1 + log sqrt 2) nats; 50,000 rows deviate by 0.006
    assert density == pytest.approx(-2 * (1 + 0.5 * np.log(2)), abs=0.03)


def test_a_quick_run_names_what_is_wanted_and_holds_it_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    report = run_anchors(["mixture"], quick=True)
    (row,) = report.rows
    assert "within" not in row
    assert -2.9 < float(row["test"]) < -2.6  # type: ignore[arg-type]
    assert "-2.7362" in capsys.readouterr().out
