"""torch tensors, Datasets and DataLoaders as sources. Imported only when such an object arrives."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

from rbmx.data.arrays import ArraySource
from rbmx.data.iterator import IteratorSource, dense
from rbmx.data.source import IndexedSource, Source, as_rows
from rbmx.errors import DataError

__all__ = ["MapSource", "open_torch", "tensor_values"]


def tensor_values(tensor: Any) -> NDArray[Any]:
    """The values of a tensor on any device; memory is shared where it can be."""
    values = tensor.detach()
    if values.layout != torch.strided:
        values = values.to_dense()
    if values.dtype == torch.bfloat16:
        values = values.float()
    array: NDArray[Any] = values.cpu().resolve_conj().resolve_neg().numpy()
    return array


def first_tensor(sample: Any) -> Any:
    """The values of a sample: itself, or the first of (values, label, ...)."""
    return sample[0] if isinstance(sample, (tuple, list)) and sample else sample


class MapSource(IndexedSource):
    """Rows of a map-style Dataset: `dataset[i]` is row i, or a tuple that starts with it.

    Args:
        dataset: has a length.
        collate: makes a batch of a list of samples, as a DataLoader's collate_fn does.
        name: what errors call the data.
    """

    def __init__(self, dataset: Any, collate: Any = None, *, name: str = "data") -> None:
        n_rows = len(dataset)
        if n_rows == 0:
            raise DataError(f"{name}: expected at least one row, the Dataset is empty")
        self._dataset = dataset
        self._collate = collate or (lambda samples: np.stack([self._row(s) for s in samples]))
        self.name = name
        super().__init__(name, n_rows, self.read_rows(0, 1).shape[1])

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop, sample by sample."""
        samples = [self._dataset[i] for i in range(start, stop)]
        try:
            values = dense(first_tensor(self._collate(samples)))
        except ValueError as error:
            raise DataError(f"{self.name}: rows {start} to {stop}: {error}") from error
        rows = as_rows(values, self.name)
        if rows.shape[0] != stop - start:
            raise DataError(
                f"{self.name}: rows {start} to {stop}: expected {stop - start} rows, "
                f"the collate function gave {rows.shape[0]}"
            )
        return rows

    @staticmethod
    def _row(sample: Any) -> NDArray[Any]:
        return dense(first_tensor(sample)).reshape(-1)


def open_torch(data: object, *, name: str = "data") -> Source:
    """The source of a tensor, Dataset or DataLoader.

    Row numbers follow the Dataset. A DataLoader that shuffles is read in the Dataset's order and
    through its collate_fn, because a row must keep its number; training shuffles by itself.
    """
    if isinstance(data, torch.Tensor):
        return ArraySource(tensor_values(data), name=name)
    if isinstance(data, DataLoader):
        if isinstance(data.sampler, RandomSampler) and not data.sampler.replacement:
            collate = None if data.batch_size is None else data.collate_fn
            return MapSource(data.dataset, collate, name=name)
        return IteratorSource(lambda: data, name=name, first_of_tuple=True)
    if isinstance(data, IterableDataset):
        loader: DataLoader[Any] = DataLoader(data, batch_size=256)
        return IteratorSource(lambda: loader, name=name, first_of_tuple=True)
    if isinstance(data, Dataset):
        return MapSource(data, name=name)
    raise TypeError(f"data: expected a tensor, a Dataset or a DataLoader, got {type(data)!r}")
