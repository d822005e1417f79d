"""Gradients of nets summed over shards, and the searches that ask for them: one trajectory for any sharding."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rbmx.data import open_source
from rbmx.errors import DataError, DivergedError
from rbmx.jobs import GradientJob, JobSettings, load_gradient_job, train_full_batch, write_shards
from rbmx.jobs.full_batch import BLOCK_ROWS, mean_of_sums, shard_gradient
from rbmx.jobs.merge import ArraySum
from rbmx.jobs.reading import Given
from rbmx.jobs.records import Name, Result, result_record, write_record
from rbmx.jobs.reducer import reduce_arrays
from rbmx.jobs.step import merged_record
from rbmx.training.backprop import Affine, Network, flattened
from rbmx.training.minimizing import minimize
from tests.jobs.data import stripes

ROWS = 3200  # four blocks, the last one short
DATA = stripes(ROWS, 12, seed=5)
LABELS = (DATA[:, 0] + 2 * DATA[:, 1]).astype(np.int64)


def net(*sizes: int, last: str = "sigmoid", dtype: Any = np.float32) -> Network:
    rng = np.random.default_rng(3)
    layers = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        weight = rng.normal(0, 0.4, (n_out, n_in)).astype(dtype)
        layers.append(Affine(weight, np.zeros(n_out, dtype), last if i == len(sizes) - 2 else "sigmoid"))
    return Network(layers)


AUTOENCODER, CLASSIFIER = net(12, 5, 12), net(12, 6, 4, last="log_softmax")


@pytest.mark.parametrize("kind", ["autoencoder", "classifier"])
@pytest.mark.parametrize("method", ["lbfgs", "cg"])
def test_the_trajectory_does_not_know_the_shards(kind: str, method: Any) -> None:
    options: dict[str, Any] = {"iterations": 4, "method": method}
    start = AUTOENCODER
    if kind == "classifier":
        start, options = CLASSIFIER, options | {"labels": LABELS, "loss": "nll"}
    found = [train_full_batch(start, DATA, shards=shards, **options) for shards in (1, 2, 4)]
    assert len({result.network.flat().tobytes() for result in found}) == 1
    assert len({tuple((r.loss, r.evaluations) for r in result.history) for result in found}) == 1
    assert found[0].history[-1].loss < found[0].history[0].loss


def test_runners_give_the_same_bytes() -> None:
    found = [train_full_batch(AUTOENCODER, DATA, iterations=1, runner=runner) for runner in ("inline", "local")]
    assert found[0].network.flat().tobytes() == found[1].network.flat().tobytes()


def test_no_number_of_threads_changes_a_byte(run_python: Callable[..., str]) -> None:
    """Neither ours nor BLAS's, at a size where they share a product."""
    script = """
import hashlib, sys
import numpy as np
from rbmx.jobs import JobSettings
from rbmx.jobs.full_batch import GradientJob, shard_gradient
from rbmx.jobs.reading import Given
from rbmx.jobs.records import Name
from rbmx.training.backprop import Affine, Network
rng = np.random.default_rng(0)
up, down = (rng.normal(0, 0.1, shape).astype(np.float32) for shape in ((300, 784), (784, 300)))
layers = [Affine(up, np.zeros(300, np.float32)), Affine(down, np.zeros(784, np.float32))]
job = GradientJob(Network(layers), "squared_error", JobSettings(merge="gradient"))
found = shard_gradient(job, Given(Name("s"), 0, rng.random((1000, 784), np.float32), 0, "s"))
print(hashlib.sha256(found.tensors["gradient"].tobytes()).hexdigest())
"""
    found = {run_python(script, RBMX_NUM_THREADS=n, OPENBLAS_NUM_THREADS=n) for n in ("1", "2", "3")}
    assert len(found) == 1


def test_sums_over_shards_are_the_gradient_of_all_rows() -> None:
    """Against one call in float64: 3,200 float32 terms a sum, so 1e-5 of the largest."""
    job = GradientJob(AUTOENCODER, "squared_error", JobSettings(merge="gradient"))
    total, loss = np.zeros(AUTOENCODER.flat().shape, np.int64), 0.0
    for first in (0, 2000):
        stop = 2000 if first == 0 else ROWS
        found = shard_gradient(job, Given(Name("s"), 0, DATA[first:stop].astype(np.float32), first, "s"))
        total += found.tensors["gradient"]
        loss += found.sums["loss"]
    value, gradient = mean_of_sums(total, int(loss), ROWS)
    exact = net(12, 5, 12, dtype=np.float64)
    exact_loss, pairs = exact.loss_and_gradient(DATA, DATA)
    assert value == pytest.approx(exact_loss / ROWS, rel=1e-6)
    expected = flattened(pairs) / ROWS
    assert np.abs(gradient - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_search_is_the_one_that_minimize_makes_in_one_place() -> None:
    """The same first steps as L-BFGS over the float64 net: float32 sums move them by little."""
    decay = 1e-3
    exact = net(12, 5, 12, dtype=np.float64)
    weights = np.concatenate([np.repeat([1.0, 0.0], [a.weight.size, a.bias.size]) for a in exact.layers])

    def mean(vector: Any) -> Any:
        value, gradient = exact.unflat(vector).loss_and_gradient(DATA, DATA)
        penalty = decay * weights * vector
        return value / ROWS + float(penalty @ vector) / 2, flattened(gradient) / ROWS + penalty

    alone = minimize(mean, exact.flat(), iterations=5)
    over_shards = train_full_batch(AUTOENCODER, DATA, shards=3, iterations=5, weight_decay=decay)
    assert over_shards.loss == pytest.approx(alone.value, rel=1e-4)
    assert np.abs(over_shards.network.flat() - alone.vector).max() < 1e-2


def test_a_classifier_learns_what_its_labels_say() -> None:
    result = train_full_batch(CLASSIFIER, DATA, labels=LABELS, loss="nll", iterations=40, shards=2)
    assert (result.network.forward(DATA).argmax(axis=1) == LABELS).mean() > 0.99


def test_shards_that_were_cut_at_blocks_are_read_as_they_are(tmp_path: Path) -> None:
    dataset = open_source(DATA).with_labels(LABELS)
    write_shards(dataset, 3, tmp_path / "shards", labels=True, block_rows=BLOCK_ROWS)
    options: dict[str, Any] = {"loss": "nll", "iterations": 2}
    expected = train_full_batch(CLASSIFIER, DATA, labels=LABELS, **options)
    found = train_full_batch(CLASSIFIER, str(tmp_path / "shards"), **options)
    assert found.network.flat().tobytes() == expected.network.flat().tobytes()


def test_each_accepted_step_is_kept(tmp_path: Path) -> None:
    kept, seen = tmp_path / "net.safetensors", []

    def see(network: Network, record: Any) -> None:
        assert load_gradient_job(kept).network.flat().tobytes() == network.flat().tobytes()
        seen.append(record.iteration)

    result = train_full_batch(AUTOENCODER, DATA, iterations=3, checkpoint=kept, on_iteration=see)
    assert seen == [1, 2, 3]
    assert load_gradient_job(kept).network.flat().tobytes() == result.network.flat().tobytes()


def csv_without_labels(folder: Path) -> str:
    path = folder / "rows.csv"
    np.savetxt(path, DATA[:20], fmt="%d", delimiter=",")
    return str(path)


def shards_without_labels(folder: Path) -> str:
    write_shards(open_source(DATA), 2, folder / "shards", block_rows=BLOCK_ROWS)
    return str(folder / "shards")


def shards_between_blocks(folder: Path) -> str:
    write_shards(open_source(DATA).with_labels(LABELS), 3, folder / "shards", labels=True)
    return str(folder / "shards")


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        (csv_without_labels, {"label": None}, r"rows.csv: labels are needed and the rows have none"),
        (csv_without_labels, {"label": "first"}, "has 11 values in a row, expected 12"),
        (shards_without_labels, {}, "shards: no labels, and a classifier needs one a row: .*--keep-labels"),
        (shards_between_blocks, {}, "evaluation 1: shard 1 of 3: begins at row 1066, expected a multiple of 1000"),
        (shards_between_blocks, {"labels": LABELS}, "labels: are for arrays"),
        (lambda _: DATA, {"labels": LABELS + 1}, "none of the classes 0 to 3"),
        (lambda _: DATA, {"labels": LABELS, "shards": 5}, "shards: expected 1 to 4, the blocks of 1000 rows, got 5"),
        (lambda _: DATA, {"labels": LABELS, "method": "newton"}, "method: expected one of lbfgs, cg, got 'newton'"),
        (lambda _: DATA, {"labels": LABELS, "loss": "cross_entropy"}, "loss: cross_entropy goes with sigmoid outputs"),
        (lambda _: DATA, {"labels": LABELS, "weight_decay": -1.0}, "weight_decay: expected 0 or more"),
    ],
)
def test_what_makes_no_sense_is_one_clear_error(
    tmp_path: Path, data: Any, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((DataError, ValueError), match=message):
        train_full_batch(CLASSIFIER, data(tmp_path), **({"loss": "nll"} | changes))


def test_an_autoencoder_must_give_back_its_rows() -> None:
    with pytest.raises(ValueError, match="network: squared_error is taken against the rows themselves, 12 values"):
        train_full_batch(net(12, 5), DATA)


def test_sums_that_do_not_fit_their_units_are_refused() -> None:
    huge = Network([Affine(np.full((12, 12), 1e9, np.float32), np.zeros(12, np.float32), "linear")])
    with pytest.raises(DivergedError, match=r"evaluation 1: shard 0 of 4: sums passed 1\.07374e\+09"):
        train_full_batch(huge, DATA)


def large_shard(first: int, count: int) -> Given:
    """Rows of 1e5 that a net of zeros takes half for the wrong class: -5e4 a row in the gradient of class 0."""
    number = first // 20_000
    return Given(Name(f"{number:06d}", number, 3), number, np.full((count, 1), 1e5, np.float32), first, "s")


@pytest.mark.parametrize("rows", [20_000, 60_000])
def test_running_totals_do_not_wrap(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """60,000 rows add up to -3e9, where int64 in units of 2^-32 ends at 2^31; 20,000 fit, three times do not."""
    monkeypatch.setattr("rbmx.jobs.full_batch.labels_of", lambda given, _: np.zeros(len(given.rows), np.int64))
    zero = Network([Affine(np.zeros((2, 1), np.float32), np.zeros(2, np.float32), "log_softmax")])
    job = GradientJob(zero, "nll", JobSettings(merge="gradient"))
    if rows == 60_000:
        with pytest.raises(DivergedError, match=r"s: sums passed 1\.07374e\+09"):
            shard_gradient(job, large_shard(0, rows))
        return
    shards = [large_shard(i * rows, rows) for i in range(3)]
    results = [Result(given.name, shard_gradient(job, given)) for given in shards]
    lines = [write_record(result_record(result)) for result in results]
    with pytest.raises(DivergedError, match="shard 000001 and those before it: sums passed"):
        merged_record([write_record(record) for record in reduce_arrays(lines, ArraySum())])


def test_a_linear_net_takes_values_of_any_size() -> None:
    rows = DATA.astype(np.float32) * 3 - 1
    found = train_full_batch(net(12, 5, 12, last="linear"), rows, iterations=3)
    assert found.history[-1].loss < found.history[0].loss
    with pytest.raises(DataError, match="outside"):
        train_full_batch(AUTOENCODER, rows)


@pytest.mark.parametrize("method", ["lbfgs", "cg"])
def test_a_search_backs_off_from_points_whose_sums_do_not_fit(method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that fails at weights where the search would go: it ends lower all the same."""
    beyond, edge = [], np.abs(AUTOENCODER.flat()).max() + 0.2
    work = shard_gradient

    def walled(job: GradientJob, given: Given) -> Any:
        if np.abs(job.network.flat()).max() > edge:
            beyond.append(given.first_row)
            raise DivergedError("sums passed")
        return work(job, given)

    monkeypatch.setattr("rbmx.jobs.work.shard_gradient", walled)
    result = train_full_batch(AUTOENCODER, DATA, iterations=8, method=method, shards=1)
    assert beyond
    assert np.abs(result.network.flat()).max() <= edge
    losses = [record.loss for record in result.history]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]
