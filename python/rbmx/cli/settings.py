"""From flags to a training configuration; a resumed model fills what is not given."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from rbmx.checkpoint import Checkpoint
from rbmx.cli.exit_status import UsageError
from rbmx.data import Dataset
from rbmx.samplers import CD, PCD, sampler_from
from rbmx.training import L1, L2, LinearDecay, TrainConfig
from rbmx.training.optimizers import optimizer_from
from rbmx.training.penalties import Penalty
from rbmx.units import unit_type

__all__ = ["config_from", "refuse_changes"]

PLAIN = ("epochs", "batch_size", "centering", "shuffle", "seed", "engine", "reproducible")
# A run that goes on "to the bit" cannot change these: field of the configuration -> flag.
FIXED = {
    "batch_size": "--batch-size",
    "sampler": "--sampler, --k, --persistent, --chains",
    "shuffle": "--no-shuffle",
    "seed": "--seed",
    "reproducible": "--reproducible",
    "buffer_bytes": "--buffer",
}


def config_from(args: argparse.Namespace, base: TrainConfig | None) -> TrainConfig:
    """The configuration that the flags ask for, on top of `base` or the library's defaults."""
    base = base or TrainConfig()
    changes: dict[str, Any] = {name: getattr(args, name) for name in PLAIN if getattr(args, name) is not None}
    if args.buffer is not None:
        changes["buffer_bytes"] = args.buffer
    if args.init_bias is not None:
        changes["visible_bias"] = "data" if args.init_bias == "data" else "keep"
    changes["sampler"] = _sampler(args, base)
    changes["optimizer"] = _optimizer(args, base)
    changes["penalties"] = _penalties(args, base)
    if args.schedule is not None:
        changes["schedule"] = LinearDecay() if args.schedule == "linear" else None
    return replace(base, **changes)


def refuse_changes(args: argparse.Namespace, config: TrainConfig, dataset: Dataset, start: Checkpoint) -> None:
    """UsageError where a flag asks a resumed run for something that it cannot change."""
    hidden = start.params.n_hidden
    if args.hidden not in (None, hidden):
        raise _fixed("--hidden", args.hidden, hidden)
    for flag, asked, kept in (
        ("--visible-units", args.visible_units, start.params.visible),
        ("--hidden-units", args.hidden_units, start.params.hidden),
    ):
        if asked is not None and unit_type(asked).name != unit_type(kept).name:
            raise _fixed(flag, asked, kept)
    for name, flag in FIXED.items():
        before = getattr(start.config, name) if start.config is not None else None
        if start.config is not None and getattr(config, name) != before:
            raise _fixed(flag, getattr(config, name), before)
    if start.encoding is not None and dataset.encoding != start.encoding:
        raise _fixed("--binarize, --scale", dataset.encoding.describe(), start.encoding.describe())


def _sampler(args: argparse.Namespace, base: TrainConfig) -> Any:
    sampler: Any = base.sampler if args.sampler is None else sampler_from(args.sampler)
    if args.persistent and isinstance(sampler, CD):
        sampler = PCD(k=sampler.k)
    if args.chains is not None:
        if isinstance(sampler, CD):
            raise UsageError("--chains: counts persistent chains; give --persistent too")
        sampler = replace(sampler, chains=args.chains)
    if args.k is not None:
        sampler = replace(sampler, k=args.k)
    return sampler


def _optimizer(args: argparse.Namespace, base: TrainConfig) -> Any:
    return optimizer_from(args.optimizer or base.optimizer, lr=args.lr, momentum=args.momentum)


def _penalties(args: argparse.Namespace, base: TrainConfig) -> tuple[Penalty, ...]:
    """Those of the base, each kind replaced where its flag is given."""
    given: dict[type[Penalty], float | None] = {L1: args.l1, L2: args.weight_decay}
    kept = [penalty for penalty in base.penalties if given[type(penalty)] is None]
    return (*kept, *(kind(decay) for kind, decay in given.items() if decay))


def _fixed(flag: str, now: object, before: object) -> UsageError:
    return UsageError(f"{flag}: the model is trained with {before}; --resume cannot go on with {now}")
