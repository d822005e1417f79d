"""What all tests share: fixed Hypothesis examples, Python in a process of its own, small machines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from rbmx.backends.native import build_info, get_num_threads, set_num_threads
from rbmx.params import RBMParams

# The same examples in every run and no folder of found ones: a failure here is a failure everywhere.
settings.register_profile("rbmx", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("rbmx")


# A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Run a script in a new interpreter and return its stdout; environment variables as keywords."""

    def run(script: str, *arguments: str, timeout: float = 60, **environment: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RBMX_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script, *arguments],
            env=clean | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def run_script(tmp_path: Path) -> Callable[..., str]:
    """Run a script from a file, as multiprocessing's spawn needs, and return its stdout."""

    def run(script: str, *arguments: str) -> str:
        path = tmp_path / "script.py"
        path.write_text(script)
        done = subprocess.run(
            [sys.executable, str(path), *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def machine() -> Callable[..., RBMParams]:
    """A seeded machine with normal weights and biases."""

    def make(
        n_visible: int,
        n_hidden: int,
        *,
        scale: float = 1.0,
        seed: int = 0,
        visible: str = "bernoulli",
        hidden: str = "bernoulli",
    ) -> RBMParams:
        rng = np.random.default_rng([seed, n_visible, n_hidden])
        return RBMParams(
            rng.normal(0, scale, (n_hidden, n_visible)).astype(np.float32),
            rng.normal(0, scale, n_visible).astype(np.float32),
            rng.normal(0, scale, n_hidden).astype(np.float32),
            visible,
            hidden,
        )

    return make


@pytest.fixture
def each_setting() -> Iterator[Callable[..., Iterator[str]]]:
    """Go through every instruction set and thread count in place; the ones in use come back afterwards."""
    from rbmx import _core

    info = build_info()
    threads = get_num_threads()

    def settings_of(threads: tuple[int, ...] = (1, 2, 3, 8)) -> Iterator[str]:
        for isa in info["instruction_sets"]:  # type: ignore[attr-defined]
            for n in threads:
                _core.set_isa(isa)
                set_num_threads(n)
                yield f"{isa}, {n} threads"

    yield settings_of
    _core.set_isa(info["instruction_set"])
    set_num_threads(threads)
