"""Timing that can be believed: contestants take turns, every round is kept, the facts go along.

A benchmark builds its contestants, checks their answers, hands them to `interleave`, and puts the
timings into a `Report`, which prints as text and writes itself as JSON.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["Report", "Timing", "WrongAnswerError", "facts", "interleave", "repeated", "stopwatch", "table"]


class WrongAnswerError(AssertionError):
    """A contestant computed something else than it should: its time would mean nothing."""


@dataclass(frozen=True)
class Timing:
    """Seconds of every round of one contestant, in the order they were run."""

    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds:
            raise ValueError("seconds: expected at least one round, got none")

    @property
    def best(self) -> float:
        """The shortest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The median round."""
        return statistics.median(self.seconds)

    @property
    def worst(self) -> float:
        """The longest round."""
        return max(self.seconds)

    @property
    def spread(self) -> float:
        """(worst - best) / median: how far the rounds lie apart."""
        return (self.worst - self.best) / self.median

    def rates(self, work: float) -> tuple[float, float, float]:
        """Work per second in the median, the slowest and the fastest round."""
        return work / self.median, work / self.worst, work / self.best

    def to_json(self) -> dict[str, object]:
        """All rounds and their summary, ready for `json`."""
        return {
            "best_seconds": self.best,
            "median_seconds": self.median,
            "worst_seconds": self.worst,
            "spread": self.spread,
            "rounds_seconds": list(self.seconds),
        }


def stopwatch(work: Callable[[], object]) -> Callable[[], float]:
    """Wrap `work` so that a call returns the seconds it took."""

    def timed() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return timed


def repeated(timed: Callable[[], float], *, at_least: float = 0.02) -> Callable[[], float]:
    """A round that calls a timed function until its own seconds fill `at_least`, and returns their mean."""

    def round_of() -> float:
        total, calls = 0.0, 0
        while calls == 0 or total < at_least:
            total += timed()
            calls += 1
        return total / calls

    return round_of


def interleave(
    contestants: Mapping[str, Callable[[], float]], *, rounds: int, settle: float = 0.0
) -> dict[str, Timing]:
    """Run each contestant once per round; the order rotates, so none always begins.

    Args:
        contestants: name -> one round of work; it returns its own seconds (see `stopwatch`).
        rounds: how often each one runs.
        settle: seconds of quiet before each turn. The threads of OpenMP runtimes and of BLAS spin on after their
            work is done, for 200 ms where nothing else is set, and would take a core from whoever comes next.
    """
    if rounds < 1:
        raise ValueError(f"rounds: expected at least 1, got {rounds}")
    names = list(contestants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % max(len(names), 1)
        for name in names[shift:] + names[:shift]:
            time.sleep(settle)
            seconds[name].append(contestants[name]())
    return {name: Timing(tuple(rounds_of)) for name, rounds_of in seconds.items()}


def _commit() -> str:
    """The commit of the checkout this package runs from, else the version of the package."""
    folder = Path(__file__).resolve().parent
    git = ["git", "-C", str(folder)]
    try:
        tracked = subprocess.run([*git, "ls-files", "--error-unmatch", "harness.py"], capture_output=True, check=False)
        if tracked.returncode == 0:
            head = subprocess.run(
                [*git, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
                capture_output=True,
                check=True,
                text=True,
            )
            return head.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    try:
        return "version " + importlib.metadata.version("rbmx")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _cpu() -> dict[str, object]:
    """Model and vector instruction sets of the processor."""
    wanted = ("sse4_2", "avx2", "fma", "avx512f", "avx512bw", "avx512_vbmi2", "avx512_vnni")
    described: dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split("\n"):
            name, _, value = line.partition(":")
            described.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    flags = described.get("flags", "").split()
    return {
        "machine": platform.machine(),
        "model": described.get("model name", "unknown"),
        "flags": [flag for flag in wanted if flag in flags],
        "cores": len(os.sched_getaffinity(0)),
    }


def facts(*, threads: int) -> dict[str, object]:
    """What a reader needs beside the figures: commit, date, machine, builds. No host names."""
    import numpy as np

    import rbmx

    versions: dict[str, str] = {"python": platform.python_version(), "numpy": np.__version__}
    for package in ("scipy", "torch", "scikit-learn", "pandas", "pyarrow"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "threads": threads,
        "cpu": _cpu(),
        "versions": versions,
        "build": rbmx.build_info(),
    }


@dataclass
class Report:
    """One benchmark's outcome: what was run, where, and a row per contestant."""

    benchmark: str
    settings: dict[str, object]
    facts: dict[str, object]
    rows: list[dict[str, object]] = field(default_factory=list)

    def origin(self) -> str:
        """Commit, processor, instruction set and threads in one line, for the head of the printed tables."""
        cpu, build = self.facts["cpu"], self.facts["build"]
        assert isinstance(cpu, dict) and isinstance(build, dict)
        return (
            f"rbmx {self.facts['commit']}, {cpu['model']}, {build['instruction_set']}, "
            f"{self.facts['threads']} of {cpu['cores']} threads, {self.settings['rounds']} interleaved rounds"
        )

    def write(self, path: Path) -> None:
        """Write the report as JSON, creating the folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=1, default=str)
        path.write_text(text + "\n", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out text in columns: the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
