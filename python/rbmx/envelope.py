"""One line of text that carries numbers: a tag, a length, a CRC, a JSON header and a base64 payload.

Such lines go through Hadoop streaming, sort and files as any text does; a line that lost or changed a byte on the way
is an error, not a wrong number.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from rbmx.backends.native import decode_base64
from rbmx.errors import DataError

__all__ = ["MAX_LINE_BYTES", "header_of", "seal", "unseal"]

MAX_LINE_BYTES = (1 << 31) - 1  # Hadoop keeps a line in one Java array


def seal(tag: str, header: dict[str, Any], payload: bytes) -> bytes:
    """`tag length crc32 header payload` without a newline; the tag and the header hold no space of their own.

    Raises:
        ValueError: the line would be longer than MAX_LINE_BYTES.
    """
    text = json.dumps(header, separators=(",", ":")).replace(" ", "\\u0020")
    body = text.encode("ascii") + b" " + base64.b64encode(payload)
    if len(body) + 64 > MAX_LINE_BYTES:
        raise ValueError(f"payload: {len(payload)} bytes do not fit one line of {MAX_LINE_BYTES}; take more shards")
    return b"%s %d %08x %s" % (tag.encode("ascii"), len(body), zlib.crc32(body), body)


def unseal(tag: str, line: bytes | memoryview, name: str) -> tuple[dict[str, Any], bytes]:
    """The header and the payload of a line that seal made.

    Raises:
        DataError: names `name` and what is wrong: another tag, a line cut short, a changed byte.
    """
    body = _body(tag, bytes(line), name)
    end = body.find(b" ")
    try:
        if end < 0:
            raise ValueError("expected a header and a payload")
        return _header_from(body[:end]), decode_base64(memoryview(body)[end + 1 :])
    except ValueError as error:
        raise DataError(f"{name}: damaged line: {error}") from None


def header_of(tag: str, start: bytes, name: str) -> dict[str, Any]:
    """The header alone, from the first bytes of a line, whose CRC can therefore not be checked.

    Raises:
        DataError: the bytes are not the start of such a line.
    """
    parts = start.split(b" ", 4)
    try:
        if len(parts) < 4 or parts[0] != tag.encode("ascii"):
            raise ValueError(f"expected it to start with {tag}")
        return _header_from(parts[3])
    except ValueError as error:
        raise DataError(f"{name}: damaged line: {error}") from None


def _header_from(text: bytes) -> dict[str, Any]:
    """The JSON object in `text`; ValueError where it is none."""
    try:
        header = json.loads(text)
    except RecursionError:
        raise ValueError("the header is nested too deep") from None
    if not isinstance(header, dict):
        raise ValueError("expected a JSON object behind the CRC")
    return header


def _body(tag: str, line: bytes, name: str) -> bytes:
    parts = line.rstrip(b"\r\n\t").split(b" ", 3)  # Hadoop streaming ends a line that has no tab with one
    if len(parts) != 4 or parts[0] != tag.encode("ascii"):
        raise DataError(f"{name}: damaged line: expected it to start with {tag}, got {line[:40]!r}")
    _, length, crc, body = parts
    if length != b"%d" % len(body):
        raise DataError(
            f"{name}: damaged line: expected {length[:20].decode('ascii', 'replace')} bytes behind the "
            f"CRC, got {len(body)}; was it cut short?"
        )
    if b"%08x" % zlib.crc32(body) != crc:
        raise DataError(f"{name}: damaged line: its CRC does not fit its bytes")
    return body
