"""From a task's lines to the rows it trains on."""

from __future__ import annotations

import hashlib
import os
import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows
from rbmx.bits import PackedBits
from rbmx.data.csv import CsvText
from rbmx.data.dataset import Dataset
from rbmx.data.labelled import as_labels
from rbmx.data.shards import read_shard
from rbmx.errors import DataError
from rbmx.jobs.records import Name
from rbmx.jobs.round import Round
from rbmx.jobs.settings import JobSettings
from rbmx.training.ascent import ascend

__all__ = ["Given", "Reading", "labels_of", "propagate", "read_shard_line", "read_text", "split_name"]


@dataclass(frozen=True, eq=False)
class Given:
    """The rows of one shard.

    Attributes:
        name: of the shard.
        number: that its random numbers belong to: the shard's, or the digest of a split's text.
        rows: bits or real values of the visible units.
        first_row: global number of the first row; 0 for a split, which does not know.
        where: what errors call it.
        bad_rows: lines that were left out.
        labels: of the rows, where the data have them.
    """

    name: Name
    number: int
    rows: Rows
    first_row: int
    where: str
    bad_rows: int = 0
    labels: NDArray[np.int64] | None = None


class Reading(Protocol):
    """What reading asks a job: how its rows are read, and how wide they are."""

    @property
    def settings(self) -> JobSettings:
        """Encoding, kind, label, on_bad_row."""
        ...

    @property
    def n_visible(self) -> int:
        """Values in a row of the data."""
        ...


def read_shard_line(line: bytes, job: Reading) -> Given:
    """The rows of a shard line.

    Raises:
        DataError: a damaged line, or rows that do not fit the job.
    """
    shard = read_shard(line)
    header, settings = shard.header, job.settings
    _require_width(header.n_visible, job, shard.name)
    bits = isinstance(shard.values, PackedBits)
    rows = shard.values if bits else settings.encoding.encode(shard.block, shard.name, kind=settings.kind)
    name = Name(f"{header.shard:06d}", header.shard, header.of)
    return Given(name, header.shard, rows, header.first_row, shard.name, labels=shard.labels)


def read_text(text: bytes, job: Reading) -> Given:
    """The rows of a split of CSV text, named by what they hold: the same split is the same shard in every round.

    Args:
        text: whole lines.
        job: how they are read.

    Raises:
        DataError: names the split, the line and the column of what is wrong.
    """
    settings, where = job.settings, split_name()
    if settings.merge == "gradient":
        raise DataError(f"{where}: sums over rows need rows with global numbers: make shards by rbmx shard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of skipped lines, which are counted
        source = CsvText(text, label=settings.label, on_bad_row=settings.on_bad_row, name=where)
        _require_width(source.n_visible, job, where)
        dataset = Dataset(source, settings.encoding)
        loaded = dataset.load_labelled()
        rows = loaded.values
    if (settings.kind == "bits") != isinstance(rows, PackedBits):
        raise DataError(f"{where}: expected {settings.kind} as in the first rows; say --binarize or --scale")
    values = rows.words if isinstance(rows, PackedBits) else rows
    digest = hashlib.blake2b(values.data, digest_size=8).hexdigest()
    # the data set reads a copy of the source that compares while it parses
    bad_rows = getattr(dataset.source, "n_skipped", 0)
    return Given(Name(digest), int(digest, 16), rows, 0, where, bad_rows, loaded.labels)


def labels_of(given: Given, n_classes: int) -> NDArray[np.int64]:
    """The labels of a shard's rows, each one of the classes.

    Raises:
        DataError: there are none, or one is no class.
    """
    if given.labels is None:
        raise DataError(f"{given.where}: no labels, and a classifier needs one a row: keep them in the shards")
    try:
        return as_labels(given.labels, n_classes)
    except DataError as error:
        raise DataError(f"{given.where}: {error}") from None


def propagate(job: Round, rows: Rows, first_row: int) -> Rows:
    """The rows as the frozen lower layers hand them up: means, or bits drawn at the rows' global numbers."""
    config = job.settings.config
    return ascend(
        rows, job.lower, mode=job.settings.propagate, seed=config.seed, first_row=first_row, engine=config.engine
    )


def _require_width(n_values: int, job: Reading, where: str) -> None:
    if n_values != job.n_visible:
        raise DataError(
            f"{where}: has {n_values} values in a row, expected {job.n_visible}, the visible units of the model"
        )


def split_name() -> str:
    """How errors call a split: its file and offset where the engine tells them."""
    file = os.environ.get("mapreduce_map_input_file")  # noqa: SIM112
    start = os.environ.get("mapreduce_map_input_start")  # noqa: SIM112
    return "input" if file is None else f"{file} from byte {start}"
