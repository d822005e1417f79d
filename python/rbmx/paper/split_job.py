"""What the tasks of MRDL are told: the net, its weights and how a split trains it, in one file."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

from rbmx.jobs.job_file import JobFile, load_job_file, save_job_file
from rbmx.model_file import interpreting
from rbmx.paper.weights import Weights

__all__ = ["SplitJob", "SplitSettings", "load_split_job", "save_split_job"]

KIND = "paper"


@dataclass(frozen=True)
class SplitSettings:
    """How a split trains.

    Attributes:
        node_seq: units of each level of the net.
        learn_rate, momentum, batch_size: of contrastive divergence and of backprop alike.
        epochs: passes of contrastive divergence for each layer, in the first round.
        tuning_epochs: passes of backprop, in every round.
        splits: of the data.
        seed: of all random numbers.
        own_class: the name of a class of nets of the user's own, None for Net.
    """

    node_seq: tuple[int, ...]
    learn_rate: float
    momentum: float
    batch_size: int
    epochs: int
    tuning_epochs: int
    splits: int
    seed: int
    own_class: str | None = None


@dataclass(frozen=True, eq=False)
class SplitJob:
    """A round.

    Attributes:
        weights: that every split starts from, by the names of the net's state_dict.
        settings: of the splits.
        number: rounds done.
    """

    weights: Weights
    settings: SplitSettings
    number: int = 0


def save_split_job(path: str | os.PathLike[str], job: SplitJob) -> None:
    """Write the file, whole or not at all."""
    facts = {"settings": dataclasses.asdict(job.settings), "number": job.number}
    save_job_file(path, JobFile(KIND, facts, job.weights.arrays))


def load_split_job(path: str | os.PathLike[str]) -> SplitJob:
    """Read what save_split_job wrote.

    Raises:
        CheckpointError: another file, or a damaged one.
    """
    content = load_job_file(path, KIND)
    with interpreting(path):
        values: dict[str, Any] = content.facts["settings"]
        settings = SplitSettings(**{**values, "node_seq": tuple(values["node_seq"])})
        return SplitJob(Weights(content.tensors), settings, content.facts["number"])
