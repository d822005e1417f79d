"""What likelihoods cost and whether they hold: annealing, enumeration, pseudo-likelihoods, a check every epoch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from rbmx.backends import backend_for
from rbmx.bench.harness import Report, Timing, WrongAnswerError, facts, interleave, stopwatch, table
from rbmx.bits import PackedBits
from rbmx.likelihood import ais_log_partition, log_partition, pseudo_log_likelihood
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.samplers import CD, PCD
from rbmx.training import SGD, Callback, EpochRecord, LikelihoodMonitor, TrainConfig, Trainer, train

__all__ = ["COST_LIMIT", "COVERED_LIMIT", "monitored", "run_likelihood"]

COST_LIMIT = 5.0
"""Per cent of the time of training that a check after every epoch may take."""

COVERED_LIMIT = 0.9
"""Share of checks whose interval holds the value of a long AIS run: 18 of 20."""

TOLERANCE = 3.0  # nats between ways of annealing a few hundred temperatures with other noise


def anneal_by_calls(
    params: RBMParams, betas: npt.NDArray[np.float64], v: PackedBits, key: Key
) -> npt.NDArray[np.float64]:
    """Log weights by a call for each free energy and each Gibbs step, on weights that are scaled and packed anew."""
    backend = backend_for(params)

    def at(beta: float) -> RBMParams:
        scale = np.float32(beta)
        return RBMParams(params.weight * scale, params.visible_bias, params.hidden_bias * scale)

    weights, before = np.zeros(len(v)), at(betas[0])
    for step, beta in enumerate(betas[1:], 1):
        now = at(beta)
        weights += backend.free_energy(before, v) - backend.free_energy(now, v)
        if step + 1 < len(betas):
            rows = backend.gibbs(now, v, 1, key, first_step=step)
            assert isinstance(rows, PackedBits)
            v = rows
        before = now
    return weights


def anneal_in_numpy(
    params: RBMParams, betas: npt.NDArray[np.float64], v: PackedBits, key: Key
) -> npt.NDArray[np.float64]:
    """The same in float32 NumPy, one product for both free energies and the hidden sample."""
    rng = np.random.default_rng(key.words)
    states, weights = v.unpack().astype(np.float32), np.zeros(len(v))
    for last, beta in zip(betas[:-1].astype(np.float32), betas[1:].astype(np.float32), strict=True):
        x = states @ params.weight.T + params.hidden_bias
        weights += (np.logaddexp(0, beta * x) - np.logaddexp(0, last * x)).sum(axis=1, dtype=np.float64)
        hidden = rng.random(x.shape, np.float32) * (1 + np.exp(-beta * x)) < 1
        y = params.visible_bias + beta * (hidden.astype(np.float32) @ params.weight)
        states = (rng.random(y.shape, np.float32) * (1 + np.exp(-y)) < 1).astype(np.float32)
    return weights


def _anneal(params: RBMParams, *, chains: int, temperatures: int, rounds: int) -> dict[str, object]:
    """Chain-steps a second of three ways to anneal; their estimates must agree."""
    backend, key = backend_for(params), Key(1)
    betas = np.arange(temperatures + 1) / temperatures
    means = np.broadcast_to(1 / (1 + np.exp(-params.visible_bias.astype(np.float64))), (chains, params.n_visible))
    v = PackedBits.pack(np.random.default_rng(0).random(means.shape) < means)
    ways: dict[str, Callable[[], npt.NDArray[np.float64]]] = {
        "native": lambda: backend.anneal(params, params.visible_bias, betas, v, key)[1],
        "native, a call a step": partial(anneal_by_calls, params, betas, v, key),
        "NumPy, float32": partial(anneal_in_numpy, params, betas, v, key),
    }
    estimates = {name: _normal_mean(way()) for name, way in ways.items()}
    if max(estimates.values()) - min(estimates.values()) > TOLERANCE:
        raise WrongAnswerError(f"annealing: estimates of log Z / Z_0 differ: {estimates}")
    timings = interleave({name: stopwatch(way) for name, way in ways.items()}, rounds=rounds)
    work, base = chains * temperatures, timings["native"].median
    lines = [
        [name, f"{timing.rates(work)[0]:,.0f}", f"{timing.median / base:.1f}x", f"{estimates[name]:.2f}"]
        for name, timing in timings.items()
    ]
    print(f"annealing {params.n_visible}-{params.n_hidden}, {chains} chains, {temperatures} temperatures")
    print(table(["", "chain-steps/s", "time", "log Z / Z_0"], lines), "\n", flush=True)
    rates = {name: timing.rates(work)[0] for name, timing in timings.items()}
    return {"name": "annealing", "chains": chains, "temperatures": temperatures, "chain_steps_per_second": rates}


def _normal_mean(weights: npt.NDArray[np.float64]) -> float:
    return float(weights.mean() + weights.var(ddof=1) / 2)


def _enumerate(units: tuple[int, ...], n_visible: int, rounds: int) -> list[dict[str, object]]:
    records: list[dict[str, object]] = []
    lines = []
    for n in units:
        params = RBMParams.initial(n_visible, n, key=Key(n), std=0.5)
        timing = Timing(tuple(stopwatch(partial(log_partition, params))() for _ in range(rounds)))
        lines.append([f"{n} by {n_visible}", f"{timing.median:.3f}", f"{2**n / timing.median:,.0f}"])
        records.append({"name": f"enumeration of {n}", **timing.to_json()})
    print(table(["exact log Z", "seconds", "states/s"], lines), "\n", flush=True)
    return records


def _pseudo(params: RBMParams, rows: PackedBits, rounds: int) -> dict[str, object]:
    timing = Timing(tuple(stopwatch(partial(pseudo_log_likelihood, params, rows))() for _ in range(rounds)))
    line = [f"{len(rows):,} rows", f"{timing.median:.3f}", f"{len(rows) / timing.median:,.0f}"]
    print(table(["pseudo-likelihood, all units", "seconds", "rows/s"], [line]), "\n", flush=True)
    return {"name": "pseudo-likelihood", "rows": len(rows), **timing.to_json()}


class _Snapshots(Callback):
    def __init__(self) -> None:
        self.params: list[RBMParams] = []

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        self.params.append(trainer.params.copy())


def monitored(
    rows: PackedBits,
    config: TrainConfig,
    *,
    n_hidden: int = 500,
    temperatures: int = 10_000,
    chains: int = 100,
) -> dict[str, object]:
    """Train with a LikelihoodMonitor, then hold every check against a long AIS run of that epoch's machine.

    Returns:
        "cost_percent" of the seconds of training, "covered" of "checks", and both curves.
    """
    params = RBMParams.initial(rows.n_units, n_hidden, key=Key(0).fold_in(Purpose.INITIAL_WEIGHTS))
    monitor, snapshots = LikelihoodMonitor(), _Snapshots()
    history = train(params, rows, config, callbacks=[monitor, snapshots], progress=False).history
    cost = 100 * sum(check.seconds for check in monitor.checks) / sum(record.seconds for record in history)
    lines, covered = [], 0
    curves: list[dict[str, float]] = []
    for check, machine in zip(monitor.checks, snapshots.params, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few effective chains are in the table
            long = ais_log_partition(machine, temperatures=temperatures, chains=chains, key=Key(check.epoch))
        quick = check.log_partition
        inside = quick.low <= long.value <= quick.high
        covered += inside
        effective = long.effective_sample_size or 0.0
        curves.append(
            {"epoch": check.epoch, "value": quick.value, "low": quick.low, "high": quick.high, "long_run": long.value}
        )
        interval = f"{quick.low:.2f} - {quick.high:.2f}"
        lines.append(
            [
                str(check.epoch),
                f"{quick.value:.2f}",
                interval,
                f"{long.value:.2f}",
                f"{effective:.0f}",
                "" if inside else "missed",
            ]
        )
        print(f"  epoch {check.epoch}", file=sys.stderr, flush=True)
    print(
        f"log Z of {rows.n_units}-{n_hidden} after each epoch of {config.sampler}, lr {config.optimizer.lr:g}; "
        f"long run: {temperatures:,} temperatures, {chains} chains"
    )
    print(table(["epoch", "check", "interval", "long run", "effective", ""], lines))
    print(
        f"cost {cost:.1f} % of training; {covered} of {len(curves)} intervals hold the long run's value\n", flush=True
    )
    return {
        "name": f"monitoring, {config.sampler}",
        "cost_percent": cost,
        "covered": covered,
        "checks": len(curves),
        "within": cost < COST_LIMIT and covered >= COVERED_LIMIT * len(curves),
        "curves": curves,
    }


def run_likelihood(
    images: npt.NDArray[np.uint8],
    *,
    epochs: int = 20,
    temperatures: int = 10_000,
    units: tuple[int, ...] = (16, 20, 24),
    persistent: bool = False,
    rounds: int = 7,
    threads: int = 2,
) -> Report:
    """All of it on one data set.

    Args:
        images: binarised rows.
        epochs: of the training that is monitored, a check after each.
        temperatures: of the long AIS runs.
        units: to enumerate.
        persistent: monitor PCD-1 at a rate of 0.01 in place of CD-1 at 0.05.
        rounds: of what is timed.
        threads: written into the report.
    """
    report = Report(
        "likelihood", {"rounds": rounds, "epochs": epochs, "temperatures": temperatures}, facts(threads=threads)
    )
    print(report.origin(), "\n")
    rows = PackedBits.pack(images)
    params = RBMParams.initial(rows.n_units, 500, key=Key(0))
    train(params, rows, TrainConfig(epochs=2), progress=False)
    report.rows = [
        _anneal(params, chains=500, temperatures=min(100, temperatures), rounds=rounds),
        *_enumerate(units, rows.n_units, min(rounds, 3)),
        _pseudo(params, rows[:10_000], min(rounds, 3)),
        monitored(
            rows,
            TrainConfig(
                epochs=epochs,
                sampler=PCD(1) if persistent else CD(1),
                optimizer=SGD(lr=0.01 if persistent else 0.05),
            ),
            temperatures=temperatures,
        ),
    ]
    return report
