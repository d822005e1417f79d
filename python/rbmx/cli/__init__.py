"""The command line: results on stdout, progress on stderr, exit status 2 bad use, 1 bad data."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rbmx.cli.commands import parse
from rbmx.cli.exit_status import exit_status_of

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; None takes the words behind the program's name. Returns the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)

    def run() -> int:
        args = parse(words)
        return int(args.run(args))

    return exit_status_of(run)
