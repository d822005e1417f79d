from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rbmx.backends.native import get_num_threads
from rbmx.bench import scaling
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.scaling import AXES, Point, Workshop, check_answers, rows_of, run_scaling
from rbmx.params import RBMParams

BASE = Point(n_rows=60, n_visible=49, n_hidden=7, k=1, batch_size=20, threads=2)


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.uint8]:
    return (np.random.default_rng(0).random((40, 784)) < 0.15).astype(np.uint8)


def test_rows_of_784_are_the_images_with_their_pixels_in_another_order(images: npt.NDArray[np.uint8]) -> None:
    rows = rows_of(images, 784, 40).unpack()
    assert np.array_equal(rows[:, :2], images[:, [0, 485]])
    assert np.array_equal(np.sort(rows, axis=1), np.sort(images, axis=1))


def test_wider_and_more_rows_go_on_with_other_images(images: npt.NDArray[np.uint8]) -> None:
    narrow, wide = rows_of(images, 784, 40).unpack(), rows_of(images, 1000, 90).unpack()
    assert np.array_equal(wide[:40, :784], narrow)
    assert np.array_equal(wide[:39, 784:], narrow[1:, :216])
    assert np.array_equal(wide[40:80], wide[:40])
    assert np.array_equal(rows_of(images, 49, 40).unpack(), narrow[:, :49])


def test_the_axes_hold_neighbours_of_block_edges() -> None:
    assert {783, 784, 785, 801} <= set(AXES["V"])
    assert {63, 64, 65, 499, 501, 513} <= set(AXES["H"])
    assert {99, 100, 101, 128, 129} <= set(AXES["batch"])


def test_answers_are_checked(images: npt.NDArray[np.uint8]) -> None:
    point = replace(BASE, k=2, n_visible=65)
    check_answers(Workshop(images, [point]), [point], reference_rows=40)


@pytest.mark.parametrize(
    ("wrong_engine", "wrong_threads", "message"),
    [("plain", 2, "differ from those of csrc/ref"), ("auto", 2, "differ from those of one thread")],
)
def test_a_wrong_byte_ends_the_run(
    wrong_engine: str,
    wrong_threads: int,
    message: str,
    images: npt.NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = Point.train

    def other(self: Point, params: RBMParams, rows: object, engine: str = "auto") -> RBMParams:
        train(self, params, rows, engine)  # type: ignore[arg-type]
        if (engine, self.threads) == (wrong_engine, wrong_threads):
            params.weight[0, 0] = np.nextafter(params.weight[0, 0], np.float32(9))
        return params

    monkeypatch.setattr(Point, "train", other)
    with pytest.raises(WrongAnswerError, match=message):
        check_answers(Workshop(images, [BASE]), [BASE], reference_rows=40)


def test_training_starts_from_the_same_machine_every_time(images: npt.NDArray[np.uint8]) -> None:
    workshop = Workshop(images, [BASE])
    first = workshop.start(BASE).weight.tobytes()
    assert workshop.seconds(BASE) > 0
    assert workshop.start(BASE).weight.tobytes() == first


def test_a_small_run_prints_reports_and_draws(
    images: npt.NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(scaling, "WARM_ROWS", 100)
    monkeypatch.setattr(scaling, "run_in_process", lambda threads, function: 1e9 * threads)
    monkeypatch.setattr(scaling, "thread_counts", lambda: (1, 2))
    threads = get_num_threads()
    axes = {"N": (20, 40, 60), "V": (49, 63, 64), "H": (7, 65), "k": (1, 2, 3), "batch": (20, 33)}
    report = run_scaling(images, axes=axes, base=BASE, rounds=2, plot=tmp_path / "s.png")
    assert get_num_threads() == threads
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    report.write(tmp_path / "s.json")
    written = json.loads((tmp_path / "s.json").read_text())
    assert set(written["fits"]) == {"N", "k"}
    assert [(step["smaller"], step["larger"]) for step in written["steps"]["V"]] == [(63, 64)]
    assert [(row["axis"], row["value"]) for row in written["rows"] if row["axis"] in ("batch", "threads")] == [
        ("batch", 20),
        ("batch", 33),
        ("threads", 1),
        ("threads", 2),
    ]
    row = next(row for row in written["rows"] if row["axis"] == "batch" and row["value"] == 33)
    assert (row["n_rows"], row["batch_size"], len(row["rounds_seconds"])) == (66, 33, 2)
    gflops = 66 * 5 * 2 * 49 * 7 / row["median_seconds"] / 1e9
    assert row["dense_equivalent_gflops"] == pytest.approx(gflops)
    assert row["over_sgemm_peak"] == pytest.approx(gflops / 2)
    printed = capsys.readouterr().out
    assert "seconds of the best round = " in printed and "largest relative residual" in printed
    assert "time per row and unit of V beside a block's edge, larger over smaller: 63 -> 64: " in printed
