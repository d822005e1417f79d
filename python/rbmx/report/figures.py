"""Charts as inline SVG whose colours are the page's own, so that they follow light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

__all__ = ["curves", "histogram"]

# Colours that stand for a custom property of the page; svg() puts the property in their place.
INK, MUTED, RULE, FIRST, SECOND = "#0a0b0c", "#1a1b1c", "#2a2b2c", "#3a3b3c", "#4a4b4c"
PROPERTIES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "text.color": MUTED,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "ytick.left": False,
    "xtick.bottom": False,
    "lines.linewidth": 2.0,
    "lines.solid_capstyle": "round",
}


@contextmanager
def chart(name: str, width: float, height: float) -> Iterator[tuple[Axes, list[str]]]:
    """Axes to draw on; afterwards the list holds the finished SVG text."""
    result: list[str] = []
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        yield axes, result
        result.append(svg(figure, name))


def svg(figure: Figure, name: str) -> str:
    """The figure as an <svg> element: ids under `name`, colours by property, fonts of the page."""
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|style).*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"<g id=\"[^\"]*-patch_1\">.*?</g>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<g id=\"[^\"]*-patch_2\">.*?</g>", "", text, count=1, flags=re.DOTALL)
    for colour, prop in PROPERTIES.items():
        text = text.replace(colour, prop)
    return text.strip()


def curves(name: str, epochs: Sequence[int], series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """One line per series over the epochs, named at its end; the second one is dashed."""
    ends = [values[-1] for _, values in series]
    with chart(name, 7.2, 2.9) as (axes, result):
        for (title, values), colour, dashes in zip(series, (FIRST, SECOND), ("-", "--"), strict=False):
            axes.plot(
                epochs,
                values,
                color=colour,
                linestyle=dashes,
                marker="o" if len(epochs) <= 30 else None,
                markersize=4.5,
                clip_on=False,
            )
            axes.annotate(
                f"{title} {values[-1]:.4g}".replace("-", "−"),
                (epochs[-1], values[-1]),
                xytext=(9, 0 if len(ends) == 1 else 7 if values[-1] == max(ends) else -7),
                textcoords="offset points",
                va="center",
                color=colour,
                annotation_clip=False,
            )
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    return result[0]


def histogram(
    name: str,
    values: NDArray[Any],
    *,
    logarithmic: bool = False,
    limits: tuple[float, float] | None = None,
) -> str:
    """Counts of the values in bars; `logarithmic` counts show the tails."""
    with chart(name, 3.6, 2.1) as (axes, result):
        flat = np.asarray(values, np.float64).ravel()
        bins = max(8, min(60, round(2 * flat.size ** (1 / 3))))
        counts, edges = np.histogram(flat, bins=bins, range=limits)
        width = edges[1] - edges[0]
        axes.bar(edges[:-1], counts, width=0.86 * width, align="edge", color=SECOND)
        if logarithmic:
            axes.set_yscale("log")
        else:
            axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
        axes.minorticks_off()
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    return result[0]
