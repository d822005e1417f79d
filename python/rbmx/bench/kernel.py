"""The building blocks of training one by one, beside the same matrix products by sgemm."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.backends.native import build_info, get_num_threads, set_isa, set_num_threads
from rbmx.bench.building_blocks import BATCH, DENSITIES, Block, Case, blocks
from rbmx.bench.contestant import process, run_in_process
from rbmx.bench.harness import Report, Timing, WrongAnswerError, facts, interleave, repeated, table
from rbmx.bench.sgemm import product_seconds, sgemm_peak

__all__ = ["Setting", "run_kernel"]

SETTLE = 0.05  # seconds; OpenBLAS spins for about 27 ms
CHECKED_TRAINING_ROWS = 2 * BATCH
ALONE = "13 %"  # the density on which all instruction sets run


@dataclass(frozen=True)
class Setting:
    """What a block runs with."""

    density: str
    isa: str
    threads: int

    def choose(self) -> None:
        """From now on, in this process."""
        set_isa(self.isa)
        set_num_threads(self.threads)

    def __str__(self) -> str:
        return f"{self.threads} thread{'s' if self.threads > 1 else ''}, {self.isa}, data {self.density} ones"


@contextmanager
def _as_before() -> Iterator[str]:
    """Gives the best instruction set; puts it and the number of threads back."""
    isa, threads = str(build_info()["instruction_set"]), get_num_threads()
    try:
        yield isa
    finally:
        set_isa(isa)
        set_num_threads(threads)


def _settings(best: str, counts: Sequence[int]) -> list[Setting]:
    others = [isa for isa in build_info()["instruction_sets"] if isa != best]  # type: ignore[attr-defined]
    of_data = [(density, best) for density in DENSITIES]
    return [Setting(*what, n) for n in counts for what in [*of_data, *((ALONE, isa) for isa in others)]]


def check_blocks(of_density: list[Block], settings: list[Setting]) -> None:
    """Every block gives the bytes of csrc/ref with every instruction set and number of threads."""
    for block in of_density:
        expected = block.output(reference=True)
        for setting in settings:
            setting.choose()
            if block.output(reference=False) != expected:
                raise WrongAnswerError(f"{block.name}, {block.rows} rows, {setting}: bytes differ from csrc/ref")


def _shapes(rows: int, n_visible: int, n_hidden: int) -> dict[str, tuple[int, int, int]]:
    """(m, inner, n) of a minibatch's products."""
    return {
        "up": (rows, n_visible, n_hidden),
        "down": (rows, n_hidden, n_visible),
        "gradient": (n_hidden, 2 * rows, n_visible),
    }


@dataclass(frozen=True)
class Result:
    """A block's time in a setting, and what it is compared with."""

    block: Block
    setting: Setting
    timing: Timing
    flops: float
    peak: float
    sgemm_seconds: float

    @property
    def gflops(self) -> tuple[float, float, float]:
        """Dense-equivalent, in the median, slowest and fastest round."""
        median, low, high = self.timing.rates(self.flops / 1e9)
        return median, low, high

    def cells(self) -> list[str]:
        """The line of the table."""
        median, low, high = self.timing.rates(self.block.rows)
        return [
            self.block.name,
            f"{self.block.rows:,}",
            f"{median:,.0f}",
            f"{low:,.0f} - {high:,.0f}",
            f"{self.gflops[0]:,.1f}",
            f"{1e9 * self.gflops[0] / self.peak:.2f}",
            f"{self.sgemm_seconds / self.timing.median:.2f}x",
        ]

    def to_json(self) -> dict[str, object]:
        """The same and every round."""
        return {
            "name": self.block.name,
            "rows": self.block.rows,
            "density": self.setting.density,
            "instruction_set": self.setting.isa,
            "threads": self.setting.threads,
            "rows_per_second": self.block.rows / self.timing.median,
            "dense_equivalent_gflops": self.gflops[0],
            "sgemm_peak_gflops": self.peak / 1e9,
            "times_sgemm": self.sgemm_seconds / self.timing.median,
            **self.timing.to_json(),
        }


def _measure(
    cases: dict[str, list[Block]], settings: list[Setting], shape: tuple[int, int], rounds: int
) -> list[Result]:
    """All blocks in all settings of one number of threads, in turns with sgemm in a process of its own."""
    n_visible, n_hidden = shape
    threads = settings[0].threads
    work = [(setting, block) for setting in settings for block in cases[setting.density]]

    def timed(setting: Setting, block: Block) -> float:
        setting.choose()
        return block.seconds()

    def elsewhere(product: tuple[int, int, int]) -> float:
        return executor.submit(product_seconds, product).result()

    turns = {f"{i}": repeated(partial(timed, *what)) for i, what in enumerate(work)}
    before = run_in_process(threads, sgemm_peak)
    with process(threads) as executor:
        for batch in sorted({block.batch for _, block in work}):
            for name, product in _shapes(batch, n_visible, n_hidden).items():
                turns[f"{name} {batch}"] = partial(elsewhere, product)
        timings = interleave(turns, rounds=rounds, settle=SETTLE)
    peak = max(before, run_in_process(threads, sgemm_peak))
    results = []
    for i, (setting, block) in enumerate(work):
        of_product = {name: timings[f"{name} {block.batch}"].median for name in _shapes(1, 1, 1)}
        flops = block.rows * block.products.flops_per_row(n_visible, n_hidden)
        by_sgemm = block.rows / block.batch * block.products.total(of_product)
        results.append(Result(block, setting, timings[f"{i}"], flops, peak, by_sgemm))
    return results


def _print(results: list[Result]) -> None:
    head = ["", "rows", "rows/s", "min - max", "GFLOP/s", "/ peak", "/ sgemm"]
    for setting in dict.fromkeys(result.setting for result in results):
        lines = [result.cells() for result in results if result.setting == setting]
        print(f"{setting}; peak: sgemm of 1024^3, {results[0].peak / 1e9:.0f} GFLOP/s")
        print(table(head, lines), "\n", flush=True)


def _draw(path: Path, results: list[Result], caption: str) -> None:
    """Bars per density with all threads on the left, per instruction set on one thread on the right."""
    from rbmx.report.speeds import Speed, draw_bars

    best, threads = results[0].setting.isa, max(result.setting.threads for result in results)
    left, right = f"data: {best}, {threads} threads", f"instruction sets: {ALONE} ones, 1 thread"
    panels: dict[str, dict[str, dict[str, Speed]]] = {left: {}, right: {}}
    peaks = {}
    for result in results:
        setting, block = result.setting, result.block
        if (setting.isa, setting.threads) == (best, threads):
            panels[left].setdefault(f"{setting.density} ones", {})[block.name] = result.gflops
            peaks[left] = f"peak of sgemm, {threads} threads", result.peak / 1e9
        if (setting.density, setting.threads) == (ALONE, 1):
            panels[right].setdefault(setting.isa, {})[block.name] = result.gflops
            peaks[right] = "peak of sgemm, 1 thread", result.peak / 1e9
    draw_bars(path, panels, quantity="dense-equivalent GFLOP/s", caption=caption, peaks=peaks)


def run_kernel(
    images: npt.NDArray[np.uint8],
    *,
    n_hidden: int = 500,
    rows: tuple[int, ...] = (BATCH, 10 * BATCH),
    training_rows: int = 10 * BATCH,
    steps: tuple[int, ...] = (1, 10),
    rounds: int = 7,
    threads: int = 2,
    plot: Path | None = None,
) -> Report:
    """Check every block in every setting, then time them; prints a table per setting.

    Args:
        images: 0/1 bytes, shape (rows, 784).
        n_hidden: hidden units.
        rows: of a call of the row-wise kernels.
        training_rows: of a call of training, in minibatches of 100.
        steps: the k of training.
        rounds: how often each block runs, for 20 ms at least.
        threads: one, and this many.
        plot: also draw the dense-equivalent speeds.
    """
    what: dict[str, object] = {"rounds": rounds, "n_hidden": n_hidden, "rows": list(rows), "batch_size": BATCH}
    report = Report("kernel", what, facts(threads=threads))
    print(f"{report.origin()}, {images.shape[1]}-{n_hidden}, batch {BATCH}\n")
    results = []
    with _as_before() as best:
        cases = {density: Case(change(images), n_hidden) for density, change in DENSITIES.items()}
        settings = _settings(best, sorted({1, threads}))
        for density, case in cases.items():
            own = [setting for setting in settings if setting.density == density]
            check_blocks(blocks(case, rows=rows, training_rows=CHECKED_TRAINING_ROWS, steps=steps), own)
            print(f"  data {density} ones: all bytes are those of csrc/ref", file=sys.stderr)
        timed = {d: blocks(case, rows=rows, training_rows=training_rows, steps=steps) for d, case in cases.items()}
        for count in sorted({1, threads}):
            own = [setting for setting in settings if setting.threads == count]
            of_count = _measure(timed, own, (images.shape[1], n_hidden), rounds)
            _print(of_count)
            results += of_count
    report.rows = [result.to_json() for result in results]
    if plot is not None:
        caption = f"Building blocks at {images.shape[1]}-{n_hidden}, calls of {rows[-1]} rows\n{report.origin()}"
        _draw(plot, [result for result in results if result.block.rows in (rows[-1], training_rows)], caption)
    return report
