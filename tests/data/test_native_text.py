from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends.native import mark_lines, parse_csv


def test_parsing_stops_when_the_rows_are_full_and_tells_where() -> None:
    values = np.zeros((2, 2), np.uint8)
    rows, end, fault, *_ = parse_csv(b"1,2\n3,4\n5,6\n", None, values, None)
    assert (rows, end, fault) == (2, 8, "")
    assert values.tolist() == [[1, 2], [3, 4]]


def test_a_value_for_float32_ends_a_uint8_parse_at_its_line() -> None:
    values = np.zeros((9, 2), np.uint8)
    found = parse_csv(b"1,2\n3,256\n5,6\n", None, values, None)
    assert found == (1, 4, "not_uint8", 1, 6, 9, 10)


@pytest.mark.parametrize("every", [1, 2, 3, 7])
@pytest.mark.parametrize("seen", [0, 1, 2, 5])
def test_marks_stand_behind_every_nth_newline(every: int, seen: int) -> None:
    text = b"a\n\nbcd\ne\n\n\nlast"
    offsets = np.zeros(len(text) // every + 1, np.int64)
    newlines, marked = mark_lines(text, every, seen, offsets)
    ends = [i + 1 for i, byte in enumerate(text) if byte == 10]
    assert newlines == len(ends)
    expected = [end for i, end in enumerate(ends) if (seen + i + 1) % every == 0]
    assert offsets[:marked].tolist() == expected


READ_ONLY = np.zeros((2, 1), np.uint8)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((b"1", None, np.zeros((2, 1), np.uint8), None), "text: expected whole lines"),
        ((b"1\n", "middle", np.zeros((2, 1), np.uint8), None), "label: expected"),
        ((b"1\n", None, np.zeros((2, 1)), None), "values: expected"),
        ((b"1\n", None, np.zeros(2, np.uint8), None), "values: expected"),
        ((b"1\n", None, np.zeros((2, 4), np.uint8)[:, ::2], None), "values: expected"),
        ((b"1\n", None, np.zeros((2, 0), np.uint8), None), "values: expected at least one column"),
        ((b"1\n", None, READ_ONLY, None), "values: expected a writeable array"),
        ((b"1\n", "last", np.zeros((2, 1), np.uint8), None), "labels: expected"),
        ((b"1\n", "last", np.zeros((2, 1), np.uint8), np.zeros(1, np.int64)), "labels: expected"),
        ((b"1\n", "last", np.zeros((2, 1), np.uint8), np.zeros(2)), "labels: expected"),
    ],
)
def test_bad_arguments_of_the_parser_are_refused_by_name(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_csv(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((b"1\n", 0, 0, np.zeros(9, np.int64)), "every: expected at least 1, got 0"),
        ((b"1\n", 1, -1, np.zeros(9, np.int64)), "seen: expected at least 0, got -1"),
        ((b"1\n", 1, 0, np.zeros(2, np.int64)), "offsets: expected more than"),
        ((b"1\n", 1, 0, np.zeros(9)), "offsets: expected"),
    ],
)
def test_bad_arguments_of_the_line_index_are_refused_by_name(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mark_lines(*arguments)
