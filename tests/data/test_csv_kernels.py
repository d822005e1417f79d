"""The CSV kernels of every instruction set and team against the portable parser on one thread."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rbmx.backends.native import build_info, get_num_threads, parse_csv, parse_csv_bits, set_isa, set_num_threads
from rbmx.bits import PackedBits

Label = Literal["first", "last"] | None
Out = Literal["uint8", "float32", "bits"]
LABELS: tuple[Label, ...] = (None, "first", "last")
OUTS: tuple[Out, ...] = ("uint8", "float32", "bits")
PLACES = ("rows", "end", "fault", "column", "field", "field_end", "next_line")


@pytest.fixture(autouse=True)
def _settings_come_back() -> Iterator[None]:
    isa, threads = build_info()["instruction_set"], get_num_threads()
    yield
    set_isa(isa)
    set_num_threads(threads)


def use(isa: str, threads: int = 1) -> None:
    set_isa(isa)
    set_num_threads(threads)


def instruction_sets() -> list[str]:
    return list(build_info()["instruction_sets"])  # type: ignore[call-overload]


def parse(
    text: Any,
    n_values: int,
    label: Label,
    out: Out,
    *,
    max_rows: int,
    threshold: float = 127.0,
    bytes_per_thread: int = 1 << 12,
) -> tuple[dict[str, Any], NDArray[Any], NDArray[np.int64]]:
    """What the parser reports, and the rows it took; what lies behind them is no part of the result."""
    labels = np.full(max_rows, -1, np.int64)
    given_labels = None if label is None else labels
    if out == "bits":
        values: NDArray[Any] = np.full((max_rows, -(-n_values // 64)), 2**64 - 1, np.uint64)
        found = parse_csv_bits(
            text, label, threshold, n_values, values, given_labels, bytes_per_thread=bytes_per_thread
        )
    else:
        values = np.full((max_rows, n_values), 77, out)
        found = parse_csv(text, label, values, given_labels, bytes_per_thread=bytes_per_thread)
    rows = found[0]
    return dict(zip(PLACES, found, strict=True)), values[:rows], labels[:rows]


def assert_same(ours: Any, expected: Any, note: str) -> None:
    assert ours[0] == expected[0], note
    for a, b in zip(ours[1:], expected[1:], strict=True):
        assert a.tobytes() == b.tobytes(), note


def check_all(text: bytes, n_values: int, label: Label, *, max_rows: int, threshold: float = 127.0) -> None:
    for out in OUTS:
        use("baseline")
        expected = parse(text, n_values, label, out, max_rows=max_rows, threshold=threshold)
        for isa in instruction_sets():
            use(isa)
            ours = parse(text, n_values, label, out, max_rows=max_rows, threshold=threshold)
            assert_same(ours, expected, f"{isa}, {out}, {label}: {text!r}")


small = st.one_of(st.just(0), st.integers(0, 9), st.integers(0, 255)).map(str)
odd = st.one_of(
    st.integers(256, 1000).map(str),
    st.sampled_from(
        ["", " 1", "1 ", "+1", "-1", "1.0", "0.5", "1e2", "0000", "007", "00", "300", "\x001", "1\r", '"1"']
    ),
    st.sampled_from(["a", "/", ":", ".", "\xff", "\x1c", "\x0a", "\n\n", "-0", "1e400", "nan"]),
)


@st.composite
def texts(draw: st.DrawFn) -> tuple[bytes, int, Label]:
    """Lines of small integers, a few of them spoiled: a field, a byte, the number of fields, an end."""
    n_values = draw(st.one_of(st.integers(1, 8), st.integers(28, 36), st.integers(60, 140)))
    label = draw(st.sampled_from(LABELS))
    n_fields = n_values + (label is not None)
    field = draw(st.sampled_from([small, st.just("0"), st.integers(100, 255).map(str)]))
    rows = draw(st.lists(st.lists(field, min_size=n_fields, max_size=n_fields), min_size=1, max_size=6))
    for _ in range(draw(st.integers(0, 2))):
        row = draw(st.sampled_from(rows))
        row[draw(st.integers(0, len(row) - 1))] = draw(odd)
    if draw(st.booleans()) and len(rows) > 1:
        row = draw(st.sampled_from(rows))
        row[:] = row[:-1] or row * 2 if draw(st.booleans()) else [*row, draw(small)]
    ends = draw(st.lists(st.sampled_from(["\n"] * 9 + ["\r\n"]), min_size=len(rows), max_size=len(rows)))
    text = bytearray("".join(",".join(row) + end for row, end in zip(rows, ends, strict=True)).encode("latin-1"))
    if draw(st.integers(0, 3)) == 0:
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text) + (b"" if text.endswith(b"\n") else b"\n"), n_values, label


@settings(max_examples=400)
@given(
    drawn=texts(), max_rows=st.integers(1, 7), threshold=st.sampled_from([-1, -0.5, 0, 0.5, 1, 127, 254.5, 255, 1e9])
)
@example(drawn=(b"0," * 32 + b"0\n", 33, None), max_rows=1, threshold=0)
@example(drawn=(b"0," * 32 + b"\n", 33, None), max_rows=1, threshold=0)
@example(drawn=(b"0," * 64 + b"0\n", 33, None), max_rows=1, threshold=0)
@example(drawn=(b"1,2,25\n\n1,2,3\n", 3, None), max_rows=3, threshold=0)  # two ends in one pair of bytes
@example(drawn=(b"1,2,255\n,2,3\n", 3, None), max_rows=3, threshold=0)
@example(drawn=(b"255,255,255\n" * 9, 3, None), max_rows=9, threshold=254)
@example(drawn=(b"256,255,255\n" * 9, 2, "first"), max_rows=9, threshold=254)
@example(drawn=(b"255,255,999\n" * 9, 2, "last"), max_rows=9, threshold=254)
def test_every_kernel_reports_and_writes_what_the_portable_parser_does(
    drawn: tuple[bytes, int, Label], max_rows: int, threshold: float
) -> None:
    """Seen to fail with a hundreds digit kept behind a separator, and without the check for empty fields."""
    check_all(*drawn, max_rows=max_rows, threshold=threshold)


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("n_bytes", [2, 30, 31, 32, 33, 34, 62, 63, 64, 65, 66, 95, 96, 97, 127, 128, 129])
def test_lines_of_every_length_around_the_blocks(n_bytes: int, label: Label) -> None:
    for width in (1, 2, 3):
        fields = ["917"[:width]] * (n_bytes // (width + 1) + 2)
        line = ",".join("1" if width == 3 else field for field in fields)[: n_bytes - 1].rstrip(",")
        line += "5" * (n_bytes - 1 - len(line))
        n_values = line.count(",") + 1 - (label is not None)
        if n_values > 0:
            check_all((line + "\n").encode() * 3, n_values, label, max_rows=4)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("label", LABELS)
def test_images_are_read_and_binarised_exactly(isa: str, label: Label) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 785), dtype=np.uint8) * (rng.random((40, 785)) < 0.3)
    classes = rng.integers(0, 1000 if label == "first" else 256, 40)
    lines = []
    for row, y in zip(pixels.tolist(), classes.tolist(), strict=True):
        lines.append(",".join(map(str, [y, *row] if label == "first" else [*row, y] if label == "last" else row)))
    text = ("\n".join(lines) + "\n").encode()
    use(isa)
    for out in OUTS:
        for threshold in (0, 99.5, 255):
            report, values, labels = parse(text, 785, label, out, max_rows=50, threshold=threshold)
            assert (report["rows"], report["end"], report["fault"]) == (40, len(text), "")
            np.testing.assert_array_equal(
                values, PackedBits.pack(pixels > threshold).words if out == "bits" else pixels
            )
            assert label is None or labels.tolist() == classes.tolist()


class Guarded:
    """Text that ends where readable memory ends, and begins where it begins if it fills its pages."""

    def __init__(self, text: bytes) -> None:
        page = mmap.PAGESIZE
        size = -(-len(text) // page) * page
        self.memory = mmap.mmap(-1, size + 2 * page)
        at = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        libc = ctypes.CDLL(None, use_errno=True)
        for guard in (at, at + page + size):
            assert libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0) == 0
        start = page + size - len(text)
        self.memory[start : page + size] = text
        self.text = memoryview(self.memory)[start : page + size]


def test_the_guard_is_there(run_python: Callable[..., str]) -> None:
    script = "import sys; sys.path.insert(0, {!r}); import test_csv_kernels as t; g = t.Guarded(b'1\\n')"
    from pathlib import Path

    script = script.format(str(Path(__file__).parent)) + "; print(g.memory[4096 * 2])"
    with pytest.raises(AssertionError):
        run_python(script)


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("n_bytes", [2, 4, 31, 32, 33, 63, 64, 65, 66, 128, 130, 4094, 4095, 4096, 4097])
def test_nothing_outside_the_text_is_read(isa: str, n_bytes: int) -> None:
    use(isa)
    for field in (b"0,", b"12,"):
        line = (field * n_bytes)[: n_bytes - 1].rstrip(b",")
        text = line + b"7" * (n_bytes - 1 - len(line)) + b"\n"
        n_values = text.count(b",") + 1
        for out in OUTS:
            report, _, _ = parse(Guarded(text).text, n_values, None, out, max_rows=2)
            assert (report["rows"], report["end"]) == (1, n_bytes)


@settings(max_examples=20, phases=[Phase.generate])  # the texts are large: nothing is shrunk
@given(data=st.data())
def test_a_team_reports_and_writes_what_one_thread_does(data: st.DataObject) -> None:
    """Lines of any length, faults anywhere: parts may be empty, and those behind a fault are forgotten."""
    n_values = data.draw(st.sampled_from([1, 3, 200, 3000]))
    label = data.draw(st.sampled_from(LABELS))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    n_rows = 300_000 // (3 * n_values)
    table = rng.integers(0, 256, (n_rows, n_values + (label is not None))) * (rng.random((n_rows, 1)) < 0.5)
    lines = [",".join(map(str, row)).encode() for row in table.tolist()]
    for _ in range(data.draw(st.integers(0, 2))):
        lines[data.draw(st.integers(0, n_rows - 1))] = data.draw(st.sampled_from([b"x", b"", b"1,2,3,4", b"1\0"]))
    text = b"\n".join(lines) + b"\n"
    max_rows = data.draw(st.sampled_from([n_rows, n_rows + 5, n_rows // 2, 1]))
    for out in OUTS:
        use("baseline")
        expected = parse(text, n_values, label, out, max_rows=max_rows)
        for isa in instruction_sets():
            for threads in (2, 3, 8):
                use(isa, threads)
                assert_same(
                    parse(text, n_values, label, out, max_rows=max_rows), expected, f"{isa}, {threads} threads, {out}"
                )


def test_bits_of_other_numbers_compare_as_float32() -> None:
    words = np.zeros((4, 1), np.uint64)
    text = b"0.1,-3,256\n0.10000001,1e30,0\n1.0,.5,-0\n0.2,0.2,0.2\n"
    assert parse_csv_bits(text, None, 0.1, 3, words, None)[0] == 4
    assert words[:, 0].tolist() == [0b100, 0b010 + (np.float32("0.10000001") > np.float32(0.1)), 0b011, 0b111]


@pytest.mark.parametrize("threshold", [np.nextafter(7.0, 0), np.nextafter(7.0, 8), -1e-60, 7.0, np.nextafter(256.0, 0)])
@pytest.mark.parametrize("isa", instruction_sets())
def test_bits_do_not_depend_on_how_the_integers_beside_them_are_read(isa: str, threshold: float) -> None:
    """A threshold next to an integer becomes that integer as a float32; a value of 7 is still above or not."""
    use(isa)
    small = [0, 6, 7, 8, 255]
    for other in ("", "0.5", "300"):
        text = (",".join(map(str, small)) + "\n" + ",".join([*map(str, small[:4]), other or "255"]) + "\n").encode()
        words = np.zeros((2, 1), np.uint64)
        assert parse_csv_bits(text, None, threshold, 5, words, None)[0] == 2
        expected = sum((value > threshold) << i for i, value in enumerate(small))
        assert int(words[0, 0]) == expected
        assert int(words[1, 0]) & 15 == expected & 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((b"1\n", None, float("nan"), 1, np.zeros((1, 1), np.uint64), None), "threshold: expected a number, got nan"),
        ((b"1\n", None, 1.0, 0, np.zeros((1, 1), np.uint64), None), "n_values: expected at least 1, got 0"),
        ((b"1\n", None, 1.0, 65, np.zeros((1, 1), np.uint64), None), r"words: expected .*rows, 2\), got"),
        ((b"1\n", None, 1.0, 1, np.zeros((1, 1), np.uint8), None), "words: expected"),
        ((b"1", None, 1.0, 1, np.zeros((1, 1), np.uint64), None), "text: expected whole lines"),
        ((b"1\n", "last", 1.0, 1, np.zeros((1, 1), np.uint64), None), "labels: expected"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_csv_bits(*arguments)
    with pytest.raises(ValueError, match="bytes_per_thread: expected at least 1, got 0"):
        parse_csv(b"1\n", None, np.zeros((1, 1), np.uint8), None, bytes_per_thread=0)
