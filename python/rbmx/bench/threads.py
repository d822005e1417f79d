"""How `rbmx.train` scales with threads, and that their number does not change a byte."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import ExitStack
from functools import partial

import numpy as np
import numpy.typing as npt

from rbmx.bench.contestant import Contestant
from rbmx.bench.harness import Report, WrongAnswerError, facts, interleave, table
from rbmx.bench.task import CDTask
from rbmx.params import RBMParams

__all__ = ["run_threads", "thread_counts"]


def thread_counts() -> tuple[int, ...]:
    """1, 2, 4, ... and the number of cores this process may use."""
    cores = len(os.sched_getaffinity(0))
    return (*(2**i for i in range(cores.bit_length()) if 2**i < cores), cores)


def _fingerprint(params: RBMParams | None) -> str:
    """sha256 of all weights and biases."""
    assert params is not None
    digest = hashlib.sha256()
    for array in (params.weight, params.visible_bias, params.hidden_bias):
        digest.update(array.tobytes())
    return digest.hexdigest()


def run_threads(
    images: npt.NDArray[np.uint8],
    *,
    steps: tuple[int, ...] = (1, 10),
    counts: tuple[int, ...] | None = None,
    rounds: int = 7,
) -> Report:
    """Time 784-500, batch 100, for each number of threads; the weights must agree to the byte."""
    counts = counts or thread_counts()
    report = Report(
        "threads",
        {"rows": len(images), "rounds": rounds, "steps": list(steps), "counts": list(counts)},
        facts(threads=max(counts)),
    )
    for k in steps:
        with ExitStack() as stack:
            running = {
                count: stack.enter_context(Contestant("rbmx_cd", CDTask(k=k, threads=count), images))
                for count in counts
            }
            for contestant in running.values():
                contestant.train(0, len(images))
            prints = {count: _fingerprint(c.params()) for count, c in running.items()}
            if len(set(prints.values())) != 1:
                raise WrongAnswerError(f"weights differ between numbers of threads: {prints}")
            print(f"  CD-{k}: sha256 {prints[counts[0]]} for all", file=sys.stderr)
            timings = interleave(
                {str(count): partial(c.train, 0, len(images)) for count, c in running.items()},
                rounds=rounds,
            )
        base = timings[str(counts[0])].median
        lines = []
        for name, timing in timings.items():
            rate = len(images) / timing.median
            low, high = len(images) / timing.worst, len(images) / timing.best
            speed_up = base / timing.median
            lines.append([name, f"{rate:,.0f}", f"{low:,.0f} - {high:,.0f}", f"{speed_up:.2f}x"])
            report.rows.append(
                {
                    "case": f"CD-{k}",
                    "threads": int(name),
                    "rows_per_second": rate,
                    "speed_up": speed_up,
                    "sha256": prints[int(name)],
                    **timing.to_json(),
                }
            )
        print(f"CD-{k}, 784-500, batch 100, {len(images):,} rows, {rounds} interleaved rounds")
        print(table(["threads", "rows/s", "min - max", "speed-up"], lines), "\n", flush=True)
    return report
