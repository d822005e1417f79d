"""Where the data of a job lie, and what the driver must know of them before the first round."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from rbmx.data import Dataset, open_source
from rbmx.data.opening import file_format
from rbmx.data.shards import ShardSource, looks_like_shards, shard_paths
from rbmx.errors import DataError
from rbmx.jobs.engine import Engine
from rbmx.jobs.hdfs import Hdfs
from rbmx.jobs.reading import Reading
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.sharding import write_shards
from rbmx.jobs.splits import Splits, splits_for
from rbmx.training.measuring import BIAS_ROWS

__all__ = ["Inputs", "is_remote", "open_inputs", "reading_options", "require_width"]

DEFAULT_SHARDS = 4
HEAD_BYTES = 256 << 20  # of remote data, for widths, kinds and visible biases


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a job reads.

    Attributes:
        paths: local files or URIs for the engine.
        splits: how Hadoop cuts them into map tasks.
        shards: how many; of CSV on HDFS, how many are asked for.
        head: the data themselves where they are local, else their first part.
        total_rows: None where only a round tells.
    """

    paths: Sequence[str]
    splits: Splits
    shards: int
    head: Dataset
    total_rows: int | None


def is_remote(data: object) -> bool:
    """Whether `data` is a URI: hdfs://... and its like."""
    return isinstance(data, str) and "://" in data


def open_inputs(
    data: Any,
    shards: int | None,
    engine: Engine,
    settings: JobSettings,
    *,
    refuse_csv: bool = False,
    labels: ArrayLike | None = None,
    keep_labels: bool = False,
    block_rows: int = 1,
) -> Inputs:
    """The inputs of a job.

    Local data of any kind become shards in the engine's folder; shards stay as they are; CSV text on HDFS is split
    there.

    Args:
        data: what open_source takes, a folder, file or glob of shards, or a URI of shards or CSV text.
        shards: how many; None: 4, or as many as there are.
        engine: where the job runs.
        settings: how the data are read: encoding, label, on_bad_row.
        refuse_csv: nobody said where CSV text has its labels.
        labels: of the rows, an integer each, where the data are an array or a file that has none.
        keep_labels: the tasks need labels.
        block_rows: local data are cut at multiples of so many rows.

    Raises:
        ValueError: CSV text that is refused, labels beside shards.
        DataError: nothing there, or other than expected; labels are needed, and there are none.
        JobError: the cluster cannot be reached.
    """
    options = reading_options(settings, data)
    if is_remote(data):
        if labels is not None:
            raise _labels_beside(str(data))
        inputs = _remote(str(data), shards, engine, options, refuse_csv)
        if keep_labels:
            _require_labels(inputs.head)
        return inputs
    if isinstance(data, (str, os.PathLike)) and (paths := _shards_at(data)):
        if settings.label is not None:
            raise _label_of_shards(str(data))
        if labels is not None:
            raise _labels_beside(str(data))
        source = ShardSource(paths, name=os.fspath(data))
        if keep_labels:
            _require_labels(open_source(source, **options))
        _check_count(shards, source.header.of, source.name)
        return _placed([str(path) for path in paths], source.header.of, open_source(source, **options), engine)
    if refuse_csv and "label" in options:
        raise _label_of_csv(str(data))
    dataset = open_source(data, **options)
    if labels is not None:
        dataset = dataset.with_labels(labels)
    if shards is None:
        shards = DEFAULT_SHARDS
        if dataset.n_rows is not None:
            shards = min(shards, -(-dataset.n_rows // block_rows))
    folder = engine.folder / "shards"
    written = write_shards(dataset, shards, folder, labels=keep_labels, block_rows=block_rows)
    return _placed([str(path) for path in written], len(written), dataset, engine)


def reading_options(settings: JobSettings, data: Any) -> dict[str, Any]:
    """How a job reads data such as these: the options of open_source."""
    encoding = settings.encoding
    options: dict[str, Any] = {
        "binarize": encoding.binarize,
        "scale": encoding.scale,
        "seed": encoding.seed,
        "unbounded": encoding.unbounded,
    }
    if isinstance(data, Dataset):
        return {}
    if is_remote(data) or (isinstance(data, (str, os.PathLike)) and _is_csv(data)):
        options |= {"label": settings.label, "on_bad_row": settings.on_bad_row}
    return options


def require_width(dataset: Dataset, job: Reading) -> None:
    """DataError where the rows do not fit the visible units."""
    if dataset.n_visible != job.n_visible:
        raise DataError(
            f"{dataset.name}: has {dataset.n_visible} values in a row, expected {job.n_visible}, "
            "the visible units of the model"
        )


def _is_csv(path: str | os.PathLike[str]) -> bool:
    return bool(os.path.exists(path)) and file_format(path) == "csv"


def _placed(paths: list[str], shards: int, dataset: Dataset, engine: Engine) -> Inputs:
    """Local shards where the engine can read them: on HDFS once, rather than with every round."""
    splits = splits_for(len(paths), os.path.getsize(paths[0]), engine.maps)
    if engine.runner != "hadoop":
        return Inputs(paths, splits, shards, dataset, dataset.n_rows)
    uri = f"{engine.remote_folder}/shards"
    engine.hdfs.put([Path(path) for path in paths], uri)
    return Inputs([uri], splits, shards, dataset, dataset.n_rows)


def _remote(uri: str, shards: int | None, engine: Engine, options: dict[str, Any], refuse_csv: bool) -> Inputs:
    hdfs = engine.hdfs
    files = hdfs.files(uri)
    if not files:
        raise DataError(f"{uri}: no such file or folder")
    local = engine.folder / "head"
    local.mkdir(exist_ok=True)
    first = local / "part-0"
    whole = hdfs.copy_start(files[0], first, HEAD_BYTES)
    with open(first, "rb") as stream:
        start = stream.read(64)
    if looks_like_shards(start):
        if not whole:
            raise DataError(f"{files[0]}: a shard of more than {HEAD_BYTES >> 20} MB; take more shards")
        splits = splits_for(len(files), first.stat().st_size, engine.maps)
        return _remote_shards(uri, files, shards, first, hdfs, splits, options)
    if files[0].endswith(".gz") or start.startswith(b"\x1f\x8b"):
        raise DataError(f"{files[0]}: gzip is one stream that cannot be split over tasks: unzip it, or use rbmx shard")
    if refuse_csv:
        raise _label_of_csv(uri)
    _cut_to_lines(first, files[0])
    asked = DEFAULT_SHARDS if shards is None else shards
    head = open_source(first, name=files[0], **options)
    splits = splits_for(asked, None, engine.maps)
    return Inputs([uri], splits, asked, head, head.n_rows if whole and len(files) == 1 else None)


def _remote_shards(
    uri: str, files: list[str], shards: int | None, first: Path, hdfs: Hdfs, splits: Splits, options: dict[str, Any]
) -> Inputs:
    """Of a file for each shard the first ones, as many as tell the visible biases."""
    rows = ShardSource([first], name=files[0], whole=False).n_rows
    more = files[1 : 1 + BIAS_ROWS // max(1, rows - 1)]  # shards differ by a row
    copied = [first]
    if more:
        copied.append(first.with_name("more"))
        hdfs.copy(more, copied[-1])
    source = ShardSource(copied, name=uri, whole=False)
    if options.pop("label") is not None:
        raise _label_of_shards(uri)
    del options["on_bad_row"]
    header = source.header
    _check_count(shards, header.of, uri)
    return Inputs([uri], splits, header.of, open_source(source, **options), header.total_rows)


def _shards_at(data: str | os.PathLike[str]) -> list[Path]:
    """The shard files at a place, none where it holds other data."""
    paths = shard_paths(data)
    if not paths:
        if Path(data).is_dir():
            raise DataError(f"{data}: a folder without shards (shard-NNNNN-of-NNNNN)")
        return []
    with open(paths[0], "rb") as stream:
        return paths if looks_like_shards(stream.read(64)) else []


def _require_labels(head: Dataset) -> None:
    if next(head.source.blocks()).labels is None:
        raise DataError(
            f"{head.name}: no labels, and a classifier needs one a row: label= of CSV text, rbmx shard --keep-labels"
        )


def _labels_beside(name: str) -> ValueError:
    return ValueError(f"labels: are for arrays; {name} is to hold its own (rbmx shard --keep-labels)")


def _label_of_shards(name: str) -> ValueError:
    return ValueError(f"label: is for CSV text; {name} holds shards, which have taken labels from their rows already")


def _label_of_csv(name: str) -> ValueError:
    return ValueError(
        f'label: {name} is CSV text: say "first", "last" or None (--label first, --label last or --label none)'
    )


def _check_count(asked: int | None, found: int, name: str) -> None:
    if asked not in (None, found):
        raise ValueError(f"shards: {name} holds {found}, got {asked}")


def _cut_to_lines(path: Path, name: str) -> None:
    """Drop the last line if it is cut short."""
    size = os.path.getsize(path)
    if size < HEAD_BYTES:
        return
    with open(path, "rb+") as file:
        tail = min(size, 1 << 26)
        file.seek(size - tail)
        end = file.read(tail).rfind(b"\n")
        if end < 0:
            raise DataError(f"{name}: no line ends in the last {tail} of its first {size} bytes; is this CSV text?")
        file.truncate(size - tail + end + 1)
