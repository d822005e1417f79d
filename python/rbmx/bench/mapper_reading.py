"""How fast a map task takes in its lines: CSV rows and shard lines beside NumPy's text readers."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from rbmx.backends.native import get_num_threads, set_num_threads
from rbmx.bench.harness import Report, Timing, WrongAnswerError, facts, interleave, stopwatch, table
from rbmx.bits import PackedBits
from rbmx.data import Encoding, open_source
from rbmx.data.shards import write_shard
from rbmx.jobs.reading import read_shard_line, read_text
from rbmx.jobs.round import Round
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.sharding import cut
from rbmx.params import RBMParams
from rbmx.rng import Key

__all__ = ["run_mapper"]

THRESHOLD = 127.0


def run_mapper(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], *, rounds: int = 5, threads: int = 1
) -> Report:
    """The rows of one task from bytes in memory to what training takes, after checking that all agree.

    "by line" is the way of Spark, which hands over one row after another. NumPy's loadtxt and fromstring make uint8 and
    int32 of the same text, still to be compared with the threshold.

    Args:
        images: gray values, shape (rows, 784).
        labels: digits, shape (rows,), the first column of the text.
        rounds: how often each one reads.
        threads: of ours; the others have one.
    """
    text = _csv(images, labels)
    encoding = Encoding(binarize=THRESHOLD)
    job = Round(RBMParams.initial(images.shape[1], 1, key=Key(0)), JobSettings(encoding=encoding, label="first"))
    shard = write_shard(next(cut(open_source(images, binarize=THRESHOLD), 1)))
    flat = text.decode("ascii").rstrip("\n").replace("\n", ",")
    ways: dict[str, tuple[bytes, Callable[[], object]]] = {
        "shard line": (shard, lambda: read_shard_line(shard, job).rows),
        "CSV rows": (text, lambda: read_text(io.BytesIO(text).read(), job).rows),
        "CSV rows by line": (text, lambda: read_text(b"".join(list(io.BytesIO(text))), job).rows),
        "np.fromstring": (text, lambda: _fromstring(flat, images.shape[1])),
        "np.loadtxt": (text, lambda: np.loadtxt(io.BytesIO(text), np.uint8, delimiter=",")[:, 1:]),
    }
    before = get_num_threads()
    set_num_threads(threads)
    try:
        for name, (_, read) in ways.items():
            _check(name, read(), images)
        timings = interleave({name: stopwatch(read) for name, (_, read) in ways.items()}, rounds=rounds)
    finally:
        set_num_threads(before)
    sizes = {name: len(data) for name, (data, _) in ways.items()}
    return _report(len(images), sizes, timings, rounds, threads)


def _report(rows: int, sizes: dict[str, int], timings: dict[str, Timing], rounds: int, threads: int) -> Report:
    report = Report("mapper", {"rows": rows, "rounds": rounds}, facts(threads=threads))
    speed_of = {name: sizes[name] / timings[name].median for name in timings}
    lines = []
    for name, timing in timings.items():
        speeds = [rate / 1e6 for rate in timing.rates(sizes[name])]
        over = {peer: speed_of[name] / speed_of[peer] for peer in ("np.fromstring", "np.loadtxt")}
        row_rate = rows / timing.median
        lines.append(
            [
                name,
                f"{sizes[name] / 1e6:.1f}",
                f"{speeds[0]:,.0f}",
                f"{speeds[1]:,.0f} - {speeds[2]:,.0f}",
                f"{row_rate:,.0f}",
                *(f"{ratio:.1f}" for ratio in over.values()),
            ]
        )
        report.rows.append(
            {
                "name": name,
                "bytes": sizes[name],
                "bytes_per_second": sizes[name] / timing.median,
                "rows_per_second": row_rate,
                **{f"times_{peer}": ratio for peer, ratio in over.items()},
                **timing.to_json(),
            }
        )
    print(f"{rows:,} rows of one map task, {threads} thread(s) of ours, {rounds} rounds")
    print(table(["", "MB", "MB/s", "min - max", "rows/s", "x fromstring", "x loadtxt"], lines), flush=True)
    return report


def _csv(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> bytes:
    rows = np.column_stack([labels.astype(np.uint8), images]).tolist()
    return b"\n".join([",".join(map(str, row)).encode() for row in rows]) + b"\n"


def _fromstring(text: str, n_visible: int) -> npt.NDArray[np.int32]:
    """One flat text, whose ends of lines became commas before the clock starts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        values = np.fromstring(text, np.int32, sep=",")
    return values.reshape(-1, n_visible + 1)[:, 1:]


def _check(name: str, found: object, images: npt.NDArray[np.uint8]) -> None:
    bits = found.unpack() if isinstance(found, PackedBits) else np.asarray(found) > THRESHOLD
    if not np.array_equal(bits, images > THRESHOLD):
        raise WrongAnswerError(f"{name}: rows differ from what was written")
