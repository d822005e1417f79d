"""The log-likelihood of every epoch: right, in the record, the same from the same seed, and no part of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.bits import PackedBits
from rbmx.likelihood import ais_log_partition, log_likelihood, log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training import (
    Callback,
    EarlyStopping,
    EpochRecord,
    LikelihoodMonitor,
    StopTraining,
    TrainConfig,
    Trainer,
    train,
)
from rbmx.training.history import record_from_json

# rows with structure: two patterns with noise
_RNG = np.random.default_rng(0)
ROWS = ((np.arange(30) % 2 == _RNG.integers(0, 2, (200, 1))) ^ (_RNG.random((200, 30)) < 0.1)).astype(np.uint8)


def fresh(n_hidden: int = 20, seed: int = 5) -> RBMParams:
    return RBMParams.initial(30, n_hidden, key=Key(seed), std=0.1)


def run(monitor: LikelihoodMonitor, n_hidden: int = 20, **settings: Any) -> Any:
    config = TrainConfig(epochs=4, batch_size=20)
    return train(fresh(n_hidden), ROWS, config, callbacks=[monitor], progress=False, **settings)


class Keep(Callback):
    """The machines of all epochs."""

    def __init__(self) -> None:
        self.params: list[RBMParams] = []

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        self.params.append(trainer.params.copy())


def test_every_interval_covers_the_enumerated_value_and_says_so_in_the_record() -> None:
    """99 % intervals, 8 checks of two machines: two misses would come by chance once in 400 times."""
    missed = 0
    for seed in (1, 2):
        monitor, keep = LikelihoodMonitor(temperatures=100), Keep()
        config = TrainConfig(epochs=4, batch_size=20, seed=seed)
        result = train(fresh(), ROWS, config, callbacks=[monitor, keep], progress=False)
        for check, record, params in zip(monitor.checks, result.history, keep.params, strict=True):
            exact = log_partition(params).value
            missed += not check.log_partition.low <= exact <= check.log_partition.high
            assert check.log_partition.high - check.log_partition.low < 3
            assert check.log_partition.method == "AIS, 100 temperatures, 16 chains"
            assert (check.epoch, check.log_likelihood.value) == (record.epoch, record.log_likelihood)
            assert (check.log_likelihood.low, check.log_likelihood.high) == (
                record.log_likelihood_low,
                record.log_likelihood_high,
            )
            assert check.seconds > 0
            assert record.log_likelihood == pytest.approx(-record.free_energy - check.log_partition.value)
    assert missed <= 1


def test_a_small_side_is_enumerated() -> None:
    keep, monitor = Keep(), LikelihoodMonitor(ROWS)
    config = TrainConfig(epochs=2, batch_size=20)
    train(fresh(8), ROWS, config, callbacks=[keep, monitor], progress=False)
    for check, params in zip(monitor.checks, keep.params, strict=True):
        assert check.log_likelihood == log_likelihood(params, PackedBits.pack(ROWS))


def test_rows_may_be_given_or_are_those_of_validation() -> None:
    other = ROWS[:50]
    given, validated, plain = LikelihoodMonitor(other), LikelihoodMonitor(), LikelihoodMonitor()
    run(given)
    run(validated, validation=other)
    run(plain)
    for one, two, three in zip(given.checks, validated.checks, plain.checks, strict=True):
        assert one.log_likelihood.value == pytest.approx(two.log_likelihood.value)
        assert one.log_likelihood.value != three.log_likelihood.value
        assert one.log_partition == three.log_partition


def test_the_monitor_does_not_touch_training_and_its_noise_has_the_seed_of_the_run() -> None:
    first, second = LikelihoodMonitor(temperatures=50), LikelihoodMonitor(temperatures=50)
    watched, again = run(first), run(second)
    alone = train(fresh(), ROWS, TrainConfig(epochs=4, batch_size=20), progress=False)
    assert watched.params.weight.tobytes() == alone.params.weight.tobytes() == again.params.weight.tobytes()
    assert [c.log_partition for c in first.checks] == [c.log_partition for c in second.checks]
    assert len({c.log_partition.value for c in first.checks}) == 4


def test_a_resumed_run_is_checked_as_one_that_was_not_interrupted() -> None:
    whole, halves = LikelihoodMonitor(temperatures=50), LikelihoodMonitor(temperatures=50)
    run(whole)
    params = fresh()
    part = train(params, ROWS, TrainConfig(epochs=2, batch_size=20), callbacks=[halves], progress=False)
    train(params, ROWS, TrainConfig(epochs=4, batch_size=20), state=part.state, callbacks=[halves], progress=False)
    assert [c.log_likelihood for c in whole.checks] == [c.log_likelihood for c in halves.checks]


def test_checks_may_be_rarer_and_records_keep_them_as_json() -> None:
    monitor = LikelihoodMonitor(every=3, temperatures=20)
    history = run(monitor).history
    assert [check.epoch for check in monitor.checks] == [3]
    assert [record.log_likelihood is None for record in history] == [True, True, False, True]
    assert [record_from_json(record.to_json()) for record in history] == history


def test_progress_tells_the_likelihood(capsys: pytest.CaptureFixture[str]) -> None:
    config = TrainConfig(epochs=1, batch_size=20)
    train(fresh(8), ROWS, config, callbacks=[LikelihoodMonitor()], progress=True)
    assert ", log-likelihood -" in capsys.readouterr().err


def test_real_valued_machines_are_annealed_on_the_reference() -> None:
    params = RBMParams.initial(4, 17, key=Key(0), visible="gaussian")
    data = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    monitor = LikelihoodMonitor(temperatures=40)
    train(params, data, TrainConfig(epochs=1, batch_size=10), callbacks=[monitor], progress=False)
    found = monitor.checks[0].log_partition
    assert found.low <= log_partition(params).value <= found.high


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every": 0}, "every: expected 1 or more, got 0"),
        ({"chains": 7}, "chains: expected 8 or more, got 7"),
        ({"temperatures": 1}, "temperatures: expected 2 or more, got 1"),
    ],
)
def test_bad_settings_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LikelihoodMonitor(**settings)


def test_counts_are_refused_before_any_training() -> None:
    params = RBMParams.initial(3, 2, key=Key(0), visible="counts")
    rows = np.array([[1.0, 2, 0], [0, 0, 3]])
    with pytest.raises(ValueError, match=r"^LikelihoodMonitor: counts have a log Z for each total"):
        train(params, rows, TrainConfig(1, visible_bias="keep"), callbacks=[LikelihoodMonitor()])
    np.testing.assert_array_equal(params.weight, RBMParams.initial(3, 2, key=Key(0), visible="counts").weight)


def test_normal_log_weights_give_the_mean_that_few_chains_do_not_see() -> None:
    """64 runs of 16 chains with log weights from N(0, 3): log E[w] = 1.5, which 99 % intervals hold."""
    from rbmx.likelihood.estimate import lognormal_mean

    rng = np.random.default_rng(1)
    found = [lognormal_mean(rng.normal(0, np.sqrt(3), 16), "normal") for _ in range(64)]
    # the standard error of one run is 0.75, so that of the mean of 64 is below 0.1
    assert np.mean([estimate.value for estimate in found]) == pytest.approx(1.5, abs=0.3)
    assert sum(estimate.low <= 1.5 <= estimate.high for estimate in found) >= 62
    assert all(estimate.high - estimate.value > estimate.value - estimate.low for estimate in found)


def test_few_chains_are_less_biased_as_lognormal(machine: Any) -> None:
    params = machine(20, 17, scale=1.0)
    exact = log_partition(params).value
    found = [ais_log_partition(params, temperatures=30, chains=16, key=Key(seed), lognormal=True) for seed in range(20)]
    assert sum(estimate.low <= exact <= estimate.high for estimate in found) >= 18


def records(**values: list[float]) -> list[EpochRecord]:
    names = list(values)
    rows = zip(*values.values(), strict=True)
    return [EpochRecord(i, 1, 1, 1, 1, 0.1, 0.0, **dict(zip(names, row, strict=True))) for i, row in enumerate(rows, 1)]


def epochs_until_stop(stopper: EarlyStopping, history: list[EpochRecord]) -> int | None:
    for record in history:
        try:
            stopper.on_epoch_end(None, record)  # type: ignore[arg-type]
        except StopTraining:
            return record.epoch
    return None


def test_a_likelihood_is_better_when_larger() -> None:
    stopper = EarlyStopping("log_likelihood", patience=2)
    assert epochs_until_stop(stopper, records(log_likelihood=[-100.0, -90.0, -80.0, -81.0, -80.5])) == 5
    assert stopper.best == -80.0


def test_the_gap_of_free_energies_may_grow_up_to_a_limit() -> None:
    gaps = [0.0, 2.0, 4.0, 6.0, 4.0, 6.0, 7.0, 8.0]
    history = records(validation_free_energy=gaps)
    assert history[1].free_energy_gap == 2.0
    assert epochs_until_stop(EarlyStopping("free_energy_gap", patience=2, limit=5.0), history) == 7
    assert epochs_until_stop(EarlyStopping("free_energy_gap", patience=2, limit=9.0), history) is None
    assert epochs_until_stop(EarlyStopping("free_energy_gap", patience=2), history) == 3


def test_early_stopping_on_a_likelihood_wants_a_monitor_before_it() -> None:
    with pytest.raises(ValueError, match=r"'log_likelihood' is not measured; pass callbacks=\[LikelihoodMonitor"):
        train(fresh(), ROWS, callbacks=[EarlyStopping("log_likelihood")], progress=False)
    monitor, stopper = LikelihoodMonitor(), EarlyStopping("log_likelihood", patience=1, min_delta=1e9)
    result = train(fresh(8), ROWS, TrainConfig(epochs=9), callbacks=[monitor, stopper], progress=False)
    assert len(result.history) == 2
