"""`rbmx fit`: train a model on a file."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import rbmx
from rbmx.checkpoint import Checkpoint, load_checkpoint
from rbmx.cli.arguments import (
    add_compute,
    add_data_flags,
    add_verbosity,
    apply_compute,
    at_least,
    byte_size,
    number,
)
from rbmx.cli.data import LABEL, open_data, require_width
from rbmx.cli.exit_status import INTERRUPTED, UsageError
from rbmx.cli.progress import TrainingProgress
from rbmx.cli.saving import Saver
from rbmx.cli.settings import config_from, refuse_changes
from rbmx.data import Dataset
from rbmx.errors import DivergedError
from rbmx.files import require_writable
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.training import SGD, Callback, EpochRecord, TrainConfig, Trainer
from rbmx.units import unit_type

__all__ = ["SUMMARY", "add_arguments", "run", "train_from"]

SUMMARY = "train a model on a CSV, IDX or .npy file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags; not given, the library's default or, with --resume, the model's value holds."""
    parser.add_argument("data", metavar="DATA", help="a CSV, IDX (both also .gz) or .npy file")
    parser.add_argument("-o", "--output", metavar="MODEL", type=Path, help="the model to write")
    parser.add_argument("--hidden", type=at_least(1), metavar="N", help="hidden units")
    add_data_flags(parser, remembered=False)
    _add_training(parser.add_argument_group("training"))
    _add_running(parser.add_argument_group("running"))
    add_compute(parser)
    add_verbosity(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON per epoch on stdout")


def _add_training(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--visible-units", metavar="SPEC", help='such as "gaussian*3 + softmax(4)" (default bernoulli)')
    group.add_argument("--hidden-units", metavar="SPEC", help="(default bernoulli)")
    group.add_argument("--epochs", type=at_least(1), metavar="N", help="in total (default 10)")
    group.add_argument("--batch-size", type=at_least(1), metavar="N", help="rows (default 100)")
    group.add_argument("--optimizer", choices=["sgd", "nesterov", "adam", "rmsprop"], help="(default sgd)")
    group.add_argument("--lr", type=number(above=0), help=f"learning rate (default {SGD().lr:g}; adam, rmsprop 0.001)")
    group.add_argument("--momentum", type=number(least=0), help="of sgd (default 0) and nesterov (0.9)")
    group.add_argument("--weight-decay", type=number(least=0), help="L2 penalty (default 0)")
    group.add_argument("--l1", type=number(least=0), metavar="DECAY", help="L1 penalty (default 0)")
    group.add_argument(
        "--centering",
        type=number(least=0),
        metavar="RATE",
        help="centred gradients whose offsets follow the means at this rate; 0: plain (default: 0.01 on bits)",
    )
    group.add_argument("--schedule", choices=["constant", "linear"], help="of the learning rate; linear: to 0")
    group.add_argument("--sampler", choices=["cd", "pcd", "fast_pcd", "pt"], help="of the negative phase (default cd)")
    group.add_argument("--k", type=at_least(1), help="Gibbs steps per update (default 1)")
    group.add_argument("--persistent", action="store_true", default=None, help="persistent chains, --sampler pcd")
    group.add_argument("--chains", type=at_least(1), metavar="N", help="of --sampler pcd, fast_pcd, pt")
    group.add_argument("--init-std", type=number(least=0), default=0.01, help="of new weights (default 0.01)")
    group.add_argument(
        "--init-bias",
        choices=["data", "zero"],
        help="new visible biases: log-odds of the data's means (default), or 0",
    )
    group.add_argument("--seed", type=at_least(0), help="of all random numbers (default 0)")
    group.add_argument("--no-shuffle", dest="shuffle", action="store_false", default=None, help="keep the order")
    group.add_argument("--validation", metavar="PATH", help="data to watch, never trained on")


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="MODEL",
        help="go on from MODEL, or from the output itself, to the bit",
    )
    group.add_argument("--checkpoint-every", type=at_least(1), default=1, metavar="N", help="epochs (default 1)")
    group.add_argument("--engine", choices=["auto", "binary", "blas", "reference"], help="(default auto)")
    group.add_argument(
        "--reproducible",
        action="store_true",
        default=None,
        help="the same bytes for real values too on processors without fused multiply-add; slow there",
    )
    group.add_argument(
        "--buffer",
        type=byte_size,
        metavar="SIZE",
        help="memory to shuffle in; larger files stream through it (default 128M)",
    )


def run(args: argparse.Namespace) -> int:
    """Train and say in one line what came of it."""
    checkpoint = train_from(args)
    if checkpoint is None:
        return INTERRUPTED
    if not args.json and checkpoint.history:
        last = checkpoint.history[-1]
        print(
            f"{_output(args)}: {checkpoint.params.n_visible}-{checkpoint.params.n_hidden}, "
            f"{last.epoch} epochs, reconstruction error {last.reconstruction_error:.5f}"
        )
    return 0


def train_from(args: argparse.Namespace) -> Checkpoint | None:
    """The trained model, saved; None if Ctrl-C stopped it, after saving where it stood."""
    apply_compute(args)
    output = _output(args)
    require_writable(output)
    start = load_checkpoint(args.resume or output) if args.resume is not None else None
    unit = unit_type(args.visible_units) if args.visible_units and start is None else None
    dataset = open_data(args.data, args, model=start, unit=unit)
    config = config_from(args, start.config if start is not None else None)
    if start is None:
        params = _new_params(args, dataset, config)
    else:
        params = start.params
        refuse_changes(args, config, dataset, start)
        if start.state is not None and start.state.epoch >= config.epochs:
            _say(args, f"{config.epochs} epochs are done; --epochs sets a larger total")
            return start
    validation = None
    if args.validation is not None:
        validation = open_data(args.validation, args, model=start, unit=unit)
        require_width(validation, params)
    history = start.history if start is not None else ()
    saver = Saver(output, args.checkpoint_every, history, _extra(args, config, start))
    return _train(args, params, dataset, config, start, validation, saver)


def _train(
    args: argparse.Namespace,
    params: RBMParams,
    dataset: Dataset,
    config: TrainConfig,
    start: Checkpoint | None,
    validation: Dataset | None,
    saver: Saver,
) -> Checkpoint | None:
    callbacks: list[Callback] = [saver, TrainingProgress(args.progress)]
    if args.json:
        callbacks.append(JsonLines())
    try:
        rbmx.train(
            params,
            dataset,
            config,
            state=start.state if start is not None else None,
            validation=validation,
            callbacks=callbacks,
            progress=False,
        )
    except KeyboardInterrupt:
        if saver.trainer is None:
            raise
        saver.save()
        _say(args, f"interrupted; {saver.path} holds all of it; go on with:\n  {_resume_line(args)}")
        return None
    except DivergedError as error:
        raise DivergedError(f"{error}; {_what_is_left(saver)}") from error
    return saver.save()


class JsonLines(Callback):
    """A training callback: each epoch's record as a line of JSON on stdout."""

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """Print the record."""
        print(json.dumps(record.to_json()), flush=True)


def _output(args: argparse.Namespace) -> Path:
    if args.output is not None:
        return Path(args.output)
    if args.resume:
        return Path(args.resume)
    raise UsageError("-o: say where the model goes: -o model.safetensors")


def _new_params(args: argparse.Namespace, dataset: Dataset, config: TrainConfig) -> RBMParams:
    if args.hidden is None:
        raise UsageError("--hidden: say how many hidden units the model has: --hidden 500")
    key = Key(config.seed).fold_in(Purpose.INITIAL_WEIGHTS)
    return RBMParams.initial(
        dataset.n_visible,
        args.hidden,
        key=key,
        std=args.init_std,
        visible=args.visible_units or "bernoulli",
        hidden=args.hidden_units or "bernoulli",
    )


def _extra(args: argparse.Namespace, config: TrainConfig, start: Checkpoint | None) -> dict[str, str]:
    extra = dict(start.extra) if start is not None else {}
    if start is None:
        extra["command"] = args.command_line
    elif start.config is None or replace(start.config, engine=config.engine) != config:
        extra["command"] = f"{extra.get('command', '')}\n{args.command_line}".strip()
    extra["data"] = args.data
    extra["version"] = version("rbmx")
    if args.label is not None:
        extra[LABEL] = args.label
    return extra


def _resume_line(args: argparse.Namespace) -> str:
    if args.resume is not None:
        return str(args.command_line)
    return f"{args.command_line} --resume"


def _what_is_left(saver: Saver) -> str:
    if saver.saved is None:
        return "no model was written"
    return f"{saver.path} holds the model after epoch {saver.saved.history[-1].epoch}"


def _say(args: argparse.Namespace, text: str) -> None:
    if args.progress is not False:
        print(f"rbmx: {text}", file=sys.stderr)
