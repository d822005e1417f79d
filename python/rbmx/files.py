"""Files that are found to be writable first, then written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["require_writable", "write_atomically", "written_whole"]


def require_writable(path: str | os.PathLike[str]) -> None:
    """OSError, naming the path, if a file could not be put there; to ask before hours of work."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "expected a regular file", str(target))
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(target.parent))
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise type(error)(error.errno, f"cannot write here: {error.strerror}", str(target)) from error


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, flushed to the disk and renamed into its place when the block ends well.

    After a crash at any moment the old file or the new one is there, never a torn one.
    """
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        yield Path(temporary)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files, a result is not one
        _flush(temporary)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    _flush(target.parent)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` as a whole file."""
    with written_whole(path) as temporary:
        temporary.write_bytes(data)


def _flush(path: str | os.PathLike[str]) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
