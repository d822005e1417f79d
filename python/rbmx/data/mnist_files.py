"""The MNIST digits: from a checkout, from RBMX_DATA, or downloaded once and checked."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rbmx.data.files import open_stream
from rbmx.data.idx import read_idx
from rbmx.errors import DataError

__all__ = ["Split", "mnist", "mnist_path"]

Split = Literal["train", "test"]

PREFIXES: dict[str, str] = {"train": "train", "test": "t10k"}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# Of the unzipped files: compressors differ, the images do not.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
MAX_DOWNLOAD = 1 << 25
TIMEOUT_SECONDS = 30


def mnist(split: Split = "train") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The images (rows, 784) as grey levels 0 to 255, and the labels (rows,) 0 to 9.

    60,000 rows for split "train", 10,000 for "test", in the original order.
    """
    images_path = mnist_path(split)
    labels_path = _path_of(f"{PREFIXES[split]}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1]:
        raise DataError(
            f"{images_path}: expected (rows, 28, 28) and as many labels, "
            f"got {images.shape} and {labels.shape} in {labels_path}"
        )
    return images.reshape(-1, 784), labels.astype(np.int64)


def mnist_path(split: Split = "train") -> Path:
    """The IDX file of the images, downloaded if it is nowhere on this machine."""
    if split not in PREFIXES:
        raise ValueError(f'split: expected "train" or "test", got {split!r}')
    return _path_of(f"{PREFIXES[split]}-images-idx3-ubyte")


def _path_of(stem: str) -> Path:
    for folder in _folders():
        for name in (f"{stem}.gz", stem):
            if (folder / name).is_file():
                return folder / name
    return _download(stem, _cache())


def _folders() -> Iterator[Path]:
    """Where the files may be: RBMX_DATA, data/mnist of a checkout, the download cache."""
    if chosen := os.environ.get("RBMX_DATA"):
        yield Path(chosen)
        yield Path(chosen) / "mnist"
    for start in (Path.cwd(), Path(__file__).resolve().parent):
        for folder in (start, *start.parents):
            yield folder / "data" / "mnist"
    yield _cache()


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "rbmx" / "mnist"


def _download(stem: str, folder: Path) -> Path:
    faults = []
    for mirror in MIRRORS:
        try:
            return _download_from(f"{mirror}{stem}.gz", stem, folder)
        except (OSError, DataError) as error:
            faults.append(f"{mirror}: {error}")
    raise FileNotFoundError(
        f"MNIST file {stem}.gz: not in RBMX_DATA ({os.environ.get('RBMX_DATA') or 'not set'}), not "
        f"in data/mnist of a checkout, not in {folder}, and it could not be downloaded "
        f"({'; '.join(faults)}); put it into a folder and set RBMX_DATA to that folder"
    )


def _download_from(url: str, stem: str, folder: Path) -> Path:
    """Downloads to a temporary file, checks it, and only then gives it its name."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        content = response.read(MAX_DOWNLOAD + 1)
    if len(content) > MAX_DOWNLOAD:
        raise DataError(f"{url}: longer than {MAX_DOWNLOAD} bytes")
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=stem, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        if (found := _sha256(temporary)) != SHA256[stem]:
            raise DataError(f"{url}: expected sha256 {SHA256[stem]} unzipped, got {found}")
        target = folder / f"{stem}.gz"
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return target


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open_stream(path) as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
