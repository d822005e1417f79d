"""Main effects of a factorial table as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

__all__ = ["draw_effects"]


def draw_effects(path: Path, levels: Mapping[str, Mapping[str, Mapping[int, float]]]) -> None:
    """One panel per factor: the geometric mean of the time at each level, on logarithmic axes.

    Args:
        path: the picture to write; its ending decides the format.
        levels: program -> factor -> level -> milliseconds.
    """
    factors = list(next(iter(levels.values())))
    figure = Figure(figsize=(2.4 * len(factors), 2.9), layout="constrained")
    panels = figure.subplots(1, len(factors), sharey=True, squeeze=False)[0]
    for panel, factor in zip(panels, factors, strict=True):
        for name, of_program in levels.items():
            panel.plot(list(of_program[factor]), list(of_program[factor].values()), marker="o", label=name)
        panel.set(xscale="log", yscale="log", xlabel=factor)
        ticks = list(next(iter(levels.values()))[factor])
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
        panel.grid(axis="y", linewidth=0.5, alpha=0.5)
    panels[0].set_ylabel("milliseconds")
    panels[-1].legend(frameon=False)
    figure.savefig(path)
