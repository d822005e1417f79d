from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

import rbmx.data
from rbmx.data import mnist, mnist_files, mnist_path
from rbmx.errors import DataError

CHECKOUT = Path(__file__).parents[2] / "data" / "mnist"


def small_files(folder: Path, n_images: int = 3, n_labels: int = 3, side: int = 28) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images = struct.pack(">4B3I", 0, 0, 8, 3, n_images, side, side) + bytes(n_images * side * side)
    labels = struct.pack(">4BI", 0, 0, 8, 1, n_labels) + bytes(range(n_labels))
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without MNIST: no RBMX_DATA, no checkout, an empty cache."""
    monkeypatch.delenv("RBMX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mnist_files, "__file__", str(tmp_path / "site" / "mnist_files.py"))
    monkeypatch.setattr(mnist_files, "MIRRORS", (f"file://{tmp_path}/mirror/",))
    return tmp_path


@pytest.mark.skipif(not CHECKOUT.is_dir(), reason="needs data/mnist of a checkout")
@pytest.mark.parametrize(("split", "rows", "mean"), [("train", 60000, 0.13066), ("test", 10000, 0.13251)])
def test_the_checkout_holds_the_original_images(split: str, rows: int, mean: float) -> None:
    images, labels = mnist(split)  # type: ignore[arg-type]
    assert images.shape == (rows, 784) and images.dtype == np.uint8
    assert labels.shape == (rows,) and labels.dtype == np.int64
    assert abs(images.mean() / 255 - mean) < 5e-6  # the published mean has five digits
    assert set(labels.tolist()) == set(range(10))
    with gzip.open(mnist_path(split)) as stream:  # type: ignore[arg-type]
        digest = hashlib.sha256(stream.read()).hexdigest()
    assert digest == mnist_files.SHA256[mnist_path(split).name.removesuffix(".gz")]  # type: ignore[arg-type]


def test_the_function_is_not_hidden_by_a_module() -> None:
    assert callable(rbmx.data.mnist)


@pytest.mark.parametrize("folder", ["chosen", "chosen/mnist"])
def test_rbmx_data_is_asked_first(nowhere: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    small_files(nowhere / folder)
    small_files(nowhere / "data" / "mnist", 5, 5)
    monkeypatch.setenv("RBMX_DATA", str(nowhere / "chosen"))
    assert mnist()[1].tolist() == [0, 1, 2]


def test_a_checkout_around_the_working_folder_is_found(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_files(nowhere / "data" / "mnist")
    (nowhere / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(nowhere / "a" / "b")
    assert mnist_path().parent == nowhere / "data" / "mnist"


def test_a_download_is_checked_and_kept(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_files(nowhere / "mirror")
    packed = nowhere / "mirror" / "train-images-idx3-ubyte.gz"
    with pytest.raises(FileNotFoundError, match=r"expected sha256 .* set RBMX_DATA"):
        mnist_path()
    assert list((nowhere / "cache" / "rbmx" / "mnist").iterdir()) == []
    digest = hashlib.sha256(gzip.decompress(packed.read_bytes())).hexdigest()
    monkeypatch.setitem(mnist_files.SHA256, "train-images-idx3-ubyte", digest)
    found = mnist_path()
    assert found == nowhere / "cache" / "rbmx" / "mnist" / packed.name
    packed.unlink()
    assert mnist_path() == found


def test_a_missing_file_names_every_place_that_was_asked(nowhere: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        mnist("test")
    for place in ("RBMX_DATA (not set)", "data/mnist of a checkout", "cache", "mirror"):
        assert place in str(caught.value)


def test_images_and_labels_must_agree(nowhere: Path) -> None:
    small_files(nowhere / "data" / "mnist", 3, 2)
    with pytest.raises(DataError, match="as many labels"):
        mnist()
    small_files(nowhere / "data" / "mnist", 3, 3, side=27)
    with pytest.raises(DataError, match=r"expected \(rows, 28, 28\)"):
        mnist()


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match='split: expected "train" or "test", got \'dev\''):
        mnist("dev")  # type: ignore[arg-type]
