"""Tasks that die, hang, run twice or lose bytes: the same weights to the byte, or one clear error and nothing lost.

`pytest -s` shows the sha256 of the weights after each fault beside that of the undisturbed round.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rbmx.cli import main
from rbmx.cli.model_facts import weights_digest
from rbmx.data import open_source
from rbmx.errors import DataError
from rbmx.jobs import load_round, train_job, train_rounds, write_shards
from rbmx.jobs.mapper import Mapper
from rbmx.jobs.records import write_record
from rbmx.jobs.reducer import reduce_round
from rbmx.jobs.step import next_round, outcome_of
from tests.jobs.streaming_runner import Fault, StreamingRunner, TaskError

SETTINGS = ["--hidden", "16", "--momentum", "0.5", "--rounds", "2", "--seed", "3", "--quiet"]
Plan = dict[tuple[str, int, int], Fault]


def rbmx(*words: object) -> int:
    return main([str(word) for word in words])


def sha256_of(model: Path) -> str:
    return weights_digest(load_round(model).params)


def runner_for(model: Path, plan: Plan | None = None, **options: Any) -> StreamingRunner:
    """The commands that Hadoop would be given."""
    command = [sys.executable, "-m", "rbmx"]
    return StreamingRunner([*command, "mapper", str(model)], [*command, "reducer", str(model)], plan or {}, **options)


def take(model: Path, lines: Sequence[bytes], output: Path) -> str:
    """The reducer's lines taken into the next model, and its sha256."""
    part = output.with_suffix(".part")
    part.write_bytes(b"".join(line + b"\n" for line in lines))
    assert rbmx("next-round", model, part, "-o", output) == 0
    return sha256_of(output)


def told(fault: str, digest: str) -> str:
    print(f"{fault:<60} sha256 {digest}")
    return digest


@pytest.fixture(scope="module")
def begun(shards: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of round 1: momentum, persistent chains."""
    model = tmp_path_factory.mktemp("begun") / "model.safetensors"
    assert rbmx("train-mr", shards[0].parent, *SETTINGS, "--prepare", "-o", model) == 0
    return model


@pytest.fixture(scope="module")
def splits(shards: list[Path]) -> list[bytes]:
    """Two splits of two shards."""
    lines = [path.read_bytes() for path in shards]
    return [lines[0] + lines[1], lines[2] + lines[3]]


@pytest.fixture(scope="module")
def model(begun: Path, splits: list[bytes]) -> Path:
    """The model of round 2: with the velocity and the chains of round 1."""
    after = begun.with_name("round2.safetensors")
    take(begun, runner_for(begun).run(splits), after)
    job = load_round(after)
    assert job.velocity is not None and len(job.states) == 4
    return after


@pytest.fixture(scope="module")
def undisturbed(model: Path, splits: list[bytes]) -> str:
    """sha256 of the weights after both rounds."""
    return told("undisturbed", take(model, runner_for(model).run(splits), model.with_name("round3.safetensors")))


@pytest.fixture
def after(model: Path, undisturbed: str, tmp_path: Path) -> Callable[..., StreamingRunner]:
    """Run round 2 under a plan; the weights must be those of the undisturbed round."""

    def run(fault: str, plan: Plan, given: Sequence[bytes], **options: Any) -> StreamingRunner:
        runner = runner_for(model, plan, **options)
        assert told(fault, take(model, runner.run(given), tmp_path / "next.safetensors")) == undisturbed
        return runner

    return run


def ends(runner: StreamingRunner, phase: str) -> list[int]:
    """How the attempts of task 0 ended."""
    return [status for (of, task, _), status in sorted(runner.fates.items()) if (of, task) == (phase, 0)]


def test_both_rounds_give_what_the_inline_engine_gives(shards, undisturbed, tmp_path, capsys):
    output = tmp_path / "inline.safetensors"
    assert rbmx("train-mr", shards[0].parent, *SETTINGS, "-o", output) == 0
    assert told("inline", sha256_of(output)) == undisturbed


def test_a_mapper_killed_at_each_line_of_its_output_is_run_again(after, splits):
    plan = {("map", 0, line): Fault("kill", line=line) for line in range(5)}
    runner = after("kill -9 of the mapper at each of its lines", plan, [b"".join(splits)], max_attempts=6)
    assert ends(runner, "map")[:4] == [-signal.SIGKILL] * 4 and runner.fates["map", 0, 5] == 0
    assert runner.counters["rbmx,shards"] == 4 and runner.counters["rbmx,rows"] == 800


def test_a_mapper_killed_within_a_line_is_run_again(after, splits):
    places = [1, 6, 30, 9000, 13_500]
    plan = {("map", 0, i): Fault("kill", byte) for i, byte in enumerate(places)}
    runner = after(f"kill -9 of the mapper at bytes {places}", plan, [b"".join(splits)], max_attempts=6)
    assert ends(runner, "map") == [-signal.SIGKILL] * 5 + [0]


def test_a_reducer_killed_anywhere_is_run_again(model, mapped, undisturbed, tmp_path):
    faults = [Fault("kill"), Fault("kill", 1), Fault("kill", 8000), Fault("kill", line=1), Fault("kill", line=5)]
    plan = {("reduce", 0, i): fault for i, fault in enumerate(faults)}
    runner = runner_for(model, plan, max_attempts=6)
    digest = take(model, runner.reduce(mapped), tmp_path / "next.safetensors")
    assert told("kill -9 of the reducer at bytes and lines", digest) == undisturbed
    assert ends(runner, "reduce")[:4] == [-signal.SIGKILL] * 4 and runner.fates["reduce", 0, 5] == 0


def test_a_task_that_hangs_is_killed_and_run_again(after, splits):
    plan = {("map", 0, 0): Fault("hang", line=1), ("map", 1, 0): Fault("hang"), ("reduce", 0, 0): Fault("hang", 1000)}
    runner = after("SIGSTOP of two mappers and a reducer", plan, splits)
    assert [runner.fates[place] for place in plan] == [-signal.SIGKILL] * 3


def test_a_task_that_runs_twice_counts_once(after, splits):
    plan = {("map", 0, 0): Fault("twice"), ("map", 0, 1): Fault("twice"), ("map", 1, 0): Fault("slow")}
    after("output of a mapper given three times, of another dropped", plan, splits, arrival=lambda lines: lines[::-1])


def test_it_does_not_matter_how_shards_are_dealt_to_tasks(after, shards):
    first, *others = [path.read_bytes() for path in shards]
    runner = after("splits of 0, 1, 0 and 3 shards", {}, [b"", first, b"", b"".join(others)])
    assert runner.counters["rbmx,shards"] == 4 and runner.counters["rbmx,rows"] == 800


def test_faults_in_both_rounds_leave_the_same_weights(begun, splits, undisturbed, tmp_path):
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    plan = {("map", 0, 0): Fault("kill", 5000)}
    take(begun, runner_for(begun, plan).run([b"".join(splits)]), first)
    digest = take(first, runner_for(first, plan).run([b"".join(splits)]), second)
    assert told("kill -9 of a mapper in both rounds", digest) == undisturbed


def test_a_job_of_mrjob_survives_the_same(model, splits, undisturbed, tmp_path):
    task = [sys.executable, train_job.__file__, "--step-num=0", "--round-file", str(model)]
    plan = {
        ("map", 0, 0): Fault("kill", 1),
        ("map", 1, 0): Fault("twice"),
        ("reduce", 0, 0): Fault("hang", 1),
    }
    runner = StreamingRunner([*task, "--mapper"], [*task, "--reducer"], plan)
    assert (
        told("kill, hang and twice under mrjob", take(model, runner.run(splits), tmp_path / "n.safetensors"))
        == undisturbed
    )
    assert runner.counters["rbmx,shards"] == 4


def test_a_task_that_fails_at_all_attempts_fails_the_job_and_leaves_the_model(model, splits):
    before = model.read_bytes()
    plan = {("map", 1, attempt): Fault("kill", 3000) for attempt in range(2)}
    with pytest.raises(TaskError, match="map task 1 failed 2 times; the last time: exit status -9"):
        runner_for(model, plan, max_attempts=2).run(splits)
    assert model.read_bytes() == before


def test_a_job_whose_tasks_fail_is_one_error_and_the_last_round_is_kept(shards, tmp_path, capsys, monkeypatch):
    output = tmp_path / "model.safetensors"
    real = Mapper.line

    def line(self: Mapper, text: bytes) -> Any:
        if self._job.number == 1:
            raise MemoryError("no more")
        return real(self, text)

    monkeypatch.setattr(Mapper, "line", line)
    assert rbmx("train-mr", shards[0].parent, *SETTINGS, "-o", output) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("rbmx: round 2: inline: ") and "no more" in error
    assert error.endswith(f"; {output} holds the model after round 1\n")
    assert load_round(output).number == 1


# Bytes lost or changed although the task said that all was well


@pytest.fixture(scope="module")
def mapped(model: Path, shards: list[Path]) -> list[bytes]:
    """The lines that reach the reducer: a key, a tab and a shard's result."""
    job = load_round(model)
    records = Mapper(job).stream(io.BytesIO(b"".join(path.read_bytes() for path in shards)))
    return [b"round\t" + write_record(record) for record in records]


@pytest.fixture(scope="module")
def reduced(model: Path) -> Callable[..., str]:
    """sha256 of the next weights from lines at the reducer, in this process; DataError or JobError."""
    job = load_round(model)

    def reduce(lines: Sequence[bytes]) -> str:
        records = reduce_round((line.rstrip(b"\r\n").partition(b"\t")[2] for line in lines), job.settings)
        out = [write_record(record) for record in records]
        return weights_digest(next_round(job, *outcome_of(out, job.settings)).params)

    return reduce


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("cut", 0), "shards: 4 expected, without result: 0, 1"),
        (Fault("cut", 3), "damaged line: expected it to start with rbmx-result-1, got b''"),
        (Fault("cut", -300), "damaged line: expected [0-9]+ bytes behind the CRC, got [0-9]+; was it cut short"),
        (Fault("flip", 5), "damaged line: expected it to start with"),
        (Fault("flip", -9000), "damaged line: its CRC does not fit its bytes"),
    ],
    ids=str,
)
def test_a_damaged_output_of_a_mapper_is_one_error_and_the_model_stays(model, mapped, tmp_path, capsys, fault, message):
    lines = [*fault.spoil(b"\n".join(mapped[:2])).splitlines(), *mapped[2:]]
    refused(model, runner_for(model).reduce(lines), message, tmp_path, capsys)


@pytest.mark.parametrize("fault", [Fault("cut", -700), Fault("flip", 60)], ids=str)
def test_a_damaged_output_of_the_reducer_is_one_error_and_the_model_stays(model, mapped, tmp_path, capsys, fault):
    lines = runner_for(model, {("reduce", 0, 0): fault}).reduce(mapped)
    refused(model, lines, "result: damaged line", tmp_path, capsys)


def test_no_output_of_the_reducer_is_one_error_and_the_model_stays(model, tmp_path, capsys):
    refused(model, [], "reducer: expected one merge, got 0; one reducer must see all shards", tmp_path, capsys)


def test_output_of_two_reducers_is_one_error_and_the_model_stays(model, mapped, tmp_path, capsys):
    settings = load_round(model).settings
    lines = [write_record(record) for record in reduce_round((line.split(b"\t")[1] for line in mapped), settings)]
    refused(model, [*lines, *lines], "reducer: expected one merge, got 2", tmp_path, capsys)


def refused(model: Path, lines: list[bytes], message: str, tmp_path: Path, capsys: Any) -> None:
    """One line on stderr, exit status 1, and the model as it was."""
    before = model.read_bytes()
    part = tmp_path / "part-00000"
    part.write_bytes(b"\n".join(lines))
    capsys.readouterr()
    assert rbmx("next-round", model, part) == 1
    error = capsys.readouterr().err
    assert error.startswith("rbmx: ") and error.count("\n") == 1 and re.search(message, error), error
    assert model.read_bytes() == before


@given(st.integers(0, 3), st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_no_bit_of_a_result_can_change_unseen(mapped, reduced, undisturbed, line: int, share: float, bit: int):
    text = mapped[line]
    place = int(share * len(text))
    changed = text[:place] + bytes([text[place] ^ 1 << bit]) + text[place + 1 :]
    lines = b"\n".join([*mapped[:line], changed, *mapped[line + 1 :]]).splitlines()
    if place < len(b"round") and len(lines) == 4 and changed.count(b"\t") == 1:  # the key alone
        assert reduced(lines) == undisturbed
        return
    with pytest.raises(DataError, match=r"damaged line|without result"):
        reduced(lines)


@given(st.floats(0, 1))
def test_an_output_cut_anywhere_is_an_error(mapped, reduced, share: float):
    text = b"\n".join(mapped)
    with pytest.raises(DataError, match=r"damaged line|without result|no result to average"):
        reduced(text[: int(share * (len(text) - 1))].splitlines())


# Order of arrival


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=4), st.randoms(use_true_random=False))
def test_results_in_any_order_and_any_number_give_the_same_weights(mapped, reduced, undisturbed, order, again, random):
    lines = [mapped[i] for i in [*order, *again]]
    random.shuffle(lines)
    assert reduced(lines) == undisturbed


@given(st.permutations(range(4)), st.integers(0, 3))
def test_a_missing_result_is_named_whatever_the_order(mapped, reduced, order, missing):
    with pytest.raises(DataError, match=f"shards: 4 expected, without result: {missing}$"):
        reduced([mapped[i] for i in order if i != missing])


@given(st.permutations(range(5)))
@settings(max_examples=20)
def test_two_results_of_one_shard_that_differ_are_an_error(begun, shards, mapped, reduced, order):
    lines = [*mapped, other_result(begun, shards[2])]
    with pytest.raises(DataError, match="shard 000002: two results that differ"):
        reduced([lines[i] for i in order])


@cache
def other_result(begun: Path, shard: Path) -> bytes:
    """What the shard gave in round 1: the part of another job."""
    record = next(iter(Mapper(load_round(begun)).stream(io.BytesIO(shard.read_bytes()))))
    return b"round\t" + write_record(record)


# CSV text, whose splits have no numbers


@pytest.fixture(scope="module")
def csv_splits(rows: np.ndarray) -> list[bytes]:
    lines = [b"%d,%s\n" % (i % 10, b",".join(b"%d" % value for value in row)) for i, row in enumerate(rows)]
    return [b"".join(lines[:250]), b"", b"".join(lines[250:])]


@pytest.fixture(scope="module")
def csv_model(csv_splits: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("csv")
    data, model = folder / "d.csv", folder / "model.safetensors"
    data.write_bytes(b"".join(csv_splits))
    assert rbmx("train-mr", data, "--label", "first", *SETTINGS, "--prepare", "-o", model) == 0
    return model


def test_splits_of_csv_text_stand_the_same_faults(csv_model, csv_splits, tmp_path):
    expected = take(csv_model, runner_for(csv_model).run(csv_splits), tmp_path / "expected.safetensors")
    told("CSV, undisturbed", expected)
    plan = {
        ("map", 0, 0): Fault("kill", 2000),
        ("map", 1, 0): Fault("kill"),
        ("map", 2, 0): Fault("twice"),
        ("map", 2, 1): Fault("hang", 10),
    }
    runner = runner_for(csv_model, plan, arrival=lambda lines: lines[::-1])
    digest = take(csv_model, runner.run(csv_splits), tmp_path / "next.safetensors")
    assert told("CSV, kill, hang and twice", digest) == expected
    assert runner.counters["rbmx,rows"] == 800
    assert len(load_round(tmp_path / "next.safetensors").states) == 2


# The driver itself


@pytest.fixture(scope="module")
def two_shards(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver") / "shards"
    write_shards(open_source(rows), 2, folder)
    return folder


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=lambda stop: stop.name)
@pytest.mark.parametrize(("runner", "rounds"), [("inline", 12), ("local", 2)])
def test_a_driver_that_is_stopped_goes_on_to_the_same_weights(two_shards, tmp_path, runner, rounds, stop):
    flags = ["--hidden", "16", "--momentum", "0.5", "--rounds", str(rounds), "--seed", "3"]
    output = tmp_path / "model.safetensors"
    status, errors = stopped_after_a_round(output, stop, two_shards, "-r", runner, *flags)
    done = load_round(output).number
    assert 1 <= done < rounds, "the round was over before the signal came"
    if stop == signal.SIGKILL:
        assert status == -signal.SIGKILL
        words = ["train-mr", str(two_shards), "--rounds", str(rounds), "--resume", "-o", str(output)]  # inline
    else:
        assert status == 130
        assert f"rbmx: interrupted; {output} holds the model after round {done}; go on with:\n" in errors
        assert "Traceback" not in errors
        words = errors.splitlines()[-1].split()[1:]
    assert rbmx(*words, "--quiet") == 0
    assert told(f"{stop.name} of the driver, {runner}, after round {done}", sha256_of(output)) == uninterrupted(
        two_shards, *flags
    )
    assert [record.epoch for record in load_round(output).history] == list(range(1, rounds + 1))


@cache
def uninterrupted(data: Path, *flags: str) -> str:
    """sha256 of the weights of a job that nothing disturbs."""
    output = data.with_name("whole.safetensors")
    assert rbmx("train-mr", data, *flags, "--quiet", "-o", output) == 0
    return sha256_of(output)


@pytest.mark.parametrize("done", [0, 1])
def test_a_resumed_job_cuts_its_data_into_the_shards_it_was_begun_with(rows, tmp_path, done):
    data, whole, output = tmp_path / "d.npy", tmp_path / "whole.safetensors", tmp_path / "model.safetensors"
    np.save(data, rows)
    assert rbmx("train-mr", data, *SETTINGS, "--shards", 2, "-o", whole) == 0
    assert rbmx("train-mr", data, *SETTINGS, "--shards", 2, "--prepare", "-o", output) == 0
    train_rounds(data, resume=output, rounds=2, at_most=done, checkpoint=output)
    assert load_round(output).number == done
    with pytest.raises(ValueError, match="shards: the job was begun with 2, got 5"):
        train_rounds(data, resume=output, shards=5)
    assert rbmx("train-mr", data, "--rounds", 2, "--quiet", "--resume", "-o", output) == 0
    assert sha256_of(output) == sha256_of(whole)


def stopped_after_a_round(output: Path, stop: signal.Signals, *words: object) -> tuple[int, str]:
    """Start `rbmx train-mr`, send a signal in its second round; exit status and stderr. No process is left."""
    command = [sys.executable, "-m", "rbmx", "train-mr", *map(str, words), "-o", str(output)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("round 1/")
        if stop == signal.SIGKILL:
            process.kill()
        else:
            os.killpg(process.pid, stop)  # as a terminal does
        errors = process.stderr.read()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return process.returncode, errors
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError("tasks outlive their driver")
