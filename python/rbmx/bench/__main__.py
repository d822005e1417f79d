"""``python -m rbmx.bench COMMAND``: the figures of rbmx, beside those of others where there are any."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.bench.anchors import ANCHORS
from rbmx.bench.classrbm import RECIPES
from rbmx.bench.harness import Report, WrongAnswerError
from rbmx.bench.peers import PEERS, REAL_PEERS
from rbmx.bench.task import Images

__all__ = ["main"]

DEEP_MODELS = ("autoencoder", "classifier", "few-labels", "up-down")  # the module that knows them loads torch


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rbmx.bench", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    common.add_argument("--rounds", type=_positive, default=7, help="interleaved rounds (7)")
    common.add_argument("--quick", action="store_true", help="few rows, 2 rounds: a trial run")
    common.add_argument("--threads", type=_positive, default=2, help="threads of each (2)")
    plotted = argparse.ArgumentParser(add_help=False)
    plotted.add_argument("--plot", type=Path, metavar="FILE", help="also draw them (needs matplotlib)")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, summary: str, *, plot: bool = True) -> argparse.ArgumentParser:
        parents = [common, plotted] if plot else [common]
        return commands.add_parser(name, help=summary, description=summary, parents=parents)

    add("kernel", "the building blocks one by one, the first fit of a process, and the memory of training")
    peers = add("peers", "CD-1 and CD-10 beside NumPy, torch, scikit-learn and bare sgemm")
    peers.add_argument("--only", nargs="+", choices=sorted({*PEERS, *REAL_PEERS}), help="files of bench/peers")
    peers.add_argument("--real", action="store_true", help="pixels / 255 instead of binarised images")
    peers.add_argument("--half-ones", action="store_true", help="500 coins a row instead of images: half are ones")
    peers.add_argument("--hidden", type=_positive, default=500, metavar="N", help="hidden units (500)")
    peers.add_argument("--batch-size", type=_positive, default=100, metavar="B", help="rows of a minibatch (100)")
    for command in (peers, add("threads", "speed by number of threads, and equal bytes")):
        command.add_argument("--k", nargs="+", type=_positive, default=[1, 10], help="(1 10)")
    add("units", "Gaussian, rectified and softmax units beside the reference backend and torch", plot=False)
    add("up-down", "up-down fine-tuning of a deep belief net beside the same in torch", plot=False)
    add("scaling", "speed by rows, units, Gibbs steps, batch size and threads, one at a time")
    memory = add("memory", "peak memory of training, and of streaming a large CSV file", plot=False)
    memory.add_argument("--csv-gigabytes", type=float, default=0.0, metavar="SIZE", help="0: no CSV file (default)")
    likelihood = add(
        "likelihood", "exact and annealed log Z, pseudo-likelihoods, and a check after every epoch", plot=False
    )
    likelihood.add_argument("--epochs", type=_positive, default=20, metavar="N", help="of monitored training (20)")
    likelihood.add_argument("--pcd", action="store_true", help="monitor PCD-1 at a rate of 0.01, not CD-1 at 0.05")
    add("csv", "the CSV reader beside NumPy, pandas and pyarrow", plot=False)
    add("mapper", "what a map task takes in, text rows and shard lines, beside NumPy's text readers", plot=False)
    sharding = add("sharding", "quality over shards beside one place, at equal passes over the data")
    sharding.add_argument("--shards", nargs="+", type=_positive, default=[2, 4, 8, 16], help="(2 4 8 16)")
    sharding.add_argument("--hidden", nargs="+", type=int, choices=[16, 500], default=[16, 500], help="(16 500)")
    sharding.add_argument("--seeds", type=_positive, default=3, metavar="N", help="runs of each (3)")
    sharding.add_argument("--temperatures", type=_positive, default=2000, metavar="T", help="of AIS (2000)")
    add("hadoop", "what a round costs on a real Hadoop, started and stopped here, on one, two and three nodes")
    add("digits", "the digits pipeline of scikit-learn's gallery, with its BernoulliRBM and with ours", plot=False)
    anchors = add("anchors", "published likelihoods by our recipes: exact, annealed, and of a mixture", plot=False)
    anchors.add_argument("--only", nargs="+", choices=ANCHORS, default=ANCHORS, help="(all)")
    anchors.add_argument("--seed", type=int, default=0, help="of weights and training (0)")
    deep = add("deep", "published errors of deep models on MNIST by our recipes", plot=False)
    deep.add_argument("--only", nargs="+", choices=DEEP_MODELS, default=DEEP_MODELS, help="(all)")
    deep.add_argument("--seed", type=int, default=0, help="of weights, noise and draws (0)")
    autoencoder = add("autoencoder", "a deep autoencoder in sequential PyTorch, by rbmx, and on a real Hadoop")
    autoencoder.add_argument("--images", nargs="+", type=_positive, metavar="N", help="(5000 to 60000)")
    autoencoder.add_argument("--seeds", type=_positive, default=3, metavar="N", help="runs of each (3)")
    autoencoder.add_argument("--no-hadoop", action="store_true", help="leave Hadoop out")
    classrbm = add("classrbm", "classification RBMs on MNIST: discriminative, hybrid, generative", plot=False)
    classrbm.add_argument("--only", nargs="+", choices=list(RECIPES), default=list(RECIPES), help="(all)")
    classrbm.add_argument("--seed", type=int, default=0, help="of weights and training (0)")
    classrbm.add_argument("--epochs", type=_positive, metavar="N", help="instead of the recipe's")
    add("table1", "online CD-k on tiny machines beside a textbook program: 81 cells and their main effects")
    return parser


def _run_table1(arguments: argparse.Namespace) -> Report:
    from rbmx.bench.table1 import Cell, run_table1

    if arguments.quick:
        return run_table1(rounds=min(arguments.rounds, 2), cells=[Cell(1, 1000, 6, 3), Cell(10, 1000, 24, 12)])
    report = run_table1(rounds=arguments.rounds)
    if arguments.plot:
        from rbmx.report.effects import draw_effects

        levels = {
            name: {factor: effect.levels for factor, effect in effects.items()}
            for name, effects in report.effects.items()
        }
        draw_effects(arguments.plot, levels)
    return report


def _run_kernel(arguments: argparse.Namespace, images: npt.NDArray[np.uint8], rounds: int) -> Report:
    from rbmx.bench.first_fit import first_fit
    from rbmx.bench.kernel import run_kernel
    from rbmx.bench.memory import wide_memory

    measure = partial(run_kernel, rows=(100,), training_rows=200, steps=(1,)) if arguments.quick else run_kernel
    report = measure(images, rounds=rounds, threads=arguments.threads, plot=arguments.plot)
    report.rows += [first_fit(images[:1000], threads=arguments.threads, rounds=rounds), wide_memory()]
    return report


def _run_sharding(arguments: argparse.Namespace, gray: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Report:
    from rbmx.bench.sharding import Images, run_sharding
    from rbmx.bits import PackedBits
    from rbmx.data import mnist

    test, test_labels = mnist("test")
    images = Images(PackedBits.pack(gray > 127), labels, PackedBits.pack(test > 127), test_labels)
    if arguments.quick:
        few = Images(images.train[:12_000], labels[:12_000], images.test, test_labels)
        return run_sharding(few, shards=(4,), hidden=(16,), passes=(2,), rates=(0.1,), seeds=(1,), gradient=False)
    return run_sharding(
        images,
        shards=arguments.shards,
        hidden=arguments.hidden,
        passes=[{16: 20, 500: 10}[units] for units in arguments.hidden],
        seeds=range(1, arguments.seeds + 1),
        temperatures=arguments.temperatures,
        plot=arguments.plot,
    )


def _run_deep(arguments: argparse.Namespace, gray: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> Report:
    from rbmx.bench.deep import Images, run_deep
    from rbmx.data import mnist

    n = 1000 if arguments.quick else len(gray)
    test, test_labels = mnist("test")
    train, held_out = ((pixels / np.float32(255)).astype(np.float32) for pixels in (gray[:n], test))
    images = Images(train, labels[:n], held_out, test_labels)
    return run_deep(
        images,
        arguments.only,
        quick=arguments.quick,
        seed=arguments.seed,
        threads=arguments.threads,
    )


def _run_autoencoder(arguments: argparse.Namespace, gray: npt.NDArray[np.uint8]) -> Report:
    from rbmx.bench.autoencoder import ROWS, run_autoencoder
    from rbmx.data import mnist

    return run_autoencoder(
        gray > 127,
        mnist("test")[0] > 127,
        rows=(1000,) if arguments.quick else arguments.images or ROWS,
        seeds=range(1, 2 if arguments.quick else arguments.seeds + 1),
        epochs=2 if arguments.quick else 50,
        backprop=1 if arguments.quick else 10,
        threads=arguments.threads,
        hadoop=not arguments.no_hadoop,
        plot=arguments.plot,
    )


def _run(arguments: argparse.Namespace) -> Report:
    if arguments.command == "table1":
        return _run_table1(arguments)
    if arguments.command == "digits":
        from rbmx.bench.digits import run_digits

        return run_digits(rounds=1 if arguments.quick else arguments.rounds, threads=arguments.threads)
    if arguments.command == "anchors":
        from rbmx.bench.anchors import run_anchors

        return run_anchors(arguments.only, quick=arguments.quick, seed=arguments.seed, threads=arguments.threads)
    if arguments.command == "classrbm":
        from rbmx.bench.classrbm import run_classrbm

        how = {"seed": arguments.seed, "epochs": arguments.epochs}
        return run_classrbm(arguments.only, quick=arguments.quick, threads=arguments.threads, **how)
    from rbmx.data import mnist, mnist_path

    gray, labels = mnist("train")
    if arguments.command == "deep":
        return _run_deep(arguments, gray, labels)
    if arguments.command == "autoencoder":
        return _run_autoencoder(arguments, gray)
    rounds = min(arguments.rounds, 2) if arguments.quick else arguments.rounds
    n_rows = 4_000 if arguments.quick else 20_000
    if arguments.command == "csv":
        from rbmx.bench.csv_reading import run_csv

        return run_csv(gray[:n_rows], labels[:n_rows], rounds=rounds, threads=arguments.threads)
    if arguments.command == "mapper":
        from rbmx.bench.mapper_reading import run_mapper

        n_task = min(n_rows, 15_000)  # a quarter of the images: the split of a job with four maps
        return run_mapper(gray[:n_task], labels[:n_task], rounds=rounds, threads=1)
    if arguments.command == "units":
        from rbmx.bench.units import run_units

        return run_units(gray[:n_rows], labels[:n_rows], rounds=rounds, threads=arguments.threads)
    if arguments.command == "up-down":
        from rbmx.bench.up_down import UpDownTask, run_up_down

        bits = (gray[:n_rows] > 127).view(np.uint8)
        return run_up_down(UpDownTask(bits, labels[:n_rows], threads=arguments.threads), rounds=rounds)
    if arguments.command == "sharding":
        return _run_sharding(arguments, gray, labels)
    if arguments.command == "hadoop":
        from rbmx.bench.hadoop_cost import run_hadoop

        if arguments.quick:
            return run_hadoop(gray[:2000], rows=(2000,), shards=(), rounds=2, nodes=(1,), plot=arguments.plot)
        return run_hadoop(gray, plot=arguments.plot)
    if arguments.command == "memory":
        from rbmx.bench.memory import run_memory

        return run_memory(
            mnist_path("train"),
            gray[:n_rows],
            labels[:n_rows],
            csv_gigabytes=arguments.csv_gigabytes,
            epochs=1 if arguments.quick else 2,
            threads=arguments.threads,
        )
    if arguments.command == "scaling":
        from rbmx.bench.scaling import AXES, SMALL_AXES, Point, run_scaling

        axes, n_rows = (SMALL_AXES, 1000) if arguments.quick else (AXES, 5000)
        base = Point(n_rows, threads=arguments.threads)
        every = (gray > 127).view("uint8")
        return run_scaling(every, axes=axes, base=base, rounds=rounds, plot=arguments.plot)
    if arguments.command == "likelihood":
        from rbmx.bench.likelihood import run_likelihood

        rows_of = partial(run_likelihood, persistent=arguments.pcd, rounds=rounds, threads=arguments.threads)
        if arguments.quick:
            return rows_of((gray[:n_rows] > 127).view("uint8"), epochs=3, temperatures=500, units=(16,))
        return rows_of((gray > 127).view("uint8"), epochs=arguments.epochs)
    images = (gray[:n_rows] > 127).view("uint8")
    if arguments.command == "kernel":
        return _run_kernel(arguments, images, rounds)
    steps = tuple(arguments.k)
    if arguments.command == "threads":
        from rbmx.bench.threads import run_threads

        return run_threads(images, steps=steps, rounds=rounds, plot=arguments.plot)
    from rbmx.bench.peers import run_peers

    names = tuple(arguments.only or (REAL_PEERS if arguments.real else PEERS))
    rows: Images = images
    if arguments.real:
        rows = (gray[:n_rows] / np.float32(255)).astype(np.float32)
    elif arguments.half_ones:
        rows = np.random.default_rng(0).integers(0, 2, (n_rows, 500), dtype=np.uint8)
    shape = {"n_hidden": arguments.hidden, "batch_size": arguments.batch_size}
    return run_peers(
        rows, steps=steps, names=names, rounds=rounds, threads=arguments.threads, plot=arguments.plot, **shape
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark; 1 when an answer was wrong, a limit passed, or something is missing."""
    arguments = _parser().parse_args(argv)
    try:
        report = _run(arguments)
    except (WrongAnswerError, OSError) as error:
        print(f"rbmx.bench: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        report.write(arguments.json)
    over = [row["name"] for row in report.rows if row.get("within") is False]
    for name in over:
        print(f"rbmx.bench: {name}: over the limit", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
