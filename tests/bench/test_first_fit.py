from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rbmx.bench import __main__ as bench
from rbmx.bench import first_fit as module
from rbmx.bench.first_fit import first_fit, time_fits
from rbmx.bench.harness import Report, WrongAnswerError


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.uint8]:
    return (np.random.default_rng(0).random((200, 70)) < 0.2).astype(np.uint8)


def test_every_process_times_five_calls(images: npt.NDArray[np.uint8]) -> None:
    fits = time_fits(images, n_hidden=5, threads=1, rounds=2)
    assert [len(seconds) for seconds in fits] == [5, 5]
    assert all(second > 0 for seconds in fits for second in seconds)


def test_calls_that_differ_are_a_wrong_answer(images: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    program = module._PROGRAM.replace("for _ in range(5):", "for seed in range(5):").replace("Key(0)", "Key(seed)")
    monkeypatch.setattr(module, "_PROGRAM", program)
    with pytest.raises(WrongAnswerError, match="equal calls gave 5 different weights"):
        time_fits(images, n_hidden=5, threads=1, rounds=1)


@pytest.mark.parametrize(("first", "within", "status"), [(0.060, True, 0), (0.063, False, 1)])
def test_the_limit_is_on_the_median_of_first_less_fifth(
    first: float,
    within: bool,
    status: int,
    images: npt.NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fits = [[first, 0.02, 0.02, 0.02, 0.0115], [9.0, 0.0, 0.0, 0.0, 0.0], [0.02, 0.02, 0.02, 0.02, 0.02]]
    monkeypatch.setattr(module, "time_fits", lambda images, **settings: fits)
    row = first_fit(images)
    assert row["more_ms"] == pytest.approx(1e3 * (first - 0.0115))
    assert row["within"] is within
    assert "rbmx.train, 200 rows, ms" in capsys.readouterr().out
    monkeypatch.setattr(bench, "_run", lambda arguments: Report("kernel", {}, {}, [row]))
    assert bench.main(["kernel"]) == status
