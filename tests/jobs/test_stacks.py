"""Jobs over a stack: one task trains all layers of its shard; the same bytes wherever it runs, and after a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rbmx
from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.data import open_source
from rbmx.errors import CheckpointError, DataError, DivergedError
from rbmx.jobs import FineTuning, StackOutcome, load_stack_round, one_job, train_stack, write_shards
from rbmx.jobs.engine import Engine
from rbmx.stack_checkpoint import load_stack
from rbmx.training.backprop import Network
from tests.jobs.data import digest, stripes

SIZES = [20, 12, 6]
JOB = {"shards": 3, "epochs": 2, "rounds": 2, "batch_size": 36, "lr": 0.2, "seed": 7}
LABELS = stripes()[:, 0].astype(np.int64)  # a pixel: what a net can learn


def train(data: Any = None, sizes: Any = SIZES, **changes: Any) -> StackOutcome:
    return train_stack(stripes() if data is None else data, sizes, **(JOB | changes))


def digests(outcome: StackOutcome) -> list[str]:
    network = [] if outcome.network is None else [outcome.network.flat().tobytes().hex()]
    return [*map(digest, outcome.layers), *network]


@pytest.mark.parametrize(
    "changes",
    [
        {"fine_tune": "autoencoder", "propagate": "mean"},
        {"fine_tune": "classifier", "n_classes": 2, "labels": LABELS, "propagate": "sample", "rounds": 1},
    ],
    ids=["autoencoder", "classifier"],
)
def test_runners_give_the_same_bytes(changes: dict[str, Any]) -> None:
    inline, local = train(**changes), train(**changes, runner="local")
    assert digests(inline) == digests(local)
    assert [record.loss for record in inline.history] == [record.loss for record in local.history]


def test_a_single_shard_goes_without_a_reducer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_job, "MAP_ONLY", ("local",))
    run, asked = Engine.run, []

    def noted(engine: Engine, *words: Any, reduces: bool, **options: Any) -> Any:
        asked.append(reduces)
        return run(engine, *words, reduces=reduces, **options)

    monkeypatch.setattr(Engine, "run", noted)
    tuned = {"fine_tune": "autoencoder", "rounds": 1}
    alone = train(**tuned, shards=1, runner="local")
    assert asked == [False]
    assert digests(alone) == digests(train(**tuned, shards=1))
    train(**tuned, shards=2, runner="local")
    assert asked == [False, True, True]
    with pytest.raises(DivergedError, match="round 1: shard 0 of 1: layer 1 of 2: weights diverged"):
        train(lr=1e7, shards=1, runner="local")


@pytest.mark.parametrize("fine_tune", [None, "autoencoder"])
def test_a_job_that_stops_and_goes_on_is_the_one_that_does_not_stop(tmp_path: Path, fine_tune: Any) -> None:
    kept = tmp_path / "stack.safetensors"
    plan = {"rounds": 3, "fine_tune": fine_tune}
    whole = train(**plan)

    class Enough(Exception):  # noqa: N818 - no error
        pass

    def stop(job: Any, record: Any) -> None:
        raise Enough

    with pytest.raises(Enough):
        train(**plan, checkpoint=kept, on_round_end=stop)
    assert load_stack_round(kept).number == 1
    rest = train_stack(stripes(), resume=kept, rounds=3)
    assert digests(rest) == digests(whole)
    assert [record.loss for record in rest.history] == [record.loss for record in whole.history]


def test_one_shard_trains_each_layer_on_what_the_one_below_hands_up() -> None:
    """Against train_rounds' own task, layer by layer: the means of the first are the rows of the second."""
    outcome = train(shards=1, rounds=1, propagate="mean", per_layer=[{}, {"epochs": 1}])
    assert [plan.local_epochs for plan in outcome.job.plans] == [2, 1]
    first, second = outcome.layers
    assert digest(first) == digest(train(shards=1, rounds=1, sizes=SIZES[:2]).layers[0])
    means = backend_for(first, reproducible=True).hidden_mean(first, PackedBits.pack(stripes()))
    # means differ from the start: the second layer's biases begin at their log-odds
    assert np.abs(second.visible_bias - np.log(means.mean(0) / (1 - means.mean(0)))).max() < 0.5
    assert second.weight.any()


def test_no_layer_shard_or_round_shares_its_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of training, of what is handed up, and of tuning: 3 shards, 2 rounds of 2 layers."""
    from rbmx.jobs import stack_work

    seen: list[int] = []
    train_shard, ascend, fine_tune = stack_work.train_shard, stack_work.ascend, stack_work.fine_tune

    def training(layer: Any, state: Any, rows: Any, plan: Any, key: Any, **named: Any) -> Any:
        seen.append(key.seed)
        return train_shard(layer, state, rows, plan, key, **named)

    def ascending(*given: Any, seed: int, **named: Any) -> Any:
        seen.append(seed)
        return ascend(*given, seed=seed, **named)

    def tuning(*given: Any, seed: int, **named: Any) -> Any:
        seen.append(seed)
        return fine_tune(*given, seed=seed, **named)

    monkeypatch.setattr(stack_work, "train_shard", training)
    monkeypatch.setattr(stack_work, "ascend", ascending)
    monkeypatch.setattr(stack_work, "fine_tune", tuning)
    train(propagate="sample")
    assert len(seen) == len(set(seen)) == 3 * 2 * (2 + 1)
    train(propagate="sample", seed=8, fine_tune="autoencoder")
    assert len(seen) == len(set(seen)) == 18 + 3 * (3 + 2)


def test_the_net_of_a_stack_learns_labels() -> None:
    tuning = FineTuning("classifier", epochs=40, batch_size=20, n_classes=2, optimizer=rbmx.SGD(0.2, 0.9))
    outcome = train(fine_tune=tuning, labels=LABELS, rounds=3, validation=(stripes(seed=9), stripes(seed=9)[:, 0]))
    assert outcome.network is not None
    right = outcome.network.forward(stripes(seed=9)).argmax(axis=1) == stripes(seed=9)[:, 0]
    assert right.mean() > 0.9
    first, last = outcome.history[0], outcome.history[-1]
    assert last.loss < first.loss
    assert last.validation_loss is not None
    assert last.validation_loss < np.log(2)  # what guessing costs


def test_a_layer_that_was_tuned_is_tuned_on_and_not_trained_again() -> None:
    once, twice = train(fine_tune="autoencoder", rounds=1, schedule=None), train(fine_tune="autoencoder", schedule=None)
    assert [digest(layer) for layer in once.layers] == [digest(layer) for layer in twice.layers]
    assert once.network is not None and twice.network is not None
    assert not np.array_equal(once.network.flat(), twice.network.flat())


def test_labels_travel_in_shards_and_in_csv(tmp_path: Path) -> None:
    rows = stripes()
    write_shards(open_source(rows).with_labels(LABELS), 3, tmp_path / "shards", labels=True)
    table = tmp_path / "rows.csv"
    np.savetxt(table, np.column_stack([LABELS, rows]), fmt="%d", delimiter=",")
    tuned = {"fine_tune": "classifier", "n_classes": 2}
    expected = digests(train(**tuned, labels=LABELS))
    assert digests(train(str(tmp_path / "shards"), **tuned, shards=None)) == expected
    assert digests(train(str(table), **tuned, label="first")) == expected


def test_the_file_of_a_job_is_a_deep_belief_network(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    kept = tmp_path / "stack.safetensors"
    outcome = train(checkpoint=kept, fine_tune="autoencoder")
    assert [digest(layer) for layer in load_stack(kept).layers] == [digest(layer) for layer in outcome.layers]
    network = rbmx.DBN.load(kept)
    assert network.transform(stripes()).shape == (120, 6)


def test_gaussian_visible_units_stand_at_the_bottom() -> None:
    rows = stripes().astype(np.float32) * 2 - 1
    outcome = train(rows, units="gaussian", lr=0.01, rounds=1, fine_tune="autoencoder")
    assert outcome.layers[0].visible == "gaussian"
    assert np.isfinite(outcome.history[0].loss)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sizes": [20]}, ValueError, "sizes: expected the units of two levels or more"),
        ({"sizes": [19, 6]}, DataError, "has 20 values in a row, expected 19"),
        ({"per_layer": [{}]}, ValueError, "per_layer: expected settings for each of 2 layers, got 1"),
        ({"fine_tune": "decoder"}, ValueError, "fine_tune: expected 'autoencoder' or 'classifier', got 'decoder'"),
        ({"fine_tune": "classifier"}, ValueError, "n_classes: a classifier needs 2 or more"),
        ({"n_classes": 2}, ValueError, "n_classes: is for fine_tune='classifier'"),
        ({"fine_tune": "classifier", "n_classes": 2}, DataError, "data: labels are needed and the rows have none"),
        (
            {"fine_tune": "classifier", "n_classes": 2, "labels": LABELS[:-1]},
            DataError,
            "data: labels: expected one for each of 120 rows, got 119",
        ),
        (
            {"fine_tune": "classifier", "n_classes": 2, "labels": LABELS + 1},
            DataError,
            "none of the classes 0 to 1",
        ),
        ({"learning_rate": 0.1}, TypeError, "learning_rate: no setting of a job has this name"),
        ({"lr": 1e7}, DivergedError, "round 1: shard 0 of 3: layer 1 of 2: weights diverged"),
    ],
)
def test_what_makes_no_sense_is_one_clear_error(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        train(**changes)


def test_a_net_that_diverges_names_its_shard() -> None:
    tuning = FineTuning("autoencoder", optimizer=rbmx.SGD(1e30))
    with pytest.raises(DivergedError, match="round 1: shard 0 of 3: the net: loss"):
        train(stripes().astype(np.float32) * 2 - 1, units="gaussian", lr=0.01, fine_tune=tuning)


def test_a_resumed_job_keeps_its_settings(tmp_path: Path) -> None:
    kept = tmp_path / "stack.safetensors"
    train(checkpoint=kept, rounds=1)
    with pytest.raises(ValueError, match="resume: the earlier job's settings hold"):
        train_stack(stripes(), resume=kept, lr=0.1)
    ignored: dict[str, Any] = {"epochs": 10, "units": "gaussian", "n_classes": 2, "binarize": 0.5, "scale": 255.0}
    ignored |= {"on_bad_row": "raise", "label": None, "per_layer": [{}, {}], "fine_tune": "autoencoder"}
    for name, value in ignored.items():
        with pytest.raises(ValueError, match=f"resume: the earlier job's settings hold; .*, got {name}"):
            train_stack(stripes(), resume=kept, **{name: value})
    with pytest.raises(ValueError, match="shards: the job was begun with 3, got 4"):
        train_stack(stripes(), resume=kept, shards=4)
    with pytest.raises(ValueError, match="resume: the job was begun with values as they are"):
        train_stack(stripes() / np.float32(2), resume=kept)
    with pytest.raises(ValueError, match="sizes: expected the units of each level, or resume="):
        train_stack(stripes())
    plain = tmp_path / "plain.safetensors"
    rbmx.save_checkpoint(plain, rbmx.Checkpoint(rbmx.RBMParams.initial(20, 8, key=rbmx.Key(0))))
    with pytest.raises(CheckpointError, match="expected an rbmx model of format"):
        load_stack_round(plain)


def test_an_autoencoder_of_a_stack_reconstructs_better_when_it_is_tuned() -> None:
    rough = train(rounds=1, schedule=None)
    tuning = FineTuning("autoencoder", epochs=30, optimizer=rbmx.SGD(0.02, 0.9), batch_size=10)
    fine = train(rounds=1, schedule=None, fine_tune=tuning)
    untuned = Network.autoencoder_of(rough.layers, code="linear").loss(stripes(), stripes()) / 120
    assert fine.history[-1].loss < untuned
