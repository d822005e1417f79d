"""`rbmx train-mr`: train a model over shards, on this machine, on Hadoop or on Spark."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbmx.checkpoint import load_checkpoint
from rbmx.cli.arguments import add_compute, add_data_flags, add_verbosity, apply_compute, at_least, number
from rbmx.cli.data import LABEL
from rbmx.cli.engine import add_engine, engine_options
from rbmx.cli.exit_status import INTERRUPTED, UsageError
from rbmx.params import RBMParams

if TYPE_CHECKING:
    from rbmx.jobs import RoundsResult

__all__ = ["SUMMARY", "add_arguments", "run", "train_from"]

SUMMARY = "train a model over shards: inline, in processes, on Hadoop or on Spark"

# Flags that train_rounds takes under the same name when they are given.
SETTINGS = (
    "local_epochs",
    "batch_size",
    "split_batch",
    "lr",
    "rate_scale",
    "k",
    "persistent",
    "momentum",
    "momentum_rule",
    "optimizer",
    "centering",
    "outer_momentum",
    "weight_decay",
    "merge",
    "weighting",
    "propagate",
    "shuffle",
    "seed",
)
OF_NEW_JOBS = ("hidden", "schedule", "init_bias", "init_std", "on_bad_row", "shards", "label", "binarize", "scale")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags; not given, the library's default or, with --resume, the job's own value holds."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a local file or glob (CSV, IDX, .npy, shards), or an hdfs:// URI of shards or CSV text",
    )
    parser.add_argument("-o", "--output", metavar="MODEL", type=Path, help="the model to write, after each round")
    parser.add_argument("--hidden", type=at_least(1), metavar="N", help="hidden units")
    add_data_flags(parser, remembered=False)
    add_engine(parser.add_argument_group("engine"))
    _add_rounds(parser.add_argument_group("rounds"))
    _add_training(parser.add_argument_group("training of a shard"))
    add_compute(parser)
    add_verbosity(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON per round on stdout")


def _add_rounds(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--rounds", type=at_least(1), default=5, metavar="R", help="in all (default 5)")
    group.add_argument(
        "--prepare", action="store_true", help="only write the model that the first round starts from (rbmx mapper)"
    )
    group.add_argument("--shards", type=at_least(1), metavar="S", help="of data not cut yet (default 4)")
    group.add_argument("--local-epochs", type=at_least(1), metavar="N", help="passes over a shard a round (default 1)")
    group.add_argument(
        "--merge",
        choices=["average", "gradient"],
        help="average: of the weights (default); gradient: one update a round with the sum of all rows",
    )
    group.add_argument("--weighting", choices=["rows", "uniform"], help="of shards in the average (default rows)")
    group.add_argument("--outer-momentum", type=number(least=0), help="of the averaged weights (default 0)")
    group.add_argument("--validation", metavar="PATH", help="data to watch, never trained on")
    group.add_argument(
        "--resume", nargs="?", const="", metavar="MODEL", help="go on from MODEL, or from the output itself, to the bit"
    )
    group.add_argument(
        "--lower",
        action="append",
        default=[],
        type=Path,
        metavar="MODEL",
        help="a frozen layer below, the first one sees the data; may be repeated",
    )
    group.add_argument("--propagate", choices=["mean", "sample"], help="what frozen layers hand up (default mean)")


def _add_training(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--batch-size", type=at_least(1), metavar="N", help="rows, of one place (default 100)")
    group.add_argument(
        "--no-split-batch",
        dest="split_batch",
        action="store_false",
        default=None,
        help="each shard takes whole batches (default: batch / shards rows)",
    )
    group.add_argument("--optimizer", choices=["sgd", "nesterov", "adam", "rmsprop"], help="(default sgd)")
    group.add_argument("--lr", type=number(above=0), help="learning rate, of one place (default the optimizer's)")
    group.add_argument(
        "--centering", type=number(least=0), metavar="RATE", help="centred gradients, as of rbmx fit (default 0: plain)"
    )
    group.add_argument("--rate-scale", choices=["none", "sqrt", "shards"], help="of the shards' rate (default none)")
    group.add_argument(
        "--schedule", choices=["constant", "linear"], help="of the rate over the rounds (default linear)"
    )
    group.add_argument("--k", type=at_least(1), help="Gibbs steps per update (default 1)")
    chains = group.add_mutually_exclusive_group()
    chains.add_argument("--persistent", action="store_true", default=None, help="persistent chains, PCD (default)")
    chains.add_argument("--no-persistent", dest="persistent", action="store_false", help="chains from the data, CD")
    group.add_argument("--momentum", type=number(least=0), help="of the updates (default 0)")
    group.add_argument(
        "--momentum-rule",
        choices=["average", "keep", "reset"],
        help="what becomes of velocities between rounds (default average; adam and rmsprop: reset)",
    )
    group.add_argument("--weight-decay", type=number(least=0), help="L2 penalty (default 0)")
    group.add_argument("--init-std", type=number(least=0), help="of new weights (default 0.01)")
    group.add_argument("--init-bias", choices=["data", "zero"], help="new visible biases: log-odds (default), or 0")
    group.add_argument("--on-bad-row", choices=["raise", "skip"], help="of CSV text (default raise)")
    group.add_argument("--no-shuffle", dest="shuffle", action="store_false", default=None, help="keep the order")
    group.add_argument("--seed", type=at_least(0), help="of all random numbers (default 0)")


def run(args: argparse.Namespace) -> int:
    """Train and say in one line what came of it."""
    result = train_from(args)
    if result is None:
        return INTERRUPTED
    if not args.json:
        print(_summary(args, result))
    return 0


def train_from(args: argparse.Namespace) -> RoundsResult | None:
    """The trained model, saved; None if Ctrl-C stopped it, with the last round kept."""
    from rbmx.cli.rounds_progress import RoundsProgress
    from rbmx.jobs import train_rounds

    apply_compute(args)
    output = _output(args)
    progress = RoundsProgress(args.progress, as_json=args.json)
    running: dict[str, Any] = {
        "rounds": args.rounds,
        **engine_options(args),
        "validation": args.validation,
        "checkpoint": output,
        "watcher": progress,
        "at_most": 0 if args.prepare else None,
    }
    try:
        if args.resume is not None:
            _refuse_changes(args)
            return train_rounds(args.data, resume=args.resume or output, **running)
        return train_rounds(args.data, shards=args.shards, **_new_job(args), **running)
    except KeyboardInterrupt:
        if progress.job is None:
            raise
        kept = f"{output} holds the model after round {progress.job.number}"
        _say(args, f"interrupted; {kept}; go on with:\n  {_resume_line(args)}")
        return None
    finally:
        progress.close()


def _new_job(args: argparse.Namespace) -> dict[str, Any]:
    if args.hidden is None:
        raise UsageError("--hidden: say how many hidden units the model has: --hidden 500")
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    if args.schedule == "constant":
        given["schedule"] = None
    if args.init_bias == "zero":
        given["visible_bias"] = "keep"
    if args.init_std is not None:
        given["init_std"] = args.init_std
    if args.on_bad_row is not None:
        given["on_bad_row"] = args.on_bad_row
    facts = {"command": args.command_line, "data": args.data, "version": version("rbmx")}
    if args.label is not None:
        facts[LABEL] = args.label
        given["label"] = None if args.label == "none" else args.label
    return {
        "n_hidden": args.hidden,
        "binarize": None if args.binarize == "none" else args.binarize,
        "scale": args.scale,
        "lower": [_frozen(path) for path in args.lower],
        "extra": facts,
        **given,
    }


def _frozen(path: Path) -> RBMParams:
    return load_checkpoint(path).params


def _refuse_changes(args: argparse.Namespace) -> None:
    """UsageError where a flag asks a resumed job for something that it cannot change."""
    names = {
        *SETTINGS,
        "hidden",
        "schedule",
        "init_bias",
        "init_std",
        "on_bad_row",
        "shards",
        "label",
        "binarize",
        "scale",
    }
    for name in sorted(names):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')}: a resumed job keeps its own; leave it out")
    if args.lower:
        raise UsageError("--lower: a resumed job keeps its own; leave it out")


def _output(args: argparse.Namespace) -> Path:
    if args.output is not None:
        return Path(args.output)
    if args.resume:
        return Path(args.resume)
    raise UsageError("-o: say where the model goes: -o model.safetensors")


def _summary(args: argparse.Namespace, result: RoundsResult) -> str:
    params = result.params
    done = result.job.number
    text = f"{_output(args)}: {params.n_visible}-{params.n_hidden}, {done} round{'' if done == 1 else 's'}"
    if args.prepare:
        return f"{text}; round {done + 1} of {result.job.settings.rounds} is ready to run"
    last = result.history[-1]
    return f"{text}, reconstruction error {last.reconstruction_error:.5f}"


def _resume_line(args: argparse.Namespace) -> str:
    words = ["rbmx train-mr", args.data, "-r", args.runner, *(f"-c {path}" for path in args.conf_path)]
    return " ".join([*words, f"--rounds {args.rounds} --resume -o {_output(args)}"])


def _say(args: argparse.Namespace, text: str) -> None:
    if args.progress is not False:
        print(f"rbmx: {text}", file=sys.stderr)
