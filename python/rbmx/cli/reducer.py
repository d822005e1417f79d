"""`rbmx reducer`: the reduce side of a round for plain Hadoop streaming, from stdin to stdout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "merge the results of rbmx mapper on stdin (Hadoop streaming)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The round's model."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="the round, as rbmx train-mr --prepare writes it")


def run(args: argparse.Namespace) -> int:
    """`key TAB result` lines in, the merge out; where a shard failed, its failure."""
    from rbmx.jobs.records import write_record
    from rbmx.jobs.streaming import records_alone_on_stdout
    from rbmx.jobs.work import load_job, reduce_job

    job = load_job(args.model)
    results = (line.rstrip(b"\r\n").partition(b"\t")[2] for line in sys.stdin.buffer)
    with records_alone_on_stdout() as out:
        for record in reduce_job(results, job):
            out.write(write_record(record) + b"\n")
    return 0
