"""Opening files: gzip is undone on the way, and damage to it is one clear error."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase

from rbmx.errors import DataError

__all__ = ["is_gzip", "open_stream"]

GZIP_MAGIC = b"\x1f\x8b"


def is_gzip(path: str | os.PathLike[str]) -> bool:
    """Whether the file starts as gzip files do, whatever its name."""
    with open(path, "rb") as stream:
        return stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC


@contextmanager
def open_stream(path: str | os.PathLike[str]) -> Iterator[BufferedIOBase]:
    """The bytes of a file, unzipped if it is gzip; truncated or damaged gzip raises DataError."""
    if not is_gzip(path):
        with open(path, "rb") as plain:
            yield plain
        return
    try:
        with gzip.open(path, "rb") as unzipped:
            yield unzipped
    except EOFError as error:
        raise DataError(f"{os.fspath(path)}: the gzip data end too early: truncated?") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{os.fspath(path)}: damaged gzip data ({error})") from error
