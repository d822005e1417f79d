"""Training over shards of data: one RBM in rounds of map and reduce, inline, in processes, on Hadoop or on Spark.

mrjob is imported only where a round runs; tasks never import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rbmx.jobs.dbn import DBNResult, train_dbn
    from rbmx.jobs.driver import RoundsResult, RoundWatcher
    from rbmx.jobs.full_batch import GradientJob, load_gradient_job
    from rbmx.jobs.gradients import SearchRecord, SearchResult, train_full_batch
    from rbmx.jobs.merge import merge
    from rbmx.jobs.round import Round, load_round, save_round
    from rbmx.jobs.rounds import train_rounds
    from rbmx.jobs.settings import JobSettings
    from rbmx.jobs.shard import ShardResult, ShardState, train_shard
    from rbmx.jobs.sharding import write_shards
    from rbmx.jobs.stack_round import FineTuning, StackRecord, StackRound, load_stack_round, save_stack_round
    from rbmx.jobs.stacks import StackOutcome, train_stack

__all__ = [
    "DBNResult",
    "FineTuning",
    "GradientJob",
    "JobSettings",
    "Round",
    "RoundWatcher",
    "RoundsResult",
    "SearchRecord",
    "SearchResult",
    "ShardResult",
    "ShardState",
    "StackOutcome",
    "StackRecord",
    "StackRound",
    "load_gradient_job",
    "load_round",
    "load_stack_round",
    "merge",
    "save_round",
    "save_stack_round",
    "train_dbn",
    "train_full_batch",
    "train_rounds",
    "train_shard",
    "train_stack",
    "write_shards",
]

_MODULES = {
    "DBNResult": "dbn",
    "GradientJob": "full_batch",
    "SearchRecord": "gradients",
    "SearchResult": "gradients",
    "load_gradient_job": "full_batch",
    "train_dbn": "dbn",
    "train_full_batch": "gradients",
    "FineTuning": "stack_round",
    "StackOutcome": "stacks",
    "StackRecord": "stack_round",
    "StackRound": "stack_round",
    "load_stack_round": "stack_round",
    "save_stack_round": "stack_round",
    "train_stack": "stacks",
    "JobSettings": "settings",
    "Round": "round",
    "RoundWatcher": "driver",
    "RoundsResult": "driver",
    "ShardResult": "shard",
    "ShardState": "shard",
    "load_round": "round",
    "merge": "merge",
    "save_round": "round",
    "train_rounds": "rounds",
    "train_shard": "shard",
    "write_shards": "sharding",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"rbmx.jobs.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
