"""Whether a task runs on the Python that the archive of code was built for, said before an import fails oddly."""

from __future__ import annotations

import os
import sys

__all__ = ["EXPECTED", "require_expected_python"]

EXPECTED = "RBMX_TASK_PYTHON"  # the variable that names it, where code is shipped


def require_expected_python() -> None:
    """End the task with one line where this Python has another minor version."""
    expected = os.environ.get(EXPECTED)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if expected and expected != here:
        sys.exit(
            f"rbmx: this node's Python is {here} ({sys.executable}), the job was built for {expected}: name one by "
            "python_bin in mrjob.conf or --python-bin"
        )
