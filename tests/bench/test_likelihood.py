from __future__ import annotations

import numpy as np
import pytest

from rbmx.bench import likelihood as module
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.likelihood import anneal_by_calls, anneal_in_numpy, monitored, run_likelihood
from rbmx.bits import PackedBits
from rbmx.likelihood import log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training import TrainConfig

IMAGES = (np.random.default_rng(0).random((300, 40)) < 0.3).astype(np.uint8)


@pytest.mark.parametrize("way", [anneal_by_calls, anneal_in_numpy])
def test_the_other_ways_of_annealing_find_log_z_too(way: object) -> None:
    params = RBMParams.initial(40, 12, key=Key(0), std=0.3)
    betas = np.linspace(0, 1, 101)
    v = PackedBits.pack(np.random.default_rng(0).integers(0, 2, (300, 40)))
    weights = way(params, betas, v, Key(1))  # type: ignore[operator]
    base = 52 * np.log(2)  # visible biases of zero: the base is fair coins
    found = base + np.log(np.exp(weights - weights.max()).mean()) + weights.max()
    assert found == pytest.approx(log_partition(params).value, abs=0.1)


def test_monitored_training_reports_cost_and_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    found = monitored(PackedBits.pack(IMAGES), TrainConfig(epochs=2), n_hidden=20, temperatures=200, chains=50)
    assert found["checks"] == 2 and found["covered"] == 2
    assert float(str(found["cost_percent"])) > 5 and found["within"] is False  # a machine this small trains in no time
    printed = capsys.readouterr().out
    assert "2 of 2 intervals hold the long run's value" in printed and "of training;" in printed


def test_ways_that_disagree_are_a_wrong_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "anneal_in_numpy", lambda params, betas, v, key: np.full(len(v), 100.0))
    with pytest.raises(WrongAnswerError, match="annealing: estimates"):
        run_likelihood(IMAGES, epochs=1, temperatures=20, units=(3,), rounds=1)


def test_a_report_has_a_row_for_each_measure(capsys: pytest.CaptureFixture[str]) -> None:
    report = run_likelihood(IMAGES, epochs=1, temperatures=30, units=(3,), rounds=1)
    assert [row["name"] for row in report.rows] == [
        "annealing",
        "enumeration of 3",
        "pseudo-likelihood",
        "monitoring, CD(k=1)",
    ]
    assert "chain-steps/s" in capsys.readouterr().out
