"""Small data and settings that the tests of jobs share."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.jobs.rounds import job_settings
from rbmx.jobs.settings import JobSettings
from rbmx.params import RBMParams
from rbmx.rng import Key, uniform


def stripes(rows: int = 120, n_visible: int = 20, seed: int = 3) -> NDArray[np.uint8]:
    """Rows of bits with structure: the two halves of a row agree, with noise."""
    draws = uniform(Key(seed), 0, rows, n_visible)
    half = draws[:, : n_visible // 2] < 0.4
    both = np.concatenate([half, half], axis=1)
    return (both ^ (draws < 0.05)).astype(np.uint8)


def settings(**changes: Any) -> JobSettings:
    """Settings of a short job."""
    return job_settings(**({"shards": 3, "rounds": 2, "batch_size": 36, "seed": 7} | changes))


def weights(n_visible: int = 20, n_hidden: int = 8) -> RBMParams:
    """Fresh weights."""
    return RBMParams.initial(n_visible, n_hidden, key=Key(1), std=0.1)


def digest(params: RBMParams) -> str:
    """sha256 of all parameters."""
    arrays = (params.weight, params.visible_bias, params.hidden_bias)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
