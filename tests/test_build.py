from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import rbmx

INFO = "import json, rbmx; print(json.dumps(rbmx.build_info()))"


def test_build_info_tells_version_compiler_instruction_sets_threads_and_blas() -> None:
    info = rbmx.build_info()
    assert {"version", "compiler", "instruction_sets", "instruction_set", "threads", "blas"} <= set(info)
    assert info["version"] == rbmx.__version__
    assert info["instruction_sets"][0] == "baseline"  # type: ignore[index]
    assert info["instruction_set"] in info["instruction_sets"]  # type: ignore[operator]
    assert info["threads"] == rbmx.get_num_threads() >= 1
    assert "OpenBLAS" in str(info["blas"])


def test_the_best_instruction_set_is_the_default(run_python: Callable[..., str]) -> None:
    info = json.loads(run_python(INFO))
    assert info["instruction_set"] == info["instruction_sets"][-1]


@pytest.mark.parametrize("isa", rbmx.build_info()["instruction_sets"])  # type: ignore[arg-type]
def test_rbmx_isa_chooses_the_instruction_set(isa: str, run_python: Callable[..., str]) -> None:
    assert json.loads(run_python(INFO, RBMX_ISA=isa))["instruction_set"] == isa


@pytest.mark.parametrize("isa", ["neon", "AVX2", "sse"])
def test_a_wrong_rbmx_isa_is_a_clear_error(isa: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INFO], env={"RBMX_ISA": isa}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"RBMX_ISA: expected one of baseline" in done.stderr  # noqa: F541
    assert f"got '{isa}'" in done.stderr


def threads_with(run_python: Callable[..., str], **environment: str) -> int:
    return int(run_python("import rbmx; print(rbmx.get_num_threads())", **environment))


def test_rbmx_num_threads_lowers_the_number_of_threads(run_python: Callable[..., str]) -> None:
    assert threads_with(run_python, RBMX_NUM_THREADS="1") == 1
    assert threads_with(run_python, OMP_NUM_THREADS="1") == 1


def test_rbmx_num_threads_never_asks_for_more_than_the_machine_has(run_python: Callable[..., str]) -> None:
    machine = threads_with(run_python)
    assert threads_with(run_python, RBMX_NUM_THREADS="1000") == machine
    assert threads_with(run_python, RBMX_NUM_THREADS="") == machine


def test_set_num_threads_wins_over_the_environment(run_python: Callable[..., str]) -> None:
    script = "import rbmx; rbmx.set_num_threads(5); print(rbmx.get_num_threads())"
    assert run_python(script, RBMX_NUM_THREADS="1").strip() == "5"


@pytest.mark.parametrize("n", [0, -1, 1025])
def test_a_number_of_threads_out_of_range_is_refused_and_changes_nothing(n: int) -> None:
    before = rbmx.get_num_threads()
    with pytest.raises(ValueError, match=f"n: expected 1 to 1024 threads, got {n}"):
        rbmx.set_num_threads(n)
    assert rbmx.get_num_threads() == before


@pytest.mark.parametrize("n", ["2", 2.5, None])
def test_a_number_of_threads_that_is_no_integer_is_a_type_error(n: Any) -> None:
    with pytest.raises(TypeError):
        rbmx.set_num_threads(n)
