from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from rbmx.data import open_source
from rbmx.errors import DataError

torch = pytest.importorskip("torch")
data = torch.utils.data

VALUES = np.random.default_rng(0).integers(0, 256, (5000, 6)).astype(np.uint8)


class Images(data.Dataset):  # type: ignore[misc, name-defined]
    """Pairs of an image (1, 2, 3) and a label."""

    def __init__(self, n: int = 5000) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return torch.from_numpy(VALUES[i].reshape(1, 2, 3)), i % 10


class Stream(data.IterableDataset):  # type: ignore[misc, name-defined]
    def __iter__(self) -> Iterator[Any]:
        return iter(torch.from_numpy(VALUES))


def rows_of(source: Any, **options: Any) -> Any:
    dataset = open_source(source, scale=255, **options)
    rows: list[Any] = []
    expected = 0
    for first, block in dataset.blocks():
        assert first == expected
        rows.append(block)
        expected += len(block)
    whole: Any = dataset.load()
    np.testing.assert_array_equal(whole, np.concatenate(rows))
    return np.rint(np.concatenate(rows) * 255)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64"])
def test_tensors_of_real_dtypes_are_rows(dtype: str) -> None:
    tensor = torch.from_numpy(VALUES).to(getattr(torch, dtype))
    np.testing.assert_array_equal(rows_of(tensor), VALUES)


def test_a_tensor_shares_its_memory_and_drops_its_graph() -> None:
    tensor = torch.rand(10, 4, requires_grad=True)
    loaded = open_source(tensor).source.read_block(0).values
    assert np.shares_memory(loaded, tensor.detach().numpy())


def test_bool_bfloat16_and_sparse_tensors_are_rows() -> None:
    bits = torch.tensor([[1, 0], [0, 1]])
    for tensor in (bits.bool(), bits.bfloat16(), bits.to_sparse()):
        assert open_source(tensor).load().unpack().tolist() == bits.tolist()  # type: ignore[union-attr]


def test_a_dataset_of_images_and_labels_gives_its_images() -> None:
    np.testing.assert_array_equal(rows_of(Images()), VALUES)
    dataset = open_source(Images(), scale=255)
    assert (dataset.n_rows, dataset.n_blocks, dataset.n_visible) == (5000, 2, 6)
    first, block = dataset.read_block(1)
    assert first == 4096
    np.testing.assert_array_equal(np.rint(np.asarray(block) * 255), VALUES[4096:])


def test_a_tensor_dataset_and_a_stream_give_their_rows() -> None:
    np.testing.assert_array_equal(rows_of(data.TensorDataset(torch.from_numpy(VALUES))), VALUES)
    np.testing.assert_array_equal(rows_of(Stream()), VALUES)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_loader_gives_every_row_its_number_even_when_it_shuffles(shuffle: bool) -> None:
    loader = data.DataLoader(Images(), batch_size=64, shuffle=shuffle)
    np.testing.assert_array_equal(rows_of(loader), VALUES)


def test_a_loader_without_batches_gives_rows_if_it_shuffles() -> None:
    loader = data.DataLoader(Images(), batch_size=None, shuffle=True)
    np.testing.assert_array_equal(rows_of(loader), VALUES)


def test_an_empty_or_ragged_dataset_is_refused() -> None:
    with pytest.raises(DataError, match="the Dataset is empty"):
        open_source(Images(0))

    class Ragged(Images):
        def __getitem__(self, i: int) -> tuple[Any, int]:
            return torch.zeros(1 + i % 2), 0

    with pytest.raises(DataError, match="rows 0 to 4096"):
        open_source(Ragged()).load()


def test_complex_tensors_are_refused() -> None:
    with pytest.raises(DataError, match="expected real numbers, got dtype complex64"):
        open_source(torch.zeros(2, 2, dtype=torch.complex64))
