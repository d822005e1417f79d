"""Parameters as named arrays, for files and for lines between tasks."""

from __future__ import annotations

from typing import Any

import numpy as np

from rbmx.params import PARAMETERS, RBMParams

__all__ = ["Tensors", "params_from", "params_to"]

Tensors = dict[str, np.ndarray[Any, Any]]


def params_to(prefix: str, params: RBMParams) -> Tensors:
    """The arrays under prefix + name."""
    return {prefix + name: getattr(params, name) for name in params.names}


def params_from(
    prefix: str, tensors: Tensors, visible: str = "bernoulli", hidden: str = "bernoulli"
) -> RBMParams | None:
    """The parameters that params_to put there, None where there are none."""
    if prefix + "weight" not in tensors:
        return None
    weight, visible_bias, hidden_bias = (np.ascontiguousarray(tensors[prefix + name]) for name in PARAMETERS)
    log_variance = tensors.get(prefix + "log_variance")
    scales = None if log_variance is None else np.ascontiguousarray(log_variance)
    return RBMParams(weight, visible_bias, hidden_bias, visible, hidden, scales)
