"""Quality of training over shards as a picture: likelihood and accuracy by number of shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rbmx.report.speeds import COLOURS, MUTED, STYLE

__all__ = ["draw_sharding"]

Row = Mapping[str, Any]


def draw_sharding(path: Path, rows: Sequence[Row]) -> None:
    """A column for each number of hidden units: likelihood above, accuracy below; one place as a line across."""
    sizes = sorted({row["hidden"] for row in rows})
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(sizes), 5), layout="constrained")
        grid = figure.subplots(2, len(sizes), squeeze=False, sharex="col")
        for column, hidden in enumerate(sizes):
            some = [row for row in rows if row["hidden"] == hidden]
            _draw(grid[0][column], some, "log_likelihood", "nats per test image")
            grid[0][column].set_title(f"784-{hidden}, {some[0]['passes']} passes")
            _draw(grid[1][column], some, "accuracy", "logistic layer, %")
            grid[1][column].set_xlabel("shards")
        grid[0][0].legend(loc="lower left")
        figure.savefig(path, dpi=150)


def _draw(axes: Axes, rows: Sequence[Row], what: str, label: str) -> None:
    known = [row for row in rows if row[what] is not None]
    serial = [row for row in known if row["method"] == "one place"]
    averaged = [row for row in known if row["method"] == "average"]
    for row in serial:
        axes.axhline(row[what], color=MUTED, linewidth=1, label="one place")
    shards = [row["shards"] for row in averaged]
    axes.plot(shards, [row[what] for row in averaged], "o-", color=COLOURS[0], label="averaged weights")
    axes.set_xscale("log", base=2)
    axes.set_xticks(shards, [str(n) for n in shards])
    axes.set_ylabel(label)
