"""The loss of a net and its gradient over all rows of all shards, as one job: what L-BFGS and CG on the driver ask for.

Le, Ngiam, Coates, Lahiri, Prochnow and Ng, "On optimization methods for deep learning", ICML 2011.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import as_array
from rbmx.errors import DataError, DivergedError
from rbmx.jobs.fixed_point import FIXED_POINT, add_up, in_units
from rbmx.jobs.job_file import JobFile, load_job_file, network_from, network_to, save_job_file
from rbmx.jobs.reading import Given, labels_of
from rbmx.jobs.records import Arrays
from rbmx.jobs.settings import JobSettings
from rbmx.model_file import interpreting
from rbmx.training.backprop import Network, flattened

__all__ = [
    "BLOCK_ROWS",
    "GradientJob",
    "load_gradient_job",
    "mean_of_sums",
    "save_gradient_job",
    "shard_gradient",
]

BLOCK_ROWS = 1000  # global rows whose sums are taken at once, in float32 by canonical products


@dataclass(frozen=True, eq=False)
class GradientJob:
    """One evaluation.

    Attributes:
        network: float32, at the point that is asked for.
        loss: of a row, as in Network.loss_and_gradient; targets are the labels for "nll", else the rows themselves.
        settings: how rows are read.
    """

    network: Network
    loss: str
    settings: JobSettings

    @property
    def n_visible(self) -> int:
        """Values in a row of the data."""
        return self.network.n_in


def shard_gradient(job: GradientJob, given: Given) -> Arrays:
    """Sums over a shard's rows, as integers in units of 2^-32: added up, the same bytes whatever the shards.

    The sums of a block of 1,000 global rows are rounded to those units, and integers add up in any order; blocks are
    those of the whole data set, so a shard must begin at one.

    Raises:
        DataError: a shard that does not begin at a block, labels that are missing or none of the classes.
        DivergedError: sums that are not finite, or too large for their units.
    """
    if given.first_row % BLOCK_ROWS:
        raise DataError(
            f"{given.where}: begins at row {given.first_row}, expected a multiple of {BLOCK_ROWS}: "
            f"cut by rbmx shard --block-rows {BLOCK_ROWS}"
        )
    labels = labels_of(given, job.network.n_out) if job.loss == "nll" else None
    network = replace(job.network, reproducible=True)
    total, loss = np.zeros(job.network.flat().shape, np.int64), 0
    for start in range(0, len(given.rows), BLOCK_ROWS):
        rows = as_array(given.rows[start : start + BLOCK_ROWS])
        target = rows if labels is None else labels[start : start + BLOCK_ROWS]
        value, gradient = network.loss_and_gradient(rows, target, job.loss)
        if not np.isfinite(value):
            raise DivergedError(f"{given.where}: loss {value:g}")
        add_up(total, in_units(flattened(gradient), given.where), given.where)
        loss += round(value * FIXED_POINT)
    return Arrays({"gradient": total}, len(given.rows), {"loss": loss})


def mean_of_sums(gradient: NDArray[np.int64], loss: int, rows: int) -> tuple[float, NDArray[np.float64]]:
    """Mean loss and gradient over rows, from sums in units of 2^-32."""
    return loss / FIXED_POINT / rows, gradient / (FIXED_POINT * rows)


def save_gradient_job(path: str | os.PathLike[str], job: GradientJob) -> None:
    """Write the file, whole or not at all."""
    facts = {
        "settings": job.settings.to_dict(),
        "loss": job.loss,
        "activations": [layer.activation for layer in job.network.layers],
    }
    save_job_file(path, JobFile("gradient", facts, network_to(job.network)))


def load_gradient_job(path: str | os.PathLike[str]) -> GradientJob:
    """Read what save_gradient_job wrote.

    Raises:
        CheckpointError: another file, or a damaged one.
    """
    content = load_job_file(path, "gradient")
    with interpreting(path):
        network = network_from(content.tensors, content.facts["activations"])
        if network is None:
            raise KeyError("network")
        return GradientJob(network, content.facts["loss"], JobSettings.from_dict(content.facts["settings"]))
