"""Whole jobs in this process and in processes of their own: one outcome, kept round by round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rbmx
from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.cli import main
from rbmx.data.shards import shard_paths
from rbmx.errors import CheckpointError, DataError, DivergedError
from rbmx.jobs import Round, RoundWatcher, load_round, save_round, train_rounds, write_shards
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training import L1, Dropout, GroupL2, MaxNorm, Sparsity
from tests.jobs.data import digest, stripes

JOB = {"shards": 3, "rounds": 2, "batch_size": 36, "seed": 7, "momentum": 0.5}


def train(data: Any = None, n_hidden: int | None = 8, **changes: Any) -> Any:
    return train_rounds(stripes() if data is None else data, n_hidden, **(JOB | changes))


def test_runners_give_the_same_bytes() -> None:
    assert digest(train(runner="inline").params) == digest(train(runner="local").params)


@pytest.mark.parametrize("rule", ["average", "keep", "reset"])
def test_a_job_that_stops_and_goes_on_is_the_one_that_does_not_stop(tmp_path: Path, rule: str) -> None:
    model = tmp_path / "model.safetensors"
    plan = {"rounds": 4, "momentum_rule": rule, "outer_momentum": 0.25, "local_epochs": 2}
    whole = train(**plan)
    train(**plan, at_most=1, checkpoint=model)
    train_rounds(stripes(), resume=model, rounds=4, at_most=1, shards=3, checkpoint=model)
    rest = train_rounds(stripes(), resume=model, rounds=4, shards=3)
    assert digest(rest.params) == digest(whole.params)
    assert [record.epoch for record in rest.history] == [1, 2, 3, 4]
    assert [record.free_energy for record in rest.history] == [record.free_energy for record in whole.history]


WITHOUT = {"momentum": None}
PLANS: list[dict[str, Any]] = [
    {"optimizer": "adam"} | WITHOUT,
    {"optimizer": "rmsprop", "lr": 0.01} | WITHOUT,
    {"optimizer": "nesterov", "momentum": 0.9},
    {"centering": 0.02, "momentum_rule": "keep"},
    {"penalties": [L1(0.001), MaxNorm(1.0), Sparsity(0.2), Dropout(0.25)]},
    {"optimizer": "adam", "centering": 0.02, "penalties": [GroupL2(0.001)]} | WITHOUT,
]


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_every_optimizer_penalty_and_centering_learns_and_goes_on_to_the_bit(tmp_path: Path, plan: Any) -> None:
    model = tmp_path / "model.safetensors"
    whole = train(rounds=3, **plan)
    train(rounds=3, at_most=1, checkpoint=model, **plan)
    rest = train_rounds(stripes(), resume=model, rounds=3, shards=3)
    assert digest(rest.params) == digest(whole.params) != digest(train(rounds=3).params)
    longer = train(
        rounds=15,
        batch_size=12,
        lr=plan.get("lr", 0.02 if plan.get("optimizer") == "adam" else 0.1),
        **{name: value for name, value in plan.items() if name != "lr"},
    )
    assert longer.history[-1].reconstruction_error < longer.history[0].reconstruction_error


def test_offsets_and_moments_are_the_same_in_processes() -> None:
    plan = {"optimizer": "adam", "centering": 0.02, "momentum": None}
    assert digest(train(runner="inline", **plan).params) == digest(train(runner="local", **plan).params)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"optimizer": "adam", "momentum_rule": "average"}, "momentum_rule: the moments of Adam belong to the weights"),
        ({"optimizer": "adam", "momentum_rule": "keep"}, "momentum_rule: the moments of Adam"),
        ({"optimizer": "adam", "momentum": 0.5}, "momentum: Adam"),
        ({"optimizer": "adam", "merge": "gradient"}, 'config: merge="gradient" makes one step of SGD'),
        ({"centering": 0.01, "merge": "gradient"}, 'config: merge="gradient" makes one step of SGD'),
        ({"penalties": [L1(0.1)], "merge": "gradient"}, 'config: merge="gradient" makes one step of SGD'),
        ({"optimizer": "nesterov", "merge": "gradient"}, 'config: merge="gradient" makes one step of SGD'),
        ({"sampler": "pt"}, "sampler: shards train by CD or PCD"),
    ],
)
def test_what_averaging_or_summing_cannot_carry_is_refused_by_name(plan: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        train(**(WITHOUT | plan))


def test_missing_entries_are_refused_before_any_round() -> None:
    rows = stripes().astype(np.float64)
    rows[5, 3] = np.nan
    with pytest.raises(DataError, match="row 5, column 3"):
        train(rows, visible="gaussian", n_hidden=4)


def test_shards_made_before_are_the_same_as_shards_made_on_the_way(tmp_path: Path) -> None:
    write_shards(rbmx.data.open_source(stripes()), 3, tmp_path / "shards")
    assert digest(train(str(tmp_path / "shards"), shards=None).params) == digest(train().params)
    assert digest(train(str(tmp_path / "shards" / "shard-*")).params) == digest(train().params)


def test_lines_of_many_shards_in_one_file_are_shards_too(tmp_path: Path) -> None:
    paths = write_shards(rbmx.data.open_source(stripes()), 3, tmp_path / "shards")
    together = tmp_path / "together"
    together.write_bytes(b"".join(path.read_bytes() for path in reversed(paths)))
    assert digest(train(together).params) == digest(train().params)


def test_summed_statistics_do_not_know_how_many_shards_there_are() -> None:
    found = {digest(train(merge="gradient", shards=shards, split_batch=False).params) for shards in (1, 2, 7)}
    assert len(found) == 1


def test_frozen_layers_hand_up_what_they_make_of_the_data() -> None:
    below = RBMParams.initial(20, 10, key=Key(4), std=0.5)
    means = backend_for(below).hidden_mean(below, PackedBits.pack(stripes()))
    stacked = train(lower=[below], n_hidden=6)
    alone = train(means, n_hidden=6, scale=1.0)
    assert digest(stacked.params) == digest(alone.params)
    assert stacked.params.weight.shape == (6, 10)


def test_bits_from_frozen_layers_belong_to_global_rows() -> None:
    below = RBMParams.initial(20, 10, key=Key(4), std=0.5)
    found = {
        digest(
            train(lower=[below], n_hidden=6, propagate="sample", merge="gradient", shards=n, split_batch=False).params
        )
        for n in (1, 4)
    }
    assert len(found) == 1


def test_a_model_file_of_a_job_is_an_ordinary_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    grey = stripes() * np.uint8(200)
    result = train(grey, binarize=127.0, checkpoint=path)
    model = rbmx.load_checkpoint(path)
    assert digest(model.params) == digest(result.params)
    assert model.encoding is not None
    assert model.encoding.binarize == 127.0
    assert model.history == result.history


def test_a_round_survives_its_file(tmp_path: Path) -> None:
    below = RBMParams.initial(20, 10, key=Key(4), std=0.5)
    job: Round = train(lower=[below], propagate="sample", momentum_rule="keep", outer_momentum=0.5).job
    save_round(tmp_path / "round", job)
    again = load_round(tmp_path / "round")
    assert again.settings == job.settings
    assert again.number == 2
    assert digest(again.lower[0]) == digest(below)
    assert set(again.states) == {"000000", "000001", "000002"}
    for shard, state in job.states.items():
        other = again.states[shard]
        assert state.velocity is not None
        assert other.velocity is not None
        assert digest(state.velocity) == digest(other.velocity)
        assert isinstance(state.chains, PackedBits)
        assert isinstance(other.chains, PackedBits)
        assert np.array_equal(state.chains.words, other.chains.words)
    assert again.outer_velocity is not None
    assert job.outer_velocity is not None
    assert digest(again.outer_velocity) == digest(job.outer_velocity)


def test_gaussian_visible_units_train_over_shards() -> None:
    rows = stripes().astype(np.float32) * 3 - 1
    result = train(rows, visible="gaussian", lr=0.01, persistent=False)
    assert np.isfinite(result.params.weight).all()
    assert digest(result.params) == digest(train(rows, visible="gaussian", lr=0.01, persistent=False).params)


def test_training_over_shards_learns() -> None:
    """The two halves of a row agree; a model that learned it gives such rows less free energy than other halves."""
    rows = stripes(600)
    result = train(rows, rounds=60, lr=0.5, batch_size=30, init_std=0.1)
    broken = np.concatenate([rows[:, :10], np.roll(rows, 1, axis=0)[:, 10:]], axis=1)
    backend = backend_for(result.params)
    right = backend.free_energy(result.params, PackedBits.pack(rows)).mean()
    wrong = backend.free_energy(result.params, PackedBits.pack(broken)).mean()
    assert right < wrong - 3


def test_watchers_hear_of_each_round_after_it_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    seen: list[tuple[int, int]] = []

    class Watcher(RoundWatcher):
        def on_round_end(self, job: Round, record: Any) -> None:
            seen.append((record.epoch, load_round(path).number))

    train(checkpoint=path, watcher=Watcher(), validation=stripes(seed=9))
    assert seen == [(1, 1), (2, 2)]


def test_a_diverged_round_names_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(DivergedError, match=rf"round 1: .*diverged.*{path} holds the model after round 0"):
        train(lr=1e7, checkpoint=path)
    assert load_round(path).number == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runner": "pigeon"}, "runner: expected one of inline, local, hadoop, spark"),
        ({"rate_scale": "cube"}, "rate_scale: expected one of none, sqrt, shards"),
        ({"merge": "median"}, "merge: expected one of average, gradient"),
        ({"outer_momentum": 1.0}, "outer_momentum: expected 0 <= outer_momentum < 1"),
        ({"local_epochs": 0}, "local_epochs: expected 1 or more"),
        ({"merge": "gradient", "sampler": "pcd", "persistent": True}, r"expected CD\(k\)"),
        ({"merge": "gradient", "local_epochs": 2}, "local_epochs: .* got 2"),
        ({"shards": 121}, "shards: expected 1 to 120"),
        ({"n_hidden": None}, "n_hidden"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(**({"n_hidden": 8} | changes))


def test_a_resumed_job_keeps_its_settings(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    train(at_most=1, checkpoint=model)
    with pytest.raises(ValueError, match="resume: the earlier run's settings hold"):
        train_rounds(stripes(), 8, resume=model)
    with pytest.raises(DataError, match="has 18 values in a row, expected 20"):
        train_rounds(stripes(n_visible=18), resume=model, shards=3)
    with pytest.raises(ValueError, match="resume: the job was begun with values as they are"):
        train_rounds(stripes().astype(np.float32) / 2, resume=model, shards=3)


def test_a_model_that_was_not_trained_over_shards_is_no_round(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    rbmx.save_checkpoint(path, rbmx.Checkpoint(RBMParams.initial(20, 8, key=Key(0))))
    with pytest.raises(CheckpointError, match="expected a model of rbmx train-mr"):
        load_round(path)


def test_shard_counts_must_agree(tmp_path: Path) -> None:
    write_shards(rbmx.data.open_source(stripes()), 3, tmp_path / "shards")
    with pytest.raises(ValueError, match=r"shards: .* holds 3, got 4"):
        train(str(tmp_path / "shards"), shards=4)
    shard_paths(tmp_path / "shards")[1].unlink()
    with pytest.raises(DataError, match="expected shards 0 to 2, each once, got"):
        train(str(tmp_path / "shards"))


def test_info_tells_how_far_a_job_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    train(at_most=1, checkpoint=path)
    assert main(["info", str(path)]) == 0
    told = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["job over shards"].strip().startswith("1 of 2 rounds; kept: rbmx train-mr --resume")
    assert "rounds" not in told


@pytest.mark.parametrize("sampler", ["fast_pcd", "pt"])
def test_samplers_that_shards_do_not_run_are_refused(sampler: str) -> None:
    with pytest.raises(ValueError, match="sampler: shards train by CD or PCD"):
        train_rounds(np.zeros((8, 4), np.uint8), 3, shards=2, rounds=1, sampler=sampler)
