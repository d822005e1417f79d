"""Models for other programs: ONNX files."""

from __future__ import annotations

import importlib.util
import os

import torch
from torch import nn

from rbmx.files import require_writable, write_atomically

__all__ = ["export_onnx"]

NEEDED = ("onnx", "onnxscript")


def export_onnx(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write what a module's forward computes as an ONNX file: input "x" (rows, n_in), output "y", any number of rows.

    Args:
        module: a Classifier, Regressor or Autoencoder, its encoder alone, an RBM (hidden means of complete rows; those
            of relu units to three digits, for want of a stable normal distribution function in ONNX), or any module of
            two-dimensional rows whose first matrix is (n_out, n_in).
        path: of the file, which is written atomically.

    Raises:
        ImportError: without onnx and onnxscript.
        ValueError: a module without weights.
        OSError: the file cannot be written.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"export_onnx needs {' and '.join(missing)}: pip install 'rbmx[onnx]'")
    weight = next((parameter for parameter in module.parameters() if parameter.ndim == 2), None)
    if weight is None:
        raise ValueError(f"module: expected one with weights (n_out, n_in), got {type(module).__name__}")
    require_writable(path)
    example = torch.zeros(2, weight.shape[1], device=weight.device, dtype=weight.dtype)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: "rows"},),
            input_names=["x"],
            output_names=["y"],
            verbose=False,
        )
    finally:
        for part, training in modes:
            part.training = training
    assert program is not None
    write_atomically(path, program.model_proto.SerializeToString())
