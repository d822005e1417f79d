"""The 81 cells of the paper's Table I (online CD-k, one pass) and its Table II (main effects on log time)."""

from __future__ import annotations

import csv
import itertools
import math
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.backends import Batches, State, Update
from rbmx.backends.native import NativeBackend, set_num_threads
from rbmx.bench.factorial import Effect, main_effects
from rbmx.bench.harness import Report, WrongAnswerError, facts, interleave, table
from rbmx.bench.plain_program import FLAGS, PlainProgram, table1_folder
from rbmx.bench.task import reconstruction_error
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose

__all__ = ["FACTORS", "Cell", "Table1Report", "check_answers", "published_times", "run_table1"]

FACTORS = {"k": (1, 5, 10), "N": (1000, 2000, 3000), "v": (6, 12, 24), "h": (3, 6, 12)}
LEARNING_RATE = 0.1
PROGRAMS = ("rbmx", "O2", "fast")


@dataclass(frozen=True)
class Cell:
    """One combination of the factors: CD-k on N rows, v visible and h hidden units."""

    k: int
    n_rows: int
    n_visible: int
    n_hidden: int

    @property
    def levels(self) -> tuple[int, ...]:
        """In the order of FACTORS."""
        return (self.k, self.n_rows, self.n_visible, self.n_hidden)

    def rows(self, seed: int = 0) -> npt.NDArray[np.bool_]:
        """Three classes of rows: a third of the units is on nine times of ten, the others one time."""
        rng = np.random.default_rng([seed, self.n_rows, self.n_visible])
        of_class = np.arange(self.n_visible) % 3 == rng.integers(3, size=(self.n_rows, 1))
        on: npt.NDArray[np.bool_] = rng.random(of_class.shape) < np.where(of_class, 0.9, 0.1)
        return on

    def start(self, seed: int = 0) -> RBMParams:
        """Small random weights and zero biases."""
        return RBMParams.initial(self.n_visible, self.n_hidden, key=Key(seed), std=0.1)

    def batches(self, seed: int = 0) -> Batches:
        """One pass, row by row."""
        key = Key(seed).fold_in(Purpose.TRAINING)
        return Batches(np.arange(self.n_rows), 1, self.k, Update(LEARNING_RATE), key, 0)


@dataclass
class Table1Report(Report):
    """Adds the cells in milliseconds (null: not known) and the main effects by program."""

    cells: list[dict[str, float | None]] = field(default_factory=list)
    effects: dict[str, dict[str, Effect]] = field(default_factory=dict)


def all_cells() -> list[Cell]:
    """The 81 of them."""
    return [Cell(*levels) for levels in itertools.product(*FACTORS.values())]


def published_times() -> dict[tuple[int, ...], float]:
    """Milliseconds that bench/table1/published.csv knows of the printed table."""
    with (table1_folder() / "published.csv").open(encoding="utf-8") as file:
        return {
            (int(row["k"]), int(row["N"]), int(row["v"]), int(row["h"])): float(row["ms"])
            for row in csv.DictReader(file)
        }


def _published_effects() -> list[dict[str, str]]:
    with (table1_folder() / "published_effects.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_answers(program: PlainProgram, *, cell: Cell = Cell(5, 1000, 12, 6), passes: int = 24) -> None:
    """Ours has the bytes of csrc/ref; the program learns as well as ours does.

    Both train `passes` times from other seeds, on the same data. The means of their reconstruction errors may lie four
    standard errors apart, which chance passes once in 16,000 runs.
    """
    rows = cell.rows()
    packed = PackedBits.pack(rows)
    ours, plain = cell.start(), cell.start()
    for params, engine in ((ours, "auto"), (plain, "plain")):
        NativeBackend(engine).train(params, packed, cell.batches(), State())
    for name in ("weight", "visible_bias", "hidden_bias"):
        if getattr(ours, name).tobytes() != getattr(plain, name).tobytes():
            raise WrongAnswerError(f"rbmx: {name} differs from csrc/ref")
    images = rows.astype(np.uint8)
    errors = np.zeros((2, passes))
    for seed in range(passes):
        params = cell.start(seed)
        _, trained = program.train(params, rows, k=cell.k, learning_rate=LEARNING_RATE, seed=seed + 1)
        NativeBackend().train(params, packed, cell.batches(seed), State())
        errors[:, seed] = reconstruction_error(params, images), reconstruction_error(trained, images)
    difference = float(np.diff(errors.mean(axis=1))[0])
    tolerance = 4 * math.sqrt(float(errors.var(axis=1, ddof=1).sum()) / passes)
    mean_ours, mean_plain = errors.mean(axis=1)
    print(f"  reconstruction error: rbmx {mean_ours:.4f}, plain {mean_plain:.4f} (+- {tolerance:.4f})", file=sys.stderr)
    if abs(difference) > tolerance:
        raise WrongAnswerError(f"plain program: reconstruction error {mean_plain:.4f}, rbmx {mean_ours:.4f}")


def _ours(cell: Cell, start: RBMParams, packed: PackedBits) -> float:
    """Seconds of one native call by the thread's clock; the first of two warms up, as in the program."""
    backend, batches = NativeBackend(), cell.batches()
    began = 0.0
    for _ in range(2):
        params = RBMParams(start.weight.copy(), start.visible_bias.copy(), start.hidden_bias.copy())
        began = time.thread_time()
        backend.train(params, packed, batches, State())
    return time.thread_time() - began


def _plain(program: PlainProgram, cell: Cell, start: RBMParams, rows: npt.NDArray[np.bool_]) -> float:
    return program.train(start, rows, k=cell.k, learning_rate=LEARNING_RATE, seed=1)[0]


def _measure(cell: Cell, programs: dict[str, PlainProgram], rounds: int) -> dict[str, float]:
    """Milliseconds of each program's best round."""
    start, rows = cell.start(), cell.rows()
    contestants = {"rbmx": partial(_ours, cell, start, PackedBits.pack(rows))}
    contestants |= {name: partial(_plain, program, cell, start, rows) for name, program in programs.items()}
    return {name: 1e3 * timing.best for name, timing in interleave(contestants, rounds=rounds).items()}


def _print_cells(
    times: Mapping[tuple[int, ...], Mapping[str, float]], published: Mapping[tuple[int, ...], float]
) -> None:
    lines = []
    for levels, of_cell in times.items():
        known = f"{published[levels]:.2f}" if levels in published else "-"
        ours, *others = (f"{of_cell[name]:.3f}" for name in PROGRAMS)
        ratio = of_cell["fast"] / of_cell["rbmx"]
        lines.append([*(str(level) for level in levels), ours, known, *others, f"{ratio:.1f}x"])
    print("Table I, milliseconds of one pass of online CD-k, processor time of one thread, best round")
    print(table([*FACTORS, "rbmx", "published", "plain -O2", "plain fast", "fast / rbmx"], lines), "\n")


def _print_effects(report: Table1Report) -> None:
    lines = []
    for name, effects in report.effects.items():
        lines.append(
            [f"{name}, of the effects"] + [f"{effects[factor].of_effects:.2f}" for factor in FACTORS] + ["100"]
        )
        rest = sum(effects[factor].of_total for factor in FACTORS)
        shares = [f"{effects[factor].of_total:.2f}" for factor in FACTORS]
        lines.append([f"{name}, of the total", *shares, f"{rest:.2f}"])
    printed = {row["factor"]: row for row in _published_effects()}
    for label, column in (("paper, as printed", "printed_percent"), ("paper, recomputed", "recomputed_percent")):
        percents = [float(printed[factor][column]) for factor in FACTORS]
        lines.append([label, *(f"{percent:.2f}" for percent in percents), f"{sum(percents):.2f}"])
    print("Table II, percent of the sum of squares of log time by main effect")
    print(table(["", *FACTORS, "sum"], lines), flush=True)


def run_table1(*, rounds: int = 7, cells: list[Cell] | None = None) -> Table1Report:
    """Check, then time every cell on one thread; the programs take turns within a cell.

    Args:
        rounds: how often each program runs a cell.
        cells: a part of them for a trial; effects are left out unless all are there.
    """
    cells = all_cells() if cells is None else cells
    set_num_threads(1)
    settings: dict[str, object] = {"rounds": rounds, "learning_rate": LEARNING_RATE, "flags": FLAGS}
    report = Table1Report("table1", settings, facts(threads=1))
    published = published_times()
    with tempfile.TemporaryDirectory() as folder:
        programs = {name: PlainProgram.compile(flags, Path(folder)) for name, flags in FLAGS.items()}
        check_answers(programs["O2"])
        times = {cell.levels: _measure(cell, programs, rounds) for cell in cells}
    for levels, of_cell in times.items():
        row: dict[str, float | None] = dict(zip(FACTORS, levels, strict=True))
        row |= {"ms": of_cell["rbmx"], "published_ms": published.get(levels)}
        report.cells.append(row | {f"plain_{name}_ms": of_cell[name] for name in FLAGS})
    totals = {name: sum(of_cell[name] for of_cell in times.values()) for name in PROGRAMS}
    for name, total in totals.items():
        report.rows.append({"name": name, "total_ms": total, "rbmx_is_times": total / totals["rbmx"]})
    _print_cells(times, published)
    if len(cells) == len(all_cells()):
        for name in PROGRAMS:
            of_program = {levels: of_cell[name] for levels, of_cell in times.items()}
            report.effects[name] = main_effects(FACTORS, of_program)
        if len(published) == len(cells):
            report.effects["published"] = main_effects(FACTORS, published)
        _print_effects(report)
    print(
        "\n"
        + ", ".join(f"{name} {total:.1f} ms" for name, total in totals.items())
        + f": rbmx is {totals['O2'] / totals['rbmx']:.1f} times plain -O2 and "
        f"{totals['fast'] / totals['rbmx']:.1f} times plain -O3 -march=native -ffast-math"
    )
    unknown = sum(cell["published_ms"] is None for cell in report.cells)
    if unknown:
        print(f"The printed times of {unknown} of {len(cells)} cells are not at hand (bench/table1/published.csv).")
    return report
