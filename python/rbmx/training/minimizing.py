"""Minima of smooth functions of one vector, by L-BFGS or conjugate gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["METHODS", "Minimum", "minimize"]

METHODS = ("lbfgs", "cg")
MEMORY = 20  # pairs of steps and changes of the gradient that L-BFGS keeps
MAX_LINE_STEPS = 50

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a search ended.

    Attributes:
        vector: the last accepted point.
        value: of the function there.
        iterations: accepted steps.
        evaluations: of the function with its gradient.
        message: why it ended, in scipy's words.
    """

    vector: Vector
    value: float
    iterations: int
    evaluations: int
    message: str


def minimize(
    function: Callable[[Vector], tuple[float, Vector]],
    start: Vector,
    *,
    method: str = "lbfgs",
    iterations: int = 100,
    tolerance: float = 0.0,
    callback: Callable[[int, Vector, float], None] | None = None,
) -> Minimum:
    """Go downhill from `start`.

    Args:
        function: of a vector, its value and gradient, float64.
        start: float64 (n,).
        method: "lbfgs" (Liu and Nocedal 1989) or "cg" (nonlinear conjugate gradient, Polak and Ribiere), by
            scipy.optimize.
        iterations: the most steps.
        tolerance: the largest component of a gradient that ends the search; 0: go on as long as a line search finds
            lower points.
        callback: of the iteration from 1, the point and its value; what it raises ends the search.

    Raises:
        ImportError: without scipy.
        ValueError: an unknown method, or a start where the function is not finite.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    if iterations < 1:
        raise ValueError(f"iterations: expected 1 or more, got {iterations}")
    try:
        from scipy import optimize
    except ImportError as error:  # pragma: no cover - an environment without scipy
        raise ImportError("L-BFGS and conjugate gradient need scipy: pip install 'rbmx[torch]'") from error
    reached = 0
    evaluations = 0

    def counted(vector: Vector) -> tuple[float, Vector]:
        nonlocal evaluations
        evaluations += 1
        value, gradient = function(vector)
        if evaluations == 1 and not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise ValueError(f"start: expected a finite value and gradient there, got {value}")
        return value, gradient

    def accepted(intermediate_result: Any) -> None:
        nonlocal reached
        reached += 1
        if callback is not None:
            callback(reached, intermediate_result.x.copy(), float(intermediate_result.fun))

    options: dict[str, Any] = {"maxiter": iterations, "gtol": tolerance}
    if method == "lbfgs":
        options |= {"maxcor": MEMORY, "maxls": MAX_LINE_STEPS, "ftol": 0.0, "maxfun": iterations * MAX_LINE_STEPS}
    found = optimize.minimize(
        counted,
        start.astype(np.float64),
        method={"lbfgs": "L-BFGS-B", "cg": "CG"}[method],
        jac=True,
        callback=accepted,
        options=options,
    )
    return Minimum(found.x, float(found.fun), reached, evaluations, str(found.message))
