"""The paper's Fig. 6 redrawn: seconds of training a deep autoencoder by images, three ways."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Protocol

from matplotlib import rc_context
from matplotlib.figure import Figure

from rbmx.report.speeds import COLOURS, STYLE

__all__ = ["draw_autoencoder"]


class Run(Protocol):
    """One contestant, one seed."""

    @property
    def greedy_seconds(self) -> float: ...
    @property
    def tuned_seconds(self) -> float | None: ...


class Size(Protocol):
    """All runs on so many images."""

    @property
    def rows(self) -> int: ...
    @property
    def torch(self) -> Sequence[Run]: ...
    @property
    def rbmx(self) -> Sequence[Run]: ...
    @property
    def hadoop(self) -> Sequence[Run]: ...


def draw_autoencoder(path: Path, sizes: Sequence[Size]) -> None:
    """Greedy training to the left, with backprop to the right: means over seeds."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        for axes, field, title in zip(
            figure.subplots(1, 2),
            ("greedy_seconds", "tuned_seconds"),
            ("(a) greedy CD", "(b) greedy CD and backprop"),
            strict=True,
        ):
            for name, colour in zip(("torch", "rbmx", "hadoop"), COLOURS, strict=False):
                points = [(size.rows, _mean(getattr(size, name), field)) for size in sizes if getattr(size, name)]
                if points:
                    axes.plot(*zip(*points, strict=True), "o-", color=colour, label=LABELS[name])
            axes.set(title=title, xlabel="training images", ylabel="seconds", ylim=(0, None))
        axes.legend()
        figure.savefig(path, dpi=150)


LABELS = {"torch": "PyTorch, sequential", "rbmx": "rbmx, one process", "hadoop": "rbmx, one job on Hadoop"}


def _mean(runs: Sequence[Run], field: str) -> float:
    return fmean(value for run in runs if (value := getattr(run, field)) is not None)
