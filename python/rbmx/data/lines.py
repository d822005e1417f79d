"""Reading a text stream as buffers of whole lines, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase

__all__ = ["CHUNK_BYTES", "MAX_LINE_BYTES", "LongLineError", "whole_lines"]

CHUNK_BYTES = 1 << 22  # two threads' worth of parsing; fits the third-level cache
MAX_LINE_BYTES = 1 << 26


class LongLineError(ValueError):
    """A line over MAX_LINE_BYTES: the reader who counts lines turns it into a DataError."""


def whole_lines(stream: BufferedIOBase, chunk: int) -> Iterator[memoryview]:
    r"""Pieces of the stream that end in "\n"; a last line without one gets it.

    Args:
        stream: read from where it stands.
        chunk: bytes to read at a time; the buffer grows to hold a longer line.

    Yields:
        Views of one buffer that is used again: each is good until the next is asked for.
    """
    buffer = bytearray(max(chunk, 1))
    filled = 0
    while True:
        if filled == len(buffer):
            if filled >= MAX_LINE_BYTES:
                raise LongLineError(f"longer than {MAX_LINE_BYTES} bytes; is this a CSV file?")
            buffer = buffer + bytes(min(filled, MAX_LINE_BYTES - filled))
        n = stream.readinto(memoryview(buffer)[filled:])
        if not n:
            break
        cut = buffer.rfind(b"\n", filled, filled + n) + 1
        filled += n
        if cut:
            yield memoryview(buffer)[:cut]
            rest = buffer[cut:filled]
            buffer[: len(rest)] = rest
            filled = len(rest)
    if filled:
        yield memoryview(bytes(buffer[:filled]) + b"\n")
