"""A shard's part in a round of one RBM."""

from __future__ import annotations

from rbmx.jobs.reading import Given, propagate
from rbmx.jobs.round import Round
from rbmx.jobs.shard import ShardResult, Statistics, shard_key, shard_statistics, train_shard
from rbmx.jobs.watch import Watch, share_done

__all__ = ["train_layer"]


def train_layer(job: Round, given: Given, watch: Watch) -> ShardResult | Statistics:
    """The shard's weights after local training, or the sum of its statistics."""
    settings, seed = job.settings, job.settings.config.seed
    rows = propagate(job, given.rows, given.first_row)
    if settings.merge == "gradient":
        key = shard_key(seed, 0, job.number)
        return shard_statistics(job.params, rows, settings, key, first_row=given.first_row, where=given.where)
    what = f"round {job.number + 1}: {given.where}"
    watch.status(f"{what}: training on {len(rows)} rows")
    batches = settings.local_epochs * -(-len(rows) // settings.config.batch_size)
    return train_shard(
        job.params,
        job.state_of(given.name.text),
        rows,
        settings,
        shard_key(seed, given.number, job.number),
        round_number=job.number,
        report=share_done(watch, what, batches),
    )
