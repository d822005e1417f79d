"""Rows as the lower layers of a net hand them up, block by block: never a second copy of large data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from rbmx.data import Block, Dataset, Encoding
from rbmx.data.source import row_and_column
from rbmx.tuning import rows_tensor

__all__ = ["EncodedSource"]


class EncodedSource:
    """A Source (rbmx.data.Source) of a dataset's rows taken through the stages of a net, real values.

    Args:
        below: the rows that go in.
        stages: layers and activations.
    """

    in_memory = False

    def __init__(self, below: Dataset, stages: Sequence[nn.Module]) -> None:
        self._below, self._stages = below, nn.Sequential(*stages)
        weights = [parameter for parameter in self._stages.parameters() if parameter.ndim == 2]
        self._like = weights[0]
        self.name, self.n_rows, self.n_blocks = below.name, below.n_rows, below.n_blocks
        self.n_visible = int(weights[-1].shape[0])

    @classmethod
    def dataset(cls, below: Dataset, stages: Sequence[nn.Module]) -> Dataset:
        """The same as a Dataset of real values."""
        return Dataset(cls(below, stages), Encoding(unbounded=True))

    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order."""
        for first_row, block in self._below.blocks():
            yield Block(first_row, self._encode(block))

    def read_block(self, i: int) -> Block:
        """Block i of n_blocks."""
        first_row, block = self._below.read_block(i)
        return Block(first_row, self._encode(block))

    def place(self, row: int, column: int) -> str:
        """Where a value stands, in words."""
        return row_and_column(row, column)

    @torch.no_grad()
    def _encode(self, block: Any) -> NDArray[Any]:
        encoded: NDArray[Any] = self._stages(rows_tensor(block).to(self._like)).float().cpu().numpy()
        return encoded
