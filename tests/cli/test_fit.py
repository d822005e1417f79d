"""rbmx fit: what it writes, what it refuses, how it stops and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rbmx.checkpoint import load_checkpoint, save_checkpoint
from rbmx.cli import main
from rbmx.samplers import PT

ROWS, UNITS = 250, 12
SETTINGS = ["--hidden", "5", "--batch-size", "20", "--momentum", "0.5", "--persistent"]


@pytest.fixture
def bits(tmp_path: Path) -> Path:
    path = tmp_path / "bits.npy"
    np.save(path, np.random.default_rng(0).random((ROWS, UNITS)) < 0.4)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def fit(*words: object) -> int:
    return main(["fit", *(str(word) for word in words)])


def same(first: Path, second: Path) -> bool:
    a, b = load_checkpoint(first), load_checkpoint(second)
    arrays = ("weight", "visible_bias", "hidden_bias")
    return all(getattr(a.params, n).tobytes() == getattr(b.params, n).tobytes() for n in arrays)


def test_fit_writes_a_model_with_its_settings_history_and_encoding(bits, model, capsys):
    assert fit(bits, *SETTINGS, "--epochs", 3, "--seed", 7, "--quiet", "-o", model) == 0
    checkpoint = load_checkpoint(model)
    assert checkpoint.params.weight.shape == (5, UNITS)
    assert checkpoint.config.seed == 7 and checkpoint.config.sampler.k == 1
    assert [record.epoch for record in checkpoint.history] == [1, 2, 3]
    assert checkpoint.encoding.describe() == "values as they are"
    assert checkpoint.extra["command"].startswith("rbmx fit ")
    out, err = capsys.readouterr()
    assert out.startswith(f"{model}: {UNITS}-5, 3 epochs, ") and err == ""


def test_progress_goes_to_stderr_a_line_per_epoch_where_it_is_no_terminal(bits, model, capsys):
    assert fit(bits, *SETTINGS, "--epochs", 2, "-o", model) == 0
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == ["epoch 1/2", "epoch 2/2"]


def test_a_bar_tells_epoch_rate_and_error_when_asked_for(bits, model, capsys):
    assert fit(bits, *SETTINGS, "--epochs", 2, "--progress", "-o", model) == 0
    err = capsys.readouterr().err
    assert "epoch 2/2, error 0." in err and "rows/s" in err


def test_json_is_one_record_per_line_on_stdout(bits, model, capsys):
    assert fit(bits, *SETTINGS, "--epochs", 2, "--validation", bits, "--json", "-o", model) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["epoch"] for record in records] == [1, 2]
    assert records[0]["validation_reconstruction_error"] == pytest.approx(records[0]["reconstruction_error"])


def test_resume_goes_on_to_the_bit(bits, model, tmp_path):
    whole = tmp_path / "whole.safetensors"
    assert fit(bits, *SETTINGS, "--epochs", 4, "--quiet", "-o", whole) == 0
    assert fit(bits, *SETTINGS, "--epochs", 2, "--quiet", "-o", model) == 0
    assert not same(whole, model)
    assert fit(bits, "--epochs", 4, "--quiet", "--resume", "-o", model) == 0
    assert same(whole, model)
    assert [record.epoch for record in load_checkpoint(model).history] == [1, 2, 3, 4]


def test_resume_takes_the_same_flags_again_and_another_output(bits, model, tmp_path):
    other = tmp_path / "other.safetensors"
    assert fit(bits, *SETTINGS, "--epochs", 1, "--quiet", "-o", model) == 0
    assert fit(bits, *SETTINGS, "--epochs", 2, "--quiet", "--resume", model, "-o", other) == 0
    assert len(load_checkpoint(model).history) == 1 and len(load_checkpoint(other).history) == 2


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--hidden", "6"], "--hidden"),
        (["--k", "2"], "--k"),
        (["--seed", "1"], "--seed"),
        (["--binarize", "0.5"], "--binarize"),
    ],
)
def test_resume_refuses_what_it_cannot_change(bits, model, capsys, flags, named):
    assert fit(bits, *SETTINGS, "--epochs", 1, "--quiet", "-o", model) == 0
    before = model.read_bytes()
    assert fit(bits, "--epochs", 2, "--resume", "-o", model, *flags) == 2
    assert named in capsys.readouterr().err
    assert model.read_bytes() == before


def test_a_finished_run_has_nothing_to_resume(bits, model, capsys):
    assert fit(bits, *SETTINGS, "--epochs", 1, "--quiet", "-o", model) == 0
    before = model.read_bytes()
    assert fit(bits, "--epochs", 1, "--resume", "-o", model) == 0
    assert "1 epochs are done" in capsys.readouterr().err
    assert model.read_bytes() == before


def test_ctrl_c_leaves_a_checkpoint_that_resumes_to_the_bit(tmp_path):
    data, model, whole = tmp_path / "d.npy", tmp_path / "m.safetensors", tmp_path / "w.safetensors"
    np.save(data, np.random.default_rng(1).random((4000, 64)) < 0.3)
    flags = [str(data), "--hidden", "32", "--epochs", "300", "-o", str(model), "--threads", "1"]
    command = [sys.executable, "-m", "rbmx", "fit", *flags]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()  # the first epoch is done
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err and err.rstrip().endswith("--resume") and "Traceback" not in err
    done = load_checkpoint(model).state.epoch
    assert done < 300
    target = ["--epochs", done + 2, "--quiet"]
    assert fit(data, *target, "--resume", "-o", model) == 0
    assert fit(data, "--hidden", 32, *target, "-o", whole) == 0
    assert same(whole, model)


def test_divergence_keeps_the_checkpoint_of_the_last_good_epoch(bits, model, capsys):
    assert fit(bits, *SETTINGS, "--epochs", 1, "--quiet", "-o", model) == 0
    before = model.read_bytes()
    assert fit(bits, "--epochs", 500, "--lr", "300000", "--resume", "-o", model) == 1
    err = capsys.readouterr().err
    assert "diverged" in err and "Traceback" not in err
    assert model.read_bytes() == before or "holds the model after epoch" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_without_permission_is_found_before_training(bits, tmp_path, capsys):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    assert fit(bits, *SETTINGS, "-o", folder / "m.safetensors") == 1
    assert "epoch" not in capsys.readouterr().err


@pytest.mark.parametrize("output", [".", "no/such/folder/m.safetensors", "/dev/null"])
def test_an_unwritable_output_is_found_before_training(bits, tmp_path, monkeypatch, capsys, output):
    monkeypatch.chdir(tmp_path)
    started = time.perf_counter()
    assert fit(bits, *SETTINGS, "--epochs", 100_000_000, "-o", output) == 1
    assert "epoch" not in capsys.readouterr().err
    assert time.perf_counter() - started < 5


def test_csv_asks_for_label_and_later_commands_remember_it(tmp_path, model, capsys):
    rows = np.random.default_rng(2).integers(0, 256, (60, 4))
    lines = [",".join(map(str, [i % 3, *row])) for i, row in enumerate(rows)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    words = [path, "--hidden", 3, "--epochs", 1, "--binarize", 127, "--quiet", "-o", model]
    assert fit(*words) == 2
    assert "--label first" in capsys.readouterr().err
    assert fit(*words, "--label", "first") == 0
    assert main(["score", str(model), str(path)]) == 0
    out = capsys.readouterr().out
    assert "60 rows" in out and "binarised at value > 127" in out


def test_label_is_refused_for_other_files(bits, model, capsys):
    assert fit(bits, *SETTINGS, "--label", "first", "-o", model) == 2
    assert "--label" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--k", "0"],
        ["--batch-size", "0"],
        ["--epochs", "-1"],
        ["--lr", "0"],
        ["--lr", "nan"],
        ["--momentum", "1"],
        ["--hidden", "3.5"],
        ["--chains", "5"],
        ["--binarize", "maybe"],
        ["--scale", "0"],
        ["--buffer", "12X"],
        ["--binarize", "127", "--scale", "255"],
    ],
)
def test_bad_use_is_exit_status_2_and_names_the_flag(bits, model, capsys, flags):
    assert fit(bits, "--hidden", 3, *flags, "-o", model) == 2
    assert flags[0].strip("-").split("-")[0] in capsys.readouterr().err
    assert not model.exists()


def test_missing_choices_are_bad_use(bits, model, capsys):
    assert fit(bits, "-o", model) == 2
    assert "--hidden" in capsys.readouterr().err
    assert fit(bits, "--hidden", 3) == 2
    assert "-o" in capsys.readouterr().err


def test_values_out_of_range_name_the_place_and_the_remedy(tmp_path, model, capsys):
    path = tmp_path / "grey.npy"
    np.save(path, np.full((10, 3), 200, np.uint8))
    assert fit(path, "--hidden", 3, "-o", model) == 1
    err = capsys.readouterr().err
    assert "grey.npy" in err and "--scale" in err and "--binarize" in err and "row 0" in err
    assert fit(path, "--hidden", 3, "--scale", 255, "--epochs", 1, "--quiet", "-o", model) == 0


def test_a_missing_or_wrong_file_is_one_line_and_exit_status_1(tmp_path, bits, model, capsys):
    assert fit(tmp_path / "nothing.npy", "--hidden", 3, "-o", model) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert fit(bits, "--resume", bits, "-o", model) == 1
    assert "bits.npy" in capsys.readouterr().err


def test_ctrl_c_while_a_checkpoint_is_written_waits_for_it_and_is_not_lost(bits, model, monkeypatch):
    def write_under_fire(path, checkpoint):
        if checkpoint.state.epoch == 2:
            signal.raise_signal(signal.SIGINT)
        save_checkpoint(path, checkpoint)

    monkeypatch.setattr("rbmx.cli.saving.save_checkpoint", write_under_fire)
    assert fit(bits, *SETTINGS, "--epochs", 5, "--quiet", "-o", model) == 130
    assert load_checkpoint(model).state.epoch == 2


def test_a_table_trains_with_its_units_and_goes_on(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(20, 3, 90), np.eye(3)[rng.integers(3, size=90)], rng.integers(0, 2, 90)])
    np.save(tmp_path / "table.npy", rows.astype(np.float32))
    flags = ["--hidden", 4, "--visible-units", "gaussian(learned) + softmax(3) + bernoulli", "--hidden-units", "relu"]
    assert fit(tmp_path / "table.npy", "-o", model, *flags, "--epochs", 2, "--quiet") == 0
    params = load_checkpoint(model).params
    assert (params.visible, params.hidden) == ("gaussian(learned) + softmax(3) + bernoulli", "relu")
    assert fit(tmp_path / "table.npy", "-o", model, "--resume", "--epochs", 3, "--quiet") == 0
    assert fit(tmp_path / "table.npy", "-o", model, "--resume", "--visible-units", "gaussian", "--quiet") == 2
    assert "--visible-units" in capsys.readouterr().err
    assert fit(tmp_path / "table.npy", "-o", tmp_path / "x", *flags[:2], "--visible-units", "gausian", "--quiet") == 2
    assert "gausian" in capsys.readouterr().err


def test_samplers_have_names_on_the_command_line(bits: Path, model: Path) -> None:
    assert fit(bits, "-o", model, "--hidden", 5, "--sampler", "pt", "--chains", 4, "--epochs", 1, "--quiet") == 0
    config = load_checkpoint(model).config
    assert config is not None and config.sampler == PT(chains=4)
