"""What the tests of torch nets share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import rbmx

RNG = np.random.default_rng(0)
X = RNG.random((53, 6)).astype(np.float32)
LABELS = (X[:, 0] > 0.5).astype(np.int64)


def same_parameters(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two nets hold the same bytes."""
    pairs = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(p, q) for (a, p), (b, q) in pairs)


def rbm(n_visible: int, n_hidden: int, seed: int = 0, **units: Any) -> rbmx.RBM:
    """A machine with normal parameters."""
    machine = rbmx.RBM(n_visible, n_hidden, seed=seed, **units)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return machine


def principal_error(rows: np.ndarray, code: int) -> float:
    """The least squared error of a row that a linear code of this size leaves: the sum of the other eigenvalues."""
    return float(np.linalg.eigvalsh(np.cov(rows.T.astype(np.float64), bias=True))[:-code].sum())
