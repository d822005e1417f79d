"""How Hadoop cuts the input of a job into map tasks."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Splits", "splits_for"]

COMBINE = "-inputformat org.apache.hadoop.mapred.lib.CombineTextInputFormat"
NO_LIMIT = str(1 << 40)


@dataclass(frozen=True)
class Splits:
    """Hadoop properties, and further arguments of its streaming."""

    jobconf: dict[str, str] = field(default_factory=dict)
    arguments: str = ""


def splits_for(shards: int, shard_bytes: int | None, maps: int | None) -> Splits:
    """The settings that make a job's map tasks.

    Args:
        shards: how many there are, or are asked for.
        shard_bytes: size of a file that holds one shard; None of text, which Hadoop may cut anywhere.
        maps: tasks; None: one a shard. Fewer take several shards each, which costs fewer JVMs.
    """
    if shard_bytes is None:
        return Splits({"mapreduce.job.maps": str(maps or shards)})
    if maps is None or maps >= shards:
        return Splits({"mapreduce.input.fileinputformat.split.minsize": NO_LIMIT})
    together = -(-shards // maps)
    # a split is full once it has this much: shards differ by a row, so a little less than `together` of them
    full = int(shard_bytes * (together - 0.5))
    return Splits(
        {"mapreduce.input.fileinputformat.split.maxsize": str(full), "stream.map.input.ignoreKey": "true"}, COMBINE
    )
