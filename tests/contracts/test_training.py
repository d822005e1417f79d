"""Walk what training is made of: optimizers, samplers and penalties with every visible unit type, centred and plain."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rbmx.params import RBMParams
from rbmx.samplers import CD, PCD, PT, FastPCD
from rbmx.training import (
    L1,
    L2,
    SGD,
    Adam,
    Dropout,
    GroupL2,
    MaxNorm,
    RMSProp,
    Sparsity,
    TrainConfig,
    TrainState,
    train,
)
from tests.units.layers import VISIBLE, machine, rows_of

PARTS: dict[str, dict[str, Any]] = {
    "nesterov": {"optimizer": SGD(0.01, 0.5, nesterov=True), "penalties": (L1(0.01), L2(0.01))},
    "Adam, centred": {"optimizer": Adam(0.01), "centering": 0.1},
    "RMSProp, persistent, centred": {"optimizer": RMSProp(0.01), "sampler": PCD(1, 4), "centering": 0.1},
    "fast chains": {"sampler": FastPCD(1, 4, fast_lr=0.01)},
    "tempered chains, centred": {"sampler": PT(1, 3, 4), "centering": 0.1},
    "dropout": {"penalties": (Dropout(0.5),)},
    "limits": {"penalties": (MaxNorm(1.0), GroupL2(0.01), Sparsity(0.3))},
}
ONLY_CD_PLAIN = (
    "persistent",
    "chains",
    "centred",
    "dropout",
    "limits",
)  # what counts, whose rows have totals, do not take


@pytest.mark.parametrize("visible", VISIBLE)
@pytest.mark.parametrize("part", PARTS)
def test_a_run_in_parts_is_the_run_in_one_and_stays_finite(part: str, visible: str) -> None:
    params = machine(visible, "bernoulli")
    rows = np.ascontiguousarray(rows_of(params, 13), np.float32)
    config = TrainConfig(2, 5, **{"optimizer": SGD(0.01), "visible_bias": "keep", "monitor_rows": 9, **PARTS[part]})
    if visible == "counts" and any(word in part for word in ONLY_CD_PLAIN):
        with pytest.raises(ValueError, match="counts"):
            train(params, rows, config)
        return
    whole, split = params.copy(), params.copy()
    train(whole, rows, config)
    first = train(split, rows, dataclasses.replace(config, epochs=1)).state
    train(split, rows, config, state=TrainState.from_bytes(first.to_bytes()))
    for name in params.names:
        assert np.all(np.isfinite(getattr(whole, name))), name
        assert not np.array_equal(getattr(whole, name), getattr(params, name)), name
        np.testing.assert_array_equal(getattr(whole, name), getattr(split, name), err_msg=name)


@pytest.mark.parametrize("visible", [spec for spec in VISIBLE if spec not in ("counts", "bernoulli")])
def test_centred_training_of_every_unit_type_climbs_as_plain_training_does(visible: str) -> None:
    """Twenty copies of two rows, which the hidden units reconstruct better and better."""
    params = machine(visible, "bernoulli")
    rows = np.ascontiguousarray(np.tile(rows_of(params, 2), (20, 1)), np.float32)
    for centering in (0.0, 0.05):
        trained: RBMParams = params.copy()
        config = TrainConfig(60, 10, CD(1), SGD(0.05), centering=centering, visible_bias="keep")
        history = train(trained, rows, config).history
        assert history[-1].reconstruction_error < history[0].reconstruction_error, centering
