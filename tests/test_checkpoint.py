from __future__ import annotations

import ast
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import rbmx
from rbmx.bits import PackedBits
from rbmx.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rbmx.data.encoding import Encoding
from rbmx.errors import CheckpointError
from rbmx.files import require_writable, write_atomically
from rbmx.samplers import CD, PCD
from rbmx.training import L2, SGD, ExponentialDecay, TrainConfig, TrainState, train


def rows() -> Any:
    return np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.uint8)


CONFIG = TrainConfig(
    epochs=2,
    batch_size=7,
    sampler=PCD(2, 9),
    optimizer=SGD(0.1, 0.5),
    penalties=(L2(1e-3), L2(1e-4)),
    schedule=ExponentialDecay(0.9),
    seed=2**64 - 1,
)


@pytest.fixture
def checkpoint(machine: Any) -> Checkpoint:
    params = machine(6, 5, scale=0.1)
    result = train(params, rows(), CONFIG)
    return Checkpoint(params, result.state, CONFIG, result.history, Encoding(binarize=127.0), {"build": "a\nb ü"})


def same_params(a: Any, b: Any) -> None:
    for name in ("weight", "visible_bias", "hidden_bias"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
    assert (a.visible, a.hidden) == (b.visible, b.hidden)


def test_a_model_file_gives_back_everything_that_went_in(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, checkpoint)
    found = load_checkpoint(os.fspath(path))
    same_params(found.params, checkpoint.params)
    assert found.state is not None and checkpoint.state is not None
    assert found.state.counters() == checkpoint.state.counters()
    same_params(found.state.velocity, checkpoint.state.velocity)
    assert isinstance(found.state.chains, PackedBits) and isinstance(checkpoint.state.chains, PackedBits)
    np.testing.assert_array_equal(found.state.chains.words, checkpoint.state.chains.words)
    assert (found.config, found.history, found.encoding, found.extra) == (
        checkpoint.config,
        checkpoint.history,
        checkpoint.encoding,
        checkpoint.extra,
    )
    before = path.read_bytes()
    save_checkpoint(path, found)
    assert sorted(path.read_bytes()) == sorted(before)  # the order of metadata is the library's


def test_training_goes_on_from_a_file_to_the_bit(checkpoint: Checkpoint, machine: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, checkpoint)
    found = load_checkpoint(path)
    settings = {f: getattr(CONFIG, f) for f in CONFIG.__dataclass_fields__} | {"epochs": 5}
    train(found.params, rows(), TrainConfig(**settings), state=found.state)
    whole = machine(6, 5, scale=0.1)
    train(whole, rows(), TrainConfig(**settings))
    same_params(found.params, whole)


@pytest.mark.parametrize("unit", ["bernoulli", "gaussian"])
def test_parameters_alone_and_real_valued_chains_round_trip(unit: str, machine: Any, tmp_path: Path) -> None:
    params = machine(6, 5, hidden=unit)
    path = tmp_path / "m"
    save_checkpoint(path, Checkpoint(params))
    found = load_checkpoint(path)
    same_params(found.params, params)
    assert (found.state, found.config, list(found.history), found.encoding, found.extra) == (None, None, [], None, {})
    chains = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    save_checkpoint(path, Checkpoint(params, TrainState(1, 2, 3, 4, None, chains)))
    state = load_checkpoint(path).state
    assert state is not None
    np.testing.assert_array_equal(state.chains, chains)


def test_a_model_with_a_schedule_of_the_users_own_can_be_loaded_again(machine: Any, tmp_path: Path) -> None:
    """A function cannot be kept in a file, but the parameters must not be lost with it."""
    params = machine(6, 5)
    path = tmp_path / "m"
    save_checkpoint(path, Checkpoint(params, config=TrainConfig(schedule=lambda epoch, epochs: 0.5)))
    same_params(load_checkpoint(path).params, params)


def test_the_file_is_plain_safetensors(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_checkpoint(path, checkpoint)
    tensors = safetensors.numpy.load_file(path)
    np.testing.assert_array_equal(tensors["weight"], checkpoint.params.weight)


NOT_OURS = {
    "empty": b"",
    "text": b"1,2,3\n4,5,6\n",
    "gzip": b"\x1f\x8b" + bytes(100),
    "pickle": b"\x80\x04\x95" + bytes(50),
    "zeros": bytes(1000),
    "a header longer than the file": (10**12).to_bytes(8, "little") + b"{}",
    "a header of nonsense": (2).to_bytes(8, "little") + b"[]",
    "safetensors of something else": safetensors.numpy.save({"x": np.zeros(3)}),
    "another format": safetensors.numpy.save({"x": np.zeros(3)}, {"format": '"pt"'}),
    "metadata that is no JSON": safetensors.numpy.save({"x": np.zeros(3)}, {"format": "pt"}),
    "no parameters": safetensors.numpy.save({"x": np.zeros(3)}, {"format": '"rbmx.rbm.1"'}),
}


@pytest.mark.parametrize("kind", NOT_OURS)
def test_a_file_that_is_not_ours_is_a_checkpoint_error_that_names_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "strange.bin"
    path.write_bytes(NOT_OURS[kind])
    with pytest.raises(CheckpointError, match=r"strange\.bin"):
        load_checkpoint(path)


def test_a_file_cut_anywhere_is_a_checkpoint_error(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_checkpoint(path, checkpoint)
    data = path.read_bytes()
    for length in [*range(0, 80), *range(80, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        {"visible": "5"},
        {"history": '[{"epoch": 1}]'},
        {"state": '{"seed": 1, "color": 2}'},
        {"state": "7"},
        {"config": '{"epochs": -1}'},
        {"config": '{"speed": 3}'},
        {"encoding": '"{}}"'},
        {"extra": None},
    ],
    ids=str,
)
def test_metadata_that_make_no_sense_are_a_checkpoint_error(
    change: dict[str, Any], checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "m"
    save_checkpoint(path, checkpoint)
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
        metadata = file.metadata() | change
    metadata = {name: text for name, text in metadata.items() if text is not None}
    path.write_bytes(safetensors.numpy.save(tensors, metadata))
    if change == {"visible": "5"}:  # a name that is no unit type
        with pytest.raises((CheckpointError, ValueError), match=r"unit type|visible|damaged"):
            rbmx.likelihood.log_partition(load_checkpoint(path).params)
    else:
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(path)


def test_parameters_of_the_wrong_shape_are_a_checkpoint_error(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_checkpoint(path, checkpoint)
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
        metadata = file.metadata()
    for name, wrong in (("visible_bias", np.zeros(5, np.float32)), ("chains", np.zeros((2, 3), np.uint64))):
        path.write_bytes(safetensors.numpy.save(tensors | {name: wrong}, metadata))
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(path)


def test_a_missing_file_and_a_folder_are_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        load_checkpoint(tmp_path)


# ---- writing


def test_an_output_that_cannot_be_written_is_found_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        require_writable(tmp_path / "no folder" / "m")
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        require_writable(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"):
        require_writable(tmp_path / "file" / "m")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # tests may run as root, who may write anything
    with pytest.raises(PermissionError, match="file"):
        require_writable(tmp_path / "file")


def test_asking_whether_a_file_can_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    require_writable(tmp_path / "new")
    (tmp_path / "old").write_text("kept")
    require_writable(tmp_path / "old")
    assert [p.name for p in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "kept"


@pytest.mark.parametrize("step", ["os.fsync", "os.replace", "os.chmod"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_crash_while_writing_leaves_the_old_file_and_nothing_else(
    step: str, error: BaseException, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    save_checkpoint(path, checkpoint)
    old = path.read_bytes()

    def crash(*arguments: Any, **keywords: Any) -> None:
        raise error

    monkeypatch.setattr(step, crash)
    checkpoint.params.weight += 1
    with pytest.raises(type(error)):
        save_checkpoint(path, checkpoint)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_the_data_are_on_the_disk_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace
    kinds = {True: "fsync folder", False: "fsync file"}

    def watched_fsync(descriptor: int) -> None:
        calls.append(kinds[stat.S_ISDIR(os.fstat(descriptor).st_mode)])
        fsync(descriptor)

    def watched_replace(source: Any, target: Any) -> None:
        assert Path(source).parent == Path(target).parent  # a rename within one file system
        assert Path(source).read_bytes() == b"new"
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    write_atomically(tmp_path / "m", b"new")
    assert calls == ["fsync file", "replace", "fsync folder"]


def test_a_written_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "m", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640


def test_nothing_in_the_package_can_unpickle() -> None:
    """No pickle, marshal, shelve, dill, joblib, eval or exec; torch.load and np.load only where they refuse pickles."""
    paths = sorted(Path(rbmx.__file__).parent.rglob("*.py"))
    assert len(paths) > 50
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name.split(".")[0] for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "joblib"}, path
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("eval", "exec", "torch.load", "torch.save"), f"{path}: {name}"
                if name in ("np.load", "numpy.load"):
                    keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
                    assert keywords.get("allow_pickle") == "False", path


def test_a_state_travels_as_bytes_and_nonsense_is_refused(checkpoint: Checkpoint) -> None:
    assert checkpoint.state is not None
    data = checkpoint.state.to_bytes()
    found = TrainState.from_bytes(data)
    assert found.counters() == checkpoint.state.counters()
    assert json.dumps(found.counters())
    for bad in (b"", b"12345678", data[:-1], data[:40], safetensors.numpy.save({"x": np.zeros(2)})):
        with pytest.raises(CheckpointError, match="training state"):
            TrainState.from_bytes(bad)


def test_a_state_of_contrastive_divergence_without_momentum_is_small(machine: Any) -> None:
    result = train(machine(6, 5), rows(), TrainConfig(epochs=1, sampler=CD()))
    assert result.state.velocity is None and result.state.chains is None
    assert len(result.state.to_bytes()) < 300
