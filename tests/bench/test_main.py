from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rbmx.bench import __main__ as bench
from rbmx.bench.harness import Report, WrongAnswerError


def test_importing_the_benchmarks_imports_no_torch() -> None:
    program = (
        "import sys, rbmx.bench.__main__, rbmx.bench.peers, rbmx.bench.memory, rbmx.bench.threads,"
        "rbmx.bench.kernel, rbmx.bench.scaling, rbmx.bench.first_fit;"
        "print([name for name in ('torch', 'sklearn', 'scipy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    [
        *("kernel", "peers", "threads", "scaling", "memory", "likelihood", "csv", "digits", "anchors", "table1"),
        *("units", "up-down", "classrbm", "deep", "autoencoder"),
    ],
)
def test_every_benchmark_has_the_common_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        bench.main([command, "--help"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert all(option in printed for option in ("--json", "--rounds", "--quick", "--threads"))


def test_no_rounds_are_bad_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        bench.main(["csv", "--rounds", "0"])
    assert done.value.code == 2
    assert "expected at least 1, got 0" in capsys.readouterr().err


def test_a_wrong_answer_is_exit_status_1_and_no_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: object) -> Report:
        raise WrongAnswerError("numpy_cd: wrong updates")

    monkeypatch.setattr(bench, "_run", fail)
    assert bench.main(["peers", "--json", "never/written.json"]) == 1
    assert "rbmx.bench: numpy_cd: wrong updates" in capsys.readouterr().err


def test_a_passed_limit_is_written_down_and_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows: list[dict[str, object]] = [
        {"name": "training", "within": True},
        {"name": "csv", "within": False},
    ]
    monkeypatch.setattr(bench, "_run", lambda arguments: Report("memory", {}, {}, rows))
    path = tmp_path / "memory.json"
    assert bench.main(["memory", "--json", str(path)]) == 1
    assert path.is_file()
    assert capsys.readouterr().err == "rbmx.bench: csv: over the limit\n"
