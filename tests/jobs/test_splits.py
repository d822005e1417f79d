"""How many shards a map task of Hadoop takes."""

from __future__ import annotations

import pytest

from rbmx.jobs.splits import COMBINE, splits_for

MAXSIZE = "mapreduce.input.fileinputformat.split.maxsize"


def tasks(sizes: list[int], full: int) -> list[int]:
    """Files a split, as CombineFileInputFormat fills them on one node: until a split has `full` bytes."""
    found, held, size = [], 0, 0
    for file in sizes:
        held, size = held + 1, size + file
        if size >= full:
            found.append(held)
            held, size = 0, 0
    return [*found, held] if held else found


@pytest.mark.parametrize(("shards", "maps"), [(4, 2), (4, 1), (8, 3), (16, 2), (5, 2), (3, 2), (7, 6)])
def test_shards_are_dealt_evenly_whatever_a_row_more_weighs(shards: int, maps: int) -> None:
    together = -(-shards // maps)
    for first, others in ((1000, 1001), (1001, 1000)):
        splits = splits_for(shards, first, maps)
        assert splits.arguments == COMBINE
        found = tasks([first] + [others] * (shards - 1), int(splits.jobconf[MAXSIZE]))
        assert max(found) == together
        assert len(found) <= maps


@pytest.mark.parametrize("maps", [None, 4, 9])
def test_by_default_each_file_is_a_task(maps: int | None) -> None:
    splits = splits_for(4, 1000, maps)
    assert splits.jobconf == {"mapreduce.input.fileinputformat.split.minsize": str(1 << 40)}
    assert splits.arguments == ""


def test_text_may_be_cut_anywhere() -> None:
    assert splits_for(4, None, None).jobconf == {"mapreduce.job.maps": "4"}
    assert splits_for(4, None, 9).jobconf == {"mapreduce.job.maps": "9"}
