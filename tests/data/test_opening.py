from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbmx.data import Block, Dataset, PackedBits, open_source
from rbmx.data.source import IndexedSource
from rbmx.errors import DataError

N_ROWS = 9001
VALUES = np.random.default_rng(5).integers(0, 2, (N_ROWS, 70)).astype(np.uint8)


def csv_file(folder: Path, name: str = "x.csv") -> Path:
    text = "".join(",".join(map(str, row)) + "\n" for row in VALUES.tolist()).encode()
    (folder / name).write_bytes(gzip.compress(text, 1) if name.endswith(".gz") else text)
    return folder / name


def idx_file(folder: Path, name: str = "x-idx2-ubyte") -> Path:
    content = bytes([0, 0, 8, 2]) + struct.pack(">2I", *VALUES.shape) + VALUES.tobytes()
    (folder / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    return folder / name


def npy_file(folder: Path) -> Path:
    np.save(folder / "x.npy", VALUES)
    return folder / "x.npy"


def csr_matrix(folder: Path) -> Any:
    return pytest.importorskip("scipy.sparse").csr_matrix(VALUES)


def torch_tensor(folder: Path) -> Any:
    return pytest.importorskip("torch").from_numpy(VALUES)


class Countdown(IndexedSource):
    """A source of a user's own."""

    def read_rows(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        return VALUES[start:stop]


def parts() -> Iterator[np.ndarray[Any, Any]]:
    for start in range(0, N_ROWS, 1234):
        yield VALUES[start : start + 1234]


SOURCES: dict[str, Callable[[Path], Any]] = {
    "bool": lambda folder: VALUES.astype(bool),
    "uint8": lambda folder: VALUES,
    "int32": lambda folder: VALUES.astype(np.int32),
    "float16": lambda folder: VALUES.astype(np.float16),
    "float32": lambda folder: VALUES.astype(np.float32),
    "float64": lambda folder: VALUES.astype(np.float64),
    "big endian": lambda folder: VALUES.astype(">f8"),
    "column order": lambda folder: np.asfortranarray(VALUES),
    "images": lambda folder: VALUES.reshape(-1, 7, 10),
    "rows of lists": lambda folder: VALUES.tolist(),
    "memory map": lambda folder: np.load(npy_file(folder), mmap_mode="r"),
    "packed": lambda folder: PackedBits.pack(VALUES),
    "csr": csr_matrix,
    "csc": lambda folder: csr_matrix(folder).tocsc(),
    "torch": torch_tensor,
    "npy": npy_file,
    "idx": idx_file,
    "idx.gz": lambda folder: idx_file(folder, "x.gz"),
    "csv": csv_file,
    "csv.gz": lambda folder: csv_file(folder, "x.csv.gz"),
    "csv without a suffix": lambda folder: csv_file(folder, "part-00000"),
    "path as text": lambda folder: str(npy_file(folder)),
    "list of blocks": lambda folder: list(parts()),
    "function": lambda folder: parts,
    "own source": lambda folder: Countdown("mine", N_ROWS, 70),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_rows_under_the_same_numbers(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"label": None} if "csv" in kind else {}
    dataset = open_source(SOURCES[kind](tmp_path), **options)
    assert (dataset.kind, dataset.n_visible) == ("bits", 70)
    for _ in range(2):
        expected = 0
        for first, bits in dataset.blocks():
            assert first == expected
            assert isinstance(bits, PackedBits)
            np.testing.assert_array_equal(bits.unpack(), VALUES[first : first + len(bits)])
            expected += len(bits)
        assert expected == N_ROWS
    assert dataset.n_rows == N_ROWS
    whole = dataset.load()
    assert isinstance(whole, PackedBits)
    np.testing.assert_array_equal(whole.unpack(), VALUES)
    if dataset.n_blocks is None:
        with pytest.raises(TypeError, match="from start to end only"):
            dataset.source.read_block(1)
    else:
        for i in reversed(range(dataset.n_blocks)):
            first, bits = dataset.read_block(i)
            assert isinstance(bits, PackedBits)
            np.testing.assert_array_equal(bits.unpack(), VALUES[first : first + len(bits)])
        with pytest.raises(IndexError):
            dataset.read_block(dataset.n_blocks)


def test_packed_bits_are_not_copied() -> None:
    bits = PackedBits.pack(VALUES)
    whole = open_source(bits).load()
    assert isinstance(whole, PackedBits) and np.shares_memory(whole.words, bits.words)
    every_other = open_source(bits[::2]).load()
    assert isinstance(every_other, PackedBits) and every_other.words.flags.c_contiguous
    np.testing.assert_array_equal(every_other.unpack(), VALUES[::2])


@pytest.mark.parametrize("kind", ["uint8", "csr", "npy", "idx.gz", "csv", "csv.gz", "function"])
def test_samples_are_the_same_from_every_source(kind: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"label": None} if "csv" in kind else {}
    encoding: dict[str, Any] = {"binarize": "sample", "scale": 3, "seed": 9}
    found = open_source(SOURCES[kind](tmp_path), **encoding, **options).load()
    expected = open_source(VALUES, **encoding).load()
    assert isinstance(found, PackedBits) and isinstance(expected, PackedBits)
    np.testing.assert_array_equal(found.words, expected.words)
    assert 0.15 < expected.unpack().mean() < 0.18  # a third of one half


def test_an_iterator_gives_one_pass_and_then_names_the_remedy() -> None:
    dataset = open_source(parts())
    assert dataset.n_rows is None
    assert sum(len(bits) for _, bits in dataset.blocks()) == N_ROWS
    with pytest.raises(DataError, match="pass a function that returns a new iterator"):
        next(dataset.blocks())


def test_blocks_of_an_iterator_must_fit_together() -> None:
    with pytest.raises(DataError, match="block 1 has 3 columns, expected 2 as in block 0"):
        open_source(iter([np.zeros((4, 2)), np.zeros((4, 3))])).load()
    with pytest.raises(DataError, match=r"block 0: expected \(rows, n_visible\), got shape \(4,\)"):
        open_source(iter([np.zeros(4)]))
    with pytest.raises(DataError, match="expected at least one block"):
        open_source(iter([]))


def test_a_function_that_changes_its_mind_is_refused() -> None:
    sizes = iter([4, 4, 4, 4, 3])
    dataset = open_source(lambda: [np.zeros((next(sizes), 2))])
    next(dataset.blocks())
    with pytest.raises(DataError, match="rows in this pass"):
        for _ in range(3):
            list(dataset.blocks())


def test_float_data_in_memory_are_asked_to_the_end() -> None:
    values = VALUES.astype(np.float32)
    values[-1, -1] = 0.5
    assert open_source(values).kind == "real"


def test_a_late_real_value_in_a_stream_is_an_error_with_a_remedy() -> None:
    values = VALUES.astype(np.float32)
    values[-1, -1] = 0.5
    halves = [values[:5000], values[5000:]]
    with pytest.raises(DataError, match=r"row 9000, column 69 .*value 0.5 .*--scale 1"):
        open_source(halves).load()
    np.testing.assert_array_equal(open_source(halves, scale=1).load(), values)


def test_a_dataset_passes_through_and_takes_no_second_encoding() -> None:
    dataset = open_source(VALUES, binarize=0.5)
    assert open_source(dataset) is dataset
    with pytest.raises(ValueError, match="the Dataset given has its own"):
        open_source(dataset, scale=2)


def test_label_is_for_csv_only() -> None:
    with pytest.raises(ValueError, match="label: is for CSV files, and ndarray was given"):
        open_source(VALUES, label=None)
    with pytest.raises(ValueError, match="on_bad_row: is for CSV files"):
        open_source(VALUES, on_bad_row="skip")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(5), r"data: expected \(rows, n_visible\), got shape \(5,\)"),
        (np.zeros((0, 5)), "at least one row"),
        (np.zeros((5, 0)), "at least one row"),
        (np.zeros((2, 2), complex), "expected real numbers, got dtype complex128"),
        (np.array([["a", "b"]]), "expected real numbers, got dtype <U1"),
        (np.array([[None, 1]]), "expected real numbers, got dtype object"),
        ([[1, 0], [1]], "expected rows of one length"),
    ],
)
def test_arrays_that_hold_no_rows_are_refused(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_source(values)


@pytest.mark.parametrize("data", [None, 5, {"a": 1}, b"bytes", {1, 2}])
def test_other_objects_are_refused_by_type(data: Any) -> None:
    with pytest.raises(TypeError, match=f"data: expected .*, got {type(data).__name__}"):
        open_source(data)


def test_packed_bits_take_no_encoding() -> None:
    with pytest.raises(ValueError, match="packed bits already"):
        open_source(PackedBits.pack(VALUES), binarize=0.5)


def test_a_name_appears_in_errors() -> None:
    with pytest.raises(DataError, match="validation: row 0, column 0"):
        open_source(np.full((1, 1), 7.0), name="validation").load()


def test_missing_unknown_and_odd_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "none.npy")
    with pytest.raises(IsADirectoryError):
        open_source(tmp_path)
    (tmp_path / "x.bin").write_bytes(b"PK\3\4\0\0")
    with pytest.raises(DataError, match=r"x\.bin: expected an IDX, \.npy or CSV file"):
        open_source(tmp_path / "x.bin")
    (tmp_path / "x.npy.gz").write_bytes(gzip.compress(b"\x93NUMPY\1\0"))
    with pytest.raises(DataError, match="unzip it"):
        open_source(tmp_path / "x.npy.gz")


def test_a_dataset_describes_itself() -> None:
    described = open_source(VALUES, binarize=127, name="digits").describe()
    assert described == "digits: 9001 rows of 70, binarised at value > 127"
    assert isinstance(open_source(VALUES), Dataset)
    assert isinstance(next(open_source(VALUES).source.blocks()), Block)


def test_neither_torch_nor_scipy_is_imported_for_arrays() -> None:
    code = (
        "import sys, numpy as np; from rbmx.data import open_source;"
        "open_source(np.zeros((2, 2))).load();"
        "print(sorted({'torch', 'scipy', 'mrjob', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
