"""Our CSV reader and its parser beside NumPy, pandas and pyarrow, on MNIST written as CSV."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rbmx.backends.native import build_info, get_num_threads, parse_csv, parse_csv_bits, set_isa, set_num_threads
from rbmx.bench.csv_peers import load_peers
from rbmx.bench.harness import Report, WrongAnswerError, facts, interleave, stopwatch, table
from rbmx.bits import PackedBits
from rbmx.data import read_csv

__all__ = ["run_csv", "write_csv"]

THRESHOLD = 127.0
Row = dict[str, object]


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


@dataclass(frozen=True)
class Contestant:
    """One way to read the file: what it takes, what it makes, and how it is run."""

    name: str
    source: str  # "path" or "memory"
    output: str
    threads: int
    isa: str
    read: Callable[[], npt.NDArray[Any]]

    def prepare(self) -> None:
        """Choose threads and instruction set, outside the clock."""
        set_isa(self.isa)
        set_num_threads(self.threads)


def _ours(path: Path, output: str, counts: tuple[int, ...], best: str) -> Iterator[Contestant]:
    """read_csv and the parser alone: every instruction set on one thread, the best one on all."""
    text = path.read_bytes()
    n_rows, n_fields = text.count(b"\n"), text.split(b"\n", 1)[0].count(b",") + 1

    def parser(out: str) -> Callable[[], npt.NDArray[Any]]:
        if out == "bits":
            words = np.empty((n_rows, -(-n_fields // 64)), np.uint64)

            def parse_bits() -> npt.NDArray[Any]:
                parse_csv_bits(text, None, THRESHOLD, n_fields, words, None)
                return words

            return parse_bits
        values = np.empty((n_rows, n_fields), out)

        def parse() -> npt.NDArray[Any]:
            parse_csv(text, None, values, None)
            return values

        return parse

    for n in counts:
        yield Contestant("rbmx read_csv", "path", output, n, best, lambda: read_csv(path, label=None)[0])
    for out in (output, "float32", "bits") if output == "uint8" else (output, "bits"):
        read = parser(out)
        for isa in build_info()["instruction_sets"]:  # type: ignore[attr-defined]
            yield Contestant("rbmx parse", "memory", out, 1, isa, read)
        for n in counts[1:]:
            yield Contestant("rbmx parse", "memory", out, n, best, read)


def _check(contestant: Contestant, expected: npt.NDArray[Any]) -> None:
    """Equal for ours; a last bit off is allowed where a peer rounds decimals its own way."""
    contestant.prepare()
    found = contestant.read()
    if contestant.output == "bits":
        good = np.array_equal(PackedBits(found, expected.shape[1]).unpack(), expected > THRESHOLD)
    elif contestant.name.startswith("rbmx") or expected.dtype == np.uint8:
        good = np.array_equal(found, expected)
    else:
        good = bool(np.allclose(found, expected, rtol=1e-6, atol=0))
    if not good:
        raise WrongAnswerError(f"{contestant.name} ({contestant.output}): values differ from what was written")


def _run_case(
    case: str, path: Path, table_of: npt.NDArray[Any], rounds: int, counts: tuple[int, ...], isa: str
) -> list[Row]:
    dtype, output = table_of.dtype.type, str(table_of.dtype)
    contestants = list(_ours(path, output, counts, isa))
    readers, left_out = load_peers(path, dtype, counts[-1])
    for name, read in readers.items():
        threads = counts[-1] if name == "pyarrow" else 1
        source = "memory" if name == "np.fromstring" else "path"
        contestants.append(Contestant(name, source, output, threads, isa, read))
    for contestant in contestants:
        _check(contestant, table_of)

    def timed(contestant: Contestant) -> Callable[[], float]:
        def run() -> float:
            contestant.prepare()
            return stopwatch(contestant.read)()

        return run

    timings = interleave({str(i): timed(c) for i, c in enumerate(contestants)}, rounds=rounds)
    ours = next(i for i, c in enumerate(contestants) if c.source == "path" and c.threads == counts[-1])
    reference = timings[str(ours)].median
    n_bytes = path.stat().st_size
    rows: list[Row] = []
    lines = []
    for contestant, timing in zip(contestants, timings.values(), strict=True):
        own = contestant.name.startswith("rbmx")
        settings = [contestant.source, contestant.output, str(contestant.threads), contestant.isa if own else ""]
        speed = [n_bytes / seconds / 1e6 for seconds in (timing.median, timing.worst, timing.best)]
        ratio = timing.median / reference
        lines.append(
            [contestant.name, *settings, f"{speed[0]:,.0f}", f"{speed[1]:,.0f} - {speed[2]:,.0f}", f"{ratio:.2f}"]
        )
        rows.append(
            {
                "case": case,
                "name": contestant.name,
                "from": contestant.source,
                "output": contestant.output,
                "threads": contestant.threads,
                "isa": contestant.isa if own else None,
                "bytes": n_bytes,
                "bytes_per_second": n_bytes / timing.median,
                "read_csv_is_times": ratio,
                **timing.to_json(),
            }
        )
    print(f"CSV of {case}: {table_of.shape[0]:,} x {table_of.shape[1]}, {n_bytes / 1e6:.0f} MB, {rounds} rounds")
    print(table(["", "from", "into", "threads", "isa", "MB/s", "min - max", "read_csv is"], lines), "\n", flush=True)
    for name, reason in left_out.items():
        print(f"  left out: {name}: {reason}", file=sys.stderr)
        rows.append({"case": case, "name": name, "left_out": reason})
    return rows


def run_csv(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], *, rounds: int = 5, threads: int = 2
) -> Report:
    """Read the same files with all (from the page cache), after checking that each reads them right.

    Args:
        images: gray values 0 to 255, shape (rows, 784); "integers" is all of them behind their digit,
            "decimals" a quarter of them as value / 255 with six decimals.
        labels: digits, shape (rows,).
        rounds: how often each one reads a file.
        threads: the most threads of those that can use several.
    """
    counts = (1, threads) if threads > 1 else (1,)
    report = Report("csv", {"rows": len(images), "rounds": rounds}, facts(threads=threads))
    isa, before = str(build_info()["instruction_set"]), get_num_threads()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mnist.csv"
            write_csv(path, images, labels)
            integers = np.column_stack([labels.astype(np.uint8), images])
            report.rows += _run_case("integers", path, integers, rounds, counts, isa)
            decimals = images[: -(-len(images) // 4)] / 255
            np.savetxt(path, decimals, "%.6f", ",")
            rounded = np.array([float(f"{v / 255:.6f}") for v in range(256)], np.float32)[images[: len(decimals)]]
            report.rows += _run_case("decimals", path, rounded, rounds, counts, isa)
    finally:
        set_isa(isa)
        set_num_threads(before)
    return report
