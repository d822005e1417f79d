"""`rbmx next-round`: what a job gave, taken into the model, where rounds are run by hand."""

from __future__ import annotations

import argparse
from pathlib import Path

from rbmx.cli.model_facts import weights_digest
from rbmx.files import require_writable

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "take the output of a job (reducer lines) into the model of its round"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The round's model, the job's output, and where the next round goes."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="the round that the job ran")
    parser.add_argument("results", metavar="PART", type=Path, nargs="+", help="output files of the job (part-00000)")
    parser.add_argument("-o", "--output", metavar="MODEL", type=Path, help="(default: the model itself)")


def run(args: argparse.Namespace) -> int:
    """Merge, save, and tell the digest of the weights."""
    from rbmx.jobs.round import load_round, save_round
    from rbmx.jobs.step import next_round, outcome_of

    output = args.output or args.model
    require_writable(output)
    job = load_round(args.model)
    lines = [line for path in args.results for line in path.read_bytes().splitlines() if line]
    following = next_round(job, *outcome_of(lines, job.settings))
    save_round(output, following)
    print(f"{output}: round {following.number} done, weights sha256 {weights_digest(following.params)}")
    return 0
