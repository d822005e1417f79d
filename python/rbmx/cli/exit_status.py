"""From errors to messages and exit statuses: the one place that knows both."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from rbmx.errors import CheckpointError, DataError, DivergedError, JobError

__all__ = ["UsageError", "exit_status_of"]

BAD_DATA, BAD_USE, INTERRUPTED = 1, 2, 130


class UsageError(ValueError):
    """Arguments that do not fit together; the message names the flag."""


def exit_status_of(run: Callable[[], int]) -> int:
    """What `run` returns, or the status of its error, whose message goes to stderr in one line.

    With RBMX_DEBUG=1 in the environment errors come with their traceback.
    """
    try:
        return _with_stdout_flushed(run)
    except SystemExit as stop:  # argparse: 0 for --help and --version, 2 for bad use
        return stop.code if isinstance(stop.code, int) else BAD_USE
    except KeyboardInterrupt:
        return _report("interrupted", INTERRUPTED)
    except BrokenPipeError:  # the reader of stdout has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD_DATA
    except OSError as error:
        return _report(_describe(error), BAD_DATA)
    except (DataError, CheckpointError, DivergedError, JobError) as error:
        return _report(str(error), BAD_DATA)
    except ModuleNotFoundError as error:
        return _report(_missing(error), BAD_DATA)
    except (ValueError, TypeError) as error:
        return _report(str(error), BAD_USE)
    except MemoryError as error:
        return _report(f"not enough memory: {error}" if str(error) else "not enough memory", BAD_DATA)
    except Exception as error:
        hint = "a defect of rbmx; RBMX_DEBUG=1 shows where"
        return _report(f"{type(error).__name__}: {error} ({hint})", BAD_DATA)


def _with_stdout_flushed(run: Callable[[], int]) -> int:
    status = run()
    sys.stdout.flush()
    return status


def _report(message: str, status: int) -> int:
    if os.environ.get("RBMX_DEBUG") == "1":
        raise
    print(f"rbmx: {message}", file=sys.stderr)
    return status


def _describe(error: OSError) -> str:
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _missing(error: ModuleNotFoundError) -> str:
    if error.name == "matplotlib":
        return 'pictures need matplotlib: pip install "rbmx[report]"'
    if error.name == "mrjob":
        return 'training over shards needs mrjob: pip install "rbmx[hadoop]"'
    return str(error)
