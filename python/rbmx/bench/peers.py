"""Rows per second of CD-1 and CD-10 beside well-written loops in other libraries."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from rbmx.bench.contestant import Contestant, peers_folder, run_in_process
from rbmx.bench.harness import (
    Report,
    Timing,
    WrongAnswerError,
    facts,
    interleave,
    table,
)
from rbmx.bench.sgemm import sgemm_peak
from rbmx.bench.task import (
    TOLERANCE,
    Answer,
    CDTask,
    Images,
    check_task,
    compare,
    reconstruction_error,
    reference_loop,
)
from rbmx.params import RBMParams

__all__ = ["PEERS", "REAL_PEERS", "AnswerCheck", "Result", "run_peers"]

PEERS = (
    "rbmx_cd",
    "rbmx_blas",
    "numpy_cd",
    "torch_cd",
    "torch_compile",
    "sklearn_rbm",
    "rbms_rbm",
    "learnergy_rbm",
    "sgemm_floor",
)

REAL_PEERS = (
    "rbmx_dense",
    "rbmx_reproducible",
    "rbmx_dense_blas",
    "numpy_cd",
    "torch_cd",
    "torch_compile",
    "sgemm_floor",
)
"""Those that take real-valued images as they are."""

CHECK_ROWS = 2_000
SETTLE = 0.4  # seconds; twice what the OpenMP runtimes spin by default


class AnswerCheck:
    """Compares contestants with the plain loop, which runs twice per algorithm.

    Other sizes, batches and data have other noise than the case that TOLERANCE was found for: a contestant may
    be as far from the plain loop as that loop with other draws is from itself, and a quarter more.
    """

    def __init__(self, task: CDTask, images: Images) -> None:
        self.task = check_task(task)
        self.images = images[:CHECK_ROWS]
        self.expected: dict[bool, tuple[RBMParams, Answer]] = {}

    def _expect(self, persistent: bool) -> tuple[RBMParams, Answer]:
        plain = reference_loop(self.task, self.images, persistent=persistent)
        again = reference_loop(self.task, self.images, persistent=persistent, seed=self.task.seed + 1)
        noise = compare(self.task.initial(), again, plain)
        return plain, TOLERANCE.or_larger(noise.times(1.25))

    def __call__(self, contestant: Contestant) -> Answer | None:
        """The distance from the plain loop, None for a floor; WrongAnswerError if too far."""
        answer = contestant.answer(self.task, self.images)
        if answer is None:
            return None
        persistent = contestant.persistent
        if persistent not in self.expected:
            self.expected[persistent] = self._expect(persistent)
        plain, tolerance = self.expected[persistent]
        distance = compare(self.task.initial(), answer, plain)
        if not distance.within(tolerance):
            raise WrongAnswerError(
                f"{contestant.name}: wrong updates, relative distance from the plain loop's: "
                f"{distance}; expected at most {tolerance}"
            )
        return distance


def _start(
    stack: ExitStack, names: tuple[str, ...], task: CDTask, images: Images
) -> tuple[list[Contestant], dict[str, str]]:
    """Start and check all contestants; those that cannot run here come back with the reason."""
    check = AnswerCheck(task, images)
    running: list[Contestant] = []
    skipped: dict[str, str] = {}
    for name in names:
        print(f"  checking {name}: ", end="", file=sys.stderr, flush=True)
        try:
            contestant = stack.enter_context(Contestant(name, task, images))
            distance = check(contestant)
            outcome = f"right ({distance})" if distance else "a floor, trains nothing"
            print(outcome, file=sys.stderr)
            contestant.train(0, CHECK_ROWS)
            running.append(contestant)
        except (ImportError, NotImplementedError) as reason:
            skipped[name] = str(reason)
            print(f"left out: {reason}", file=sys.stderr)
    return running, skipped


@dataclass(frozen=True)
class Result:
    """The figures of one contestant in one case."""

    name: str
    label: str
    task: CDTask
    n_rows: int
    timing: Timing
    ours: Timing | None
    peak: float
    error: float | None

    @property
    def flops(self) -> float:
        """What a dense loop would have to compute per second to be as fast."""
        return self.task.dense_flops_per_row() * self.n_rows / self.timing.median

    @property
    def rbmx_is(self) -> float | None:
        """How many times faster rbmx is, by the medians."""
        return self.timing.median / self.ours.median if self.ours else None

    def cells(self) -> list[str]:
        """The line of the table."""
        median, low, high = self.timing.rates(self.n_rows)
        return [
            self.label,
            f"{median:,.0f}",
            f"{low:,.0f} - {high:,.0f}",
            "-" if self.rbmx_is is None else f"{self.rbmx_is:.2f}x",
            f"{self.flops / 1e9:,.0f}",
            f"{self.flops / self.peak:.2f}",
            "-" if self.error is None else f"{self.error:.4f}",
        ]

    def to_json(self) -> dict[str, object]:
        """The same and every round."""
        return {
            "case": f"CD-{self.task.k}",
            "name": self.name,
            "label": self.label,
            "rows_per_second": self.n_rows / self.timing.median,
            "rbmx_is_times": self.rbmx_is,
            "dense_equivalent_gflops": self.flops / 1e9,
            "sgemm_peak_gflops": self.peak / 1e9,
            "reconstruction_error_at_end": self.error,
            **self.timing.to_json(),
        }


def _error(contestant: Contestant, images: Images) -> float | None:
    """What the contestant has learned by now."""
    params = contestant.params()
    return None if params is None else reconstruction_error(params, images[:CHECK_ROWS])


def _text(task: CDTask, results: list[Result], rounds: int, data: str) -> str:
    """The table of one case."""
    head = ["", "rows/s", "min - max", "rbmx is", "GFLOP/s", "/ peak", "error"]
    first = results[0]
    return (
        f"CD-{task.k}, {task.n_visible}-{task.n_hidden}, batch {task.batch_size}, "
        f"{first.n_rows:,} rows {data}, {task.threads} threads, "
        f"{rounds} interleaved rounds\n"
        f"{table(head, [result.cells() for result in results])}\n"
        "rows/s: median over the rounds. GFLOP/s: what a dense loop would compute in that time; "
        f"peak: sgemm of 1024^3 by NumPy, {first.peak / 1e9:,.0f} GFLOP/s;\n"
        "error: squared error per pixel of the reconstruction after all rounds.\n"
    )


def _draw(path: Path, cases: dict[str, list[Result]], caption: str) -> None:
    """A panel per case, a bar per contestant."""
    from rbmx.report.speeds import draw_bars

    panels = {
        case: {"rows/s": {result.label: result.timing.rates(result.n_rows) for result in results}}
        for case, results in cases.items()
    }
    draw_bars(path, panels, quantity="rows/s", caption=caption)


def run_peers(
    images: Images,
    *,
    steps: tuple[int, ...] = (1, 10),
    names: tuple[str, ...] = PEERS,
    rounds: int = 7,
    threads: int = 2,
    n_hidden: int = 500,
    batch_size: int = 100,
    plot: Path | None = None,
) -> Report:
    """Check and time all contestants; prints one table per number of Gibbs steps.

    Args:
        images: 0/1 bytes or real values, shape (rows, n_visible), rows a multiple of the batch size.
        steps: the k of each case.
        n_hidden: hidden units.
        batch_size: rows of a minibatch.
        names: files of bench/peers, without .py.
        rounds: how often each contestant passes over the images.
        threads: of every contestant.
        plot: also draw the rows per second.
    """
    peers_folder()
    if len(images) % batch_size != 0 or min(len(images), CHECK_ROWS) % batch_size != 0:
        raise ValueError(f"batch_size: expected a divisor of {CHECK_ROWS:,} and {len(images):,}, got {batch_size}")
    real = images.dtype == np.float32
    data = "of pixels / 255" if real else f"of bits, {images.mean():.0%} ones"
    report = Report(
        "peers",
        {
            "rows": len(images),
            "data": data,
            "n_hidden": n_hidden,
            "batch_size": batch_size,
            "rounds": rounds,
            "steps": list(steps),
            "names": list(names),
        },
        facts(threads=threads),
    )
    print(report.origin(), "\n")
    cases: dict[str, list[Result]] = {}
    for k in steps:
        task = CDTask(k=k, n_visible=images.shape[1], n_hidden=n_hidden, batch_size=batch_size, threads=threads)
        before = run_in_process(threads, sgemm_peak)
        with ExitStack() as stack:
            running, skipped = _start(stack, names, task, images)
            turns = {c.name: partial(c.train, 0, len(images)) for c in running}
            timings = interleave(turns, rounds=rounds, settle=SETTLE)
            errors = {c.name: _error(c, images) for c in running}
        peak = max(before, run_in_process(threads, sgemm_peak))
        ours = timings.get("rbmx_dense" if real else "rbmx_cd")
        results = cases[f"CD-{k}"] = [
            Result(c.name, c.label, task, len(images), timings[c.name], ours, peak, errors[c.name]) for c in running
        ]
        print(_text(task, results, rounds, data), flush=True)
        report.rows += [result.to_json() for result in results]
        report.rows += [{"case": f"CD-{k}", "name": name, "skipped": reason} for name, reason in skipped.items()]
    if plot is not None:
        _draw(plot, cases, f"{images.shape[1]}-{n_hidden}, batch {batch_size}, {data}\n{report.origin()}")
    return report
