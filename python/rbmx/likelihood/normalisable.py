"""Whether a machine's energies have a finite integral: two sides without bounds can pull each other to infinity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rbmx.params import RBMParams

__all__ = ["largest_pull", "require_partition_function"]

Real = NDArray[np.float64]
ITERATIONS = 200
STARTS = 8
ROUNDING = 1e-6  # of float32 weights


def require_partition_function(params: RBMParams) -> None:
    """Raises ValueError where Z is not one number: for counts, and where exp(-E) does not fall in some direction.

    Far out E is v.Gv v / 2 + h.Gh h / 2 - h W v with the units' curvatures G, infinite on sides where states are
    bounded. It grows in every direction if the largest h W v over v.Gv v = h.Gh h = 1 is below 1. For Gaussian units
    that is the largest singular value of W; for units bounded on one side, local maxima are looked for, so that a
    machine which passes may still be improper.
    """
    if params.visible == "counts":
        raise ValueError("log Z: that of counts is one for each total; log_likelihood(data) takes those of the rows")
    pull = largest_pull(params)
    if pull >= 1 - ROUNDING:
        raise ValueError(
            f"log Z: {params.visible} visible and {params.hidden} hidden units pull each other to infinity (a singular "
            f"value of the weights in units of the curvatures is {pull:.4g}, expected below 1): the model has no "
            "distribution; lower the learning rate or decay the weights"
        )


def largest_pull(params: RBMParams) -> float:
    """The largest h W v found with v.Gv v = h.Gh h = 1, by alternating maximisation from several starts."""
    weight = params.weight.astype(np.float64)
    visible, hidden = params.visible_unit.curvatures(params.n_visible), params.hidden_unit.curvatures(params.n_hidden)
    if not (np.isfinite(visible).any() and np.isfinite(hidden).any()):
        return 0.0
    largest = 0.0
    phases = np.arange(1, params.n_visible + 1)
    starts = [sign * wave for start in range(STARTS // 2) for sign in (1, -1) for wave in [np.cos(start * phases)]]
    for start in starts:
        v = _unit_length(start, visible)
        for _ in range(ITERATIONS):
            h = _unit_length(_farthest(weight @ v, hidden), hidden)
            v = _unit_length(_farthest(h @ weight, visible), visible)
        largest = max(largest, float(h @ weight @ v))
    return largest


def _farthest(force: Real, curvatures: Real) -> Real:
    """The s that maximises s.force - s.G s / 2: force over the curvature of its side."""
    return np.asarray(force / np.where(force >= 0, curvatures[0], curvatures[1]))


def _unit_length(s: Real, curvatures: Real) -> Real:
    """S scaled to s.G s = 1, without what lies in bounded directions."""
    curvature = np.where(s >= 0, curvatures[0], curvatures[1])
    inside = np.where(np.isfinite(curvature), s, 0.0)
    length = float(np.sqrt((inside * inside * np.where(np.isfinite(curvature), curvature, 0.0)).sum()))
    return inside / length if length > 0 else inside
