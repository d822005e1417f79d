"""`rbmx train-stack`: all layers of a stack over shards, and the net that they make, in one job a round."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbmx.cli.arguments import add_compute, add_data_flags, add_seed, add_verbosity, apply_compute, at_least, number
from rbmx.cli.engine import add_engine, engine_options
from rbmx.cli.exit_status import UsageError

if TYPE_CHECKING:
    from rbmx.jobs import FineTuning, StackRecord, StackRound

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "train a stack of layers over shards, all in one job a round"

# Flags that train_stack takes under the same name.
SETTINGS = ("epochs", "batch_size", "lr", "k", "momentum", "weight_decay", "propagate", "weighting", "seed")
TUNING = ("fine_tune", "classes", "tuning_epochs", "tuning_lr", "tuning_momentum")
KEPT = ("layers", *(name for name in SETTINGS if name != "seed"), *TUNING)  # of a job that is resumed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DATA, the levels, how they are trained and tuned, and where."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a local file or glob (CSV, IDX, .npy, shards), or an hdfs:// URI of shards or CSV text",
    )
    parser.add_argument("-o", "--output", metavar="MODEL", type=Path, help="the stack to write, after each round")
    parser.add_argument("--layers", type=_sizes, metavar="N,N,...", help="units of each level, from the data up")
    add_data_flags(parser, remembered=False)
    add_engine(parser.add_argument_group("engine"))
    rounds = parser.add_argument_group("rounds")
    rounds.add_argument("--rounds", type=at_least(1), default=1, metavar="R", help="in all (default 1)")
    rounds.add_argument("--shards", type=at_least(1), metavar="S", help="of data not cut yet (default 4)")
    rounds.add_argument("--weighting", choices=["rows", "uniform"], help="of shards (default rows)")
    rounds.add_argument("--validation", metavar="PATH", help="data to watch, never trained on")
    rounds.add_argument("--resume", action="store_true", help="go on from the output itself, to the bit")
    _add_training(parser.add_argument_group("training of the layers"))
    _add_tuning(parser.add_argument_group("tuning of the net"))
    add_seed(parser)
    add_compute(parser)
    add_verbosity(parser)


def _add_training(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=at_least(1), metavar="N", help="passes a layer (default 10)")
    group.add_argument("--batch-size", type=at_least(1), metavar="N", help="of one place (default 100)")
    group.add_argument("--lr", type=number(above=0), help="learning rate, of one place (default 0.05)")
    group.add_argument("--k", type=at_least(1), help="Gibbs steps per update (default 1)")
    group.add_argument("--momentum", type=number(least=0), help="of the updates (default 0)")
    group.add_argument("--weight-decay", type=number(least=0), help="L2 penalty (default 0)")
    group.add_argument("--propagate", choices=["mean", "sample"], help="what layers hand up (default sample)")


def _add_tuning(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--fine-tune",
        choices=["autoencoder", "classifier"],
        help="by backprop: the stack unrolled, or with a softmax of the labels on top",
    )
    group.add_argument("--classes", type=at_least(2), metavar="N", help="of a classifier: labels are 0 to N - 1")
    group.add_argument("--tuning-epochs", type=at_least(1), metavar="N", help="passes a round (default 5)")
    group.add_argument("--tuning-lr", type=number(above=0), help="learning rate (default 0.1)")
    group.add_argument("--tuning-momentum", type=number(least=0), help="of the updates (default 0.9)")


def run(args: argparse.Namespace) -> int:
    """Train and say in one line what came of it."""
    from rbmx.jobs import train_stack

    apply_compute(args)
    if args.output is None:
        raise UsageError("-o: say where the stack goes: -o stack.safetensors")
    running: dict[str, Any] = {
        **engine_options(args),
        "rounds": args.rounds,
        "shards": args.shards,
        "validation": args.validation,
        "checkpoint": args.output,
        "on_round_end": None if args.progress is False else lambda job, record: _tell(args.rounds, record),
    }
    if args.resume:
        for name in KEPT:
            if getattr(args, name) is not None:
                raise UsageError(f"--{name.replace('_', '-')}: a resumed job keeps its own; leave it out")
        outcome = train_stack(args.data, resume=args.output, **running)
    else:
        outcome = train_stack(args.data, **_new_job(args), **running)
    print(f"{args.output}: {_described(outcome.job)}, loss {outcome.history[-1].loss:.5f}")
    return 0


def _new_job(args: argparse.Namespace) -> dict[str, Any]:
    if args.layers is None:
        raise UsageError("--layers: say how many units the levels have: --layers 784,500,250,30")
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    if args.label is not None:
        given["label"] = None if args.label == "none" else args.label
    return {
        "sizes": args.layers,
        "fine_tune": _tuning(args),
        "binarize": None if args.binarize == "none" else args.binarize,
        "scale": args.scale,
        "propagate": "sample",
        **given,
    }


def _tuning(args: argparse.Namespace) -> FineTuning | None:
    from rbmx.jobs import FineTuning
    from rbmx.training import SGD

    if args.fine_tune is None:
        return None
    if args.fine_tune == "classifier" and args.classes is None:
        raise UsageError("--classes: say how many labels there are: --classes 10")
    return FineTuning(
        args.fine_tune,
        epochs=args.tuning_epochs or 5,
        batch_size=args.batch_size or 100,
        optimizer=SGD(args.tuning_lr or 0.1, 0.9 if args.tuning_momentum is None else args.tuning_momentum),
        n_classes=args.classes,
    )


def _tell(rounds: int, record: StackRecord) -> None:
    unseen = "" if record.validation_loss is None else f", on validation {record.validation_loss:.5f}"
    print(
        f"round {record.round}/{rounds}: {record.shards} shards, {record.rows} rows, {record.seconds:.1f} s "
        f"(work {record.work_seconds:.1f} s), loss {record.loss:.5f}{unseen}",
        file=sys.stderr,
    )


def _described(job: StackRound) -> str:
    sizes = [job.n_visible, *(layer.n_hidden for layer in job.layers)]
    tuned = "" if job.tuning is None else f", tuned as {job.tuning.network}"
    return f"{'-'.join(map(str, sizes))}, {job.number} round{'' if job.number == 1 else 's'}{tuned}"


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"expected units of each level, such as 784,500,250,30, got {text!r}")
    return sizes
