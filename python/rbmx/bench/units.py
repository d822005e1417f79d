"""Training speed of machines that are not all Bernoulli: native, on the reference backend, and in torch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from rbmx.bench.contestant import Contestant
from rbmx.bench.harness import Report, WrongAnswerError, facts, interleave, table
from rbmx.bench.task import Answer, CDTask, Images, compare

__all__ = ["CASES", "UNIT_PEERS", "Case", "check", "run_units"]

CHECK_ROWS = 2_000
UNIT_PEERS = ("rbmx_reference", "torch_units")
REFERENCE_ROWS = 1_000  # a round of the reference backend: it takes seconds for them
SETTLE = 0.4  # seconds; twice what the OpenMP runtimes spin by default
ALIKE = Answer(visible_bias=0.05, hidden_bias=0.05, weight=0.05)
"""Of the kernels and the specification, which draw the same numbers: a draw in a million differs (weights in 2^-20),
and what it changes grows with each update, to 0.014 of the weights' way after five of 510-2000; others are 0.3 away."""


def standardised(gray: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Images:
    """Pixels / 255 of mean 0 and variance 1, those that never change at 0."""
    pixels = gray.astype(np.float32) / 255
    deviation = pixels.std(axis=0)
    return np.asarray((pixels - pixels.mean(axis=0)) / np.where(deviation > 0, deviation, 1), np.float32)


def bits(gray: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Images:
    """1 above 127."""
    return (gray > 127).view(np.uint8)


def labelled(gray: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Images:
    """The 500 pixels that vary most, as bits, and the digit as one of ten: the shape of a deep belief net's top."""
    often = np.argsort(-(gray > 127).var(axis=0))[:500]
    return np.hstack([gray[:, often] > 127, np.eye(10, dtype=bool)[labels]]).view(np.uint8)


@dataclass(frozen=True)
class Case:
    """A machine and the rows that it trains on."""

    task: CDTask
    rows: Callable[[npt.NDArray[np.uint8], npt.NDArray[np.int64]], Images]

    @property
    def name(self) -> str:
        """Both layers and their sizes."""
        return f"{self.task.visible} x {self.task.hidden}, {self.task.n_visible}-{self.task.n_hidden}"


CASES = (
    Case(CDTask(learning_rate=0.001, visible="gaussian"), standardised),
    Case(CDTask(learning_rate=0.001, visible="gaussian", hidden="relu"), standardised),
    Case(CDTask(learning_rate=0.001, hidden="relu"), bits),
    Case(CDTask(n_visible=510, n_hidden=2000, visible="bernoulli*500 + softmax(10)"), labelled),
)


def check(native: Contestant, reference: Contestant, torch: Contestant, task: CDTask, rows: Images) -> None:
    """WrongAnswerError where updates are not those of the specification.

    The kernels draw the specification's own numbers; torch, which draws others, may be as far from it as the
    specification with another seed is, and half as much again.
    """
    few = rows[:CHECK_ROWS]
    answers = [contestant.answer(task, few) for contestant in (reference, native, torch)]
    expected, ours, theirs = answers
    assert expected is not None and ours is not None and theirs is not None
    other = reference.answer(replace(task, noise_seed=task.seed + 1), few)
    assert other is not None
    noise = compare(task.initial(), other, expected)
    for name, answer, tolerance in (("rbmx", ours, ALIKE), ("torch", theirs, noise.times(1.5))):
        distance = compare(task.initial(), answer, expected)
        if not distance.within(tolerance):
            raise WrongAnswerError(
                f"{name}: wrong updates, relative distance from the specification's: {distance}; "
                f"expected at most {tolerance}"
            )
        print(f"  {name}: right ({distance})", file=sys.stderr)


def run_units(
    gray: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    cases: tuple[Case, ...] = CASES,
    rounds: int = 7,
    threads: int = 2,
) -> Report:
    """Check and time CD-1 in batches of 100; prints a line for each machine."""
    report = Report("units", {"rows": len(gray), "rounds": rounds}, facts(threads=threads))
    print(report.origin(), "\n")
    lines = []
    for case in cases:
        task, rows = replace(case.task, threads=threads), case.rows(gray, labels)
        native = "rbmx_dense" if rows.dtype == np.float32 else "rbmx_cd"
        names = (native, *UNIT_PEERS)
        print(f"  {case.name}", file=sys.stderr)
        with ExitStack() as stack:
            running = [stack.enter_context(Contestant(name, task, rows)) for name in names]
            ours, reference, torch = running
            check(ours, reference, torch, task, rows)
            counts = (len(rows), min(REFERENCE_ROWS, len(rows)), len(rows))
            turns = {c.name: partial(c.train, 0, n) for c, n in zip(running, counts, strict=True)}
            timings = interleave(turns, rounds=rounds, settle=SETTLE)
        rates = [timings[name].rates(n) for name, n in zip(names, counts, strict=True)]
        medians = [median for median, _, _ in rates]
        ratios = [f"{medians[0] / medians[1]:,.1f}x", f"{medians[0] / medians[2]:.2f}x"]
        lines.append([case.name, *(f"{rate:,.0f}" for rate in medians), *ratios])
        report.rows += [
            {"case": case.name, "name": name, "rows_per_second": rate[0], **timings[name].to_json()}
            for name, rate in zip(names, rates, strict=True)
        ]
    head = ["CD-1, batch 100, rows/s", "rbmx", "reference", "torch", "over reference", "over torch"]
    print(table(head, lines), flush=True)
    return report
