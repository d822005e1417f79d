"""The code for the nodes: one archive of rbmx, NumPy, BLAS and mrjob, so that a node needs nothing but Python.

It is built from the packages that the driver itself runs with, kept on HDFS under the digest of its files, and unpacked
once on each node by the distributed cache.
"""

from __future__ import annotations

import hashlib
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePath

import rbmx
from rbmx.backends.native import extension_path
from rbmx.files import written_whole
from rbmx.jobs.engine import Engine
from rbmx.jobs.hdfs import home

__all__ = ["archive_name", "build_archive", "packed_files", "shipped", "shipping_options"]

FOLDER = "rbmx-env"  # where a task finds the unpacked archive
# What tasks import beside rbmx; the last are the standard library's parts that mrjob needs and newer Pythons dropped.
PACKAGES = (
    "numpy",
    "scipy-openblas32",
    "safetensors",
    "tqdm",
    "mrjob",
    "PyYAML",
    "standard-distutils",
    "standard-pipes",
)
LEFT_OUT = {"__pycache__", "tests", "bin"}
LEFT_OUT_SUFFIXES = {".pyc", ".pyi", ".a", ".h", ".lib"}


@dataclass(frozen=True)
class PackedFile:
    """A file and its place in the archive."""

    path: Path
    place: str


def packed_files() -> list[PackedFile]:
    """What the archive holds, in the order of places."""
    found = {file.place: file for file in (*_own_files(), *_package_files())}
    return [found[place] for place in sorted(found)]


def archive_name(files: list[PackedFile]) -> str:
    """A name that changes when a file does, by size and time of change, or when the Python does."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for file in files:
        facts = file.path.stat()
        digest.update(f"{file.place} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return f"rbmx-env-{digest.hexdigest()[:16]}.tar.gz"


def build_archive(path: Path, files: list[PackedFile]) -> None:
    """Write the archive, whole or not at all: about 40 MB in a few seconds."""
    with written_whole(path) as temporary, tarfile.open(temporary, "w:gz", compresslevel=1) as archive:
        for file in files:
            archive.add(file.path, file.place, recursive=False)


def shipped(engine: Engine) -> Engine:
    """The engine, with the archive for its tasks."""
    return replace(engine, options=[*engine.options, *shipping_options(engine)])


def shipping_options(engine: Engine) -> list[str]:
    """The words for mrjob that give tasks the archive, after putting it on HDFS if it is not there."""
    files = packed_files()
    uri = f"{home()}/env/{archive_name(files)}"
    hdfs = engine.hdfs
    if not hdfs.exists(uri):
        local = engine.folder / "env.tar.gz"
        build_archive(local, files)
        hdfs.upload_file(local, uri)
        local.unlink()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    environment = {"PYTHONPATH": FOLDER, "RBMX_TASK_PYTHON": version}
    flags = [word for name, value in environment.items() for word in ("--cmdenv", f"{name}={value}")]
    return ["--archives", f"{uri}#{FOLDER}", "--no-bootstrap-mrjob", *flags]


def _own_files() -> Iterator[PackedFile]:
    """rbmx itself: its modules, wherever they are installed, and the compiled kernels."""
    root = Path(rbmx.__file__).parent
    for path in root.rglob("*"):
        if path.is_file() and _wanted(path.relative_to(root)):
            yield PackedFile(path, f"rbmx/{path.relative_to(root)}")
    extension = extension_path()
    yield PackedFile(extension, f"rbmx/{extension.name}")


def _package_files() -> Iterator[PackedFile]:
    for name in PACKAGES:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # the back-ports are there only where Python needs them
        yield from _files_of(found)


def _files_of(found: Distribution) -> Iterator[PackedFile]:
    for file in found.files or ():
        if ".." in file.parts or not _wanted(file):
            continue
        path = Path(str(file.locate()))
        if path.is_file():
            yield PackedFile(path, str(file))


def _wanted(place: PurePath) -> bool:
    return not LEFT_OUT.intersection(place.parts) and place.suffix not in LEFT_OUT_SUFFIXES
