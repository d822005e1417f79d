"""From DATA, --label, --binarize and --scale to a dataset; a model file fills what is not given."""

from __future__ import annotations

import argparse
from typing import Any, Literal, cast

from rbmx.checkpoint import Checkpoint
from rbmx.cli.exit_status import UsageError
from rbmx.data import Dataset, Encoding, open_source
from rbmx.data.opening import file_format
from rbmx.errors import DataError
from rbmx.params import RBMParams
from rbmx.units import UnitType

__all__ = ["LABEL", "open_data", "require_width"]

LABEL = "label"  # under this name Checkpoint.extra keeps the flag's word

Label = Literal["first", "last"] | None


def open_data(
    path: str, args: argparse.Namespace, *, model: Checkpoint | None = None, unit: UnitType | None = None
) -> Dataset:
    """The data at `path` under the flags, and under the model's encoding where none are given; states of `unit`."""
    encoding = model.encoding if model is not None and model.encoding is not None else Encoding()
    binarize: Any = encoding.binarize
    scale, seed = encoding.scale, encoding.seed
    if args.binarize is not None or args.scale is not None:
        binarize = None if args.binarize in (None, "none") else args.binarize
        scale = args.scale
        seed = getattr(args, "seed", None) or 0
    options: dict[str, Any] = {}
    if file_format(path) == "csv":
        options["label"] = _label(path, args, model)
    elif args.label is not None:
        raise UsageError(f"--label: is for CSV files, {path} is none")
    unbounded = binarize is None and (encoding.unbounded or (unit is not None and not unit.binary))
    dataset = open_source(path, binarize=binarize, scale=scale, seed=seed, unbounded=unbounded, **options)
    if model is not None:
        require_width(dataset, model.params)
        unit = model.params.visible_unit
    return dataset if unit is None else dataset.of(unit, missing=False)


def require_width(dataset: Dataset, params: RBMParams) -> None:
    """DataError where the rows do not fit the visible units."""
    if dataset.n_visible != params.n_visible:
        raise DataError(
            f"{dataset.name}: has {dataset.n_visible} values in a row, expected "
            f"{params.n_visible}, the visible units of the model"
        )


def _label(path: str, args: argparse.Namespace, model: Checkpoint | None) -> Label:
    word = args.label or (model.extra.get(LABEL) if model is not None else None)
    if word is None:
        raise UsageError(f"--label: {path} is a CSV file: say --label first, --label last or --label none")
    return None if word == "none" else cast(Label, word)
