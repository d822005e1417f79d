from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.backends.base import Batches, State, Update
from rbmx.bits import PackedBits
from rbmx.errors import DataError, DivergedError
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.samplers import PCD, PT, FastPCD
from rbmx.training import (
    L2,
    SGD,
    Adam,
    Callback,
    EarlyStopping,
    EpochRecord,
    ExponentialDecay,
    LikelihoodMonitor,
    MaxNorm,
    Sparsity,
    StopTraining,
    TrainConfig,
    Trainer,
    WeightAverage,
    train,
)

ROWS = np.random.default_rng(0).integers(0, 2, (57, 12)).astype(np.uint8)


def fresh(seed: int = 5, hidden: str = "bernoulli") -> RBMParams:
    return RBMParams.initial(12, 8, key=Key(seed), std=0.1, hidden=hidden)


def test_parameters_are_changed_in_place_and_returned() -> None:
    params = fresh()
    weight = params.weight
    before = weight.copy()
    result = train(params, ROWS)
    assert result.params is params and params.weight is weight
    assert not np.array_equal(weight, before)


def test_the_trainer_is_a_loop_of_seeded_orders_over_the_backend() -> None:
    """Two epochs written out: order from (seed, SHUFFLE, epoch), noise from (seed, TRAINING), steps counted on."""
    from rbmx.backends.native import permutation

    config = TrainConfig(2, 10, PCD(2, 7), SGD(0.1, 0.5), (L2(0.01),), ExponentialDecay(0.5), 0.0, seed=9)
    params = fresh()
    result = train(params, ROWS, config)
    own, key = fresh(), Key(9)
    ones = ROWS.sum(0)
    own.visible_bias[:] = np.rint(np.log((ones + 1) / (57 - ones + 1)) * 1024) / 1024
    zeros = RBMParams(*(np.zeros_like(a) for a in (own.weight, own.visible_bias, own.hidden_bias)))
    state = State(zeros, PCD(2, 7).initial_chains(own, 10, key.fold_in(Purpose.CHAINS)))
    for epoch in range(2):
        order = permutation(57, key.fold_in(Purpose.SHUFFLE).fold_in(epoch))
        noise = key.fold_in(Purpose.TRAINING)
        batches = Batches(order, 10, 2, Update(0.1 * 0.5**epoch, first=0.5, weight_decay=0.01), noise, 6 * epoch)
        backend_for(own).train(own, PackedBits.pack(ROWS), batches, state)
    for name in ("weight", "visible_bias", "hidden_bias"):
        np.testing.assert_array_equal(getattr(params, name), getattr(own, name))
    assert isinstance(result.state.chains, PackedBits) and isinstance(state.chains, PackedBits)
    np.testing.assert_array_equal(result.state.chains.words, state.chains.words)
    assert (result.state.step, result.state.epoch, result.state.epoch_rows) == (12, 2, 0)


@pytest.mark.parametrize(
    ("changes", "data", "hidden", "centering"),
    [
        ({}, ROWS, "bernoulli", 0.01),
        ({"centering": 0.5}, ROWS, "bernoulli", 0.5),
        ({"centering": 0.0}, ROWS, "bernoulli", 0.0),
        ({"batch_size": 1}, ROWS, "bernoulli", 0.0),
        ({"sampler": PT(temperatures=2)}, ROWS, "bernoulli", 0.0),
        ({"penalties": (MaxNorm(3.0),)}, ROWS, "bernoulli", 0.0),
        ({"penalties": (L2(0.1),)}, ROWS, "bernoulli", 0.01),
        ({"engine": "blas"}, ROWS, "bernoulli", 0.0),
        ({}, ROWS * np.float32(0.5), "bernoulli", 0.0),
        ({}, ROWS, "gaussian", 0.0),
    ],
)
def test_gradients_are_centred_where_that_is_native(
    changes: dict[str, Any], data: Any, hidden: str, centering: float
) -> None:
    trainer = Trainer(fresh(hidden=hidden), data, TrainConfig(1, **changes))
    assert trainer.config.centering == centering
    assert (trainer.state.offsets is not None) == (centering > 0)


def test_weight_average_ends_with_the_mean_of_the_epochs_that_count() -> None:
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
            kept.append(trainer.params.copy())

    params = fresh()
    train(params, ROWS, TrainConfig(5, 10), callbacks=[Keep(), WeightAverage(3)])
    for name in ("weight", "visible_bias", "hidden_bias"):
        mean = np.mean([getattr(p, name).astype(np.float64) for p in kept[2:]], axis=0)
        np.testing.assert_array_equal(getattr(params, name), mean.astype(np.float32))
    before = fresh()
    train(before, ROWS, TrainConfig(2, 10), callbacks=[WeightAverage(3)])
    np.testing.assert_array_equal(before.weight, kept[1].weight)
    with pytest.raises(ValueError, match=r"^start: expected"):
        WeightAverage(0)


def test_a_run_that_goes_on_stays_plain_or_centred() -> None:
    for centering in (0.0, 0.01):
        state = train(fresh(), ROWS, TrainConfig(1, centering=centering)).state
        assert Trainer(fresh(), ROWS, TrainConfig(2), state=state).config.centering == centering


def test_records_tell_each_epoch() -> None:
    config = TrainConfig(3, 10, optimizer=SGD(0.1), schedule=ExponentialDecay(0.5), monitor_rows=20)
    params = fresh()
    result = train(params, ROWS, config, validation=ROWS[:5])
    assert [r.epoch for r in result.history] == [1, 2, 3]
    assert [r.rows for r in result.history] == [57] * 3
    assert [r.learning_rate for r in result.history] == [0.1, 0.05, 0.025]
    last, backend = result.history[-1], backend_for(params)
    for rows, error, energy in (
        (ROWS[:20], last.reconstruction_error, last.free_energy),
        (ROWS[:5], last.validation_reconstruction_error, last.validation_free_energy),
    ):
        bits = PackedBits.pack(rows)
        assert error == pytest.approx(np.mean((rows - backend.reconstruct(params, bits)) ** 2))
        assert energy == pytest.approx(backend.free_energy(params, bits).mean())
    assert all(r.seconds > 0 and r.rows_per_second == pytest.approx(57 / r.seconds) for r in result.history)


def test_no_epochs_change_nothing_but_the_first_visible_bias() -> None:
    params = fresh()
    before = params.copy()
    result = train(params, ROWS, TrainConfig(epochs=0, visible_bias="keep"))
    assert result.history == []
    np.testing.assert_array_equal(params.weight, before.weight)
    np.testing.assert_array_equal(params.visible_bias, before.visible_bias)


@pytest.mark.parametrize("value", ["data", "keep"])
def test_the_visible_bias_starts_at_the_log_odds_of_the_data_unless_it_is_kept_or_set(value: str) -> None:
    params, set_before = fresh(), fresh()
    set_before.visible_bias[3] = 1
    config = TrainConfig(epochs=0, visible_bias=value)
    train(params, ROWS, config)
    train(set_before, ROWS, config)
    if value == "data":
        p = (ROWS.sum(0) + 1) / (len(ROWS) + 2)
        np.testing.assert_allclose(params.visible_bias, np.log(p / (1 - p)), atol=2.0**-11 + 1e-6)
    else:
        assert not params.visible_bias.any()
    assert set_before.visible_bias.tolist() == [0, 0, 0, 1] + [0] * 8


def test_l2_takes_lr_times_decay_off_each_weight_and_leaves_biases() -> None:
    """Data, chains and weights such that the gradient is 0: saturated units, data equal to what is sampled."""
    params = RBMParams(np.full((2, 3), 0.25, np.float32), np.full(3, 30, np.float32), np.full(2, -30, np.float32))
    config = TrainConfig(1, 4, optimizer=SGD(0.5), penalties=(L2(0.1), L2(0.1)))
    train(params, np.ones((8, 3)), config)
    np.testing.assert_allclose(params.weight, 0.25 * (1 - 0.5 * 0.2) ** 2, rtol=1e-6)
    assert np.all(params.visible_bias == 30) and np.all(params.hidden_bias == -30)


# ---- callbacks


class Recorder(Callback):
    def __init__(self, log: list[Any], name: str = "") -> None:
        self.log, self.name = log, name

    def on_train_start(self, trainer: Trainer) -> None:
        self.log.append((self.name, "start", trainer.state.epoch))

    def on_batches(self, trainer: Trainer, rows_done: int, rows_total: int | None) -> None:
        self.log.append((self.name, "batches", rows_done, rows_total))

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        assert trainer.history[-1] is record
        self.log.append((self.name, "epoch", record.epoch))

    def on_train_end(self, trainer: Trainer) -> None:
        self.log.append((self.name, "end", trainer.state.epoch))


def test_callbacks_are_called_in_their_order_at_each_event() -> None:
    log: list[Any] = []
    config = TrainConfig(epochs=2, batch_size=20, engine="reference")
    train(fresh(), ROWS, config, callbacks=[Recorder(log, "a"), Callback(), Recorder(log, "b")])
    events = [entry[1:] for entry in log if entry[0] == "a"]
    epoch = [("batches", 20, 57), ("batches", 40, 57), ("batches", 57, 57)]
    assert events == [("start", 0), *epoch, ("epoch", 1), *epoch, ("epoch", 2), ("end", 2)]
    assert [entry[0] for entry in log] == ["a", "b"] * len(events)


def test_a_callback_may_stop_the_run_and_the_result_is_returned() -> None:
    class Stop(Callback):
        def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
            if record.epoch == 3:
                raise StopTraining

    log: list[Any] = []
    result = train(fresh(), ROWS, TrainConfig(epochs=9), callbacks=[Stop(), Recorder(log)])
    assert len(result.history) == result.state.epoch == 3
    assert log[-2:] == [("", "epoch", 3), ("", "end", 3)]  # a later callback hears of the last epoch all the same


def test_a_callback_may_stop_the_run_before_it_starts() -> None:
    class Stop(Callback):
        def on_train_start(self, trainer: Trainer) -> None:
            raise StopTraining

    assert train(fresh(), ROWS, callbacks=[Stop()]).history == []


@pytest.mark.parametrize("event", ["on_batches", "on_epoch_end"])
def test_an_error_in_a_callback_comes_out_and_the_end_is_still_told(event: str) -> None:
    class Broken(Callback):
        pass

    def fail(*arguments: Any) -> None:
        raise RuntimeError("disk full")

    broken = Broken()
    setattr(broken, event, fail)
    log: list[Any] = []
    with pytest.raises(RuntimeError, match="disk full"):
        train(fresh(), ROWS, TrainConfig(engine="reference"), callbacks=[broken, Recorder(log)])
    assert log[-1][1] == "end"


def test_early_stopping_waits_for_patience_epochs_without_a_new_best() -> None:
    stopper = EarlyStopping("reconstruction_error", patience=2, min_delta=0.1)

    def record(value: float) -> EpochRecord:
        return EpochRecord(1, 1, 1, 1, 1, value, 0)

    for value in (1.0, 0.95, 0.8, 0.75):  # 0.95 and 0.75 are less than 0.1 better
        stopper.on_epoch_end(None, record(value))  # type: ignore[arg-type]
    with pytest.raises(StopTraining):
        stopper.on_epoch_end(None, record(0.71))  # type: ignore[arg-type]


def test_early_stopping_ends_a_run() -> None:
    stopper = EarlyStopping("validation_free_energy", patience=1, min_delta=1e9)
    result = train(fresh(), ROWS, TrainConfig(epochs=9), validation=ROWS, callbacks=[stopper])
    assert len(result.history) == 2


def test_early_stopping_names_what_it_cannot_watch() -> None:
    with pytest.raises(ValueError, match="monitor: expected one of epoch"):
        EarlyStopping("speed")
    with pytest.raises(ValueError, match=r"monitor: expected one of epoch, rows.*free_energy_gap, got 'loss'"):
        train(fresh(), ROWS, callbacks=[EarlyStopping("loss")])
    with pytest.raises(ValueError, match="patience: expected"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="pass validation="):
        train(fresh(), ROWS, callbacks=[EarlyStopping()])


def test_the_progress_bar_tells_rows_and_the_error_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    train(fresh(), ROWS, TrainConfig(epochs=2), progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 2/2, error 0." in captured.err and "114" in captured.err


def test_no_bar_where_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    train(fresh(), ROWS)
    assert capsys.readouterr() == ("", "")


# ---- errors


def test_rows_of_the_wrong_width_are_named() -> None:
    with pytest.raises(DataError, match=r"expected rows of 12 values.*got 5"):
        train(fresh(), ROWS[:, :5])
    with pytest.raises(DataError, match="expected rows of 12"):
        train(fresh(), ROWS, validation=ROWS[:, :5])


@pytest.mark.parametrize("bad", [np.inf, -0.5, 1.5])
def test_values_that_are_no_probabilities_are_refused_before_anything_changes(bad: float) -> None:
    rows = ROWS.astype(np.float32)
    rows[50, 3] = bad
    params = fresh()
    before = params.copy()
    with pytest.raises(DataError, match="row 50, column 3"):
        train(params, rows)
    np.testing.assert_array_equal(params.weight, before.weight)
    np.testing.assert_array_equal(params.visible_bias, before.visible_bias)


def test_engines_that_cannot_run_are_named() -> None:
    grey = np.full((4, 12), 0.5)
    with pytest.raises(ValueError, match="engine: 'binary' needs binary rows"):
        train(fresh(), grey, TrainConfig(engine="binary"))
    with pytest.raises(ValueError, match="engine: 'blas' has no kernels for bernoulli visible and spin hidden units"):
        train(fresh(hidden="spin"), ROWS, TrainConfig(engine="blas"))
    with pytest.raises(ValueError, match="engine: 'binary' needs Bernoulli units, got bernoulli visible and gaussian"):
        train(fresh(hidden="gaussian"), ROWS, TrainConfig(engine="binary"))


@pytest.mark.parametrize("engine", ["auto", "blas", "reference"])
@pytest.mark.parametrize("sampler", ["cd", "pcd"])
def test_a_learning_rate_that_diverges_is_an_error_and_parameters_and_state_stay(engine: str, sampler: str) -> None:
    from rbmx.samplers import sampler_from

    params = fresh()
    config = TrainConfig(5, 10, sampler_from(sampler), SGD(1e5, 0.5), engine=engine, visible_bias="keep")
    trainer = Trainer(params, ROWS, config)
    before, state = params.copy(), trainer.state.copy()
    with pytest.raises(DivergedError, match=r"learning rate 100000 of SGD.*momentum=0\.5.*lower the learning rate"):
        trainer.run()
    for name in ("weight", "visible_bias", "hidden_bias"):
        np.testing.assert_array_equal(getattr(params, name), getattr(before, name))
    assert trainer.state.counters() == state.counters()
    for name, tensor in state.tensors().items():
        np.testing.assert_array_equal(trainer.state.tensors()[name], tensor, name)


def test_the_loop_in_python_ends_a_run_that_diverges_as_the_native_one_does() -> None:
    """The sum of a unit's weights passes what the kernels take before any weight does; everything is given back."""
    for config in (
        TrainConfig(3, 10, optimizer=SGD(4000.0), penalties=(Sparsity(0.5, cost=0.0),), centering=0.0),
        TrainConfig(3, 10, FastPCD(fast_lr=5000.0), SGD(0.1), centering=0.0),
    ):
        params = fresh()
        trainer = Trainer(params, ROWS, config)
        before, state = params.copy(), trainer.state.copy()
        with pytest.raises(DivergedError):
            trainer.run()
        assert trainer.state.step == state.step
        for name in params.names:
            np.testing.assert_array_equal(getattr(params, name), getattr(before, name))
        assert {n: a.tobytes() for n, a in trainer.state.tensors().items()} == {
            n: a.tobytes() for n, a in state.tensors().items()
        }


def test_a_state_goes_on_with_its_own_optimizer_and_sampler_only() -> None:
    state = train(fresh(), ROWS, TrainConfig(1)).state
    with pytest.raises(ValueError, match=r"optimizer: Adam.* does not go on"):
        Trainer(fresh(), ROWS, TrainConfig(2, optimizer=Adam()), state=state)
    tempered = train(fresh(), ROWS, TrainConfig(1, sampler=PT(temperatures=2))).state
    with pytest.raises(ValueError, match=r"sampler: CD.* does not go on"):
        Trainer(fresh(), ROWS, TrainConfig(2), state=tempered)


@pytest.mark.parametrize("callbacks", [[1], [WeightAverage], WeightAverage(1)])
def test_what_is_no_callback_is_refused(callbacks: Any) -> None:
    with pytest.raises(TypeError, match="callbacks: expected"):
        Trainer(fresh(), ROWS, callbacks=callbacks)


@pytest.mark.parametrize("monitor", ["log_likelihood", "free_energy_gap", "validation_free_energy"])
def test_early_stopping_on_what_nothing_measures_is_refused_before_any_training(monitor: str) -> None:
    params = fresh()
    with pytest.raises(ValueError, match=r"monitor: .* is not measured"):
        train(params, ROWS, TrainConfig(2, visible_bias="keep"), callbacks=[EarlyStopping(monitor)])
    np.testing.assert_array_equal(params.weight, fresh().weight)


def test_early_stopping_waits_for_epochs_that_are_checked() -> None:
    callbacks = [LikelihoodMonitor(every=2), EarlyStopping("log_likelihood", patience=9)]
    history = train(fresh(), ROWS, TrainConfig(4), callbacks=callbacks).history
    assert [record.log_likelihood is not None for record in history] == [False, True, False, True]


def test_an_average_of_a_run_that_failed_stays_away() -> None:
    class Fail(Callback):
        def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
            if record.epoch == 3:
                kept.append(trainer.params.copy())
                raise RuntimeError("lost")

    kept: list[RBMParams] = []
    params = fresh()
    with pytest.raises(RuntimeError, match="lost"):
        train(params, ROWS, TrainConfig(5), callbacks=[WeightAverage(1), Fail()])
    np.testing.assert_array_equal(params.weight, kept[0].weight)
