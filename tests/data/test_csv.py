from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rbmx.data import open_source, read_csv
from rbmx.data.csv import CsvSource
from rbmx.data.lines import MAX_LINE_BYTES
from rbmx.errors import DataError

FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)


def write(folder: Path, content: bytes, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def read_by_python(text: str) -> np.ndarray[Any, Any]:
    rows = list(csv.reader(io.StringIO(text)))
    return np.array([[np.float32(float(field)) for field in row] for row in rows], np.float32)


numbers = st.one_of(
    st.integers(0, 255).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-1e30, 1e30).map(repr),
    st.decimals(-1000, 1000, places=6).map(str),
    st.floats(-1e30, 1e30).map(lambda x: f"{x:.18e}"),
    st.sampled_from(["0", "1", "00", "007", "+5", "-0", ".5", "5.", "-.5", "1E3", "1e-400", " 2 "]),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, int]:
    n_columns = draw(st.integers(1, 9))
    field = draw(st.sampled_from([numbers, st.integers(0, 255).map(str)]))
    rows = draw(st.lists(st.lists(field, min_size=n_columns, max_size=n_columns), min_size=1))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    last = draw(st.sampled_from(["", end]))
    return end.join(",".join(row) for row in rows) + last, n_columns


@FILE
@given(table=tables())
def test_values_are_those_of_pythons_csv_module(tmp_path: Path, table: tuple[str, int]) -> None:
    text, n_columns = table
    expected = read_by_python(text)
    values, labels = read_csv(write(tmp_path, text.encode()), label=None)
    assert labels is None
    assert values.shape == (expected.shape[0], n_columns)
    np.testing.assert_array_equal(values, expected)  # exact: both round once to double, then float
    is_small = bool(((expected >= 0) & (expected <= 255) & (expected % 1 == 0)).all())
    if values.dtype == np.uint8:
        assert is_small
    # a double that only becomes an integer by rounding to float32 stays float32
    elif is_small:
        assert any(float(f) % 1 for row in csv.reader(io.StringIO(text)) for f in row)


@FILE
@given(text=st.text(alphabet='019.,-+e\n\r" nai\0', max_size=60))
def test_any_text_is_read_as_python_reads_it_or_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text.encode())
    try:
        values, _ = read_csv(path, label=None)
    except DataError as error:
        assert str(path) in str(error)
        return
    np.testing.assert_array_equal(values, read_by_python(text.replace("\0", "x")))


@FILE
@given(rows=st.lists(st.tuples(st.integers(-(2**52), 2**52), st.integers(0, 300)), min_size=1))
@pytest.mark.parametrize("label", ["first", "last"])
def test_labels_are_split_from_values(tmp_path: Path, label: Any, rows: list[tuple[int, int]]) -> None:
    lines = [f"{y},{x},0" if label == "first" else f"0,{x},{y}" for y, x in rows]
    values, labels = read_csv(write(tmp_path, "\n".join(lines).encode()), label=label)
    assert labels is not None and labels.dtype == np.int64
    assert labels.tolist() == [y for y, _ in rows]
    assert values[:, 0 if label == "first" else 1].tolist() == [x for _, x in rows]


def test_small_integers_are_uint8_and_the_rest_float32(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, b"0,255\n"), label=None)[0].dtype == np.uint8
    for text in (b"0,256\n", b"0,-1\n", b"0,0.5\n"):
        assert read_csv(write(tmp_path, text), label=None)[0].dtype == np.float32


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
@pytest.mark.parametrize("n_rows", [1, 4095, 4096, 4097, 8192, 9000])
def test_blocks_carry_global_row_numbers_and_all_rows(tmp_path: Path, name: str, n_rows: int) -> None:
    values = np.random.default_rng(0).integers(0, 400, (n_rows, 3))
    text = "".join(",".join(map(str, row)) + "\n" for row in values.tolist()).encode()
    source = CsvSource(write(tmp_path, text, name), label=None)
    for _ in range(2):
        first = 0
        for block in source.blocks():
            assert block.first_row == first
            assert isinstance(block.values, np.ndarray)
            np.testing.assert_array_equal(block.values, values[first : first + 4096])
            first += len(block.values)
        assert first == n_rows
    assert source.n_rows == n_rows


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_blocks_can_be_read_by_number_in_any_order(tmp_path: Path, end: bytes, bom: bytes, last: bool) -> None:
    values = np.random.default_rng(0).integers(0, 400, (9001, 3))
    lines = [",".join(map(str, row)).encode() for row in values.tolist()]
    source = CsvSource(write(tmp_path, bom + end.join(lines) + (end if last else b"")), label="last")
    assert (source.n_rows, source.n_blocks) == (9001, 3)
    for i in (2, 0, 1, 2):
        block = source.read_block(i)
        assert block.first_row == 4096 * i
        np.testing.assert_array_equal(block.values, values[4096 * i : 4096 * (i + 1), :2])
    with pytest.raises(IndexError, match="block 3 of 3"):
        source.read_block(3)


def test_lines_longer_than_the_read_buffer_are_read(tmp_path: Path) -> None:
    n_columns = 700_000
    text = b",".join([b"10"] * n_columns) + b"\n"
    source = CsvSource(write(tmp_path, text * 3), label=None)
    assert (source.n_visible, source.n_rows, source.block_rows) == (n_columns, 3, 5)
    values, _ = read_csv(write(tmp_path, text * 3), label=None)
    assert values.shape == (3, n_columns) and bool((values == 10).all())


BAD = [
    (b"1,2,3\n1,2\n", "line 2, column 2: 2 fields, expected 3 as in line 1: '1,2'"),
    (b"1,2,3\n1,2,3,4\n", "line 2, column 3: 4 fields, expected 3 as in line 1: '1,2,3,4'"),
    (b"1,2,3\n1,2,3,\n", "line 2, column 3: 4 fields, expected 3"),
    (b"1,2\n1,12a\n", "line 2, column 2: '12a' is not a number"),
    (b"1,2\n1,0x10\n", "line 2, column 2: '0x10' is not a number"),
    (b"1,2\n1;2\n", "line 2, column 1: '1;2' is not a number"),
    (b"1,2\n1,1_0\n", "line 2, column 2: '1_0' is not a number"),
    (b"1,2\n1,1e\n", "line 2, column 2: '1e' is not a number"),
    (b"1,2\n1,.\n", "line 2, column 2: '.' is not a number"),
    (b"1,2\n1,-\n", "line 2, column 2: '-' is not a number"),
    (b"1,2\n1,1\r2\n", "line 2, column 2: '1\\r2' is not a number"),
    (b"1,2\n1,\xff\n", "line 2, column 2: '\\\\xff' is not a number"),
    (b"label,pixel\n1,2\n", "line 1, column 1: 'label' is not a number; is line 1 a header?"),
    (b"1,2\n,2\n", "line 2, column 1: the field is empty"),
    (b"1,2\n1,\n", "line 2, column 2: the field is empty"),
    (b"1,2\n1, \n", "line 2, column 2: the field is empty"),
    (b"1,2\n\n1,2\n", "line 2, column 1: the line is empty"),
    (b"1,2\r\n\r\n", "line 2, column 1: the line is empty"),
    (b'1,2\n1,"2"\n', "line 2, column 2: '\"2\"' is quoted"),
    (b"1,2\n1,\x002\n", "line 2, column 2: '\\x002' holds a NUL byte"),
    (b"1,2\n1,1e400\n", "line 2, column 2: '1e400' is not a finite float32 number"),
    (b"1,2\n1,-1e39\n", "line 2, column 2: '-1e39' is not a finite float32 number"),
    (b"1,2\n1,nan\n", "line 2, column 2: 'nan' is not a finite"),
    (b"1,2\n-Inf,2\n", "line 2, column 1: '-Inf' is not a finite"),
    (b"1,2\ninfinity,2\n", "line 2, column 1: 'infinity' is not a finite"),
    (b"\xff\xfe1\x00", "line 1: UTF-16 text"),
    (b"", "no rows: the file is empty"),
    (b"\xef\xbb\xbf", "no rows: the file is empty"),
]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
@pytest.mark.parametrize(("content", "message"), BAD)
def test_a_fault_names_file_line_column_and_text(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(DataError) as caught:
        read_csv(path, label=None)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("text", ["x", "1.5", "nan", "", "1e16", "9007199254740993"])
def test_labels_must_be_integers(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="line 2, column 3"):
        read_csv(write(tmp_path, f"1,2,3\n1,2,{text}\n".encode()), label="last")


def test_labels_may_be_written_as_whole_decimals(tmp_path: Path) -> None:
    _, labels = read_csv(write(tmp_path, b"7.0,1\n-3.000e0,1\n"), label="first")
    assert labels is not None and labels.tolist() == [7, -3]


def test_the_line_of_a_fault_deep_in_the_file_is_right(tmp_path: Path) -> None:
    lines = [b"1,2"] * 20000
    lines[17000] = b"1,x"
    path = write(tmp_path, b"\n".join(lines))
    with pytest.raises(DataError, match="line 17001, column 2: 'x' is not a number"):
        read_csv(path, label=None)
    source = CsvSource(path, label=None)
    assert source.n_rows == 20000
    with pytest.raises(DataError, match="line 17001, column 2"):
        source.read_block(4)
    np.testing.assert_array_equal(source.read_block(3).values, np.tile([1, 2], (4096, 1)))


def test_a_huge_line_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with path.open("wb") as stream:
        stream.write(b"1,2\n")
        stream.truncate(2 * MAX_LINE_BYTES)  # a hole: NUL bytes without a newline
    with pytest.raises(DataError, match=r"line 2: longer than .* bytes"):
        read_csv(path, label=None)


def test_a_bad_row_is_skipped_counted_and_reported(tmp_path: Path) -> None:
    lines = [b"%d,1" % (i % 200) for i in range(10000)]
    for i in (0, 5000, 5001, 9999):
        lines[i] = b"x,1"
    path = write(tmp_path, b"\n".join(lines))
    good = [i % 200 for i in range(10000) if lines[i] != b"x,1"]
    with pytest.warns(UserWarning, match=r"skipped 4 of 10000 rows; the first is line 1, column 1"):
        values, _ = read_csv(path, label=None, on_bad_row="skip")
    assert values[:, 0].tolist() == good
    source = CsvSource(path, label=None, on_bad_row="skip")
    with pytest.warns(UserWarning, match="skipped 4"):
        assert (source.n_rows, source.n_blocks) == (9996, 3)
    assert source.n_skipped == 4
    by_number = np.concatenate([np.asarray(source.read_block(i).values) for i in range(3)])
    in_order = np.concatenate([np.asarray(block.values) for block in source.blocks()])
    assert by_number[:, 0].tolist() == in_order[:, 0].tolist() == good


def test_a_file_with_no_good_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no good row in 2 lines"):
        read_csv(write(tmp_path, b"x,1\ny,1\n"), label=None, on_bad_row="skip")


@pytest.mark.parametrize("keep", [5, 40, -12, -1])
def test_truncated_gzip_is_refused_by_name(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path, b"1,2\n" * 10000, "x.csv.gz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"x\.csv\.gz: the gzip data end too early"):
        read_csv(path, label=None)


def test_damaged_gzip_is_refused_by_name(tmp_path: Path) -> None:
    text = "".join(f"{i % 251},{i % 17}\n" for i in range(10000)).encode()
    path = write(tmp_path, text, "x.csv.gz")
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # in the CRC
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.csv\.gz: damaged gzip data"):
        read_csv(path, label=None)


def test_a_file_that_shrinks_after_it_was_indexed_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, b"1,2\n" * 9000)
    source = CsvSource(path, label=None)
    assert source.n_blocks == 3
    path.write_bytes(b"1,2\n" * 8500)
    with pytest.raises(DataError, match="was changed while it was read"):
        source.read_block(2)


def test_label_is_asked_for_and_checked(tmp_path: Path) -> None:
    path = write(tmp_path, b"1,2\n")
    with pytest.raises(ValueError, match=r'label: expected "first", "last" or None for CSV file .*x'):
        open_source(path)
    with pytest.raises(ValueError, match="got 'middle'"):
        open_source(path, label="middle")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_bad_row"):
        CsvSource(path, label=None, on_bad_row="ignore")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="only a label, no values"):
        read_csv(write(tmp_path, b"1\n"), label="first")
    with pytest.raises(FileNotFoundError):
        read_csv(tmp_path / "none.csv", label=None)


def test_an_out_of_range_value_is_named_by_line_and_field(tmp_path: Path) -> None:
    path = write(tmp_path, b"3,0,1\n3,1,7\n")
    data = open_source(path, label="first", scale=6)
    with pytest.raises(DataError, match=r"line 2, column 3: value 7 lies outside \[0, 6\]"):
        data.load()


def test_streaming_keeps_a_few_blocks_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path, (b",".join([b"7"] * 784) + b"\n") * 30000)
    source = CsvSource(path, label=None)
    tracemalloc.start()
    rows = sum(len(block.values) for block in source.blocks())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 30000
    assert peak < 16e6  # the file is 47 MB, a block 3.2 MB, the read buffer 1 MB
