"""The same bytes from any thread count, instruction set and split of calls, and as long as docs/decisions.md says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rbmx

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "hashes.json").read_text())
ISAS: Any = rbmx.build_info()["instruction_sets"]


def hashes(*arguments: str, **environment: str) -> Any:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RBMX_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "hashes.py"), *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_hashes_are_golden_for_every_thread_count_and_instruction_set(threads: int, isa: str) -> None:
    """Alternately in one call and in many; the number given is used also where the machine has fewer processors."""
    calls = "many" if threads % 2 else "one"
    assert hashes(str(threads), calls, RBMX_ISA=isa, RBMX_NUM_THREADS=str(threads)) == GOLDEN


def test_hashes_are_golden_in_one_call_and_in_many() -> None:
    assert hashes("2", "many") == hashes("2", "one") == GOLDEN


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_environment_chooses_threads_without_changing_a_byte(threads: str) -> None:
    script = (
        "import sys, runpy, rbmx; rbmx.set_num_threads = lambda n: None; "
        "sys.argv = ['hashes.py']; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"RBMX_NUM_THREADS": threads},
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout) == GOLDEN


def test_another_seed_gives_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison bites: one more draw in the noise key and no training hash stays."""
    script = (
        "import sys, runpy; from rbmx.rng import Purpose; import rbmx.rng; "
        "old = rbmx.rng.Key.fold_in; "
        "rbmx.rng.Key.fold_in = lambda self, n: old(self, n + 100 if n == Purpose.TRAINING else n); "
        "sys.argv = ['hashes.py']; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=HERE, capture_output=True, text=True, timeout=120, check=True
    )
    found = json.loads(done.stdout)
    changed = {name for name in GOLDEN if found[name] != GOLDEN[name]}
    assert changed == {name for name in GOLDEN if "CD-" in name or "shards" in name}
