"""How the cost of training grows: one axis at a time around 784-500, batch 100, CD-1."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.backends import Batches, State, Update
from rbmx.backends.native import NativeBackend, get_num_threads, set_num_threads
from rbmx.bench.contestant import run_in_process
from rbmx.bench.cost import LinearFit, Step, fit_line, steps_between_neighbours
from rbmx.bench.harness import Report, Timing, WrongAnswerError, facts, interleave, repeated, stopwatch, table
from rbmx.bench.sgemm import sgemm_peak
from rbmx.bench.task import CDTask
from rbmx.bench.threads import thread_counts
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose

__all__ = ["AXES", "SMALL_AXES", "Point", "ScalingReport", "check_answers", "rows_of", "run_scaling"]

AXES: dict[str, tuple[int, ...]] = {
    "N": (1000, 2000, 5000, 10_000, 20_000, 40_000, 60_000),
    "V": (49, 98, 196, 392, 511, 512, 513, 783, 784, 785, 800, 801, 1024, 1025, 1568),
    "H": (1, 2, 4, 8, 16, 32, 63, 64, 65, 128, 250, 499, 500, 501, 512, 513, 1000, 1024, 1025, 2048),
    "k": (1, 2, 3, 5, 7, 10, 15, 20),
    "batch": (1, 2, 5, 10, 20, 50, 99, 100, 101, 127, 128, 129, 200, 500, 1000),
}
"""`threads` is the sixth axis; its values are those of the machine."""

SMALL_AXES: dict[str, tuple[int, ...]] = {
    "N": (200, 400, 1000, 2000),
    "V": (49, 783, 784, 785),
    "H": (63, 64, 65, 500),
    "k": (1, 2, 4),
    "batch": (10, 99, 100, 101),
}
"""For a trial run."""

FIELDS = {"N": "n_rows", "V": "n_visible", "H": "n_hidden", "k": "k", "batch": "batch_size", "threads": "threads"}
TITLES = {
    "N": "rows of data N",
    "V": "visible units V",
    "H": "hidden units H",
    "k": "Gibbs steps k",
    "batch": "batch size",
    "threads": "threads",
}
FITTED = ("N", "k")
LEARNING_RATE = 0.05
WARM_ROWS = 10_000
SMALLEST_EDGE = 32  # below it a row costs more than its units
PIXEL_STRIDE = 485


@dataclass(frozen=True)
class Point:
    """One size of the work."""

    n_rows: int = 5000
    n_visible: int = 784
    n_hidden: int = 500
    k: int = 1
    batch_size: int = 100
    threads: int = 2

    @property
    def flops(self) -> float:
        """What a dense loop would have to compute."""
        task = CDTask(k=self.k, n_visible=self.n_visible, n_hidden=self.n_hidden)
        return float(self.n_rows * task.dense_flops_per_row())

    def train(self, params: RBMParams, rows: PackedBits, engine: str = "auto") -> RBMParams:
        """One native call over the rows in their order; the parameters change in place."""
        key = Key(0).fold_in(Purpose.TRAINING)
        batches = Batches(np.arange(self.n_rows), self.batch_size, self.k, Update(LEARNING_RATE), key, 0)
        set_num_threads(self.threads)
        NativeBackend(engine).train(params, rows, batches, State())
        return params


@dataclass
class ScalingReport(Report):
    """Adds the lines through the times and the steps at block edges."""

    fits: dict[str, LinearFit] = field(default_factory=dict)
    steps: dict[str, list[Step]] = field(default_factory=dict)


def rows_of(images: npt.NDArray[np.uint8], n_visible: int, n_rows: int) -> PackedBits:
    """Rows of any width and number with the density of the images everywhere.

    Unit i of row r is pixel 485 i mod 784 of image r + i div 784, both counted around: every cut through this order of
    pixels holds border and centre in proportion, and what lies beyond 784 is another image.
    """
    n_images, n_pixels = images.shape
    unit = np.arange(n_visible)
    pixel = PIXEL_STRIDE * unit % n_pixels
    rows = np.arange(n_rows)
    bits = np.empty((n_rows, n_visible), np.uint8)
    for lap in range(-(-n_visible // n_pixels)):
        of_lap = unit // n_pixels == lap
        bits[:, of_lap] = images[(rows + lap) % n_images][:, pixel[of_lap]]
    return PackedBits.pack(bits)


class Workshop:
    """Rows and started machines, made once per size; their making is never timed."""

    def __init__(self, images: npt.NDArray[np.uint8], points: list[Point]) -> None:
        needed: dict[int, int] = {}
        for point in points:
            needed[point.n_visible] = max(needed.get(point.n_visible, WARM_ROWS), point.n_rows)
        self._rows = {n_visible: rows_of(images, n_visible, n_rows) for n_visible, n_rows in needed.items()}
        self._started: dict[tuple[int, int], RBMParams] = {}

    def rows(self, point: Point) -> PackedBits:
        """The rows it trains on."""
        return self._rows[point.n_visible][: point.n_rows]

    def start(self, point: Point) -> RBMParams:
        """A copy of a machine past its first steps, in which the hidden units are half on and everything is slow."""
        size = point.n_visible, point.n_hidden
        if size not in self._started:
            warm = Point(WARM_ROWS, *size, threads=point.threads)
            initial = RBMParams.initial(*size, key=Key(0))
            self._started[size] = warm.train(initial, self.rows(warm))
        return self._started[size].copy()

    def seconds(self, point: Point) -> float:
        """Of the native call alone."""
        params, rows = self.start(point), self.rows(point)
        set_num_threads(point.threads)
        return stopwatch(lambda: point.train(params, rows))()


def _bytes(params: RBMParams) -> bytes:
    return params.weight.tobytes() + params.visible_bias.tobytes() + params.hidden_bias.tobytes()


def check_answers(workshop: Workshop, points: list[Point], *, reference_rows: int) -> None:
    """All threads give the bytes of one thread, and on the first rows those of csrc/ref."""
    for point in points:
        one = _bytes(replace(point, threads=1).train(workshop.start(point), workshop.rows(point)))
        if _bytes(point.train(workshop.start(point), workshop.rows(point))) != one:
            raise WrongAnswerError(f"{point}: the weights differ from those of one thread")
        few = replace(point, n_rows=min(reference_rows, point.n_rows))
        plain = _bytes(few.train(workshop.start(few), workshop.rows(few), "plain"))
        if _bytes(few.train(workshop.start(few), workshop.rows(few))) != plain:
            raise WrongAnswerError(f"{few}: the weights differ from those of csrc/ref")
        print(f"  {point}: bytes of one thread and of csrc/ref", file=sys.stderr)


def _points(axis: str, values: tuple[int, ...], base: Point) -> dict[int, Point]:
    """A point per value; whole minibatches, and fewer rows where k makes them dear."""
    points = {}
    for value in values:
        point = replace(base, **{FIELDS[axis]: value})
        if axis == "k":
            point = replace(point, n_rows=max(base.batch_size, 2 * base.n_rows // 5))
        if axis == "batch":
            point = replace(point, n_rows=-(-base.n_rows // value) * value)
        points[value] = point
    return points


def _work(axis: str, point: Point) -> float:
    """What the time of a point should be proportional to."""
    return float(point.n_rows) if axis == "batch" else point.flops


def _findings(report: ScalingReport, axis: str, points: Mapping[int, Point], timings: Mapping[int, Timing]) -> None:
    """Fit and steps of an axis: a busy machine only ever adds time, so lines go through the best rounds."""
    if axis in FITTED and len(points) > 2:
        rows = {value: 1 if axis == "N" else point.n_rows for value, point in points.items()}
        report.fits[axis] = fit_line({value: timing.best / rows[value] for value, timing in timings.items()})
    if axis in ("V", "H", "batch"):
        work = {value: _work(axis, point) for value, point in points.items()}
        report.steps[axis] = steps_between_neighbours(timings, work, smallest=SMALLEST_EDGE)


def _record(axis: str, value: int, point: Point, timing: Timing, peak: float) -> dict[str, object]:
    flops = point.flops / timing.median
    return {
        "axis": axis,
        "value": value,
        "rows_per_second": point.n_rows / timing.median,
        "dense_equivalent_gflops": flops / 1e9,
        "over_sgemm_peak": flops / peak,
        **asdict(point),
        **timing.to_json(),
    }


def _print_axis(
    report: ScalingReport,
    axis: str,
    points: Mapping[int, Point],
    timings: Mapping[int, Timing],
    peaks: Mapping[int, float],
) -> None:
    lines = []
    for value, point in points.items():
        timing = timings[value]
        median, low, high = timing.rates(point.n_rows)
        flops = point.flops / timing.median
        cells = [f"{median:,.0f}", f"{low:,.0f} - {high:,.0f}", f"{1e6 / median:.2f}", f"{flops / 1e9:,.1f}"]
        lines.append([f"{value:,}", *cells, f"{flops / peaks[point.threads]:.2f}"])
    print(table([axis, "rows/s", "min - max", "us/row", "GFLOP/s", "/ peak"], lines))
    if axis in report.fits:
        fit, unit = report.fits[axis], "seconds" if axis == "N" else "seconds per row"
        residual = f"largest relative residual {100 * fit.largest_residual:.1f} %"
        print(f"{unit} of the best round = {fit.fixed:.3g} + {fit.per_unit:.4g} {axis}, {residual}")
    steps = report.steps.get(axis, [])
    if steps:
        per = "row" if axis == "batch" else f"row and unit of {axis}"
        listed = ", ".join(f"{step.smaller} -> {step.larger}: {step.ratio:.3f}" for step in steps)
        print(f"time per {per} beside a block's edge, larger over smaller: {listed}")
    print(flush=True)


def _draw(
    path: Path, report: ScalingReport, by_axis: Mapping[str, Mapping[int, Point]], timings: Mapping[Point, Timing]
) -> None:
    """Seconds where a line goes through them, rows per second on the other axes."""
    from rbmx.report.speeds import Panel, draw_scaling

    panels = []
    for axis, points in by_axis.items():
        fit = report.fits.get(axis)
        if fit is None:
            rates = {value: timings[point].rates(point.n_rows) for value, point in points.items()}
            panels.append(Panel(TITLES[axis], "rows/s", rates, linear=axis == "threads"))
            continue
        quantity, unit = ("seconds", 1.0) if axis == "N" else ("microseconds per row", 1e6)
        best = {}
        for value, point in points.items():
            seconds = unit * timings[point].best / (1 if axis == "N" else point.n_rows)
            best[value] = (seconds, seconds, seconds)
        panels.append(Panel(TITLES[axis], quantity, best, line=(unit * fit.fixed, unit * fit.per_unit)))
    draw_scaling(path, panels, caption="Training around 784-500, CD-1, batch 100\n" + report.origin())


def _measure(workshop: Workshop, points: list[Point], rounds: int) -> tuple[dict[Point, Timing], dict[int, float]]:
    """Timings of all points, and the peak of sgemm by number of threads, measured before and after."""
    counts = sorted({point.threads for point in points})
    before = [run_in_process(count, sgemm_peak) for count in counts]
    for point in points:
        workshop.start(point)
    by_name = {str(point): point for point in points}
    turns = {name: repeated(partial(workshop.seconds, point)) for name, point in by_name.items()}
    timings = interleave(turns, rounds=rounds)
    after = [run_in_process(count, sgemm_peak) for count in counts]
    peaks = dict(zip(counts, map(max, before, after), strict=True))
    return {by_name[name]: timing for name, timing in timings.items()}, peaks


def run_scaling(
    images: npt.NDArray[np.uint8],
    *,
    axes: Mapping[str, tuple[int, ...]] = AXES,
    base: Point | None = None,
    rounds: int = 7,
    plot: Path | None = None,
) -> ScalingReport:
    """Check a few points, then time all of them in turns, every call in this warm process.

    Args:
        images: 0/1 bytes, shape (images, pixels).
        axes: the values of each axis; those of threads come from the machine.
        base: the point that the axes run through.
        rounds: how often each point trains, for 20 ms at least.
        plot: also draw a panel per axis.
    """
    base = base or Point()
    threads, chosen = get_num_threads(), {**axes, "threads": thread_counts()}
    by_axis = {axis: _points(axis, values, base) for axis, values in chosen.items()}
    points = list(dict.fromkeys([base, *(point for of_axis in by_axis.values() for point in of_axis.values())]))
    odd = replace(base, n_rows=303, n_visible=785, n_hidden=65, k=3, batch_size=101)
    checked = [base, odd, replace(odd, n_visible=49, n_hidden=501, batch_size=1)]
    settings: dict[str, object] = {"rounds": rounds, "learning_rate": LEARNING_RATE, "base": asdict(base)}
    report = ScalingReport("scaling", settings, facts(threads=base.threads))
    workshop = Workshop(images, [*points, *checked])
    try:
        check_answers(workshop, checked, reference_rows=2 * base.batch_size)
        timings, peaks = _measure(workshop, points, rounds)
    finally:
        set_num_threads(threads)
    print(f"{report.origin()}\naround {base}; peak: sgemm of 1024^3, {peaks[base.threads] / 1e9:.0f} GFLOP/s\n")
    for axis, of_axis in by_axis.items():
        of_value = {value: timings[point] for value, point in of_axis.items()}
        _findings(report, axis, of_axis, of_value)
        for value, point in of_axis.items():
            report.rows.append(_record(axis, value, point, of_value[value], peaks[point.threads]))
        _print_axis(report, axis, of_axis, of_value, peaks)
    if plot is not None:
        _draw(plot, report, by_axis, timings)
    return report
