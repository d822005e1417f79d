"""The published API of distributed deep learning by MapReduce and PyTorch, its scripts run as printed (docs/paper.md).

    from rbmx.paper import rbm, MRDL

Tasks import none of torch: names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbmx.paper.driver import rbm
    from rbmx.paper.mrc import MRDL
    from rbmx.paper.nd import Data_load, ToTensor
    from rbmx.paper.nnc import Net
    from rbmx.paper.weights import Weights

    MR_dist = MR_Dist = MRDL
    RBM = rbm
    net = Net
    data_load = data_loader = Data_load

__all__ = [
    "MRDL",
    "RBM",
    "Data_load",
    "MR_Dist",
    "MR_dist",
    "Net",
    "ToTensor",
    "Weights",
    "data_load",
    "data_loader",
    "net",
    "rbm",
]

# each name with its module and its name there: the paper spells some in several ways
_HOMES = {
    "MRDL": ("mrc", "MRDL"),
    "MR_dist": ("mrc", "MRDL"),
    "MR_Dist": ("mrc", "MRDL"),
    "rbm": ("driver", "rbm"),
    "RBM": ("driver", "rbm"),
    "Net": ("nnc", "Net"),
    "net": ("nnc", "Net"),
    "Data_load": ("nd", "Data_load"),
    "data_load": ("nd", "Data_load"),
    "data_loader": ("nd", "Data_load"),
    "ToTensor": ("nd", "ToTensor"),
    "Weights": ("weights", "Weights"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, own = _HOMES[name]
    value = getattr(import_module(f"rbmx.paper.{module}"), own)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
