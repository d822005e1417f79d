"""Virtual shards: the rows of a data set in lines, back in order, with their encoding; damaged ones are refused."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.bits import PackedBits
from rbmx.data import Encoding, open_source
from rbmx.data.shards import (
    SHARD_TAG,
    Shard,
    ShardHeader,
    ShardSource,
    looks_like_shards,
    read_shard,
    read_shard_header,
    shard_bounds,
    shard_paths,
    write_shard,
)
from rbmx.envelope import unseal
from rbmx.errors import DataError
from rbmx.jobs import write_shards

UNITS = 70


def header(values: Any, **changes: Any) -> ShardHeader:
    rows = len(values)
    bits = isinstance(values, PackedBits)
    facts = {
        "shard": 1,
        "of": 3,
        "first_row": 5,
        "rows": rows,
        "total_rows": rows + 9,
        "n_visible": values.n_units if bits else values.shape[1],
        "dtype": "bits" if bits else values.dtype.name,
        "encoding": Encoding(),
    }
    return ShardHeader(**{**facts, **changes})


def raw(values: Any) -> np.ndarray[Any, Any]:
    return values.words if isinstance(values, PackedBits) else values


def all_rows(source: Any) -> np.ndarray[Any, Any]:
    return np.concatenate([raw(block.values) for block in source.blocks()])


@pytest.fixture
def rows() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (23, UNITS), np.uint8)


def sealed(values: dict[str, Any] | bytes, payload: bytes = b"") -> bytes:
    """A shard line whose CRC fits, whatever its header says."""
    text = (
        values
        if isinstance(values, bytes)
        else json.dumps(values, separators=(",", ":")).replace(" ", r"\u0020").encode()
    )
    body = text + b" " + base64.b64encode(payload)
    return b"%s %d %08x %s" % (SHARD_TAG.encode(), len(body), zlib.crc32(body), body)


@given(
    st.sampled_from(["bits", "uint8", "float32"]),
    st.integers(1, 6),
    st.sampled_from([1, 3, 63, 64, 65, 130]),
    st.integers(0, 9),
)
def test_a_line_gives_back_its_rows(dtype: str, n_rows: int, units: int, seed: int):
    rng = np.random.default_rng(seed)
    values: Any = rng.integers(0, 256, (n_rows, units), np.uint8)
    if dtype == "bits":
        values = PackedBits.pack(values > 100)
    elif dtype == "float32":
        values = rng.normal(size=(n_rows, units)).astype(np.float32)
    shard = Shard(header(values), values)
    line = write_shard(shard)
    assert looks_like_shards(line[:64]) and b"\n" not in line and b"\t" not in line
    back = read_shard(line)
    assert back.header == shard.header == read_shard_header(line[:4096], "start")
    assert raw(back.values).dtype == raw(values).dtype and raw(back.values).tobytes() == raw(values).tobytes()
    assert back.block.first_row == 5 and back.name == "shard 1 of 3"


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 22, 23])
@pytest.mark.parametrize("kind", ["bits", "uint8", "float32"])
def test_a_folder_is_a_source_of_the_same_rows_in_order(rows: Any, tmp_path: Path, kind: str, shards: int):
    data = {"bits": rows > 100, "uint8": rows, "float32": (rows / 256).astype(np.float32)}[kind]
    options = {"scale": 255.0} if kind == "uint8" else {}
    whole = open_source(data, **options)
    paths = write_shards(whole, shards, tmp_path / "shards")
    assert [path.name for path in paths] == [f"shard-{i:05d}-of-{shards:05d}" for i in range(shards)]
    sizes = [read_shard(path.read_bytes()).header.rows for path in paths]
    assert sum(sizes) == 23 and max(sizes) - min(sizes) <= 1
    source = open_source(tmp_path / "shards")
    assert (source.n_rows, source.n_blocks, source.n_visible) == (23, shards, UNITS)
    assert source.kind == whole.kind and source.encoding == whole.encoding
    assert raw(source.load()).tobytes() == raw(whole.load()).tobytes()
    assert [source.read_block(i)[0] for i in range(shards)] == shard_bounds(23, shards)[:-1]


def test_a_file_of_many_lines_is_read_as_a_folder_is(tmp_path: Path):
    """Lines of any length: a header that lies across two reads of the file is found all the same."""
    for units in (9, 65, 300, 1000):
        rows = np.random.default_rng(units).integers(0, 2, (150, units), np.uint8).astype(np.float32)
        folder = tmp_path / str(units)
        paths = write_shards(open_source(rows, scale=1.0), 75, folder)
        one = tmp_path / f"{units}.shards"
        one.write_bytes(b"".join(path.read_bytes() for path in reversed(paths)))
        assert all_rows(ShardSource([one], name="one")).tobytes() == rows.tobytes()


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": 255.0}, {"binarize": 127.0}, {"binarize": "sample", "scale": 255.0, "seed": 7}],
    ids=lambda options: ",".join(options) or "as they are",
)
def test_the_encoding_is_remembered_and_gives_the_same_bits(rows: Any, tmp_path: Path, options: dict[str, Any]):
    data = rows if options else (rows > 127)
    whole = open_source(data, **options)
    write_shards(whole, 4, tmp_path / "shards")
    source = open_source(tmp_path / "shards")
    assert source.encoding == whole.encoding and source.kind == whole.kind
    assert raw(source.load()).tobytes() == raw(whole.load()).tobytes()
    again = open_source(tmp_path / "shards", **options)
    assert again.encoding == whole.encoding


def test_another_encoding_than_the_remembered_one_is_refused(rows: Any, tmp_path: Path):
    write_shards(open_source(rows, binarize=127.0), 4, tmp_path / "shards")
    with pytest.raises(ValueError, match="binarised at value > 127"):
        open_source(tmp_path / "shards", binarize=60.0)


def test_rows_out_of_the_encodings_range_are_refused_before_they_are_written(rows: Any, tmp_path: Path):
    with pytest.raises(DataError, match="lies outside"):
        write_shards(open_source(rows, scale=2.0), 4, tmp_path / "shards")


def test_more_shards_than_rows_are_refused(rows: Any, tmp_path: Path):
    with pytest.raises(ValueError, match="shards: expected 1 to 23, the number of rows, got 24"):
        write_shards(open_source(rows, scale=255.0), 24, tmp_path / "shards")


def test_a_folder_that_holds_something_is_refused_and_left_alone(rows: Any, tmp_path: Path):
    (tmp_path / "note").write_text("mine")
    with pytest.raises(FileExistsError, match="a new or an empty folder"):
        write_shards(open_source(rows, scale=255.0), 2, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_shuffled_shards_hold_each_row_once_in_an_order_of_the_seed(rows: Any, tmp_path: Path):
    dataset = open_source(rows, scale=255.0)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_shards(dataset, 3, tmp_path / name, shuffle=seed)
    a, b, c = (all_rows(open_source(tmp_path / name).source) for name in "abc")
    assert a.tobytes() == b.tobytes() != c.tobytes()
    assert sorted(map(bytes, a)) == sorted(map(bytes, c)) == sorted(map(bytes, rows))


def damage(line: bytes, **changes: Any) -> bytes:
    """The line with fields of its header changed, under a CRC that fits."""
    values, payload = unseal(SHARD_TAG, line, "line")
    return sealed({name: value for name, value in {**values, **changes}.items() if value is not ...}, payload)


def bits_line() -> bytes:
    values = PackedBits.pack(np.random.default_rng(1).random((8, UNITS)) < 0.5)
    return write_shard(Shard(header(values), values))


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 1 << 61, "total_rows": (1 << 62) - 1},
        {"rows": 10**30},
        {"rows": 0},
        {"rows": -8},
        {"rows": 8.0},
        {"rows": "8"},
        {"rows": True},
        {"rows": 7},
        {"n_visible": 1 << 24},
        {"n_visible": 1 << 60},
        {"n_visible": 0},
        {"n_visible": 71 + 64},
        {"shard": 3},
        {"shard": -1},
        {"of": 0},
        {"first_row": 10},
        {"total_rows": 12},
        {"dtype": "float64"},
        {"dtype": "uint8"},
        {"dtype": ["bits"]},
        {"encoding": "{}x"},
        {"encoding": '{"binarize": []}'},
        {"encoding": 5},
        {"encoding": ...},
        {"of": ...},
        {"more": 1},
    ],
    ids=str,
)
def test_a_header_that_cannot_be_is_refused_without_memory_or_time(changes: dict[str, Any]):
    line = damage(bits_line(), **changes)
    started = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(DataError, match=r"^part: damaged "):
        read_shard(line, "part")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 25 and time.perf_counter() - started < 1


def test_a_header_that_is_no_object_is_refused():
    for text in (b"[]", b"5", b"nonsense"):
        with pytest.raises(DataError, match="damaged line"):
            read_shard(sealed(text))


def test_bits_behind_the_last_unit_are_refused():
    values, payload = unseal(SHARD_TAG, bits_line(), "line")
    with pytest.raises(DataError, match="expected zeros behind the 70 units of a row"):
        read_shard(sealed(values, payload[:-1] + b"\x80"))


@pytest.fixture
def folder(rows: Any, tmp_path: Path) -> Path:
    write_shards(open_source(rows, scale=255.0), 4, tmp_path / "shards")
    return tmp_path / "shards"


def test_a_missing_shard_is_named(folder: Path):
    (folder / "shard-00002-of-00004").unlink()
    with pytest.raises(DataError, match=r"expected shards 0 to 3, each once, got \[0, 1, 3\]"):
        open_source(folder)


def test_a_shard_given_twice_is_named(folder: Path):
    (folder / "shard-00002-of-00004.copy").write_bytes((folder / "shard-00002-of-00004").read_bytes())
    with pytest.raises(DataError, match=r"each once, got \[0, 1, 2, 2, 3\]"):
        open_source(folder)


@pytest.mark.parametrize("change", ["rows", "width", "count", "encoding", "kind"])
def test_shards_of_two_data_sets_are_refused(rows: Any, folder: Path, change: str):
    other: Any = {"rows": rows[:20], "width": rows[:, 1:], "kind": rows > 9}.get(change, rows)
    options: dict[str, Any] = {} if change == "kind" else {"scale": 254.5 if change == "encoding" else 255.0}
    if change == "encoding":
        other = np.minimum(rows, 254)
    foreign = folder.parent / "foreign"
    paths = write_shards(open_source(other, **options), 5 if change == "count" else 4, foreign)
    paths[2].replace(folder / "shard-00002-of-00004")
    with pytest.raises(DataError, match="shards of different data sets"):
        open_source(folder)


def test_shards_cut_at_other_rows_are_refused(folder: Path):
    path = folder / "shard-00002-of-00004"
    path.write_bytes(damage(path.read_bytes(), first_row=12) + b"\n")
    with pytest.raises(DataError, match="shard 2 starts at row 12, expected 11"):
        open_source(folder)


def test_a_count_of_shards_that_cannot_be_is_refused_without_memory_or_time(folder: Path):
    for path in folder.iterdir():
        path.write_bytes(damage(path.read_bytes(), of=1 << 61) + b"\n")
    started = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(DataError, match=r"expected shards 0 to 2305843009213693951, each once, got \[0, 1, 2, 3\]"):
        open_source(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 25 and time.perf_counter() - started < 1


def test_a_shard_damaged_in_its_rows_is_found_when_it_is_read_and_named(folder: Path):
    path = folder / "shard-00001-of-00004"
    line = bytearray(path.read_bytes())
    line[-20] ^= 4
    path.write_bytes(line)
    source = open_source(folder)
    with pytest.raises(DataError, match="shard-00001-of-00004: damaged line: its CRC does not fit its bytes"):
        source.load()


def test_a_shard_cut_short_is_found(folder: Path):
    path = folder / "shard-00003-of-00004"
    line = path.read_bytes()
    for size in (len(line) // 2, 40, 10, 0):
        path.write_bytes(line[:size])
        with pytest.raises(DataError, match=r"shard-00003-of-00004: damaged line|each once, got \[0, 1, 2\]"):
            open_source(folder).load()


def test_an_empty_folder_and_a_folder_of_other_files_are_refused(tmp_path: Path):
    (tmp_path / "part-00000").write_text("1,2,3\n")
    with pytest.raises(IsADirectoryError):
        open_source(tmp_path)
    with pytest.raises(DataError, match="no shards: expected files named shard-NNNNN-of-NNNNN"):
        ShardSource(shard_paths(tmp_path), name="nothing")


def test_a_glob_and_a_file_are_places_too(folder: Path):
    assert len(shard_paths(folder / "shard-*-of-00004")) == 4
    assert shard_paths(folder / "shard-00001-of-00004") == [folder / "shard-00001-of-00004"]
    assert shard_paths(folder / "nothing-*") == []
    one = ShardSource(shard_paths(folder / "shard-00001-of-00004"), name="one", whole=False)
    assert (one.n_rows, one.header.shard) == (6, 1)


@given(st.sampled_from(["bits", "uint8", "float32"]), st.integers(1, 6), st.sampled_from([1, 63, 64, 65]))
def test_labels_travel_behind_the_values(dtype: str, n_rows: int, units: int):
    rng = np.random.default_rng(n_rows)
    values: Any = rng.integers(0, 256, (n_rows, units), np.uint8)
    if dtype == "bits":
        values = PackedBits.pack(values > 100)
    elif dtype == "float32":
        values = values.astype(np.float32)
    labels = rng.integers(-(2**62), 2**62, n_rows)
    line = write_shard(Shard(header(values, labels=True), values, labels))
    back = read_shard(line)
    assert back.labels is not None and np.array_equal(back.labels, labels) and back.labels.dtype == np.int64
    assert raw(back.values).tobytes() == raw(values).tobytes()
    assert back.block.labels is back.labels


def test_a_line_without_labels_is_what_it_was_before_there_were_any(rows: Any):
    """Its header does not name them, and a header that does not is read."""
    line = write_shard(Shard(header(rows), rows))
    assert b"labels" not in line
    assert read_shard(line).labels is None and read_shard(line).header.labels is False


def test_labels_of_csv_and_of_arrays_are_cut_with_their_rows(rows: Any, tmp_path: Path):
    labels = np.arange(23) % 5
    table = tmp_path / "rows.csv"
    np.savetxt(table, np.column_stack([rows, labels]), fmt="%d", delimiter=",")
    for name, dataset in {
        "csv": open_source(table, label="last", scale=255.0),
        "bits of csv": open_source(table, label="last", binarize=100.0),
        "array": open_source(rows, scale=255.0).with_labels(labels),
    }.items():
        write_shards(dataset, 3, tmp_path / name, labels=True)
        back = open_source(tmp_path / name).load_labelled()
        assert np.array_equal(back.labels, labels), name
        write_shards(dataset, 3, tmp_path / f"{name}, shuffled", labels=True, shuffle=1)
        mixed = open_source(tmp_path / f"{name}, shuffled").load_labelled()
        order = [int(np.flatnonzero((raw(back.values) == row).all(axis=1))[0]) for row in raw(mixed.values)]
        assert order != list(range(23)) and np.array_equal(mixed.labels, labels[order]), name


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(22), "data: labels: expected one for each of 23 rows, got 22"),
        (np.arange(23) / 2, "data: labels: expected one integer a row, got float64"),
        (None, "data: labels are needed and the rows have none"),
    ],
)
def test_labels_that_do_not_fit_are_refused(rows: Any, tmp_path: Path, labels: Any, message: str):
    dataset = open_source(rows, scale=255.0)
    with pytest.raises(DataError, match=message):
        dataset = dataset if labels is None else dataset.with_labels(labels)
        write_shards(dataset, 3, tmp_path / "shards", labels=True)


@given(st.integers(1, 5000), st.integers(1, 12), st.sampled_from([1, 7, 1000]))
def test_bounds_stand_at_blocks_and_shares_differ_by_one_block(rows: int, shards: int, block: int):
    blocks = -(-rows // block)
    if shards > blocks:
        with pytest.raises(ValueError, match=f"shards: expected 1 to {blocks}"):
            shard_bounds(rows, shards, block)
        return
    bounds = shard_bounds(rows, shards, block)
    assert bounds[0] == 0 and bounds[-1] == rows and len(bounds) == shards + 1
    assert all(bound % block == 0 for bound in bounds[:-1])
    sizes = np.diff(bounds)
    assert sizes.min() > 0
    whole = [-(-size // block) for size in sizes]
    assert max(whole) - min(whole) <= 1


def test_an_empty_shard_is_named():
    line = damage(bits_line(), rows=0)
    with pytest.raises(DataError, match=r"part: damaged shard header: shard \d of \d is empty"):
        read_shard(line, "part")
