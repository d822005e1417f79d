"""What other programs run: torch.export of each module, and ONNX files that onnxruntime runs with the same numbers."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from tests.nets import X, rbm  # noqa: E402

MODULES: dict[str, Callable[[], Any]] = {
    "classifier": lambda: rbmx.Classifier([6, 5], 3, seed=1),
    "regressor": lambda: rbmx.Regressor([6, 5], 2, hidden="relu", seed=1),
    "autoencoder": lambda: rbmx.Autoencoder([6, 5, 3], tied=True, seed=1),
    "encoder": lambda: rbmx.StackedDenoisingAutoencoder([6, 5, 3], seed=1).encoder,
    "machine": lambda: rbm(6, 4),
    "real machine": lambda: rbm(6, 4, visible="gaussian(learned)", hidden="spin"),
}


@pytest.mark.parametrize("name", MODULES)
def test_torch_export_keeps_the_numbers_for_any_number_of_rows(name: str) -> None:
    module, x = MODULES[name](), torch.from_numpy(X)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("rows", min=1)},))
    for rows in (1, 7):
        torch.testing.assert_close(program.module()(x[:rows]), module(x[:rows]))


@pytest.mark.parametrize("name", MODULES)
def test_onnxruntime_computes_the_same_numbers(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    module, path = MODULES[name](), tmp_path / "m.onnx"
    rbmx.export_onnx(module, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["x"] and session.get_inputs()[0].shape == ["rows", 6]
    assert [path] == list(tmp_path.iterdir())
    for rows in (1, 53):
        (y,) = session.run(["y"], {"x": X[:rows]})
        # float32 sums of six terms in another order, exponentials of another library
        np.testing.assert_allclose(y, module(torch.from_numpy(X[:rows])).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_what_cannot_be_exported_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match=r"export_onnx needs onnx and onnxscript: pip install 'rbmx\[onnx\]'"):
            rbmx.export_onnx(MODULES["classifier"](), tmp_path / "m.onnx")
    pytest.importorskip("onnxscript")
    with pytest.raises(ValueError, match=r"module: expected one with weights \(n_out, n_in\), got Sigmoid"):
        rbmx.export_onnx(torch.nn.Sigmoid(), tmp_path / "m.onnx")
    with pytest.raises(FileNotFoundError):
        rbmx.export_onnx(MODULES["classifier"](), tmp_path / "nowhere" / "m.onnx")
