"""The paper's Fig. 6: a deep autoencoder trained sequentially in PyTorch, by rbmx in one process, and on a real Hadoop.

784-1000-500-250-30 on binarised MNIST: (a) greedy CD-1, (b) the same and backprop of the unrolled net. Each contestant
is a process of its own; its seconds run from before the process starts to the trained net in memory: starting, loading
and, on Hadoop, submitting are in them. Layers of rbmx hand up bits in (a), which its kernel is for, and means in (b),
from which backprop ends lower; those of PyTorch, to which both cost the same, means. Fig. 7, more nodes, by the cost
model: fixed cost and work of the measured jobs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt

from rbmx.bench.contestant import peers_folder
from rbmx.bench.hadoop_cluster import running_cluster
from rbmx.bench.harness import Report, facts, table

__all__ = ["Run", "Size", "run_autoencoder"]

SIZES = (784, 1000, 500, 250, 30)
SETTINGS = {"rate": 0.1, "batch": 100, "tuning-rate": 0.001, "tuning-batch": 200}
ROWS = (5_000, 10_000, 20_000, 40_000, 60_000)
PUBLISHED = {5_000: 0.58, 60_000: 0.08}  # reductions of the paper's Fig. 6 (a)
NODES = (1, 2, 4, 8)
LARGEST_ERROR = 1.02  # of the baseline's
SMALLEST_REDUCTION = 0.58


@dataclass(frozen=True)
class Run:
    """One contestant, one seed.

    Attributes:
        greedy_seconds, tuned_seconds: of (a) and (b), whole; of Hadoop (b) None where only (a) was run.
        greedy_error, tuned_error: squared error per test image.
        backprop_seconds: the part of tuned_seconds that backprop took.
        fixed_seconds: of Hadoop's (a): all but the task's work.
    """

    greedy_seconds: float
    tuned_seconds: float | None
    greedy_error: float
    tuned_error: float | None
    backprop_seconds: float | None = None
    fixed_seconds: float | None = None


@dataclass(frozen=True)
class Size:
    """All runs on so many images: a run a seed of each contestant."""

    rows: int
    torch: list[Run]
    rbmx: list[Run]
    hadoop: list[Run]


def run_autoencoder(
    images: npt.NDArray[np.bool_],
    test: npt.NDArray[np.bool_],
    *,
    rows: Sequence[int] = ROWS,
    seeds: Sequence[int] = (1, 2, 3),
    epochs: int = 50,
    backprop: int = 10,
    threads: int = 2,
    hadoop: bool = True,
    plot: Path | None = None,
) -> Report:
    """Time the three, one after another in turn, and compare their errors on the test images.

    Args:
        images, test: bits (rows, 784).
        rows: sizes of the training set.
        seeds: of the runs; on Hadoop the first seed runs (a) and (b), the others (a).
        epochs: of each layer.
        backprop: epochs of (b).
        threads: of each.
        hadoop: start a single node and run there too.
        plot: where to draw.
    """
    settings: dict[str, object] = {"sizes": SIZES, "epochs": epochs, "backprop": backprop, "seeds": list(seeds)}
    report = Report("autoencoder", {**settings, **SETTINGS, "rounds": len(seeds)}, facts(threads=threads))
    with tempfile.TemporaryDirectory(prefix="rbmx-autoencoder-") as name, ExitStack() as stack:
        folder = Path(name)
        np.save(folder / "test.npy", test.view(np.uint8))
        conf = stack.enter_context(running_cluster(folder, 1)).conf if hadoop else None
        if conf is not None:
            _ship(folder, images[:100], conf, threads)
        sizes = []
        for n in rows:
            np.save(folder / "train.npy", images[:n].view(np.uint8))
            size = Size(n, [], [], [])
            for seed in seeds:
                words = {"epochs": epochs, "backprop": backprop, "seed": seed, "threads": threads}
                size.torch.append(_torch(folder, words))
                size.rbmx.append(_rbmx(folder, words))
                if conf is not None:
                    size.hadoop.append(_rbmx(folder, {**words, "hadoop": conf}, both=seed == seeds[0]))
            sizes.append(size)
            _tell(report, sizes)
    for size in sizes:
        report.rows += _rows(size)
    print(_table(sizes))
    if hadoop:
        print(_projection(sizes))
    if plot is not None:
        from rbmx.report.autoencoder import draw_autoencoder

        draw_autoencoder(plot, sizes)
    return report


def _call(folder: Path, program: str, words: dict[str, Any]) -> dict[str, float]:
    """What a program of bench/autoencoder wrote; OSError with its last line where it failed."""
    result = folder / "result.json"
    command = [sys.executable, str(peers_folder() / "autoencoder" / program)]
    command += [str(folder / "train.npy"), str(folder / "test.npy"), str(result), "--sizes", *map(str, SIZES)]
    for name, value in {**SETTINGS, **words, "started": time.time()}.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip() or f"ended with status {done.returncode}"
        raise OSError(f"{program}: {said.splitlines()[-1]}")
    found: dict[str, float] = json.loads(result.read_text())
    return found


def _ship(folder: Path, images: npt.NDArray[np.bool_], conf: str, threads: int) -> None:
    """A first small job, which puts the code for the nodes on HDFS: once for a version, as an installation."""
    np.save(folder / "train.npy", images.view(np.uint8))
    words = {"epochs": 1, "backprop": 0, "propagate": "sample", "seed": 0, "threads": threads, "hadoop": conf}
    _call(folder, "with_rbmx.py", words)


def _torch(folder: Path, words: dict[str, Any]) -> Run:
    found = _call(folder, "sequential_torch.py", words)
    whole = found["greedy_seconds"] + found["backprop_seconds"]
    return Run(found["greedy_seconds"], whole, found["greedy_error"], found["tuned_error"], found["backprop_seconds"])


def _rbmx(folder: Path, words: dict[str, Any], *, both: bool = True) -> Run:
    greedy = _call(folder, "with_rbmx.py", {**words, "backprop": 0, "propagate": "sample"})
    tuned = _call(folder, "with_rbmx.py", {**words, "propagate": "mean"}) if both else {}
    return Run(
        greedy["seconds"],
        tuned.get("seconds"),
        greedy["error"],
        tuned.get("error"),
        tuned.get("backprop_seconds"),
        greedy.get("fixed_seconds"),
    )


def _mean(runs: Sequence[Run], name: str) -> float:
    return fmean(value for run in runs if (value := getattr(run, name)) is not None)


def ratio(size: Size, runs: Sequence[Run], name: str) -> float:
    """Of the mean to that of sequential PyTorch, over the seeds of which these runs have it."""
    pairs = [(getattr(run, name), getattr(torch, name)) for run, torch in zip(runs, size.torch, strict=True)]
    known = [pair for pair in pairs if pair[0] is not None]
    return float(sum(own for own, _ in known) / sum(other for _, other in known))


def _rows(size: Size) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, runs in (("torch", size.torch), ("rbmx", size.rbmx), ("hadoop", size.hadoop)):
        if not runs:
            continue
        row: dict[str, object] = {"name": f"{size.rows} images, {name}", "runs": [asdict(run) for run in runs]}
        if name != "torch":
            less = 1 - ratio(size, runs, "greedy_seconds")
            worse, tuned_worse = (ratio(size, runs, error) for error in ("greedy_error", "tuned_error"))
            row |= {"reduction": less, "error_ratio": worse, "tuned_error_ratio": tuned_worse}
            row["within"] = less >= SMALLEST_REDUCTION and max(worse, tuned_worse) <= LARGEST_ERROR
        rows.append(row)
    return rows


def _tell(report: Report, sizes: Sequence[Size]) -> None:
    """The newest size at once: the whole takes hours."""
    if len(sizes) == 1:
        print(report.origin(), flush=True)
    print(_table(sizes[-1:]), flush=True)


def _table(sizes: Sequence[Size]) -> str:
    """A line a contestant, `less` over the seeds it ran; the bound: (b) if all but PyTorch's backprop took no time."""
    head = ["images", "", "(a) s", "less", "published", "error", "(b) s", "less", "error", "of it backprop s", "bound"]
    lines = []
    for size in sizes:
        for name, runs in (("torch", size.torch), ("rbmx", size.rbmx), ("Hadoop", size.hadoop)):
            if not runs:
                continue
            whole, backprop = _mean(runs, "tuned_seconds"), _mean(runs, "backprop_seconds")
            other = name != "torch"
            lines.append(
                [
                    f"{size.rows:,}",
                    name,
                    f"{_mean(runs, 'greedy_seconds'):.1f}",
                    f"{1 - ratio(size, runs, 'greedy_seconds'):.0%}" if other else "",
                    f"{PUBLISHED[size.rows]:.0%}" if name == "Hadoop" and size.rows in PUBLISHED else "",
                    f"{_mean(runs, 'greedy_error'):.2f}",
                    f"{whole:.1f}",
                    f"{1 - ratio(size, runs, 'tuned_seconds'):.0%}" if other else "",
                    f"{_mean(runs, 'tuned_error'):.2f}",
                    f"{backprop:.1f}",
                    "" if other else f"{1 - backprop / whole:.0%}",
                ]
            )
    return table(head, lines)


def _projection(sizes: Sequence[Size]) -> str:
    """Fig. 7 by the cost model, fixed cost + work / nodes, from the measured fixed cost and work of one node."""
    lines = []
    for size in sizes:
        fixed = _mean(size.hadoop, "fixed_seconds")
        work = _mean(size.hadoop, "greedy_seconds") - fixed
        lines.append([f"{size.rows:,}", f"{fixed:.1f}", *(f"{fixed + work / nodes:.1f}" for nodes in NODES)])
    return table(["images", "fixed s", *(f"{nodes} nodes s" for nodes in NODES)], lines)
