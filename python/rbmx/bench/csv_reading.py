"""Our CSV parser beside `np.loadtxt`, on MNIST written as CSV."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.bench.harness import Report, WrongAnswerError, facts, interleave, stopwatch, table
from rbmx.data import read_csv

__all__ = ["run_csv", "write_csv"]


def write_csv(path: Path, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], *, min_bytes: int = 0) -> int:
    """Write the rows "label,pixel,pixel,..." again and again until the file has min_bytes.

    Returns:
        The number of rows written: a multiple of len(images), at least once.
    """
    decimal = [str(value).encode() for value in range(256)]
    lines = [
        b",".join([str(label).encode(), *(decimal[pixel] for pixel in row)])
        for label, row in zip(labels.tolist(), images.tolist(), strict=True)
    ]
    block = b"\n".join(lines) + b"\n"
    times = max(1, -(-min_bytes // len(block)))
    with path.open("wb") as file:
        for _ in range(times):
            file.write(block)
    return times * len(lines)


def run_csv(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], *, rounds: int = 5) -> Report:
    """Read the same file with both (from the page cache), after checking that both read it right.

    Args:
        images: gray values 0 to 255, shape (rows, 784).
        labels: digits, shape (rows,).
        rounds: how often each one reads the file.
    """
    report = Report("csv", {"rows": len(images), "rounds": rounds}, facts(threads=1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mnist.csv"
        write_csv(path, images, labels)
        n_bytes = path.stat().st_size
        values, digits = read_csv(path, label="first")
        numpy_table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
        for name, ours, theirs in (("labels", digits, labels), ("values", values, images)):
            if not np.array_equal(np.asarray(ours), theirs):
                raise WrongAnswerError(f"read_csv: {name} differ from what was written")
        if not np.array_equal(numpy_table, np.column_stack([labels, images])):
            raise WrongAnswerError("np.loadtxt: values differ from what was written")
        timings = interleave(
            {
                "rbmx.data.read_csv": stopwatch(lambda: read_csv(path, label="first")),
                "np.loadtxt, uint8": stopwatch(lambda: np.loadtxt(path, delimiter=",", dtype=np.uint8)),
            },
            rounds=rounds,
        )
    ours_median = timings["rbmx.data.read_csv"].median
    lines = []
    for name, timing in timings.items():
        speed = n_bytes / timing.median / 1e6
        low, high = n_bytes / timing.worst / 1e6, n_bytes / timing.best / 1e6
        ratio = timing.median / ours_median
        lines.append([name, f"{speed:,.0f}", f"{low:,.0f} - {high:,.0f}", f"{ratio:.1f}x"])
        report.rows.append(
            {
                "name": name,
                "bytes": n_bytes,
                "bytes_per_second": n_bytes / timing.median,
                "rbmx_is_times": ratio,
                **timing.to_json(),
            }
        )
    print(f"CSV, {len(images):,} rows of MNIST, {n_bytes / 1e6:.0f} MB, {rounds} rounds")
    print(table(["", "MB/s", "min - max", "rbmx is"], lines), flush=True)
    return report
