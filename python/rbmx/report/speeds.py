"""Speeds of a benchmark as pictures: along axes of size, in bars, by number of threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

__all__ = ["Panel", "Speed", "draw_bars", "draw_scaling", "draw_speed_up"]

Speed = tuple[float, float, float]
"""Median, slowest and fastest round."""

COLOURS = ("#2f5d8a", "#d1793b", "#7fa650", "#8c6bb1")
MUTED = "#666666"
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.5,
    "legend.frameon": False,
}


def _short(value: float, _: object = None) -> str:
    """1234567 as 1.23M, 60000 as 60k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _errors(speeds: Sequence[Speed]) -> list[list[float]]:
    """Distances down to the slowest and up to the fastest round."""
    return [[median - low for median, low, _ in speeds], [high - median for median, _, high in speeds]]


def _save(figure: Figure, path: Path, caption: str) -> None:
    figure.suptitle(caption, fontsize=8.5, color=MUTED, x=0.01, ha="left")
    figure.savefig(path, dpi=150)


@dataclass(frozen=True)
class Panel:
    """One axis of size: a straight line through best rounds where there is one, else speeds."""

    title: str
    quantity: str
    sizes: Mapping[int, Speed]
    line: tuple[float, float] | None = None  # at zero, and per unit of size
    linear: bool = False  # few sizes, from zero, beside speeds in proportion to the size


def _draw_line(axes: Axes, panel: Panel, line: tuple[float, float]) -> None:
    ends = np.array([0, max(panel.sizes)])
    axes.plot(ends, line[0] + line[1] * ends, color=MUTED, linewidth=1, label="straight line")
    best = [value for value, _, _ in panel.sizes.values()]
    axes.plot(list(panel.sizes), best, "o", markersize=4, color=COLOURS[0], label="best round")
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.legend(loc="upper left")


def _draw_speeds(axes: Axes, panel: Panel) -> None:
    sizes, speeds = list(panel.sizes), list(panel.sizes.values())
    medians = [median for median, _, _ in speeds]
    style: dict[str, Any] = {"markersize": 3.5, "linewidth": 1.2, "elinewidth": 0.7, "color": COLOURS[0]}
    axes.errorbar(sizes, medians, _errors(speeds), marker="o", **style)
    if panel.linear:
        axes.plot(sizes, [size * medians[0] / sizes[0] for size in sizes], ":", color=MUTED, label="in proportion")
        axes.set(ylim=(0, None), xticks=sizes)
        axes.legend(loc="upper left")
        return
    axes.set(xscale="log", yscale="log", xlim=(min(sizes) / 1.25, max(sizes) * 1.25))
    for of_axis in (axes.xaxis, axes.yaxis):
        of_axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        of_axis.set_minor_locator(NullLocator())
    if max(sizes) / min(sizes) > 100:
        axes.xaxis.set_major_locator(LogLocator())


def draw_scaling(path: Path, panels: Sequence[Panel], *, caption: str) -> None:
    """Small panels, three in a row.

    Args:
        path: the picture to write; its ending decides the format.
        panels: what to draw.
        caption: where and how it was measured.
    """
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(3.2 * columns, 0.5 + 2.6 * rows), layout="constrained")
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(places, panels, strict=False):
            if panel.line:
                _draw_line(axes, panel, panel.line)
            else:
                _draw_speeds(axes, panel)
            axes.set_title(panel.title, loc="left", fontweight="bold")
            axes.set_ylabel(panel.quantity)
            axes.xaxis.set_major_formatter(FuncFormatter(_short))
            axes.yaxis.set_major_formatter(FuncFormatter(_short))
        for axes in places[len(panels) :]:
            axes.set_axis_off()
        _save(figure, path, caption)


def draw_bars(
    path: Path,
    panels: Mapping[str, Mapping[str, Mapping[str, Speed]]],
    *,
    quantity: str,
    caption: str,
    peaks: Mapping[str, tuple[str, float]] | None = None,
) -> None:
    """Horizontal bars from zero; the thin line is the range of the rounds.

    Args:
        path: the picture to write; its ending decides the format.
        panels: panel -> series -> bar -> speed; bars keep their order from top to bottom.
        quantity: what is drawn, with its unit.
        caption: where and how it was measured.
        peaks: panel -> name and place of a dashed line.
    """
    with rc_context({**STYLE, "axes.grid.axis": "x", "ytick.left": False}):
        bars = max(len(next(iter(series.values()))) for series in panels.values())
        n_series = max(len(series) for series in panels.values())
        figure = Figure(figsize=(5.4 * len(panels), 1.2 + bars * (0.14 + 0.15 * n_series)), layout="constrained")
        drawn = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, series) in zip(drawn, panels.items(), strict=True):
            names = list(next(iter(series.values())))
            height = 0.8 / len(series)
            entries = len(series) + bool(peaks)
            legend_lines = -(-entries // 2) if entries > 1 else 0
            for i, (label, speeds) in enumerate(series.items()):
                places = np.arange(len(names)) + (i - (len(series) - 1) / 2) * height
                values = [speeds[name] for name in names]
                axes.barh(
                    places,
                    [median for median, _, _ in values],
                    height,
                    xerr=_errors(values),
                    color=COLOURS[i % len(COLOURS)],
                    error_kw={"linewidth": 0.7},
                    label=label,
                )
            axes.set_title(title, loc="left", fontweight="bold", pad=6 + 15 * legend_lines)
            axes.set_yticks(np.arange(len(names)), names)
            axes.set(ylim=(len(names) - 0.5, -0.5), xlabel=quantity)
            axes.xaxis.set_major_formatter(FuncFormatter(_short))
            if peaks:
                name, place = peaks[title]
                axes.axvline(place, color="black", linewidth=1, linestyle="--", label=name)
            if len(series) > 1 or peaks:
                axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=2, borderaxespad=0.3, columnspacing=1)
        _save(figure, path, caption)


def draw_speed_up(path: Path, cases: Mapping[str, Mapping[int, Speed]], *, caption: str) -> None:
    """Times as fast as with the fewest threads, case by case, beside the ideal.

    Args:
        path: the picture to write; its ending decides the format.
        cases: case -> threads -> speed-up.
        caption: where and how it was measured.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        counts = sorted({count for speeds in cases.values() for count in speeds})
        axes.plot(counts, [count / counts[0] for count in counts], ":", color=MUTED, label="ideal")
        for (name, speeds), colour in zip(cases.items(), COLOURS * len(cases), strict=False):
            values = list(speeds.values())
            medians = [median for median, _, _ in values]
            axes.errorbar(
                list(speeds), medians, _errors(values), marker="o", markersize=4, capsize=2, color=colour, label=name
            )
        axes.set(xlabel="threads", ylabel="speed-up", xticks=counts, ylim=(0, None))
        axes.legend(loc="upper left")
        _save(figure, path, caption)
