"""How `rbmx.train` scales with threads, and that their number does not change a byte."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.bench.contestant import Contestant, run_in_process
from rbmx.bench.harness import Report, WrongAnswerError, facts, interleave, table
from rbmx.bench.sgemm import sgemm_peak
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


def _draw(path: Path, report: Report) -> None:
    """Speed-ups of the median round; the bars reach to those of the slowest and the fastest one."""
    from rbmx.report.speeds import Speed, draw_speed_up

    cases: dict[str, dict[int, Speed]] = {}
    for row in report.rows:
        median, worst, best, speed_up = (
            float(str(row[name])) for name in ("median_seconds", "worst_seconds", "best_seconds", "speed_up")
        )
        of_case = cases.setdefault(str(row["case"]), {})
        of_case[int(str(row["threads"]))] = speed_up, speed_up * median / worst, speed_up * median / best
    draw_speed_up(path, cases, caption="Speed-up by threads, 784-500, batch 100\n" + report.origin())


def run_threads(
    images: npt.NDArray[np.uint8],
    *,
    steps: tuple[int, ...] = (1, 10),
    counts: tuple[int, ...] | None = None,
    rounds: int = 7,
    plot: Path | None = None,
) -> Report:
    """Time 784-500, batch 100, for each number of threads; the weights must agree to the byte.

    The peak of a line is that of sgemm with the same number of threads.
    """
    counts = counts or thread_counts()
    report = Report(
        "threads",
        {"rows": len(images), "rounds": rounds, "steps": list(steps), "counts": list(counts)},
        facts(threads=max(counts)),
    )
    print(report.origin(), "\n")
    peaks = {count: run_in_process(count, sgemm_peak) for count in counts}
    for k in steps:
        task = CDTask(k=k, n_visible=images.shape[1])
        with ExitStack() as stack:
            running = {
                count: stack.enter_context(Contestant("rbmx_cd", replace(task, threads=count), images))
                for count in counts
            }
            for contestant in running.values():
                contestant.train(0, len(images))
            prints = {count: _fingerprint(c.params()) for count, c in running.items()}
            if len(set(prints.values())) != 1:
                raise WrongAnswerError(f"weights differ between numbers of threads: {prints}")
            print(f"  CD-{k}: sha256 {prints[counts[0]]} for all", file=sys.stderr)
            turns = {str(count): partial(c.train, 0, len(images)) for count, c in running.items()}
            timings = interleave(turns, rounds=rounds)
        peaks = {count: max(peak, run_in_process(count, sgemm_peak)) for count, peak in peaks.items()}
        base = timings[str(counts[0])].median
        lines = []
        for count in counts:
            timing, peak = timings[str(count)], peaks[count]
            rate, low, high = timing.rates(len(images))
            speed_up, flops = base / timing.median, task.dense_flops_per_row() * rate
            speeds = [f"{rate:,.0f}", f"{low:,.0f} - {high:,.0f}", f"{speed_up:.2f}x", f"{flops / 1e9:,.0f}"]
            lines.append([str(count), *speeds, f"{flops / peak:.2f}"])
            report.rows.append(
                {
                    "case": f"CD-{k}",
                    "threads": count,
                    "rows_per_second": rate,
                    "speed_up": speed_up,
                    "dense_equivalent_gflops": flops / 1e9,
                    "sgemm_peak_gflops": peak / 1e9,
                    "sha256": prints[count],
                    **timing.to_json(),
                }
            )
        print(f"CD-{k}, 784-500, batch 100, {len(images):,} rows, {rounds} interleaved rounds")
        print(table(["threads", "rows/s", "min - max", "speed-up", "GFLOP/s", "/ peak"], lines), "\n", flush=True)
    if plot is not None:
        _draw(plot, report)
    return report
