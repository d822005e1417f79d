"""Data and results that no second attempt would mend: one clear error each, whoever finds it."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbmx.cli import main
from rbmx.data import open_source
from rbmx.data.shards import SHARD_TAG
from rbmx.envelope import seal, unseal
from rbmx.errors import DataError
from rbmx.jobs import Round, load_round, write_shards
from rbmx.jobs.mapper import Mapper, Watch
from rbmx.jobs.records import Record, read_record, write_record
from rbmx.jobs.reducer import reduce_round
from rbmx.jobs.step import outcome_of
from rbmx.rng import Key

FLAGS = ["--hidden", "16", "--rounds", "2", "--quiet"]


def rbmx(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def job(shards: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Round:
    """The first round of a job over bits."""
    model = tmp_path_factory.mktemp("job") / "model.safetensors"
    assert rbmx("train-mr", shards[0].parent, *FLAGS, "--prepare", "-o", model) == 0
    return load_round(model)


def csv(rows: np.ndarray, *, label: bool = True) -> bytes:
    lines = [",".join([*([str(i % 10)] if label else []), *map(str, row)]) for i, row in enumerate(rows.tolist())]
    return "".join(line + "\n" for line in lines).encode()


class Counts(Watch):
    """What tasks counted."""

    def __init__(self) -> None:
        super().__init__()
        self.total: dict[str, int] = {}

    def count(self, counter: str, amount: int) -> None:
        self.total[counter] = self.total.get(counter, 0) + amount


def outcome(job: Round, *splits: bytes, watch: Watch | None = None) -> Any:
    """What the driver gets of a round over these splits."""
    lines = [write_record(r) for split in splits for r in Mapper(job, watch).stream(io.BytesIO(split))]
    records = reduce_round(lines, job.settings)
    return outcome_of([write_record(record) for record in records], job.settings)


def failure(job: Round, *splits: bytes) -> str:
    """The one error that a round over these splits ends in."""
    with pytest.raises(DataError) as caught:
        outcome(job, *splits)
    return str(caught.value)


def reading(job: Round, **changes: Any) -> Round:
    return replace(job, settings=replace(job.settings, **changes))


def sealed(line: bytes, **changes: Any) -> bytes:
    """A shard line with another header, under a CRC that fits; None takes a field out."""
    values, payload = unseal(SHARD_TAG, line, "line")
    return seal(SHARD_TAG, {name: v for name, v in {**values, **changes}.items() if v is not None}, payload)


# Splits of CSV text


def test_a_split_without_a_valid_row_is_named_with_its_first_fault(job):
    text = b"x,y\n" * 5
    assert failure(reading(job, label="first"), text) == (
        "input: has 1 values in a row, expected 64, the visible units of the model"
    )
    bad = b",".join([b"?"] * 64) + b"\n"
    assert failure(job, bad * 3).startswith("input: line 1, column 1: '?' is not a number")
    assert failure(reading(job, on_bad_row="skip"), bad * 3) == "input: no good row in 3 lines"


def test_one_bad_split_among_good_ones_is_the_error(job, rows):
    good, bad = csv(rows[:100], label=False), b",".join([b"2"] * 64) + b"\n"
    message = failure(job, good, bad, csv(rows[100:], label=False))
    assert message.startswith("input: line 1, column 1: value 2 lies outside [0, 1]")


def test_two_bad_splits_are_one_error(job):
    bad = [b",".join([text] * 64) + b"\n" for text in (b"?", b"!")]
    message = failure(job, *bad)
    assert message.startswith("input: line 1, column 1: '?' is not a number")
    assert message.endswith("(and 1 more shards failed)")


def test_a_reducer_that_sees_a_failure_merges_nothing(job, rows):
    splits = csv(rows[:100], label=False), b",".join([b"?"] * 64) + b"\n"
    lines = [write_record(r) for split in splits for r in Mapper(job).stream(io.BytesIO(split))]
    assert "merged" not in {record.kind for record in reduce_round(lines, job.settings)}


def test_a_header_line_is_called_one(job, rows):
    names = b",".join(b"p%d" % i for i in range(65)) + b"\n"
    message = failure(reading(job, label="first"), names + csv(rows))
    assert message == "input: line 1, column 1: 'p0' is not a number; is line 1 a header? take it out (tail -n +2)"


def test_the_file_and_place_of_a_split_are_named_where_the_engine_tells(job, monkeypatch):
    monkeypatch.setenv("mapreduce_map_input_file", "hdfs:///mnist.csv")
    monkeypatch.setenv("mapreduce_map_input_start", "33554432")
    assert failure(job, b"1,2\n").startswith("hdfs:///mnist.csv from byte 33554432: has 2 values in a row")


@pytest.mark.parametrize("binarize", [None, 0.5], ids=["as they are", "binarized"])
def test_bad_rows_are_counted_where_they_are_skipped(job, rows, binarize):
    text = csv(rows, label=False).splitlines(keepends=True)
    short, odd = b"1,0,1\n", b"?" + text[7][1:]
    split = b"".join([*text[:300], short, odd, *text[300:500], short])
    encoding = replace(job.settings.encoding, binarize=binarize)
    counts = Counts()
    merged, _ = outcome(reading(job, on_bad_row="skip", encoding=encoding), split, watch=counts)
    assert sum(merged.rows.values()) == 500
    assert counts.total["bad rows"] == 3 and counts.total["rows"] == 500


@pytest.mark.parametrize("binarize", [[], ["--binarize", "0.5"]], ids=["as they are", "binarized"])
def test_the_count_of_bad_rows_is_a_counter_of_hadoop(rows, tmp_path, binarize):
    data, model = tmp_path / "d.csv", tmp_path / "m.safetensors"
    data.write_bytes(csv(rows))
    flags = [*FLAGS, *binarize, "--label", "first", "--on-bad-row", "skip", "--prepare", "-o", model]
    assert rbmx("train-mr", data, *flags) == 0
    split = csv(rows[:50]) + b"1,2\n" + csv(rows[50:])
    done = task(["mapper", model], split)
    assert done.returncode == 0
    assert b"reporter:counter:rbmx,bad rows,1\n" in done.stderr and b"reporter:counter:rbmx,rows,800\n" in done.stderr


def test_labels_that_are_no_integers_are_named(job, rows):
    text = csv(rows[:3]) + b"1.5," + csv(rows[3:4], label=False)
    assert failure(reading(job, label="first"), text) == "input: line 4, column 1: label '1.5' is not an integer"


@pytest.mark.parametrize(("label", "given"), [(None, True), ("first", False), ("last", False)])
def test_a_label_too_many_or_too_few_is_told_by_the_width(job, rows, label, given):
    message = failure(reading(job, label=label), csv(rows, label=given))
    assert message == f"input: has {65 if given else 63} values in a row, expected 64, the visible units of the model"


# Shard lines


def test_a_damaged_shard_line_is_one_error(job, shards):
    lines = [path.read_bytes().rstrip(b"\n") for path in shards]
    for bad in (
        lines[1][:-1],
        lines[1][: len(lines[1]) // 2],
        lines[1][:30],
        changed(lines[1], -9),
        changed(lines[1], 50),
    ):
        message = failure(job, lines[0], bad, lines[2], lines[3])
        assert message.startswith("shard: damaged line: ") and "more shards failed" not in message


def changed(line: bytes, place: int) -> bytes:
    copy = bytearray(line)
    copy[place] ^= 1
    return bytes(copy)


def test_a_shard_line_whose_first_bytes_are_damaged_is_no_shard_and_no_row(job, shards):
    lines = [path.read_bytes() for path in shards]
    assert failure(job, changed(lines[0], 3)).startswith("input: has ")
    message = failure(job, lines[0] + changed(lines[1], 3) + lines[2] + lines[3])
    assert message.startswith("input: shard lines and CSV rows in one split; give one kind of data")


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 1 << 60, "total_rows": 1 << 61},
        {"n_visible": 1 << 24},
        {"n_visible": 1 << 50},
        {"rows": None},
        {"rows": "200"},
        {"shard": 7},
        {"dtype": "float128"},
    ],
    ids=str,
)
def test_a_shard_of_an_absurd_size_is_one_error_without_memory_or_time(job, shards, changes):
    line = sealed(shards[0].read_bytes(), **changes)
    started = time.perf_counter()
    tracemalloc.start()
    assert failure(job, line).startswith("shard: damaged ")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 25 and time.perf_counter() - started < 2


def test_a_count_of_shards_that_cannot_be_is_one_error_without_memory_or_time(job, shards):
    line = sealed(shards[0].read_bytes(), of=1 << 61)
    started = time.perf_counter()
    tracemalloc.start()
    assert failure(job, line) == "shards: 2305843009213693952 expected, without result: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 25 and time.perf_counter() - started < 2


def test_a_header_that_is_no_object_is_one_error(job):
    for text in (b"[]", b"7", b"[" * 3000):
        body = text + b" " + base64.b64encode(b"12345678")
        line = b"%s %d %08x %s" % (SHARD_TAG.encode(), len(body), zlib.crc32(body), body)
        assert failure(job, line).startswith("shard: damaged line: ")


def test_a_model_of_another_width_than_the_shards_is_told(job, rows, tmp_path):
    paths = write_shards(open_source(rows[:, :40]), 2, tmp_path / "narrow")
    message = failure(job, *(path.read_bytes() for path in paths))
    assert message.startswith("shard 0 of 2: has 40 values in a row, expected 64, the visible units of the model")


def test_shard_lines_and_csv_rows_are_not_mixed(job, rows, shards):
    lines, text = [path.read_bytes() for path in shards], csv(rows[:9], label=False)
    in_one_split = "input: shard lines and CSV rows in one split; give one kind of data"
    assert failure(job, text + lines[0] + lines[1]).startswith(in_one_split)
    for splits in ([*lines, text], [text, *lines], [*lines[:2], text, *lines[2:]], [lines[0] + text]):
        assert "mixed data sets?" in failure(job, *splits)


def test_a_shard_missing_is_named(job, shards):
    lines = [path.read_bytes() for path in shards]
    assert failure(job, *lines[:2], lines[3]) == "shards: 4 expected, without result: 2"
    assert failure(job, *lines[:3]) == "shards: 4 expected, without result: 3"


def test_a_shard_given_twice_counts_once(job, shards):
    lines = [path.read_bytes() for path in shards]
    merged, _ = outcome(job, *lines, lines[1])
    assert merged.rows == {f"{i:06d}": 200 for i in range(4)}


def test_shards_of_two_data_sets_are_an_error(job, rows, shards, tmp_path):
    lines = [path.read_bytes() for path in shards]
    other = [path.read_bytes() for path in write_shards(open_source(1 - rows), 4, tmp_path / "other")]
    assert failure(job, *lines, other[1]) == "shard 000001: two results that differ; is a part of the data given twice?"
    five = [path.read_bytes() for path in write_shards(open_source(rows), 5, tmp_path / "five")]
    assert failure(job, *lines, five[4]) == "shard 000004: of 5, expected shards of 4: mixed data sets?"


def test_no_input_at_all_is_an_error(job):
    assert failure(job, b"", b"") == "shards: no result to average: is the input empty?"


# Results that no mapper of ours wrote, under CRCs that fit


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Record("trained", {}), "lacks 'text'"),
        (Record("merged", {"text": "a", "number": None, "of": None}), "lacks"),
        (Record("other", {"text": "a", "number": None, "of": None, "visible": "", "hidden": ""}), "got 'other'"),
    ],
    ids=["no name", "a merge", "of no kind"],
)
def test_a_result_of_another_kind_is_one_error(job, record, message):
    (answer,) = reduce_round([write_record(record)], job.settings)
    assert answer.kind == "failure" and message in answer.facts["message"]


def test_a_result_whose_arrays_are_damaged_is_one_error(job):
    for payload in (b"\xff" * 8 + b"{}", b"\x02\0\0\0\0\0\0\0{}x", b"123", (1 << 40).to_bytes(8, "little") + b"{}"):
        (answer,) = reduce_round([seal("rbmx-result-1", {"kind": "trained"}, payload)], job.settings)
        assert answer.kind == "failure" and answer.facts["message"].startswith("result: ")


def test_results_of_other_shapes_than_the_first_are_an_error(job, shards):
    narrow = replace(job, params=type(job.params).initial(64, 5, key=Key(0), std=0.01))
    given = zip((job, narrow), shards[:2], strict=True)
    lines = [write_record(r) for each, path in given for r in Mapper(each).stream(io.BytesIO(path.read_bytes()))]
    *_, answer = reduce_round(lines, job.settings)
    assert answer.kind == "failure" and "expected arrays of (16, 64), got (5, 64)" in answer.facts["message"]


# The command line


def error_of(capsys: Any, status: int, *words: object) -> str:
    """The one line on stderr that a command ends in."""
    capsys.readouterr()
    assert rbmx(*words) == status
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("rbmx: ") and err.count("\n") == 1, (out, err)
    return str(err)[len("rbmx: ") : -1]


@pytest.fixture
def data(rows: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "d.csv"
    path.write_bytes(csv(rows))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "m.safetensors"


def test_csv_data_want_to_be_told_where_their_labels_are(data, model, tmp_path, capsys):
    error = error_of(capsys, 2, "train-mr", data, *FLAGS, "--binarize", "0.5", "-o", model)
    assert error == (
        f'label: {data} is CSV text: say "first", "last" or None (--label first, --label last or --label none)'
    )
    error = error_of(capsys, 2, "shard", data, "-n", 2, "-o", tmp_path / "s")
    assert error == f"--label: {data} is a CSV file: say --label first, --label last or --label none"
    assert not model.exists()


def test_labels_where_there_are_none_are_told_by_line_and_column(rows, tmp_path, model, capsys):
    data = tmp_path / "real.csv"
    data.write_bytes(csv(rows / 2, label=False))
    error = error_of(capsys, 1, "train-mr", data, *FLAGS, "--label", "first", "--scale", "1", "-o", model)
    assert error == f"{data}: line 5, column 1: label '0.5' is not an integer"


def test_more_shards_than_rows_are_refused(data, model, tmp_path, capsys):
    message = "shards: expected 1 to 800, the number of rows, got 801"
    assert error_of(capsys, 2, "shard", data, "--label", "first", "-n", 801, "-o", tmp_path / "s") == message
    assert error_of(capsys, 2, "train-mr", data, "--label", "first", *FLAGS, "--shards", 801, "-o", model) == message


def test_a_folder_that_holds_something_is_not_written_to(data, tmp_path, capsys):
    error = error_of(capsys, 1, "shard", data, "--label", "first", "-n", 2, "-o", tmp_path)
    assert error == f"{tmp_path}: expected a new or an empty folder for the shards"
    assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]


def test_a_model_that_does_not_fit_the_shards_is_not_resumed(job, rows, shards, tmp_path, model, capsys):
    assert rbmx("train-mr", shards[0].parent, *FLAGS, "--prepare", "-o", model) == 0
    write_shards(open_source(rows[:, :40]), 2, tmp_path / "narrow")
    before = model.read_bytes()
    error = error_of(capsys, 1, "train-mr", tmp_path / "narrow", "--resume", "-o", model)
    assert error == f"{tmp_path / 'narrow'}: has 40 values in a row, expected 64, the visible units of the model"
    assert model.read_bytes() == before


def test_a_label_for_shards_is_refused(shards, model, capsys):
    error = error_of(capsys, 2, "train-mr", shards[0].parent, *FLAGS, "--label", "first", "-o", model)
    assert error.startswith("label: is for CSV text; ") and error.endswith(
        "holds shards, which have taken labels from their rows already"
    )


def test_another_count_of_shards_than_there_are_is_refused(shards, model, capsys):
    error = error_of(capsys, 2, "train-mr", shards[0].parent, *FLAGS, "--shards", 3, "-o", model)
    assert error == f"shards: {shards[0].parent} holds 4, got 3"


def test_a_damaged_shard_among_local_ones_is_one_error_and_the_last_round_is_kept(rows, tmp_path, model, capsys):
    paths = write_shards(open_source(rows), 3, tmp_path / "s")
    assert rbmx("train-mr", tmp_path / "s", *FLAGS, "--prepare", "-o", model) == 0
    before = model.read_bytes()
    paths[1].write_bytes(changed(paths[1].read_bytes(), -40))
    error = error_of(capsys, 1, "train-mr", tmp_path / "s", "--quiet", "--rounds", 2, "--resume", "-o", model)
    assert "damaged line: its CRC does not fit its bytes" in error
    assert model.read_bytes() == before


def test_the_plain_mapper_and_reducer_want_a_model_of_a_job(tmp_path, rows, capsys):
    data, model = tmp_path / "d.npy", tmp_path / "plain.safetensors"
    np.save(data, rows)
    assert rbmx("fit", data, "--hidden", 4, "--epochs", 1, "--quiet", "-o", model) == 0
    for command in ("mapper", "reducer"):
        assert error_of(capsys, 1, command, model) == f"{model}: expected a model of rbmx train-mr, it lacks 'rounds'"


# What is printed by accident


def task(words: Sequence[object], text: bytes, *, script: str = "") -> subprocess.CompletedProcess[bytes]:
    """A command of rbmx in a process of its own, with lines that run before it."""
    return python(f"import sys\n{script}\nfrom rbmx.cli import main\nsys.exit(main(sys.argv[1:]))", words, text)


def python(program: str, words: Sequence[object], text: bytes) -> subprocess.CompletedProcess[bytes]:
    """A program in a process of its own, whose standard output is buffered as it is on a cluster."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, env=environment, input=text, capture_output=True, check=False)


POLLUTION = """
import ctypes, os
import rbmx.jobs.mapper, rbmx.jobs.work
def noisy(run):
    def noise(*words):
        print("printed")
        sys.stdout.write("left in the buffer")
        os.write(1, b"written\\n")
        ctypes.CDLL(None).printf(b"from C\\n")
        yield from run(*words)
        print("printed at the end")
    return noise
rbmx.jobs.mapper.Mapper.stream = noisy(rbmx.jobs.mapper.Mapper.stream)
rbmx.jobs.mapper.Mapper.end = noisy(rbmx.jobs.mapper.Mapper.end)
rbmx.jobs.work.reduce_job = noisy(rbmx.jobs.work.reduce_job)
"""


@pytest.mark.parametrize("way", ["rbmx", "mrjob"])
def test_what_is_printed_in_a_task_does_not_reach_the_records(shards, model, way):
    assert rbmx("train-mr", shards[0].parent, *FLAGS, "--prepare", "-o", model) == 0
    text = b"".join(path.read_bytes() for path in shards)
    for command, n_lines in (("mapper", 4), ("reducer", 5)):
        if way == "rbmx":
            done = task([command, model], text, script=POLLUTION)
        else:
            program = f"import sys\n{POLLUTION}\nfrom rbmx.jobs.train_job import main\nmain()"
            done = python(program, ["--step-num=0", f"--{command}", "--round-file", model], text)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) == n_lines, done.stdout[:200]
        for line in lines:
            read_record(line.split(b"\t")[-1])
        for noise in (b"printed\n", b"left in the buffer", b"written\n", b"from C\n", b"printed at the end\n"):
            assert noise in done.stderr
        text = done.stdout
