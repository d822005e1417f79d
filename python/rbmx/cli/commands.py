"""The commands, and the parser that they make together."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from importlib.metadata import version

from rbmx.cli import (
    demo,
    fit,
    info,
    mapper,
    next_round,
    reducer,
    report,
    sample,
    score,
    shard,
    train_mr,
    train_stack,
    transform,
)

__all__ = ["parse"]

# Each module offers SUMMARY, add_arguments(parser) and run(args) -> exit status.
COMMANDS = {
    "fit": fit,
    "sample": sample,
    "transform": transform,
    "score": score,
    "report": report,
    "info": info,
    "demo": demo,
    "shard": shard,
    "train-mr": train_mr,
    "train-stack": train_stack,
    "mapper": mapper,
    "reducer": reducer,
    "next-round": next_round,
}


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace with `run`, the command, and `command_line`, the text."""
    args = _parser().parse_args(words)
    args.command_line = shlex.join(["rbmx", *words])
    return args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rbmx", description="Restricted Boltzmann machines: train, sample, score, look."
    )
    parser.add_argument("--version", action="version", version=f"rbmx {version('rbmx')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=f"{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.",
        )
        command.add_argument("--version", action="version", version=f"rbmx {version('rbmx')}")
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
