"""The arithmetic of the cost of rounds; the cluster itself is in tests/hadoop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rbmx.bench import hadoop_cluster, hadoop_cost
from rbmx.training.history import RoundRecord

JOB = {
    "finish": 10.0,
    "tasks": [
        {"type": "MAP", "attempts": [{"start": 2.0, "finish": 7.0}, {"start": 2.5, "finish": 8.0}]},
        {"type": "REDUCE", "attempts": [{"start": 8.1, "finish": 9.9}]},
    ],
}


def record(seconds: float, work: float = 1.5) -> RoundRecord:
    return RoundRecord(1, 100, seconds, 1.0, 0.1, 0.0, 0.0, shards=4, work_seconds=work)


def test_the_parts_of_a_round_are_the_round() -> None:
    parts = hadoop_cost._parts(record(12.0), JOB)
    assert parts == {"seconds": 12.0, "driver": 2.0, "master": 2.0, "launch": 4.5, "work": 1.5, "reduce": 2.0}
    assert sum(parts.values()) - parts["seconds"] == parts["seconds"]
    cost = hadoop_cost.RoundCost(100, 4, **parts)
    assert cost.fixed == 10.5


def test_the_model_takes_all_costs_from_one_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fixed 8 s, 2 s to launch a shard, 8 s of work in each of six: 68, 38, 28 s, whatever two and three nodes took."""
    seconds = {1: 68.0, 2: 44.0, 3: 33.0}

    @contextmanager
    def cluster(folder: Path, nodes: int) -> Iterator[Any]:
        @contextmanager
        def held(cores: float, n: int) -> Iterator[bool]:
            assert (cores, n) == (0.5, nodes)
            yield True

        yield SimpleNamespace(nodes=nodes, nodes_held_to=held)

    def train(cluster: Any, rows: Any, shards: int, rounds: int, **more: Any) -> Any:
        assert shards == 6 or (shards, more) == (1, {})
        took = seconds[cluster.nodes] if more else 8.0 + 2.0 * shards
        return SimpleNamespace(history=[record(99.0), record(took), record(took)])

    monkeypatch.setattr(hadoop_cost, "running_cluster", cluster)
    monkeypatch.setattr(hadoop_cost, "_train", train)
    points, held = hadoop_cost._speedups(tmp_path, [0] * 1000, (1, 2, 3), 3, 20)  # type: ignore[arg-type]
    assert held
    assert [(p.nodes, p.seconds, p.model) for p in points] == [(1, 68.0, 68.0), (2, 44.0, 38.0), (3, 33.0, 28.0)]


def test_nodes_that_cannot_be_held_are_projected_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hadoop_cluster, "CGROUPS", tmp_path / "nothing")
    with hadoop_cluster._held_to(0.5, [1]) as allowed:
        assert not allowed


@pytest.mark.parametrize(("version", "quota"), [(1, "cpu.cfs_quota_us"), (2, "cpu.max")])
def test_a_group_for_each_node_says_the_share(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: int, quota: str
) -> None:
    root = tmp_path / "cpu" if version == 1 else tmp_path
    root.mkdir(exist_ok=True)
    monkeypatch.setattr(hadoop_cluster, "CGROUPS", tmp_path)
    monkeypatch.setattr(hadoop_cluster, "_disband", lambda group: None)  # a plain folder is no empty group
    with hadoop_cluster._held_to(0.5, [123, 456]) as allowed:
        assert allowed
        group = root / "rbmx-bench-123"
        assert (group / quota).read_text().split()[0] == "50000"
        assert (group / "cgroup.procs").read_text() == "123"
        assert (root / "rbmx-bench-456").is_dir()
