"""CSV files: strict numbers, one row a line, read in bounded memory.

Every line is a row; its number is the global row id. A fault is one DataError that names the file,
the line, the column and the text, or, with on_bad_row="skip", a line that is left out and counted.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BufferedIOBase, BytesIO
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rbmx.backends.native import mark_lines, parse_csv, parse_csv_bits
from rbmx.bits import PackedBits
from rbmx.data.files import is_gzip, open_stream
from rbmx.data.lines import CHUNK_BYTES, LongLineError, whole_lines
from rbmx.data.source import Block, rows_per_block
from rbmx.errors import DataError

__all__ = ["CsvSource", "CsvText", "Label", "OnBadRow", "check_label", "read_csv"]

Label = Literal["first", "last"] | None
OnBadRow = Literal["raise", "skip"]

BOM = b"\xef\xbb\xbf"
HEAD_BYTES = 1 << 18  # what a file is judged by
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")

FAULTS = {
    "empty_line": "the line is empty",
    "empty_field": "the field is empty",
    "quote": "{text} is quoted; expected a plain number",
    "nul_byte": "{text} holds a NUL byte; is the file damaged or binary?",
    "not_a_number": "{text} is not a number",
    "not_finite": "{text} is not a finite float32 number",
    "not_an_integer": "label {text} is not an integer",
}


class Progress(NamedTuple):
    """What the native parser reports; see csrc/text/csv.h."""

    rows: int
    end: int
    fault: str
    column: int
    field: int
    field_end: int
    next_line: int


class Position(NamedTuple):
    """A place in the file from which reading can go on."""

    offset: int
    line: int
    row: int


class Bad(NamedTuple):
    """A line at fault: its number, and what is wrong with it."""

    line: int
    message: str


@dataclass
class Draft:
    """A block while it is filled: words of bits, or uint8 until a value needs float32."""

    start: Position
    n_values: int
    values: NDArray[Any]
    labels: NDArray[np.int64] | None
    rows: int = 0
    first_bad: Bad | None = None
    n_bad: int = 0

    def widen(self) -> None:
        """Goes on in float32."""
        wide = np.empty(self.values.shape, np.float32)
        wide[: self.rows] = self.values[: self.rows]
        self.values = wide

    def note(self, bad: Bad) -> None:
        """Counts a line that is left out; the first one is kept for the report."""
        self.first_bad = self.first_bad or bad
        self.n_bad += 1

    @property
    def block(self) -> Block:
        """The rows so far."""
        values = self.values[: self.rows]
        is_bits = values.dtype == np.uint64
        labels = None if self.labels is None else self.labels[: self.rows]
        return Block(self.start.row, PackedBits(values, self.n_values) if is_bits else values, labels)


class CsvSource:
    """Rows of a CSV file without a header; .gz is read sequentially.

    Args:
        path: the file.
        label: where the integer label of a row stands; it is checked, and kept beside the values.
        on_bad_row: "raise", or "skip" to leave bad lines out, counted in `n_skipped` and reported
            by one warning; row numbers then count the good lines.
        name: what errors call the file.
    """

    in_memory = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        label: Label,
        on_bad_row: OnBadRow = "raise",
        name: str | None = None,
    ) -> None:
        self.name = name or os.fspath(path)
        self.label = check_label(label, self.name)
        if on_bad_row not in ("raise", "skip"):
            raise ValueError(f'on_bad_row: expected "raise" or "skip", got {on_bad_row!r}')
        self.on_bad_row = on_bad_row
        self.n_skipped: int | None = None if on_bad_row == "skip" else 0
        self._path = path
        self._threshold: float | None = None
        self._sequential = self._is_compressed()
        self._index: list[Position] | None = None
        self._n_rows: int | None = None
        self._start, self._n_fields = self._inspect()
        self.n_visible = self._n_fields - (label is not None)
        if self.n_visible < 1:
            raise DataError(f"{self.name}: line 1: only a label, no values")
        self.block_rows = rows_per_block(self.n_visible)

    @property
    def n_rows(self) -> int | None:
        """Rows, by one fast pass at the first question; None for .gz."""
        if not self._sequential:
            self._positions()
        return self._n_rows

    @property
    def n_blocks(self) -> int | None:
        """Blocks, by one fast pass at the first question; None for .gz."""
        return None if self._sequential else len(self._positions())

    def likely_rows(self) -> int:
        """A few more rows than the file should have, by the length of its first lines."""
        if self._sequential:
            return self.block_rows
        rows = self._size() / self._mean_line
        return max(self.block_rows, int(1.05 * rows) + 1)

    def blocks(self) -> Iterator[Block]:
        """All blocks in natural order, parsed as the file is read."""
        for draft in self.drafts():
            yield draft.block

    def read_block(self, i: int) -> Block:
        """Block i of n_blocks, found through the index."""
        if self._sequential:
            raise TypeError(f"{self.name}: read from start to end only; block {i} cannot be picked")
        positions = self._positions()
        if not 0 <= i < len(positions):
            raise IndexError(f"{self.name}: block {i} of {len(positions)}")
        here = positions[i]
        is_last = i + 1 == len(positions)
        chunk = CHUNK_BYTES if is_last else positions[i + 1].offset - here.offset
        draft = next(self._read(here, min(chunk, CHUNK_BYTES)), None)
        n_rows = (self._n_rows or 0) if is_last else positions[i + 1].row
        if draft is None or draft.rows != n_rows - here.row:
            raise DataError(f"{self.name}: was changed while it was read: line {here.line} moved")
        return draft.block

    def binarized(self, threshold: float) -> CsvSource:
        """The same rows as packed bits, compared as they are parsed."""
        bits = copy.copy(self)
        bits._threshold = threshold
        return bits

    def place(self, row: int, column: int) -> str:
        """The line and the field of a value, counted from 1."""
        field_number = column + 1 + (self.label == "first")
        if self.on_bad_row == "skip":
            return f"good row {row} (counted from 0), column {field_number}"
        return f"line {row + 1}, column {field_number}"

    def drafts(self) -> Iterator[Draft]:
        """One pass over the file, with labels; reports skipped lines at its end."""
        rows, n_bad, first_bad = 0, 0, None
        for draft in self._read(self._start, CHUNK_BYTES):
            rows += draft.rows
            n_bad += draft.n_bad
            first_bad = first_bad or draft.first_bad
            if draft.rows:
                yield draft
        if rows == 0:
            raise DataError(f"{self.name}: no good row in {n_bad} lines")
        self._n_rows = rows
        if first_bad and self.n_skipped is None:
            warnings.warn(
                f"{self.name}: skipped {n_bad} of {rows + n_bad} rows; the first is "
                f"line {first_bad.line}, {first_bad.message}",
                stacklevel=2,
            )
        self.n_skipped = n_bad

    def _is_compressed(self) -> bool:
        return is_gzip(self._path)

    def _open(self) -> AbstractContextManager[BufferedIOBase]:
        return open_stream(self._path)

    def _size(self) -> int:
        return os.path.getsize(self._path)

    def _inspect(self) -> tuple[Position, int]:
        """The start of the first row, and the number of fields in it."""
        with self._open() as stream:
            head = stream.read(len(BOM))
            if head[:2] in UTF16_BOMS:
                raise DataError(f"{self.name}: line 1: UTF-16 text; expected UTF-8 or ASCII")
            start = Position(len(BOM) if head == BOM else 0, 1, 0)
            stream.seek(start.offset)
            try:
                first = next(whole_lines(stream, HEAD_BYTES), None)
            except LongLineError as error:
                raise DataError(f"{self.name}: line 1: {error}") from error
            if first is None:
                raise DataError(f"{self.name}: no rows: the file is empty")
            head = bytes(first)
            self._mean_line = len(head) / head.count(b"\n")
            return start, head.split(b"\n", 1)[0].count(b",") + 1

    def _positions(self) -> list[Position]:
        if self._index is None:
            index = self._count_lines() if self.on_bad_row == "raise" else self._count_good_lines()
            self._index = index
        return self._index

    def _count_lines(self) -> list[Position]:
        positions = [self._start]
        offset, lines = self._start.offset, 0
        with self._open() as stream:
            stream.seek(offset)
            buffer = bytearray(CHUNK_BYTES)
            marks = np.empty(CHUNK_BYTES // self.block_rows + 1, np.int64)
            last = 0
            while n := stream.readinto(buffer):
                newlines, marked = mark_lines(memoryview(buffer)[:n], self.block_rows, lines, marks)
                for mark in marks[:marked].tolist():
                    rows = len(positions) * self.block_rows
                    positions.append(Position(offset + mark, rows + 1, rows))
                offset += n
                lines += newlines
                last = buffer[n - 1]
        self._n_rows = lines + (last != ord("\n"))
        return positions[: -(-self._n_rows // self.block_rows)]

    def _count_good_lines(self) -> list[Position]:
        return [draft.start for draft in self.drafts()]

    def _read(self, start: Position, chunk: int) -> Iterator[Draft]:
        """Blocks from a position on, parsed as the file is read."""
        offset, line, row = start
        draft = self._new_draft(start)
        with self._open() as stream:
            stream.seek(offset)
            try:
                for text in whole_lines(stream, chunk):
                    done = 0
                    while done < len(text):
                        n_lines, n_bytes = self._fill(draft, text[done:], line)
                        line += n_lines
                        done += n_bytes
                        if draft.rows == self.block_rows:
                            row += draft.rows
                            yield draft
                            draft = self._new_draft(Position(offset + done, line, row))
                    offset += len(text)
            except LongLineError as error:
                raise DataError(f"{self.name}: line {line}: {error}") from error
        if draft.rows or draft.n_bad:
            yield draft

    def _new_draft(self, start: Position) -> Draft:
        as_bits = self._threshold is not None
        width = -(-self.n_visible // 64) if as_bits else self.n_visible
        values = np.empty((self.block_rows, width), np.uint64 if as_bits else np.uint8)
        labels = None if self.label is None else np.empty(self.block_rows, np.int64)
        return Draft(start, self.n_visible, values, labels)

    def _fill(self, draft: Draft, text: memoryview, line: int) -> tuple[int, int]:
        """Parses on until the block is full or a line is at fault; the lines and bytes it took."""
        labels = None if draft.labels is None else draft.labels[draft.rows :]
        values = draft.values[draft.rows :]
        if self._threshold is None:
            progress = Progress(*parse_csv(text, self.label, values, labels))
        else:
            found = parse_csv_bits(text, self.label, self._threshold, self.n_visible, values, labels)
            progress = Progress(*found)
        draft.rows += progress.rows
        if progress.fault == "not_uint8":
            draft.widen()
        elif progress.fault:
            draft.note(self._explain(progress, text, line + progress.rows))
            return progress.rows + 1, progress.next_line
        return progress.rows, progress.end

    def _explain(self, progress: Progress, text: memoryview, line: int) -> Bad:
        """The bad line, or DataError if bad lines are not to be skipped."""
        column = progress.column + 1
        if progress.fault in ("too_few_fields", "too_many_fields"):
            whole = bytes(text[progress.end : progress.next_line]).rstrip(b"\r\n")
            n_fields = whole.count(b",") + 1
            message = f"{n_fields} fields, expected {self._n_fields} as in line 1: {_quoted(whole)}"
        else:
            faulty = bytes(text[progress.field : progress.field_end])
            message = FAULTS[progress.fault].format(text=_quoted(faulty))
            if line == 1 and progress.fault in ("not_a_number", "quote"):
                message += "; is line 1 a header? take it out (tail -n +2)"
        bad = Bad(line, f"column {column}: {message}")
        if self.on_bad_row == "raise":
            raise DataError(f"{self.name}: line {bad.line}, {bad.message}")
        return bad


class CsvText(CsvSource):
    """Rows of CSV text in memory, as the split of a file is given to a task."""

    def __init__(self, text: bytes, *, label: Label, on_bad_row: OnBadRow = "raise", name: str) -> None:
        self._text = text
        super().__init__("", label=label, on_bad_row=on_bad_row, name=name)

    def _is_compressed(self) -> bool:
        return False

    def _open(self) -> AbstractContextManager[BufferedIOBase]:
        return BytesIO(self._text)

    def _size(self) -> int:
        return len(self._text)


def check_label(label: object, name: str) -> Label:
    """`label` if it is one; ValueError with what to choose from otherwise."""
    if label is None or label in ("first", "last"):
        return label
    raise ValueError(f'label: expected "first", "last" or None for CSV file {name}, got {label!r}')


def read_csv(
    path: str | os.PathLike[str], *, label: Label, on_bad_row: OnBadRow = "raise"
) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """All values and labels of a CSV file without a header (.gz too).

    Args:
        path: the file.
        label: the column of the integer labels: "first", "last", or None for no labels.
        on_bad_row: "raise", or "skip" to leave bad lines out with one warning that counts them.

    Returns:
        values (rows, n_visible), uint8 if all are integers from 0 to 255 and float32 otherwise, and
        labels (rows,) int64 or None.
    """
    source = CsvSource(path, label=label, on_bad_row=on_bad_row)
    source.block_rows = source.likely_rows()
    drafts = list(source.drafts())
    values = _joined([draft.values for draft in drafts], [draft.rows for draft in drafts])
    if label is None:
        return values, None
    labels = [draft.labels for draft in drafts if draft.labels is not None]
    return values, _joined(labels, [draft.rows for draft in drafts])


def _joined(parts: list[NDArray[Any]], rows: list[int]) -> NDArray[Any]:
    """The first rows of each part, one after another; a single part gives back the rest of its memory."""
    if len(parts) == 1:
        parts[0].resize((rows[0], *parts[0].shape[1:]), refcheck=False)
        return parts[0]
    return np.concatenate([part[:n] for part, n in zip(parts, rows, strict=True)])


def _quoted(text: bytes, limit: int = 40) -> str:
    shown = text[:limit].decode("utf-8", "backslashreplace")
    return repr(shown + ("..." if len(text) > limit else ""))
