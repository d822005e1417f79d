"""Rows with what a net should make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.data import Dataset, open_source
from rbmx.errors import DataError
from rbmx.training.feed import Window

__all__ = ["Examples", "open_examples"]


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows and what a net should make of them.

    Attributes:
        dataset: the rows.
        targets: (rows, ...) in the order of the rows' global numbers; None: the rows themselves.
    """

    dataset: Dataset
    targets: NDArray[Any] | None

    def of(self, window: Window) -> NDArray[Any] | None:
        """The targets of the rows in a window."""
        return None if self.targets is None else self.targets[window.numbers]


def open_examples(data: Any, targets: Any, *, n_in: int, unbounded: bool, name: str = "targets") -> Examples:
    """Data and targets that fit one another.

    A source of unknown length is counted in a pass of its own; one that gives its rows once is loaded.

    Args:
        data: whatever rbmx.data.open_source takes.
        targets: an array of as many rows, or None: the rows themselves.
        n_in: values that a row must have.
        unbounded: real values of any size; else they are to lie in [0, 1].
        name: what errors call the targets.

    Raises:
        DataError: rows of another width.
        ValueError: targets of another length.
    """
    dataset = open_source(data, unbounded=unbounded)
    if dataset.n_visible != n_in:
        raise DataError(f"{dataset.name}: expected rows of {n_in} values, got {dataset.n_visible}")
    if targets is None:
        return Examples(dataset, None)
    wanted = np.asarray(targets)
    if dataset.n_rows is None and dataset.one_pass:
        dataset = open_source(dataset.load(), unbounded=True)
    n_rows = sum(len(rows) for _, rows in dataset.blocks()) if dataset.n_rows is None else dataset.n_rows
    if wanted.ndim < 1 or len(wanted) != n_rows:
        raise ValueError(f"{name}: expected {n_rows}, one for each row of the data, got {wanted.shape}")
    return Examples(dataset, wanted)
