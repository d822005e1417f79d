"""What a round costs on a real Hadoop: fixed cost and work from the tasks' timelines, and a model of more nodes.

time(n nodes) = fixed cost + (launch + work of a shard) * shards on the fullest node.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from rbmx.bench.hadoop_cluster import HadoopCluster, running_cluster
from rbmx.bench.harness import Report, WrongAnswerError, facts, table
from rbmx.jobs.rounds import train_rounds
from rbmx.params import RBMParams
from rbmx.training.history import RoundRecord

__all__ = ["RoundCost", "Speedup", "run_hadoop"]

HIDDEN = 500
THRESHOLD = 127.0
HALF_A_CORE = 0.5
TINY_ROWS = 600


@dataclass(frozen=True)
class RoundCost:
    """Seconds of the parts of a round, the median of the rounds after the first.

    Attributes:
        rows, shards: of the data.
        seconds: of the round as the driver sees it.
        driver: before the job is submitted and after it has finished: files up, results down.
        master: from submission until the job's master begins to ask for maps.
        launch: from there until the last map process has begun, less the work meanwhile.
        work: of the slowest shard: reading and training.
        reduce: from the last map's end to the job's end.
    """

    rows: int
    shards: int
    seconds: float
    driver: float
    master: float
    launch: float
    work: float
    reduce: float

    @property
    def fixed(self) -> float:
        """All but the work."""
        return self.seconds - self.work


@dataclass(frozen=True)
class Speedup:
    """A job on n nodes, each held to half a core: seconds of a round, measured and by the model."""

    nodes: int
    seconds: float | None
    model: float


def run_hadoop(
    images: npt.NDArray[np.uint8],
    *,
    rows: Sequence[int] = (2_000, 15_000, 60_000),
    shards: Sequence[int] = (1, 4, 8),
    rounds: int = 4,
    nodes: Sequence[int] = (1, 2, 3),
    heavy_epochs: int = 20,
    plot: Path | None = None,
) -> Report:
    """Time rounds on a cluster that this starts and stops, after checking that its weights are those of one process.

    Args:
        images: gray values (rows, 784).
        rows: sizes, each cut into four shards.
        shards: numbers of shards, each over the middle size.
        rounds: of each job; the first warms up and is left out.
        nodes: of the clusters for the speedup.
        heavy_epochs: passes over its shard of a map of the speedup's job.
        plot: where to draw.
    """
    report = Report("hadoop", {"rounds": rounds, "hidden": HIDDEN}, facts(threads=1))
    middle = rows[len(rows) // 2]
    points = [(n, 4) for n in rows] + [(middle, s) for s in shards if s != 4]
    with tempfile.TemporaryDirectory(prefix="rbmx-hadoop-") as folder:
        with running_cluster(Path(folder), 1) as cluster:
            _check(cluster, images)
            costs = [_cost(cluster, images[:n], s, rounds) for n, s in points]
        _tell_costs(costs)
        speedups, held = _speedups(Path(folder), images, nodes, rounds, heavy_epochs)
    _tell_speedups(speedups, held)
    report.rows += [{"name": f"{c.rows} rows, {c.shards} shards", **asdict(c), "fixed": c.fixed} for c in costs]
    report.rows += [{"name": f"{s.nodes} nodes", "held_to_half_a_core": held, **asdict(s)} for s in speedups]
    if plot is not None:
        from rbmx.report.cluster import draw_cluster

        draw_cluster(plot, costs, speedups, held)
    return report


def _train(cluster: HadoopCluster, rows: npt.NDArray[np.uint8], shards: int, rounds: int, **more: Any) -> Any:
    return train_rounds(
        rows,
        HIDDEN,
        binarize=THRESHOLD,
        shards=shards,
        rounds=rounds,
        runner="hadoop",
        conf_paths=[cluster.conf],
        **more,
    )


def _check(cluster: HadoopCluster, images: npt.NDArray[np.uint8]) -> None:
    few = images[:TINY_ROWS]
    found = _digest(_train(cluster, few, 2, 2).params)
    expected = _digest(train_rounds(few, HIDDEN, binarize=THRESHOLD, shards=2, rounds=2).params)
    if found != expected:
        raise WrongAnswerError(f"hadoop: weights {found[:12]}, expected those of one process, {expected[:12]}")


def _cost(cluster: HadoopCluster, rows: npt.NDArray[np.uint8], shards: int, rounds: int) -> RoundCost:
    records: list[RoundRecord] = _train(cluster, rows, shards, rounds).history
    parts = [_parts(record, job) for record, job in zip(records, cluster.last_jobs(rounds), strict=True)][1:]
    middle = {name: median(part[name] for part in parts) for name in parts[0]}
    return RoundCost(len(rows), shards, **middle)


def _parts(record: RoundRecord, job: dict[str, Any]) -> dict[str, float]:
    """The parts of one round; their sum is the round."""
    maps = [a for task in job["tasks"] if task["type"] == "MAP" for a in task["attempts"]]
    master = min(a["start"] for a in maps)
    maps_end = max(a["finish"] for a in maps)
    return {
        "seconds": record.seconds,
        "driver": record.seconds - job["finish"],
        "master": master,
        "launch": maps_end - master - record.work_seconds,
        "work": record.work_seconds,
        "reduce": job["finish"] - maps_end,
    }


def _speedups(
    folder: Path, images: npt.NDArray[np.uint8], nodes: Sequence[int], rounds: int, epochs: int
) -> tuple[list[Speedup], bool]:
    """The heavy job on each number of nodes, and the model from three jobs on one node.

    A tiny shard takes fixed + launch, many tiny shards fixed + shards * launch, and the heavy job tells the work.
    """
    shards = 2 * max(nodes)
    measured: dict[int, float] = {}
    fixed = shard_seconds = 0.0
    held = True
    for n in nodes:
        with running_cluster(folder, n) as cluster, cluster.nodes_held_to(HALF_A_CORE, n) as allowed:
            if n == nodes[0]:
                tiny = [_seconds(_train(cluster, images[:TINY_ROWS], k, rounds).history) for k in (1, shards)]
                fixed = tiny[0] - (tiny[1] - tiny[0]) / (shards - 1)
            heavy = _train(cluster, images, shards, rounds, local_epochs=epochs)
        measured[n] = _seconds(heavy.history)
        if n == nodes[0]:
            shard_seconds = (measured[n] - fixed) / -(-shards // n)
        held = held and allowed
        if not held:
            break
    return [Speedup(n, measured.get(n), fixed + shard_seconds * -(-shards // n)) for n in nodes], held


def _seconds(history: Sequence[Any]) -> float:
    return float(median(record.seconds for record in history[1:]))


def _digest(params: RBMParams) -> str:
    return hashlib.sha256(params.weight.tobytes() + params.visible_bias.tobytes()).hexdigest()


def _tell_costs(costs: Sequence[RoundCost]) -> None:
    names = ("seconds", "driver", "master", "launch", "work", "reduce")
    lines = [
        [f"{c.rows:,}", str(c.shards), *(f"{getattr(c, name):.1f}" for name in names), f"{c.fixed:.1f}"] for c in costs
    ]
    print("a round of 784-500 on one node, seconds")
    print(table(["rows", "shards", *names, "fixed"], lines), "\n", flush=True)


def _tell_speedups(speedups: Sequence[Speedup], held: bool) -> None:
    first = speedups[0]
    print(f"nodes, each {'held to half a core' if held else 'not held: model only, projected'}")
    lines = [
        [
            str(s.nodes),
            "projected" if s.seconds is None else f"{s.seconds:.1f}",
            f"{s.model:.1f}",
            "" if s.seconds is None or first.seconds is None else f"{first.seconds / s.seconds:.2f}",
            f"{first.model / s.model:.2f}",
        ]
        for s in speedups
    ]
    print(table(["nodes", "round, s", "model, s", "speedup", "model"], lines), flush=True)
