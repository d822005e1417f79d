"""Sealed lines: what goes in comes out, and what was damaged on the way is an error."""

from __future__ import annotations

import json
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.envelope import header_of, seal, unseal
from rbmx.errors import DataError

TAG = "rbmx-test-1"
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
headers = st.dictionaries(st.text(), json_values, max_size=4)


def by_hand(header: bytes, payload: bytes = b"", *, length: bytes | None = None) -> bytes:
    """A line whose CRC fits, whatever it holds."""
    body = header + b" " + payload
    return b"%s %s %08x %s" % (TAG.encode(), length or b"%d" % len(body), zlib.crc32(body), body)


@given(headers, st.binary(max_size=300))
def test_header_and_payload_come_back(header: dict[str, Any], payload: bytes):
    line = seal(TAG, header, payload)
    assert unseal(TAG, line, "line") == (header, payload)
    assert unseal(TAG, memoryview(line), "line") == (header, payload)


@given(headers, st.binary(max_size=300))
def test_a_line_is_one_line_of_ascii_text_without_tabs(header: dict[str, Any], payload: bytes):
    line = seal(TAG, header, payload)
    assert line.isascii() and not set(line) & set(b"\t\r\n\v\f\0")
    assert len(line.split(b" ")) == 5


@given(headers, st.sampled_from([b"\n", b"\r\n", b"\t", b"\t\n", b"\t\r\n"]))
def test_the_ends_that_streaming_puts_behind_a_line_are_no_damage(header: dict[str, Any], end: bytes):
    assert unseal(TAG, seal(TAG, header, b"payload") + end, "line") == (header, b"payload")


@given(headers, st.binary(max_size=2000), st.integers(0))
def test_the_header_is_told_from_the_start_of_a_line(header: dict[str, Any], payload: bytes, beyond: int):
    line = seal(TAG, header, payload)
    start = line[: line.rindex(b" ") + 1 + beyond % (len(payload) + 1)]
    assert header_of(TAG, start, "line") == header


def test_each_change_of_one_byte_is_an_error():
    line = seal(TAG, {"rows": 3, "of": "a b"}, b"\x00\x01\xfe\xff12345")
    for place in range(len(line)):
        for value in set(range(256)) - {line[place]}:
            with pytest.raises(DataError, match=r"^there: damaged line"):
                unseal(TAG, line[:place] + bytes([value]) + line[place + 1 :], "there")


@pytest.mark.parametrize("payload", [b"", b"\x00\x01\xfe\xff1234"])
def test_each_line_cut_short_or_short_of_its_start_is_an_error(payload: bytes):
    line = seal(TAG, {"rows": 3}, payload)
    for place in range(len(line)):
        with pytest.raises(DataError, match="damaged line"):
            unseal(TAG, line[:place], "line")
        with pytest.raises(DataError, match="damaged line"):
            unseal(TAG, line[place + 1 :], "line")


@given(st.binary(max_size=80))
def test_other_text_is_an_error_of_our_own(text: bytes):
    for line in (text, TAG.encode() + b" " + text, TAG.encode() + b" 3 00000000 " + text):
        with pytest.raises(DataError, match="damaged line"):
            unseal(TAG, line, "line")


def test_two_lines_run_into_one_are_an_error():
    line = seal(TAG, {"rows": 3}, b"12345")
    with pytest.raises(DataError, match="expected 19 bytes behind the CRC, got 62"):
        unseal(TAG, line + line, "line")


def test_an_error_says_what_was_expected_and_shows_little_of_the_line():
    with pytest.raises(DataError) as caught:
        unseal(TAG, b"1,2,3," * 100_000, "part 7")
    assert str(caught.value) == (
        "part 7: damaged line: expected it to start with rbmx-test-1, got b'1,2,3,1,2,3,1,2,3,1,2,3,1,2,3,1,2,3,1,2,'"
    )


@pytest.mark.parametrize(
    "header",
    [b"[1]", b"3", b"null", b'"rows"', b"{", b"", b"{}{}", b"\xff\xfe{}", b"[" * 2000, b'{"a":' * 2000],
    ids=lambda header: header[:8].decode("latin-1"),
)
def test_a_header_that_is_no_json_object_is_an_error_although_its_crc_fits(header: bytes):
    for read in (unseal, header_of):
        with pytest.raises(DataError, match=r"^line: damaged line: .") as caught:
            read(TAG, by_hand(header), "line")
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("payload", [b"====", b"abc", b"ab$d", b"YWJj\xc3\xa4", b"YWJj YWJj"])
def test_a_payload_that_is_no_base64_is_an_error_although_its_crc_fits(payload: bytes):
    with pytest.raises(DataError, match="damaged line"):
        unseal(TAG, by_hand(b"{}", payload), "line")


@pytest.mark.parametrize("length", [b"9" * 18, b"9" * 5000, b"-3", b"+3", b"3.0", b"\xb2", b"0x3"])
def test_an_absurd_length_is_an_error_that_takes_neither_memory_nor_time(length: bytes):
    line = by_hand(json.dumps({"rows": 3}).encode(), length=length)
    started = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(DataError, match="damaged line"):
        unseal(TAG, line, "line")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 25 and time.perf_counter() - started < 1


def test_a_line_too_long_for_hadoop_is_refused_when_it_is_made(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rbmx.envelope.MAX_LINE_BYTES", 1000)
    assert len(seal(TAG, {}, bytes(690))) < 1000
    with pytest.raises(ValueError, match="payload: 750 bytes do not fit one line of 1000; take more shards"):
        seal(TAG, {}, bytes(750))
