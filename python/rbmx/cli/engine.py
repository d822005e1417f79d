"""Where a job over shards runs: the flags that its commands share."""

from __future__ import annotations

import argparse
from typing import Any

from rbmx.cli.arguments import at_least
from rbmx.cli.exit_status import UsageError

__all__ = ["add_engine", "engine_options"]


def add_engine(group: argparse._ArgumentGroup) -> None:
    """-r, -c, -D, --maps, --python-bin and --no-ship."""
    group.add_argument(
        "-r", "--runner", choices=["inline", "local", "hadoop", "spark"], default="inline", help="(default inline)"
    )
    group.add_argument(
        "-c", "--conf-path", action="append", default=[], metavar="FILE", help="mrjob.conf (default: the user's own)"
    )
    group.add_argument(
        "-D", dest="jobconf", action="append", default=[], metavar="KEY=VALUE", help="a Hadoop or Spark property"
    )
    group.add_argument(
        "--maps",
        type=at_least(1),
        metavar="M",
        help="map tasks on Hadoop (default: one a shard); as many as there are cores cost the fewest JVMs",
    )
    group.add_argument(
        "--python-bin",
        metavar="PATH",
        help="Python on the nodes (default: mrjob.conf's, or on Hadoop python3, on Spark the Python of this command)",
    )
    group.add_argument(
        "--no-ship",
        dest="ship",
        action="store_false",
        help="do not send the code to Hadoop's nodes: they have rbmx and mrjob",
    )


def engine_options(args: argparse.Namespace) -> dict[str, Any]:
    """The flags as the functions of rbmx.jobs take them."""
    return {
        "runner": args.runner,
        "conf_paths": args.conf_path,
        "jobconf": _jobconf(args.jobconf),
        "options": [] if args.python_bin is None else ["--python-bin", args.python_bin],
        "maps": args.maps,
        "ship": args.ship,
    }


def _jobconf(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"-D: expected KEY=VALUE, got {pair!r}")
    return dict(pair.split("=", 1) for pair in pairs)
