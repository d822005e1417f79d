from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from rbmx.bench.harness import Report, Timing, facts, interleave, repeated, stopwatch, table


def test_contestants_take_turns_and_the_order_rotates() -> None:
    calls: list[str] = []

    def contestant(name: str, seconds: float) -> float:
        calls.append(name)
        return seconds

    timings = interleave(
        {
            "a": lambda: contestant("a", 1.0),
            "b": lambda: contestant("b", 2.0),
            "c": lambda: contestant("c", 3.0),
        },
        rounds=3,
    )
    assert "".join(calls) == "abcbcacab"
    assert {name: timing.seconds for name, timing in timings.items()} == {
        "a": (1.0,) * 3,
        "b": (2.0,) * 3,
        "c": (3.0,) * 3,
    }


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="rounds: expected at least 1, got 0"):
        interleave({"a": lambda: 1.0}, rounds=0)
    with pytest.raises(ValueError, match="at least one round"):
        Timing(())


def test_timing_summarises_its_rounds() -> None:
    timing = Timing((4.0, 1.0, 2.0))
    assert (timing.best, timing.median, timing.worst, timing.spread) == (1.0, 2.0, 4.0, 1.5)
    assert timing.to_json()["rounds_seconds"] == [4.0, 1.0, 2.0]


def test_rates_are_of_the_median_the_slowest_and_the_fastest_round() -> None:
    assert Timing((4.0, 1.0, 2.0)).rates(8.0) == (4.0, 2.0, 8.0)


def test_repeated_calls_until_the_time_is_filled_and_returns_the_mean() -> None:
    seconds = iter([1.0, 2.0, 3.0, 100.0])
    round_of = repeated(lambda: next(seconds), at_least=5.0)
    assert round_of() == 2.0
    assert round_of() == 100.0


def test_repeated_calls_once_at_least() -> None:
    assert repeated(lambda: 0.5, at_least=0.0)() == 0.5


def test_stopwatch_runs_the_work_once_per_call() -> None:
    calls: list[int] = []
    timed = stopwatch(lambda: calls.append(1))
    assert timed() >= 0.0
    assert len(calls) == 1


def test_facts_name_versions_and_instruction_sets_but_no_host() -> None:
    text = json.dumps(facts(threads=2), default=str)
    assert {"commit", "date", "threads", "cpu", "versions", "build"} <= json.loads(text).keys()
    host = platform.node()
    assert not host or f'"{host}"' not in text


def test_the_origin_names_commit_instruction_set_and_threads() -> None:
    report = Report("peers", {"rounds": 3}, facts(threads=1))
    build, cpu = report.facts["build"], report.facts["cpu"]
    assert isinstance(build, dict) and isinstance(cpu, dict)
    assert report.origin() == (
        f"rbmx {report.facts['commit']}, {cpu['model']}, {build['instruction_set']}, "
        f"1 of {cpu['cores']} threads, 3 interleaved rounds"
    )


def test_report_is_written_as_json_into_a_new_folder(tmp_path: Path) -> None:
    report = Report("peers", {"rounds": 2}, {"threads": 2}, [{"name": "a", "seconds": 1.0}])
    path = tmp_path / "results" / "peers.json"
    report.write(path)
    assert json.loads(path.read_text()) == {
        "benchmark": "peers",
        "settings": {"rounds": 2},
        "facts": {"threads": 2},
        "rows": [{"name": "a", "seconds": 1.0}],
    }


def test_table_aligns_its_columns() -> None:
    assert table(["", "x"], [["long name", "1"], ["b", "100"]]) == ("             x\nlong name    1\nb          100")
