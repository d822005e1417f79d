from __future__ import annotations

import numpy as np
import pytest

from rbmx.backends.native import get_num_threads
from rbmx.bench import mapper_reading
from rbmx.bench.harness import WrongAnswerError

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(256, size=(40, 784), dtype=np.uint8), RNG.integers(10, size=40)


def test_all_ways_read_the_same_rows_before_the_clock_starts(capsys: pytest.CaptureFixture[str]) -> None:
    before = get_num_threads()
    report = mapper_reading.run_mapper(IMAGES, LABELS, rounds=1)
    assert get_num_threads() == before
    names = [row["name"] for row in report.rows]
    assert names == ["shard line", "CSV rows", "CSV rows by line", "np.fromstring", "np.loadtxt"]
    sizes = {row["name"]: row["bytes"] for row in report.rows}
    assert sizes["CSV rows"] == sizes["np.loadtxt"] == len(mapper_reading._csv(IMAGES, LABELS))
    assert "x loadtxt" in capsys.readouterr().out


def test_a_way_that_reads_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = IMAGES.copy()
    wrong[3, 5] ^= 128
    monkeypatch.setattr(mapper_reading, "_fromstring", lambda *_: wrong)
    with pytest.raises(WrongAnswerError, match=r"np\.fromstring"):
        mapper_reading.run_mapper(IMAGES, LABELS, rounds=1)
