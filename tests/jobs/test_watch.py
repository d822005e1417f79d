"""The clock of a task's parts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rbmx.jobs import watch
from rbmx.jobs.watch import Watch


def test_a_part_within_another_is_taken_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    moments: Iterator[float] = iter([0.0, 1.0, 11.0, 13.0, 100.0, 104.0])  # a second, ten within, two; later four
    monkeypatch.setattr(watch.time, "perf_counter", lambda: next(moments))
    clock = Watch()
    with clock.part("train"), clock.part("tune"):
        pass
    assert clock.seconds == {"train": 3.0, "tune": 10.0}
    with clock.part("train"):
        pass
    assert clock.seconds == {"train": 7.0, "tune": 10.0}
    clock.restart()
    assert clock.seconds == {}


def test_a_part_that_fails_ends_too() -> None:
    clock = Watch()
    with pytest.raises(ValueError, match="no such row"), clock.part("read"):
        raise ValueError("no such row")
    with clock.part("train"):
        pass
    assert set(clock.seconds) == {"read", "train"}
