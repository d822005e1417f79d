"""rbmx.jobs.train_full_batch: a net by L-BFGS or conjugate gradient, its gradient summed over shards by jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rbmx.data import Encoding
from rbmx.data.opening import UNSET, Unset
from rbmx.errors import DataError, DivergedError, JobError
from rbmx.files import require_writable
from rbmx.jobs.archive import shipped
from rbmx.jobs.engine import Engine, Runner
from rbmx.jobs.fixed_point import LARGEST
from rbmx.jobs.full_batch import BLOCK_ROWS, GradientJob, mean_of_sums, save_gradient_job
from rbmx.jobs.inputs import Inputs, open_inputs, require_width
from rbmx.jobs.one_job import run_job
from rbmx.jobs.rounds import at_work
from rbmx.jobs.settings import JobSettings
from rbmx.jobs.step import merged_record
from rbmx.training.backprop import Affine, Network, require_loss
from rbmx.training.minimizing import METHODS, minimize

__all__ = ["SearchRecord", "SearchResult", "train_full_batch"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class SearchRecord:
    """One accepted step of a search.

    Attributes:
        iteration: counted from 1.
        loss: mean over rows, with the penalty.
        evaluations: jobs so far.
        seconds: so far.
    """

    iteration: int
    loss: float
    evaluations: int
    seconds: float


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Where a search over shards ended.

    Attributes:
        network: float32, at the last accepted point.
        loss: mean over rows there, with the penalty.
        evaluations: jobs that were run.
        history: a record for each accepted step.
        message: why it ended.
    """

    network: Network
    loss: float
    evaluations: int
    history: list[SearchRecord]
    message: str


def train_full_batch(
    network: Network,
    data: Any,
    *,
    loss: str = "squared_error",
    method: Literal["lbfgs", "cg"] = "lbfgs",
    iterations: int = 100,
    weight_decay: float = 0.0,
    labels: ArrayLike | None = None,
    shards: int | None = None,
    runner: Runner = "inline",
    label: Literal["first", "last"] | Unset | None = UNSET,
    binarize: float | Literal["sample"] | None = None,
    scale: float | None = None,
    checkpoint: str | Path | None = None,
    conf_paths: Sequence[str] = (),
    jobconf: dict[str, str] | None = None,
    options: Sequence[str] = (),
    maps: int | None = None,
    ship: bool = True,
    on_iteration: Callable[[Network, SearchRecord], object] | None = None,
) -> SearchResult:
    """Minimise the mean loss of a net over all rows of all shards (Le et al. 2011): an evaluation is a job.

    Tasks give the loss and its gradient summed over their rows, in blocks of 1,000 rows of the whole data set; sums are
    integers in units of 2^-32, so any shards that are cut at such blocks, in any order, on any engine and any number of
    threads, give the same trajectory to the byte. Products are taken in a fixed order on every processor; NumPy's exp
    and tanh may differ in the last bit between types of processors, and then so does the trajectory.

    Args:
        network: where the search starts, an autoencoder or a classifier; not changed. Arithmetic is in float32.
        data: as in train_rounds. Local data are cut at blocks of 1,000 rows; shards that were made before must be
            (rbmx shard --block-rows 1000), with labels for a classifier (--keep-labels).
        loss: of a row: "squared_error" or "cross_entropy" against the row itself, "nll" against its label.
        method: "lbfgs" or "cg", by scipy on the driver.
        iterations: the most accepted steps.
        weight_decay: half of it times the sum of squared weights is added to the mean loss.
        labels: an integer for each row of an array; CSV text and shards have their own.
        shards, runner, label, binarize, scale, conf_paths, jobconf, options, maps, ship: as in train_rounds.
        checkpoint: a file that holds the net after each accepted step, replaced whole (rbmx.jobs.load_gradient_job):
            its net is a start like any other, though the search's memory of curvature is lost.
        on_iteration: called after each accepted step.

    Raises:
        ValueError: a loss that does not go with the net, or an unknown method.
        DataError: labels missing or out of range, shards that do not begin at blocks.
        DivergedError: at the start sums are not finite, or 2^30 or more; a search backs off from such points later.
        JobError: a job failed.
    """
    require_loss(loss, network.layers[-1].activation)
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {method!r}")
    if loss != "nll" and network.n_in != network.n_out:
        raise ValueError(
            f"network: {loss} is taken against the rows themselves, {network.n_in} values, "
            f"and the net gives {network.n_out}"
        )
    if not 0 <= weight_decay < np.inf:
        raise ValueError(f"weight_decay: expected 0 or more, got {weight_decay}")
    if checkpoint is not None:
        require_writable(checkpoint)
    told = None if isinstance(label, Unset) else label
    any_size = loss == "nll" or network.layers[-1].activation in ("linear", "relu")
    unbounded = any_size and binarize is None
    reading = JobSettings(encoding=Encoding(binarize, scale, unbounded=unbounded), label=told)
    with at_work(runner, shards, conf_paths=conf_paths, jobconf=jobconf, options=options, maps=maps) as engine:
        inputs = open_inputs(
            data,
            shards,
            engine,
            reading,
            refuse_csv=isinstance(label, Unset),
            labels=labels,
            keep_labels=loss == "nll",
            block_rows=BLOCK_ROWS,
        )
        settings = replace(reading, kind=inputs.head.kind, encoding=inputs.head.encoding, merge="gradient")
        start = _float32(network)
        require_width(inputs.head, GradientJob(start, loss, settings))
        if runner == "hadoop" and ship:
            engine = shipped(engine)
        search = _Search(start, loss, settings, weight_decay, inputs, engine)
        history: list[SearchRecord] = []

        def accepted(iteration: int, vector: Vector, value: float) -> None:
            record = SearchRecord(iteration, value, search.evaluations, time.perf_counter() - search.started)
            history.append(record)
            reached = start.unflat(vector)
            if checkpoint is not None:
                save_gradient_job(checkpoint, GradientJob(reached, loss, settings))
            if on_iteration is not None:
                on_iteration(reached, record)

        found = minimize(search.evaluate, start.flat(), method=method, iterations=iterations, callback=accepted)
    return SearchResult(start.unflat(found.vector), found.value, search.evaluations, history, found.message)


class _Search:
    """The mean loss and its gradient as a function of one vector, each evaluation a job."""

    def __init__(
        self, start: Network, loss: str, settings: JobSettings, decay: float, inputs: Inputs, engine: Engine
    ) -> None:
        self._start, self._loss, self._settings = start, loss, settings
        self._decay = decay * _weights(start)
        self._inputs, self._engine = inputs, engine
        self._file = engine.folder / "gradient.safetensors"
        self._wall = LARGEST
        self.evaluations, self.started = 0, time.perf_counter()

    def evaluate(self, vector: Vector) -> tuple[float, Vector]:
        """f(x) and its gradient, both in float64.

        Where sums do not fit their units, f is a level wall above the start: a line search backs off from it. From
        infinity it does not: L-BFGS-B takes a step to nowhere for convergence.
        """
        self.evaluations += 1
        try:
            job = GradientJob(self._start.unflat(vector), self._loss, self._settings)
            save_gradient_job(self._file, job)
            lines, _ = run_job(self._engine, job, self._file, self._inputs)
            merged, _ = merged_record(lines)
        except DivergedError as error:
            if self.evaluations == 1:
                raise DivergedError(f"evaluation 1: {error}") from error
            return self._wall, np.zeros_like(vector)
        except (DataError, JobError) as error:
            raise type(error)(f"evaluation {self.evaluations}: {error}") from error
        rows = sum(merged.facts["rows"].values())
        mean, gradient = mean_of_sums(merged.tensors["gradient"], merged.facts["sums"]["loss"], rows)
        value = mean + float(self._decay @ vector**2) / 2
        if self.evaluations == 1:
            self._wall = value + LARGEST
        return value, gradient + self._decay * vector


def _float32(network: Network) -> Network:
    """The net in the precision of the tasks."""
    return Network(
        [Affine(a.weight.astype(np.float32), a.bias.astype(np.float32), a.activation) for a in network.layers]
    )


def _weights(network: Network) -> Vector:
    """1 where flat() has a weight, 0 where it has a bias."""
    return np.concatenate([np.repeat([1.0, 0.0], [a.weight.size, a.bias.size]) for a in network.layers])
