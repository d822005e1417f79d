from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rbmx.bench import threads
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.threads import run_threads, thread_counts


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.uint8]:
    return (np.random.default_rng(0).random((300, 70)) < 0.15).astype(np.uint8)


@pytest.fixture(autouse=True)
def peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "run_in_process", lambda count, function: 1e9 * count)


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (4, (1, 2, 4)), (6, (1, 2, 4, 6))]
)
def test_counts_double_up_to_the_cores(cores: int, counts: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert thread_counts() == counts


def test_a_small_run_prints_reports_and_draws(
    images: npt.NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    report = run_threads(images, steps=(2,), counts=(1, 2), rounds=1, plot=tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
    one, two = report.rows
    assert one["sha256"] == two["sha256"]
    assert one["speed_up"] == 1.0
    assert two["speed_up"] == pytest.approx(one["median_seconds"] / two["median_seconds"])  # type: ignore[operator]
    assert (one["sgemm_peak_gflops"], two["sgemm_peak_gflops"]) == (1.0, 2.0)
    gflops = 300 * 7 * 2 * 70 * 500 / two["median_seconds"] / 1e9  # type: ignore[operator]
    assert two["dense_equivalent_gflops"] == pytest.approx(gflops)
    head = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("threads"))
    assert head.split("  ")[-2:] == ["GFLOP/s", "/ peak"]


def test_other_bytes_end_the_run(images: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    prints = iter(["a", "b"])
    monkeypatch.setattr(threads, "_fingerprint", lambda params: next(prints))
    with pytest.raises(WrongAnswerError, match="weights differ between numbers of threads"):
        run_threads(images, steps=(1,), counts=(1, 2), rounds=1)
