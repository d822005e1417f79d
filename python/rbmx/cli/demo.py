"""`rbmx demo`: from the MNIST images to a trained model and a page of pictures."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from types import ModuleType

import rbmx
from rbmx.checkpoint import Checkpoint
from rbmx.cli import fit, report
from rbmx.cli.arguments import add_compute, add_verbosity, apply_compute
from rbmx.cli.exit_status import INTERRUPTED
from rbmx.cli.progress import TrainingProgress
from rbmx.cli.rounds_progress import RoundsProgress
from rbmx.cli.score import Score, score
from rbmx.data import Dataset, mnist_path, open_source
from rbmx.jobs import train_rounds
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.samplers import PCD
from rbmx.training import SGD, LinearDecay, TrainConfig

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "train on the MNIST digits, measure, and write a page of pictures"

THRESHOLD = 127  # a pixel is on at 128 and above, the binarisation of the published figures
MODELS = (  # model file, page, headline, flags of rbmx fit
    (
        "model.safetensors",
        "report.html",
        "What 500 units learned from handwritten digits",
        "--hidden 500 --epochs 10 --lr 0.1",
    ),
    (
        "dreamer.safetensors",
        "dreams.html",
        "Digits dreamed by 500 units",
        "--hidden 500 --epochs 10 --lr 0.05 --schedule linear --persistent",
    ),
)
SMALL_HIDDEN = 16  # 2^16 hidden states can be enumerated: an exact likelihood
SMALL = TrainConfig(epochs=15, sampler=PCD(), optimizer=SGD(lr=0.1), schedule=LinearDecay(), seed=0)
SHARDS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the results go."""
    parser.add_argument("--out", type=Path, default=Path("build/demo"), metavar="FOLDER", help="(build/demo)")
    add_compute(parser)
    add_verbosity(parser)


def run(args: argparse.Namespace) -> int:
    """Train, measure, write pages, and tell what happened in a few lines."""
    apply_compute(args)
    args.out.mkdir(parents=True, exist_ok=True)
    train, test = _tidy(mnist_path("train")), _tidy(mnist_path("test"))
    models = []
    for model_name, page_name, title, flags in MODELS:
        model_path, page = args.out / model_name, args.out / page_name
        words = [train, *flags.split(), "--binarize", str(THRESHOLD), "-o", str(model_path)]
        model = fit.train_from(_parsed("fit", fit, words, args.progress))
        if model is None:
            return INTERRUPTED
        words = [str(model_path), test, "--title", title, "-o", str(page)]
        report.write(_parsed("report", report, words))
        models.append((model, model_path, page))
    unseen = open_source(test, binarize=THRESHOLD)
    seen = open_source(train, binarize=THRESHOLD)
    _tell(models, _train_small(seen, unseen, args.progress), _train_over_shards(seen, unseen, args.progress))
    return 0


def _parsed(name: str, command: ModuleType, words: list[str], progress: bool | None = None) -> argparse.Namespace:
    """The words as the command itself would read them."""
    parser = argparse.ArgumentParser(prog=f"rbmx {name}")
    command.add_arguments(parser)
    args = parser.parse_args(words)
    args.progress = progress
    args.command_line = shlex.join(["rbmx", name, *words])
    return args


def _tidy(path: Path) -> str:
    """The path from here if it lies below, so that the command reads the same elsewhere."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _train_small(train: Dataset, unseen: Dataset, show: bool | None) -> tuple[Score, float]:
    """The score of unseen rows under a 784-16 model, and the seconds that training it took."""
    key = Key(SMALL.seed).fold_in(Purpose.INITIAL_WEIGHTS)
    params = RBMParams.initial(train.n_visible, SMALL_HIDDEN, key=key)
    watch = TrainingProgress(show)
    result = rbmx.train(params, train, SMALL, callbacks=[watch], progress=False)
    return score(params, unseen, pseudo_rows=0), sum(r.seconds for r in result.history)


def _train_over_shards(train: Dataset, unseen: Dataset, show: bool | None) -> tuple[Score, float]:
    """The same model from shards, by map and reduce: the score, and the seconds of all rounds."""
    progress = RoundsProgress(show, as_json=False)
    try:
        result = train_rounds(
            train,
            SMALL_HIDDEN,
            shards=SHARDS,
            rounds=SMALL.epochs,
            lr=SMALL.optimizer.lr,
            seed=SMALL.seed,
            watcher=progress,
        )
    finally:
        progress.close()
    return score(result.params, unseen, pseudo_rows=0), sum(r.seconds for r in result.history)


def _tell(
    models: list[tuple[Checkpoint, Path, Path]], small: tuple[Score, float], sharded: tuple[Score, float]
) -> None:
    (model, path, page), (dreamer, _, dreams) = models
    first, last = model.history[0], model.history[-1]
    print(
        f"Data: the {first.rows:,} MNIST training images, 28 x 28, binarised at pixel > {THRESHOLD}.\n"
        f"Training 784-500, {last.epoch} epochs of CD-1, batch 100: {_pace(model)}; "
        f"reconstruction error {first.reconstruction_error:.4f} -> {last.reconstruction_error:.4f}. "
        f"The same by PCD-1: {_pace(dreamer)}.\n"
        f"Log-likelihood of the 10,000 test images under a 784-{SMALL_HIDDEN} model, "
        f"{SMALL.epochs} epochs of PCD-1 in {small[1]:.1f} s, same binarisation: {_nats(small[0])}.\n"
        f"The same model over {SHARDS} shards, averaged in {SMALL.epochs} rounds of map and reduce (mrjob, in this "
        f"process) in {sharded[1]:.1f} s: {_nats(sharded[0])}; on Hadoop: rbmx train-mr --help\n"
        f"Model: {path}; ask it with: rbmx info {path}\n"
        f"Pictures: open {page.resolve()} and, for the better dreams, {dreams.resolve()}"
    )


def _nats(found: Score) -> str:
    exact = found.log_likelihood
    return "not known" if exact is None else f"{exact.value:.2f} nats ({exact.method})"


def _pace(model: Checkpoint) -> str:
    seconds = sum(record.seconds for record in model.history)
    rows = sum(record.rows for record in model.history)
    return f"{seconds:.1f} s, {rows / seconds:,.0f} rows/s"
