"""A deep belief net over shards, layer by layer: as train_rounds with lower layers, and after a stop in the middle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rbmx.errors import CheckpointError
from rbmx.jobs import DBNResult, Round, RoundWatcher, load_round, train_dbn, train_rounds
from tests.jobs.data import digest, stripes

JOB = {"shards": 3, "rounds": 2, "batch_size": 36, "seed": 7}
SIZES = [20, 10, 6]


def train(**changes: Any) -> DBNResult:
    return train_dbn(stripes(), SIZES, **(JOB | changes))


@pytest.mark.parametrize("propagate", ["mean", "sample"])
def test_each_layer_is_trained_on_what_the_ones_below_hand_up(propagate: Any) -> None:
    """The second layer by train_rounds with lower=, from the same first weights."""
    result = train(propagate=propagate)
    with pytest.raises(_Begun) as begun:
        train(propagate=propagate, watcher=_Stop(layer=1))
    start = begun.value.job
    assert digest(start.lower[0]) == digest(result.layers[0])
    alone = train_rounds(stripes(), resume=start, rounds=2, shards=3)
    assert digest(alone.params) == digest(result.layers[1])
    assert [len(history) for history in result.histories] == [2, 2]


def test_runners_give_the_same_bytes() -> None:
    inline, local = train(rounds=1), train(rounds=1, runner="local")
    assert list(map(digest, inline.layers)) == list(map(digest, local.layers))


@pytest.mark.parametrize(("layer", "rounds_done"), [(0, 1), (1, 0), (1, 1)])
def test_a_job_that_stops_in_the_middle_goes_on_to_the_bit(tmp_path: Path, layer: int, rounds_done: int) -> None:
    model = tmp_path / "dbn.safetensors"
    with pytest.raises(_Begun):
        train(checkpoint=model, watcher=_Stop(layer, rounds_done))
    kept = load_round(model)
    assert (len(kept.lower), kept.number) == (layer, rounds_done)
    rest = train(checkpoint=model, resume=True)
    whole = train()
    assert list(map(digest, rest.layers)) == list(map(digest, whole.layers))
    assert _errors(rest) == _errors(whole)


def _errors(result: DBNResult) -> list[list[float]]:
    return [[record.reconstruction_error for record in history] for history in result.histories]


def test_a_job_goes_on_in_another_process(tmp_path: Path, run_python: Callable[..., str]) -> None:
    """Whatever its settings are made of."""
    model = tmp_path / "dbn.safetensors"
    plan = "schedule=rbmx.ExponentialDecay(0.9), optimizer=rbmx.SGD(0.05, 0.5), penalties=[rbmx.L2(1e-4)]"
    run = f"train_dbn(stripes(), {SIZES}, checkpoint={str(model)!r}, {plan}, **{JOB}"
    script = "import warnings; warnings.simplefilter('ignore'); import rbmx; from rbmx.jobs import train_dbn;"
    script += "from tests.jobs.data import stripes;"
    run_python(f"{script} {run})")
    assert run_python(f"{script} print(len({run}, resume=True).layers))") == "2\n"


def test_a_function_is_no_schedule_of_a_job() -> None:
    """It used to fail in the first task: a file holds no function."""
    with pytest.raises(ValueError, match="schedule: tasks read their settings from a file, which holds no function"):
        train(schedule=lambda epoch, epochs: 1.0)


def test_a_finished_job_is_left_as_it_is(tmp_path: Path) -> None:
    model = tmp_path / "dbn.safetensors"
    done = train(checkpoint=model)
    again = train(checkpoint=model, resume=True)
    assert list(map(digest, again.layers)) == list(map(digest, done.layers))
    assert _errors(again) == _errors(done)


def test_shards_are_cut_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from rbmx.jobs import inputs

    cuts = []
    write = inputs.write_shards
    monkeypatch.setattr(inputs, "write_shards", lambda *given, **named: cuts.append(1) or write(*given, **named))
    train()
    assert len(cuts) == 1


def test_layers_may_have_settings_of_their_own() -> None:
    result = train(per_layer=[{"rounds": 1}, {"rounds": 3, "lr": 0.1}])
    assert [len(history) for history in result.histories] == [1, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"per_layer": [{}]}, "per_layer: expected settings for each of 2 layers, got 1"),
        ({"resume": True}, "resume: expected checkpoint= beside it"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(**changes)


def test_other_settings_or_another_model_are_no_job_to_go_on_from(tmp_path: Path) -> None:
    model = tmp_path / "dbn.safetensors"
    train(checkpoint=model)
    message = r"begun with other settings: settings\[0\].config.optimizer.lr 0.05, got 0.7; settings\[1\]"
    with pytest.raises(ValueError, match=message):
        train(checkpoint=model, resume=True, lr=0.7)
    train_rounds(stripes(), 8, **JOB, checkpoint=model)
    with pytest.raises(CheckpointError, match="expected a model of train_dbn"):
        train(checkpoint=model, resume=True)


class _Begun(Exception):  # noqa: N818 - no error
    """Where a job stood."""

    def __init__(self, job: Round) -> None:
        super().__init__()
        self.job = job


class _Stop(RoundWatcher):
    """Ends a job in a layer once it has done so many rounds, 0: at its start."""

    def __init__(self, layer: int, rounds_done: int = 0) -> None:
        self._layer, self._done = layer, rounds_done

    def on_start(self, job: Round, inputs: Any) -> None:
        if self._done == 0 and len(job.lower) == self._layer:
            raise _Begun(job)

    def on_round_end(self, job: Round, record: Any) -> None:
        if (len(job.lower), job.number) == (self._layer, self._done):
            raise _Begun(job)
