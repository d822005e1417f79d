"""sample, transform, score, info, report and the program itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rbmx
from rbmx.backends import backend_for, native
from rbmx.bits import PackedBits
from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rbmx.cli import main
from rbmx.cli.model_facts import weights_digest
from rbmx.likelihood import log_likelihood
from rbmx.params import RBMParams
from rbmx.rng import Key

COMMANDS = ["fit", "sample", "transform", "score", "report", "info", "demo"]


@pytest.fixture(scope="module")
def bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "bits.npy"
    np.save(path, np.random.default_rng(0).random((90, 16)) < 0.3)
    return path


@pytest.fixture(scope="module")
def model(bits: Path) -> Path:
    path = bits.with_name("model.safetensors")
    assert main(["fit", str(bits), "--hidden", "6", "--epochs", "2", "--quiet", "-o", str(path)]) == 0
    return path


def run(*words: object) -> int:
    return main([str(word) for word in words])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert run(command, "--help") == 0
    assert "usage: rbmx" in capsys.readouterr().out
    assert run(command, "--version") == 0
    assert capsys.readouterr().out.startswith("rbmx ")


def test_no_command_is_bad_use(capsys):
    assert run() == 2
    assert "COMMAND" in capsys.readouterr().err


def test_python_m_rbmx_is_the_command_line_and_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys; from rbmx.cli import main; status = main(['info', '--json']);"
        "sys.exit(status or ('torch' in sys.modules) or ('matplotlib' in sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "version" in json.loads(result.stdout)
    by_module = subprocess.run([sys.executable, "-m", "rbmx", "--version"], capture_output=True, text=True, check=True)
    assert by_module.stdout.startswith("rbmx ")


def test_samples_are_bits_and_repeat_with_the_seed(model, tmp_path, capsys):
    first, again, other = (tmp_path / f"{name}.npy" for name in "abc")
    assert run("sample", model, "-n", 9, "--steps", 130, "-o", first) == 0
    assert run("sample", model, "-n", 9, "--steps", 130, "-o", again) == 0
    assert run("sample", model, "-n", 9, "--steps", 130, "--seed", 1, "-o", other) == 0
    values = np.load(first)
    assert values.shape == (9, 16) and values.dtype == np.uint8 and set(np.unique(values)) <= {0, 1}
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    assert "9 rows" in capsys.readouterr().out


def test_a_sample_row_does_not_depend_on_how_many_are_drawn(model, tmp_path):
    few, many = tmp_path / "few.npy", tmp_path / "many.npy"
    assert run("sample", model, "-n", 3, "--steps", 20, "-o", few) == 0
    assert run("sample", model, "-n", 30, "--steps", 20, "-o", many) == 0
    assert np.array_equal(np.load(few), np.load(many)[:3])


def test_samples_as_a_picture_and_as_probabilities(model, tmp_path):
    picture, means = tmp_path / "s.png", tmp_path / "s.npy"
    assert run("sample", model, "-n", 4, "--steps", 3, "-o", picture) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run("sample", model, "-n", 4, "--steps", 3, "--mean", "-o", means) == 0
    values = np.load(means)
    assert values.dtype == np.float32 and values.min() > 0 and values.max() < 1


def test_transform_writes_the_hidden_means(model, bits, tmp_path):
    features = tmp_path / "f.npy"
    assert run("transform", model, bits, "-o", features) == 0
    params = load_checkpoint(model).params
    expected = backend_for(params).hidden_mean(params, PackedBits.pack(np.load(bits)))
    assert np.array_equal(np.load(features), expected)


def test_transform_samples_the_same_bits_again(model, bits, tmp_path):
    first, second = tmp_path / "f.npy", tmp_path / "g.npy"
    assert run("transform", model, bits, "--sample", "-o", first) == 0
    assert run("transform", model, bits, "--sample", "-o", second) == 0
    assert np.load(first).dtype == np.uint8 and first.read_bytes() == second.read_bytes()


def test_score_prints_the_exact_likelihood_with_method_and_encoding(model, bits, capsys):
    assert run("score", model, bits) == 0
    text = capsys.readouterr().out
    assert "values as they are" in text and "exact, 64 states" in text and "all 90 rows" in text
    assert run("score", model, bits, "--json", "--pseudo-rows", 0) == 0
    fields = json.loads(capsys.readouterr().out)
    params = load_checkpoint(model).params
    exact = log_likelihood(params, PackedBits.pack(np.load(bits)))
    assert fields["log_likelihood"]["value"] == pytest.approx(exact.value, abs=1e-9)
    assert fields["pseudo_log_likelihood"] is None and fields["rows"] == 90


@pytest.mark.parametrize("words", [("--double",), ("--chains", 50)])
def test_flags_of_an_estimate_that_is_not_asked_for_are_bad_use(model, bits, capsys, words):
    assert run("score", model, bits, *words) == 2
    assert capsys.readouterr().err == f"rbmx: {words[0]}: says how --ais estimates log Z; expected --ais beside it\n"


def test_score_estimates_large_machines_from_below_and_above(tmp_path, capsys):
    params = RBMParams.initial(26, 25, key=Key(0), std=0.3)
    save_checkpoint(tmp_path / "large.safetensors", Checkpoint(params))
    np.save(tmp_path / "bits.npy", np.random.default_rng(0).integers(0, 2, (40, 26)).astype(bool))
    command = ["score", tmp_path / "large.safetensors", tmp_path / "bits.npy", "--quiet"]
    assert run(*command) == 0
    assert "--ais estimates it" in capsys.readouterr().out
    assert run(*command, "--ais", 200, "--chains", 30, "--double") == 0
    text = capsys.readouterr().out
    assert "by AIS -" in text and "by reverse AIS -" in text and "the lower one -" in text and "moved by" in text
    assert "AIS, 200 temperatures, 30 chains, effective sample size" in text and "400 temperatures" in text
    assert run(*command, "--ais", 200, "--chains", 30, "--json") == 0
    fields = json.loads(capsys.readouterr().out)
    up, down = fields["estimates"]
    exact = -float(backend_for(params).free_energy(params, PackedBits.pack(np.load(tmp_path / "bits.npy"))).mean())
    exact -= native.enumerate_log_partition(params.weight, params.hidden_bias, params.visible_bias)
    assert up["low"] <= exact <= up["high"] and down["low"] <= exact <= down["high"]
    assert fields["log_likelihood"]["value"] == pytest.approx((up["value"] + down["value"]) / 2)


def test_data_of_another_width_is_bad_data(model, tmp_path, capsys):
    path = tmp_path / "narrow.npy"
    np.save(path, np.zeros((5, 3), bool))
    assert run("score", model, path) == 1
    assert "narrow.npy" in capsys.readouterr().err


def test_info_tells_the_build_and_the_model(model, capsys):
    assert run("info") == 0
    assert "instruction_set" in capsys.readouterr().out
    assert run("info", model) == 0
    text = capsys.readouterr().out
    assert "16 bernoulli" in text and "2 epochs of 90 rows" in text and "rbmx fit" in text


def info(path, capsys):
    """What info tells, by name."""
    assert run("info", path) == 0
    return dict(re.split(r"  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())


def test_info_tells_of_a_deep_belief_net_and_of_a_job_over_one(bits, tmp_path, capsys):
    pytest.importorskip("torch")
    network = rbmx.DBN([16, 6, 4], n_classes=3, seed=0)
    network.fit(np.load(bits), np.arange(90) % 3, epochs=2, progress=False)
    network.save(tmp_path / "dbn.safetensors")
    told = info(tmp_path / "dbn.safetensors", capsys)
    assert told["layer 1"] == "16 bernoulli - 6 bernoulli"
    assert told["layer 2"].startswith("6 ") and told["labels in the top layer"] == "3 classes"
    assert told["layer 1 sha256"] == weights_digest(network.layers[0]._params())
    assert told["trained"] == "2, 2 epochs a layer"
    out = tmp_path / "job.safetensors"
    flags = ["--layers", "16,6,4", "--epochs", 1, "--fine-tune", "autoencoder", "--shards", 2]
    assert run("train-stack", bits, *flags, "-o", out) == 0
    capsys.readouterr()
    told = info(out, capsys)
    assert told["job over shards"].startswith("1 of 1 rounds")
    assert told["tuned net"] == f"{2 * (16 * 6 + 6 * 4) + 6 + 4 + 6 + 16} parameters"


def test_info_tells_of_nets(bits, tmp_path, capsys):
    pytest.importorskip("torch")
    data, labels = np.load(bits), np.arange(90) % 3
    for model, targets in (
        (rbmx.Autoencoder([16, 4], seed=0), ()),
        (rbmx.Classifier([16, 4], 3, seed=0), (labels,)),
        (rbmx.ClassRBM(16, 4, 3, seed=0), (labels,)),
    ):
        model.fit(data, *targets, epochs=2, progress=False)
        path = tmp_path / "net.safetensors"
        model.save(path)
        told = info(path, capsys)
        assert told["model"] == type(model).__name__
        assert told["parameters"] == str(sum(parameter.numel() for parameter in model.parameters()))
        assert told["trained"] == "2 epochs of 90 rows" and float(told["loss"]) > 0


def test_report_is_written_with_and_without_data(model, bits, tmp_path, capsys):
    page = tmp_path / "r.html"
    for data in ([bits], []):
        assert run("report", model, *data, "--steps", 20, "-o", page) == 0
        assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert str(page) in capsys.readouterr().out


def test_wrong_names_and_shapes_are_bad_use(model, tmp_path, capsys):
    assert run("sample", model, "-o", tmp_path / "s.jpg") == 2
    assert run("sample", model, "--steps", 1, "--shape", "3x5", "-o", tmp_path / "s.png") == 2
    assert "3x5" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_model_is_one_line_and_exit_status_1(bits, tmp_path, capsys):
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"\x10" * 100)
    for path in (bits, torn, tmp_path / "missing.safetensors"):
        assert run("info", path) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("RBMX_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        run("info", "missing.safetensors")


def test_a_model_of_other_units_is_scored_and_transformed_on_its_own_kind_of_rows(tmp_path, capsys) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(5, 2, 60), rng.integers(0, 2, 60)]).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    module = rbmx.RBM(2, 3, visible="gaussian(learned) + bernoulli", seed=0)
    module.fit(torch.from_numpy(rows), epochs=1, progress=False)
    module.save(tmp_path / "m.safetensors")
    assert main(["score", str(tmp_path / "m.safetensors"), str(tmp_path / "rows.npy"), "--quiet"]) == 0
    assert "log-likelihood" in capsys.readouterr().out
    np.save(tmp_path / "wrong.npy", rows + 0.5)
    assert main(["score", str(tmp_path / "m.safetensors"), str(tmp_path / "wrong.npy"), "--quiet"]) == 1
    assert "bernoulli units take" in capsys.readouterr().err
