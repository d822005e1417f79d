"""`rbmx sample`: let a model dream."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import as_array, backend_for
from rbmx.bits import PackedBits
from rbmx.checkpoint import load_checkpoint
from rbmx.cli.arguments import (
    add_compute,
    add_seed,
    add_shape,
    add_verbosity,
    apply_compute,
    at_least,
)
from rbmx.cli.exit_status import UsageError
from rbmx.cli.progress import with_bar
from rbmx.files import require_writable, written_whole
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose, uniform

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "draw rows from a model by Gibbs sampling"

START, CHAIN, LAST = range(3)  # one key each: where chains start, how they move, the last half-step
STEPS_A_CALL = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, how many rows, and where they go."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="what rbmx fit wrote")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help=".npy or .png")
    parser.add_argument("-n", type=at_least(1), default=100, metavar="N", help="rows (default 100)")
    parser.add_argument(
        "--steps",
        type=at_least(0),
        default=1000,
        metavar="N",
        help="Gibbs steps from coin flips, each row its own chain (default 1000)",
    )
    parser.add_argument("--mean", action="store_true", help="probabilities of the last step, not bits")
    add_shape(parser)
    add_seed(parser)
    add_compute(parser)
    add_verbosity(parser)


def run(args: argparse.Namespace) -> int:
    """Sample and write."""
    apply_compute(args)
    output = args.output
    if output.suffix not in (".npy", ".png"):
        raise UsageError(f"-o: expected a name that ends in .npy or .png, got {output}")
    require_writable(output)
    params = load_checkpoint(args.model).params
    values = _sampled(args, params)
    with written_whole(output) as path:
        if output.suffix == ".png":
            from rbmx.report import save_tiles

            save_tiles(path, values, shape=args.shape)
        else:
            with open(path, "wb") as stream:
                np.save(stream, values)
    what = "probabilities" if args.mean else "bits"
    print(f"{output}: {args.n} rows of {params.n_visible} {what}, {args.steps} Gibbs steps")
    return 0


def _sampled(args: argparse.Namespace, params: RBMParams) -> NDArray[Any]:
    if params.visible != "bernoulli":
        raise UsageError(f"MODEL: expected Bernoulli visible units, got {params.visible}")
    backend = backend_for(params)
    key = Key(args.seed).fold_in(Purpose.SAMPLING)
    rows: Any = PackedBits.pack(uniform(key.fold_in(START), 0, args.n, params.n_visible) < 0.5)
    done = range(0, args.steps, STEPS_A_CALL)
    for first in with_bar(done, args.progress, "sampling"):
        steps = min(STEPS_A_CALL, args.steps - first)
        rows = backend.gibbs(params, rows, steps, key.fold_in(CHAIN), first_step=first)
    if not args.mean:
        return np.asarray(rows.unpack())
    hidden = backend.sample_hidden(params, rows, key.fold_in(LAST))
    return as_array(backend.visible_mean(params, hidden))
