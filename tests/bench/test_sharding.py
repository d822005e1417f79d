from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rbmx.backends.native import get_num_threads
from rbmx.bench import sharding
from rbmx.bench.sharding import Case, Images, run_sharding
from rbmx.bits import PackedBits
from rbmx.jobs import train_rounds
from tests.jobs.data import digest, stripes

ROWS = stripes(300)
IMAGES = Images(PackedBits.pack(ROWS), np.arange(300) % 3, PackedBits.pack(stripes(60, seed=8)), np.arange(60) % 3)


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "HELD_OUT", 60)
    monkeypatch.setattr(sharding, "CHAINS", 10)


@pytest.mark.parametrize("method", ["average", "gradient"])
def test_what_is_measured_is_what_train_rounds_gives(method: str) -> None:
    """The same bytes as a job over shards, so the figures are those of jobs."""
    params, _ = sharding._train(IMAGES.train, Case(method, 3, 8, 2, 0.1, seed=4))
    more = {"merge": "gradient", "momentum": 0.5} if method == "gradient" else {}
    job = train_rounds(ROWS, 8, shards=3, rounds=2, lr=0.1, seed=4, **more)
    assert digest(params) == digest(job.params)


def test_fewer_rounds_make_the_same_passes() -> None:
    params, _ = sharding._train(IMAGES.train, Case("average", 3, 8, 4, 0.1, seed=4, rounds=2))
    job = train_rounds(ROWS, 8, shards=3, rounds=2, local_epochs=2, lr=0.1, seed=4)
    assert digest(params) == digest(job.params)


def test_all_methods_are_measured_on_one_thread_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = get_num_threads()
    plot = tmp_path / "plot.png"
    report = run_sharding(
        IMAGES, shards=(2, 3), hidden=(5, 26), passes=(2, 1), rates=(0.05, 0.1), seeds=(1, 2), temperatures=3, plot=plot
    )
    assert get_num_threads() == before
    assert [row["method"] for row in report.rows] == ["one place", "average", "average", "gradient"] * 2
    exact = report.rows[0]
    assert exact["log_likelihood"] == exact["log_likelihood_high"]
    assert exact["log_likelihood"] == np.mean([run["low"] for run in exact["runs"]])
    assert exact["rate"] in (0.05, 0.1)
    sampled = report.rows[4]
    assert sampled["log_likelihood"] <= sampled["log_likelihood_high"]
    assert plot.stat().st_size > 1000
    assert "+0.00" in capsys.readouterr().out


def test_the_rate_is_that_with_the_likeliest_rows_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for rate in (0.01, 0.1, 1.0):
        params, _ = sharding._train(IMAGES.train[:-60], Case("one place", 1, 5, 3, rate))
        found[rate] = sharding.log_likelihood(params, IMAGES.train[-60:]).value
    best = sharding._best_rate(IMAGES, Case("one place", 1, 5, 3, 0.0), (0.01, 0.1, 1.0))
    assert best == max(found, key=lambda rate: found[rate])
