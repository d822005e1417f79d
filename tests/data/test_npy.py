from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rbmx.data import open_source
from rbmx.errors import DataError


@pytest.mark.parametrize("dtype", ["bool", "u1", ">i4", "<f4", ">f8", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_every_dtype_and_order_are_read(tmp_path: Path, dtype: str, order: str) -> None:
    values = np.random.default_rng(0).integers(0, 2, (9000, 5)).astype(dtype)
    path = tmp_path / "x.npy"
    np.save(path, np.asarray(values, order=order))  # type: ignore[call-overload]
    data = open_source(path)
    assert (data.kind, data.n_rows, data.n_blocks, data.n_visible) == ("bits", 9000, 3, 5)
    np.testing.assert_array_equal(data.load().unpack(), values)  # type: ignore[union-attr]
    first, block = data.read_block(2)
    assert first == 8192
    np.testing.assert_array_equal(block.unpack(), values[8192:])  # type: ignore[union-attr]


def test_images_are_flattened_to_rows(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((10, 2, 3), np.float32)
    np.save(tmp_path / "x.npy", values)
    np.testing.assert_array_equal(open_source(tmp_path / "x.npy").load(), values.reshape(10, 6))


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((1000, 5)))
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:20], b"", b"hello"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.npy: not a readable \.npy file"):
            open_source(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"x\.npy"):
        open_source(path)
    np.save(path, np.ones(5))
    with pytest.raises(DataError, match=r"x\.npy: expected \(rows, n_visible\), got shape"):
        open_source(path)
    np.save(path, np.ones((5, 2), complex))
    with pytest.raises(DataError, match="expected real numbers, got dtype complex128"):
        open_source(path)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((9000, 5)))
    data = open_source(path)
    np.save(path, np.ones((8200, 5)))
    with pytest.raises(DataError, match="ends inside rows 8192 to 9000"):
        data.read_block(2)
