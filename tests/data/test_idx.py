from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from rbmx.data import open_source, read_idx
from rbmx.errors import DataError

TYPES = [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]


def idx_bytes(values: np.ndarray, code: int = 0x08) -> bytes:
    dtype = dict(TYPES)[code]
    sizes = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, code, values.ndim]) + sizes + values.astype(dtype).tobytes()


def write(folder: Path, content: bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz"])
@pytest.mark.parametrize(("code", "dtype"), TYPES)
def test_every_type_is_read_in_native_order(tmp_path: Path, name: str, code: int, dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 100, (5, 3, 4))
    found = read_idx(write(tmp_path, idx_bytes(values, code), name))
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz"])
@pytest.mark.parametrize("n_rows", [1, 4096, 9000])
def test_images_become_rows_under_global_numbers(tmp_path: Path, name: str, n_rows: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (n_rows, 2, 3)).astype(np.uint8)
    data = open_source(write(tmp_path, idx_bytes(values), name), scale=255)
    assert (data.n_rows, data.n_visible) == (n_rows, 6)
    rows = values.reshape(n_rows, 6).astype(np.float32) / np.float32(255)
    for _ in range(2):
        for first, block in data.blocks():
            np.testing.assert_array_equal(block, rows[first : first + 4096])
    if data.n_blocks is not None:
        first, block = data.read_block(data.n_blocks - 1)
        np.testing.assert_array_equal(block, rows[first:])


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz"])
@pytest.mark.parametrize("keep", [0, 3, 4, 15, 16, 40])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, name: str, keep: int) -> None:
    content = idx_bytes(np.ones((5, 3, 4)))[:keep]
    path = write(tmp_path, content, name)
    with pytest.raises(DataError, match=rf"{name}: (truncated|not an IDX file)"):
        read_idx(path)
    with pytest.raises(DataError, match=rf"{name}: (truncated|not an IDX file)"):
        open_source(path).load()


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz"])
def test_bytes_behind_the_values_are_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, idx_bytes(np.ones((5, 3, 4))) + b"\0", name)
    with pytest.raises(DataError, match=r"longer than its header|goes on behind"):
        read_idx(path)
    with pytest.raises(DataError, match=r"longer than its header|goes on behind"):
        open_source(path).load()


@pytest.mark.parametrize("magic", [b"\0\1\x08\3", b"\0\0\x07\3", b"\0\0\x08\0", b"\0\0\x08\x09", b"PNG!"])
def test_a_bad_magic_number_is_shown(tmp_path: Path, magic: bytes) -> None:
    path = write(tmp_path, magic + bytes(100), "x-idx3-ubyte")
    with pytest.raises(DataError, match=f"not an IDX file.*got {magic.hex(' ')}"):
        read_idx(path)


@pytest.mark.parametrize("name", ["x-idx3-ubyte", "x-idx3-ubyte.gz"])
def test_a_huge_promise_is_refused_before_memory_is_taken(tmp_path: Path, name: str) -> None:
    header = bytes([0, 0, 0x0E, 3]) + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)
    path = write(tmp_path, header + bytes(1000), name)
    with pytest.raises(DataError, match=r"truncated|more than .* bytes of gzip can hold"):
        read_idx(path)


def test_truncated_gzip_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, idx_bytes(np.arange(60000).reshape(600, 100) % 251), "x-idx2-ubyte.gz")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="the gzip data end too early"):
        read_idx(path)
    with pytest.raises(DataError, match="the gzip data end too early"):
        open_source(path, scale=255).load()


def test_labels_and_empty_files_are_no_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got shape|labels\?"):
        open_source(write(tmp_path, idx_bytes(np.ones(9)), "x-idx1-ubyte"))
    with pytest.raises(DataError, match="at least one row"):
        open_source(write(tmp_path, idx_bytes(np.ones((0, 4))), "x-idx2-ubyte"))
