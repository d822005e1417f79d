"""`rbmx mapper`: the map side of a round for plain Hadoop streaming, from stdin to stdout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rbmx.cli.arguments import add_compute, apply_compute

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "train the shards on stdin for one round (Hadoop streaming)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The round's model."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="the round, as rbmx train-mr --prepare writes it")
    add_compute(parser)


def run(args: argparse.Namespace) -> int:
    """Lines of shards or CSV text in, `key TAB result` out."""
    from rbmx.jobs.mapper import Mapper
    from rbmx.jobs.records import write_record
    from rbmx.jobs.streaming import KEY, StreamingWatch, records_alone_on_stdout, use_container_threads
    from rbmx.jobs.work import load_job

    use_container_threads()
    apply_compute(args)
    with records_alone_on_stdout() as out:
        for record in Mapper(load_job(args.model), StreamingWatch()).stream(sys.stdin.buffer):
            out.write(KEY + b"\t" + write_record(record) + b"\n")
            out.flush()
    return 0
