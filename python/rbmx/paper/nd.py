"""The data of the paper: a torch Dataset over a CSV file of labels and grey levels."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rbmx.data.csv import read_csv
from rbmx.paper.rows import grey_levels

__all__ = ["Data_load", "ToTensor"]


class ToTensor:
    """Grey levels 0 to 255 as float32 from 0 to 1."""

    def __call__(self, row: NDArray[Any]) -> Tensor:
        """The row as a tensor."""
        return torch.from_numpy(grey_levels(row))


class Data_load(torch.utils.data.Dataset[tuple[Tensor, int]]):  # noqa: N801 - as the paper spells it
    """Rows of a CSV file without a header: the label first, then grey levels from 0 to 255.

    Args:
        file: the CSV file (.gz too).
        direct: the folder it lies in; "": `file` is the path.
        transform: of a row of values; None: as they are.

    Raises:
        DataError: names the file, the line and the column of what is wrong.
    """

    def __init__(
        self,
        file: str | os.PathLike[str],
        direct: str | os.PathLike[str] = "",
        transform: Callable[[NDArray[Any]], Any] | None = None,
    ) -> None:
        self.path = os.path.join(direct, file)
        self.values, labels = read_csv(self.path, label="first")
        self.labels = np.zeros(0, np.int64) if labels is None else labels
        self.transform = transform

    def __len__(self) -> int:
        """Rows."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """The transformed values of a row, and its label."""
        row = self.values[index]
        return (row if self.transform is None else self.transform(row)), int(self.labels[index])
