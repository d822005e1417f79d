"""`rbmx score`: how well a model explains data."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rbmx.backends import as_array, backend_for
from rbmx.bits import PackedBits
from rbmx.checkpoint import load_checkpoint
from rbmx.cli.arguments import (
    add_compute,
    add_data_flags,
    add_verbosity,
    apply_compute,
    at_least,
)
from rbmx.cli.data import open_data
from rbmx.cli.progress import with_bar
from rbmx.data import Dataset
from rbmx.errors import DataError
from rbmx.likelihood import Estimate, pseudo_log_likelihood
from rbmx.likelihood.exact import MAX_ENUMERATED
from rbmx.likelihood.partition import can_enumerate, estimate_log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training.measuring import first_rows, leading_blocks, log_odds

__all__ = ["SUMMARY", "Score", "add_arguments", "run", "score"]

AIS_CHAINS = 100
SUMMARY = "likelihood, free energy and reconstruction error of data"


@dataclass(frozen=True)
class Score:
    """How well a model explains data; likelihoods and energies in nats per row.

    Attributes:
        rows: how many were scored.
        encoding: how values became bits or real values, in words.
        log_likelihood: with its interval and method, None where no method applies.
        pseudo_log_likelihood: over the first `pseudo_rows` rows; None if not asked or not binary.
        free_energy: mean of F(v).
        reconstruction_error: mean squared error per unit of the mean-field reconstruction.
    """

    rows: int
    encoding: str
    log_likelihood: Estimate | None
    pseudo_log_likelihood: float | None
    pseudo_rows: int
    free_energy: float
    reconstruction_error: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, DATA."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="what rbmx fit wrote")
    parser.add_argument("data", metavar="DATA", help="a CSV, IDX (both also .gz) or .npy file")
    parser.add_argument(
        "--pseudo-rows",
        type=at_least(0),
        default=200,
        metavar="N",
        help="first rows for the pseudo-log-likelihood, which is slow; 0: none (default 200)",
    )
    parser.add_argument(
        "--ais",
        type=at_least(2),
        nargs="?",
        const=1000,
        metavar="T",
        help="where log Z cannot be enumerated, estimate it from below and above by annealed importance sampling "
        "over T temperatures (1000)",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the noise of --ais (default 0)")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    add_data_flags(parser, remembered=True)
    add_compute(parser)
    add_verbosity(parser)


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    apply_compute(args)
    model = load_checkpoint(args.model)
    dataset = open_data(args.data, args, model=model)
    result = score(
        model.params,
        dataset,
        pseudo_rows=args.pseudo_rows,
        temperatures=args.ais,
        key=Key(args.seed),
        progress=args.progress,
    )
    if args.json:
        fields = asdict(result)
        if result.log_likelihood is not None:
            fields["log_likelihood"] = result.log_likelihood._asdict()
        print(json.dumps(fields))
    else:
        _print(result, model.params, dataset)
    return 0


def score(
    params: RBMParams,
    dataset: Dataset,
    *,
    pseudo_rows: int = 200,
    temperatures: int | None = None,
    key: Key | None = None,
    progress: bool | None = False,
) -> Score:
    """One pass over the data; the log-likelihood is exact where a side has at most 24 units, else by AIS if asked."""
    backend = backend_for(params)
    rows, energy, error, pseudo = 0, 0.0, 0.0, []
    for first_row, block in with_bar(dataset.blocks(), progress, "scoring", dataset.n_blocks):
        rows += len(block)
        energy += float(backend.free_energy(params, block).sum())
        difference = backend.reconstruct(params, block) - as_array(block)
        error += float(np.square(difference, dtype=np.float64).sum())
        if first_row < pseudo_rows and isinstance(block, PackedBits):
            pseudo.append(pseudo_log_likelihood(params, block[: pseudo_rows - first_row]))
    if rows == 0:
        raise DataError(f"{dataset.name}: expected at least one row")
    scored = sum(len(part) for part in pseudo)
    return Score(
        rows=rows,
        encoding=dataset.encoding.describe(),
        log_likelihood=_log_likelihood(params, dataset, energy / rows, temperatures, key or Key(0)),
        pseudo_log_likelihood=float(np.concatenate(pseudo).mean()) if pseudo else None,
        pseudo_rows=scored,
        free_energy=energy / rows,
        reconstruction_error=error / (rows * params.n_visible),
    )


def _log_likelihood(
    params: RBMParams, dataset: Dataset, free_energy: float, temperatures: int | None, key: Key
) -> Estimate | None:
    """Mean of -F(v) - log Z, where Z can be enumerated or is to be estimated."""
    if not can_enumerate(params) and temperatures is None:
        return None
    base = log_odds(leading_blocks(dataset)) if params.visible == "bernoulli" else None
    start = first_rows(dataset, AIS_CHAINS)
    z = estimate_log_partition(
        params, start=start, temperatures=temperatures or 2, chains=AIS_CHAINS, key=key, base_bias=base
    )
    return Estimate(-free_energy - z.value, -free_energy - z.high, -free_energy - z.low, z.method)


def _print(result: Score, params: RBMParams, dataset: Dataset) -> None:
    exact = result.log_likelihood
    lines = [("data", f"{dataset.name}, {result.rows:,} rows"), ("encoding", result.encoding)]
    if exact is not None:
        interval = "" if exact.low == exact.high else f", {exact.low:.2f} to {exact.high:.2f}"
        lines.append(("log-likelihood", f"{exact.value:.3f} nats per row{interval} ({exact.method})"))
    else:
        smaller = min(params.n_visible, params.n_hidden)
        lines.append(
            (
                "log-likelihood",
                f"not known: the exact method takes a side of at most {MAX_ENUMERATED} units, "
                f"the smaller side of this model has {smaller}; --ais estimates it",
            )
        )
    if result.pseudo_log_likelihood is not None:
        what = "all" if result.pseudo_rows == result.rows else "first"
        lines.append(
            (
                "pseudo-log-likelihood",
                f"{result.pseudo_log_likelihood:.3f} nats per row "
                f"(exact conditionals of all units, {what} {result.pseudo_rows:,} rows)",
            )
        )
    lines += [
        ("free energy", f"{result.free_energy:.3f} nats (mean)"),
        ("reconstruction error", f"{result.reconstruction_error:.5f} (mean squared, per unit)"),
    ]
    for name, text in lines:
        print(f"{name:<22} {text}")
