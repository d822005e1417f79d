"""rbmx.load: every kind of model comes back to the bit, of its own class; anything else is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import safetensors.numpy  # noqa: E402

import rbmx  # noqa: E402
from rbmx.feed_forward import FeedForward  # noqa: E402
from rbmx.loading import CLASS_OF  # noqa: E402
from tests.nets import LABELS, X, rbm, same_parameters  # noqa: E402

NETS: dict[str, Callable[[], Any]] = {
    "autoencoder": lambda: rbmx.Autoencoder([6, 5, 3], code="relu", hidden="relu", seed=1),
    "tied": lambda: rbmx.Autoencoder([6, 5, 3], tied=True, output="linear", seed=1),
    "float64": lambda: rbmx.Autoencoder([6, 5], dtype=torch.float64),
    "bfloat16": lambda: rbmx.Autoencoder([6, 5], dtype=torch.bfloat16),
    "denoising": lambda: rbmx.DenoisingAutoencoder(6, 5, noise=rbmx.SaltAndPepper(0.2), seed=1),
    "stacked": lambda: rbmx.StackedDenoisingAutoencoder([6, 5, 3], noise=rbmx.GaussianNoise(0.2), tied=True, seed=1),
    "classifier": lambda: rbmx.Classifier([6, 5], 2, hidden="relu", seed=1),
    "regressor": lambda: rbmx.Regressor([6, 5], 2, seed=1),
    "from_layers": lambda: rbmx.Autoencoder.from_layers([rbm(6, 5, visible="gaussian"), rbm(5, 3, 1)]),
}


def fitted(name: str) -> Any:
    model = NETS[name]()
    targets = {"classifier": (LABELS,), "regressor": (X[:, :2],)}.get(name, ())
    model.fit(X, *targets, epochs=2)
    return model


@pytest.mark.parametrize("name", NETS)
def test_a_net_comes_back_to_the_bit(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    model.save(tmp_path / "m.safetensors")
    again = rbmx.load(tmp_path / "m.safetensors")
    assert type(again) is type(model) and same_parameters(again, model)
    assert again.history == model.history and len(again.history) == 2
    assert repr(again) == repr(model)
    assert (again.noise, again._settings, again._seed) == (model.noise, model._settings, model._seed)
    assert [p.dtype for p in again.parameters()] == [p.dtype for p in model.parameters()]


def test_a_loaded_net_goes_on_as_the_saved_one_does(tmp_path: Path) -> None:
    model = fitted("tied")
    model.save(tmp_path / "m.safetensors")
    again = rbmx.load(tmp_path / "m.safetensors")
    assert again.decoder[0].weight is again.encoder[2].weight
    for net in (model, again):
        net.fit(X, epochs=2)
    assert same_parameters(model, again)
    assert rbmx.load(tmp_path / "m.safetensors", dtype=torch.float64).encoder[0].weight.dtype == torch.float64


def test_state_dicts_go_around() -> None:
    for name in NETS:
        model, other = fitted(name), NETS[name]()
        other.load_state_dict(model.state_dict())
        assert same_parameters(model, other)


def test_machines_load_by_the_same_door(tmp_path: Path) -> None:
    machine = rbm(6, 4)
    machine.save(tmp_path / "m.safetensors")
    assert same_parameters(rbmx.load(tmp_path / "m.safetensors"), machine)


def test_every_format_names_a_class_that_loads_it() -> None:
    from importlib import import_module

    for name, (module, cls) in CLASS_OF.items():
        model = getattr(import_module(module), cls)
        assert callable(model.load)
        assert not issubclass(model, FeedForward) or model.format == name


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(FileNotFoundError):
        rbmx.load(path)
    path.write_bytes(b"no model")
    with pytest.raises(rbmx.CheckpointError, match="expected an rbmx model"):
        rbmx.load(path)
    tensors = {"a": np.zeros(3, np.float32)}
    path.write_bytes(safetensors.numpy.save(tensors, {"format": json.dumps("other.1")}))
    with pytest.raises(rbmx.CheckpointError, match=r"expected an rbmx model of format rbmx.rbm.1, .*, got other.1"):
        rbmx.load(path)
    fitted("classifier").save(path)
    with pytest.raises(
        rbmx.CheckpointError, match=r"expected an rbmx model of format rbmx.autoencoder.1, got rbmx.classif"
    ):
        rbmx.Autoencoder.load(path)
    about = {"format": "rbmx.autoencoder.1", "settings": {"sizes": [6, 5]}, "seed": None, "history": []}
    path.write_bytes(safetensors.numpy.save(tensors, {name: json.dumps(value) for name, value in about.items()}))
    with pytest.raises(rbmx.CheckpointError, match=r"damaged rbmx model, KeyError: .*encoder.0.bias"):
        rbmx.load(path)
