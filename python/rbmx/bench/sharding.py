"""How good is training over shards beside training in one place, at equal passes over the data.

One place, averaged weights and summed statistics train on the same 60,000 rows for the same number of passes; what is
compared is the log-likelihood of the test images (exact where it can be enumerated, else AIS upwards and downwards) and
the accuracy of a logistic layer on the features. Rates are chosen on rows left out of training, for all methods from
the same grid.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from rbmx.backends import backend_for
from rbmx.backends.native import get_num_threads, set_num_threads
from rbmx.bench.harness import Report, facts, table
from rbmx.bits import PackedBits
from rbmx.data.shards import shard_bounds
from rbmx.errors import DivergedError
from rbmx.jobs.merge import merge
from rbmx.jobs.records import Name, Result
from rbmx.jobs.round import Round
from rbmx.jobs.rounds import job_settings
from rbmx.jobs.shard import ShardResult, ShardState, shard_key, shard_statistics, train_shard
from rbmx.jobs.step import next_round
from rbmx.likelihood import ais_log_partition, log_likelihood, reverse_ais_log_partition
from rbmx.likelihood.exact import MAX_ENUMERATED
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.samplers import PCD
from rbmx.training import SGD, LinearDecay, TrainConfig, train
from rbmx.training.measuring import log_odds

__all__ = ["Case", "Outcome", "run_sharding"]

HELD_OUT = 10_000  # of the training rows, to choose rates on
CHAINS = 200  # of AIS
GRADIENT_RATES = (0.1, 0.5, 2.0)


@dataclass(frozen=True)
class Case:
    """A way to train: "one place", "average" or "gradient", over so many shards."""

    method: str
    shards: int
    hidden: int
    passes: int
    rate: float
    seed: int = 0
    rounds: int | None = None  # of the average; None: one a pass


@dataclass(frozen=True)
class Outcome:
    """What training gave.

    Attributes:
        low, high: mean log-likelihood of a test image, nats: by AIS upwards (high, since AIS is low for log Z) and
            downwards; equal where exact.
        accuracy: of a logistic layer on the hidden means, per cent of the test images.
        microseconds: of one thread for a row and a pass.
    """

    low: float
    high: float
    accuracy: float | None
    microseconds: float


@dataclass(frozen=True, eq=False)
class Images:
    """Binarised images and their digits."""

    train: PackedBits
    digits: npt.NDArray[np.int64]
    test: PackedBits
    test_digits: npt.NDArray[np.int64]


def run_sharding(
    images: Images,
    *,
    shards: Sequence[int] = (2, 4, 8, 16),
    hidden: Sequence[int] = (16, 500),
    passes: Sequence[int] = (20, 10),
    rates: Sequence[float] = (0.05, 0.1, 0.2),
    seeds: Sequence[int] = (1, 2, 3),
    temperatures: int = 2000,
    gradient: bool = True,
    plot: Path | None = None,
) -> Report:
    """Train all cases on one thread, measure them and print their means over seeds.

    Args:
        images: what to train on and to measure with.
        shards: numbers of shards.
        hidden, passes: units of each machine, and the passes over the data it is trained for.
        rates: the grid that each method's rate is chosen from, on rows held out, by seed 0.
        seeds: of the runs that count.
        temperatures: of AIS.
        gradient: summed statistics too, which make one update a pass.
        plot: where to draw.
    """
    settings = {"rounds": len(seeds), "rates": list(rates), "temperatures": temperatures, "chains": CHAINS}
    report = Report("sharding", settings, facts(threads=1))
    before = get_num_threads()
    set_num_threads(1)
    try:
        for units, total in zip(hidden, passes, strict=True):
            ways = [("one place", 1), *(("average", n) for n in shards), *([("gradient", 4)] if gradient else [])]
            for method, n in ways:
                case = Case(method, n, units, total, 0.0)
                case = replace(case, rate=_best_rate(images, case, rates))
                found = [_measure(images, replace(case, seed=seed), temperatures) for seed in seeds]
                report.rows.append(_row(case, found))
                print(_line(report.rows[-1]), flush=True)
    finally:
        set_num_threads(before)
    _tell(report.rows)
    if plot is not None:
        from rbmx.report.sharding import draw_sharding

        draw_sharding(plot, report.rows)
    return report


def _best_rate(images: Images, case: Case, rates: Sequence[float]) -> float:
    """The rate whose model gives the rows held out the highest likelihood, in the machine that can tell exactly."""
    small = replace(case, hidden=min(case.hidden, 16))
    seen, unseen = images.train[:-HELD_OUT], images.train[-HELD_OUT:]
    scores: dict[float, float] = {}
    for rate in GRADIENT_RATES if case.method == "gradient" else rates:
        try:
            params, _ = _train(seen, replace(small, rate=rate))
        except DivergedError:
            continue
        scores[rate] = log_likelihood(params, unseen).value
    best = max(scores, key=lambda rate: scores[rate])
    if case.hidden <= 16:
        return best
    return best / (20 if case.method == "gradient" else 2)  # wider machines diverge, or learn worse, at those rates


def _measure(images: Images, case: Case, temperatures: int) -> Outcome:
    params, seconds = _train(images.train, case)
    low, high = _likelihood(params, images, temperatures, Key(case.seed))
    cost = 1e6 * seconds / (len(images.train) * case.passes)
    return Outcome(low, high, _accuracy(params, images), cost)


def _train(rows: PackedBits, case: Case) -> tuple[RBMParams, float]:
    """The trained machine, and the seconds of all shards together."""
    key = Key(case.seed).fold_in(Purpose.INITIAL_WEIGHTS)
    params = RBMParams.initial(rows.n_units, case.hidden, key=key)
    params.visible_bias[...] = log_odds([rows])
    started = perf_counter()
    if case.method == "one place":
        config = TrainConfig(
            centering=0.0,
            epochs=case.passes,
            sampler=PCD(),
            optimizer=SGD(case.rate),
            schedule=LinearDecay(),
            seed=case.seed,
        )
        train(params, rows, config, progress=False)
    else:
        params = _train_rounds(rows, params, case)
    return params, perf_counter() - started


def _train_rounds(rows: PackedBits, params: RBMParams, case: Case) -> RBMParams:
    """What rbmx.jobs.train_rounds does, without an engine: the same functions, the same bytes."""
    rounds = case.rounds or case.passes
    merge_rule = "gradient" if case.method == "gradient" else "average"
    plan = job_settings(
        shards=case.shards,
        rounds=rounds,
        local_epochs=case.passes // rounds,
        lr=case.rate,
        seed=case.seed,
        merge=merge_rule,
        momentum=0.5 if merge_rule == "gradient" else 0.0,
    )
    job = Round(params, plan)
    for _ in range(rounds):
        results = list(_results(rows, job, case.shards))
        states = {r.name.text: r.content.state for r in results if isinstance(r.content, ShardResult)}
        job = next_round(job, merge(results, plan), states)
    return job.params


def _results(rows: PackedBits, job: Round, shards: int) -> Iterator[Result]:
    bounds, plan = shard_bounds(len(rows), shards), job.settings
    for shard in range(shards):
        part, name = rows[bounds[shard] : bounds[shard + 1]], Name(f"{shard:06d}", shard, shards)
        seed = plan.config.seed
        if plan.merge == "gradient":
            key = shard_key(seed, 0, job.number)
            yield Result(name, shard_statistics(job.params, part, plan, key, first_row=bounds[shard]))
        else:
            key, state = shard_key(seed, shard, job.number), job.states.get(name.text, ShardState())
            yield Result(name, train_shard(job.params, state, part, plan, key, round_number=job.number))


def _likelihood(params: RBMParams, images: Images, temperatures: int, key: Key) -> tuple[float, float]:
    """Mean log-likelihood of a test image, the lower and the higher estimate."""
    if params.n_hidden <= MAX_ENUMERATED:
        exact = log_likelihood(params, images.test).value
        return exact, exact
    base = log_odds([images.train])
    up = ais_log_partition(params, temperatures=temperatures, chains=CHAINS, key=key, base_bias=base)
    start = images.train[:CHAINS]
    down = reverse_ais_log_partition(params, start, temperatures=temperatures, key=key, base_bias=base)
    found = [log_likelihood(params, images.test, z).value for z in (down, up)]
    return min(found), max(found)


def _accuracy(params: RBMParams, images: Images) -> float | None:
    """Per cent of the test images that a logistic layer on the features names rightly; None without scikit-learn."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError:
        return None
    backend = backend_for(params)
    layer = LogisticRegression(C=1.0, max_iter=60, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stops after 60 steps, for all alike
        layer.fit(backend.hidden_mean(params, images.train), images.digits)
    return 100 * float(layer.score(backend.hidden_mean(params, images.test), images.test_digits))


def _row(case: Case, found: Sequence[Outcome]) -> dict[str, Any]:
    accuracies = [outcome.accuracy for outcome in found if outcome.accuracy is not None]
    return {
        "name": f"784-{case.hidden}, {case.method}, {case.shards} shards",
        **{key: value for key, value in asdict(case).items() if key not in ("seed", "rounds")},
        "log_likelihood": mean(outcome.low for outcome in found),
        "log_likelihood_high": mean(outcome.high for outcome in found),
        "accuracy": mean(accuracies) if accuracies else None,
        "microseconds_per_row": mean(outcome.microseconds for outcome in found),
        "runs": [asdict(outcome) for outcome in found],
    }


def _line(row: dict[str, Any]) -> str:
    return f"  {row['name']}: rate {row['rate']:g}, {row['log_likelihood']:.2f} nats"


def _tell(rows: Sequence[dict[str, Any]]) -> None:
    serial = {row["hidden"]: row for row in rows if row["method"] == "one place"}
    lines = []
    for row in rows:
        base = serial[row["hidden"]]
        low, high = row["log_likelihood"], row["log_likelihood_high"]
        lines.append(
            [
                f"784-{row['hidden']} {row['method']}",
                str(row["shards"]),
                f"{row['rate']:g}",
                f"{low:.2f}" if low == high else f"{low:.1f} to {high:.1f}",
                f"{low - base['log_likelihood']:+.2f}",
                "" if row["accuracy"] is None else f"{row['accuracy']:.2f}",
                f"{row['microseconds_per_row']:.1f}",
                f"{row['microseconds_per_row'] / base['microseconds_per_row']:.1f}",
            ]
        )
    head = ["", "shards", "rate", "nats per image", "to one place", "accuracy, %", "us a row", "x one place"]
    print(table(head, lines), flush=True)
