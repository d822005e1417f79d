"""The cost of rounds on a cluster as a picture: where the seconds go, and what more nodes bring."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmx.report.speeds import COLOURS, MUTED, STYLE

__all__ = ["draw_cluster"]

PARTS = ("driver", "master", "launch", "work", "reduce")


class Cost(Protocol):
    """A size of data; the seconds of a round's parts are attributes too, by the names in PARTS."""

    @property
    def rows(self) -> int: ...
    @property
    def shards(self) -> int: ...


class Point(Protocol):
    """A number of nodes, seconds measured (None: not) and by the model."""

    @property
    def nodes(self) -> int: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def model(self) -> float: ...


def draw_cluster(path: Path, costs: Sequence[Cost], points: Sequence[Point], held: bool) -> None:
    """Stacked bars of each size, and speedup by nodes beside the model."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_parts(left, costs)
        _draw_speedup(right, points, held)
        figure.savefig(path, dpi=150)


def _draw_parts(axes: Axes, costs: Sequence[Cost]) -> None:
    names = [f"{cost.rows:,}\n{cost.shards} shards" for cost in costs]
    bottom = [0.0] * len(costs)
    for part, colour in zip(PARTS, (*COLOURS, MUTED), strict=True):
        heights = [getattr(cost, part) for cost in costs]
        axes.bar(names, heights, bottom=bottom, label=part, color=colour, width=0.6)
        bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
    axes.set(title="a round on one node", ylabel="seconds")
    axes.grid(visible=False, axis="x")
    axes.legend(ncols=5, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.18))


def _draw_speedup(axes: Axes, points: Sequence[Point], held: bool) -> None:
    first = points[0]
    nodes = [point.nodes for point in points]
    axes.plot(nodes, [first.model / point.model for point in points], color=MUTED, label="model")
    measured = [(p.nodes, first.seconds / p.seconds) for p in points if p.seconds is not None and first.seconds]
    axes.plot(*zip(*measured, strict=True), "o", color=COLOURS[0], label="measured")
    axes.set(
        title="nodes of half a core each" if held else "nodes (projected)",
        xlabel="nodes",
        ylabel="speedup",
        xticks=nodes,
    )
    axes.legend()
