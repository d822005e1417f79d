from __future__ import annotations

import subprocess

import pytest

from rbmx.bench.memory import peak_of


def test_the_peak_counts_memory_that_was_freed_again() -> None:
    small = peak_of("report()")["peak_mb"]
    large = peak_of("x = bytearray(b'1') * 100_000_000; del x; report()")["peak_mb"]
    # 100 MB of pages that were written; an interpreter's own size varies by a few MB.
    assert 90 < large - small < 115


def test_a_program_reports_figures_of_its_own_and_takes_arguments() -> None:
    assert peak_of("report(rows=int(sys.argv[1]))", ["3"])["rows"] == 3


def test_a_failing_program_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        peak_of("sys.exit(1)")
