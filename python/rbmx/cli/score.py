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
from rbmx.cli.exit_status import UsageError
from rbmx.cli.progress import counted, with_bar
from rbmx.data import Dataset
from rbmx.errors import DataError
from rbmx.likelihood import (
    Estimate,
    ais_log_partition,
    log_partition,
    pseudo_log_likelihood,
    reverse_ais_log_partition,
)
from rbmx.likelihood.exact import MAX_ENUMERATED
from rbmx.likelihood.partition import between, can_enumerate
from rbmx.params import RBMParams
from rbmx.rng import Key
from rbmx.training.measuring import first_rows, leading_blocks, log_odds

__all__ = ["SUMMARY", "Annealing", "Score", "add_arguments", "run", "score"]

SUMMARY = "likelihood, free energy and reconstruction error of data"


@dataclass(frozen=True)
class Annealing:
    """How log Z is estimated where it cannot be enumerated: from below and from above.

    Attributes:
        temperatures: of both directions.
        chains: of each.
        double: once more from below with twice the temperatures, which should change little.
    """

    temperatures: int
    chains: int = 100
    double: bool = False


@dataclass(frozen=True)
class Score:
    """How well a model explains data; likelihoods and energies in nats per row.

    Attributes:
        rows: how many were scored.
        encoding: how values became bits or real values, in words.
        log_likelihood: with its interval and method, None where no method applies.
        estimates: what it was made of where it is not exact: by AIS, by reverse AIS and, if asked, by AIS with twice
            the temperatures.
        pseudo_log_likelihood: over the first `pseudo_rows` rows; None if not asked or not binary.
        free_energy: mean of F(v).
        reconstruction_error: mean squared error per unit of the mean-field reconstruction.
    """

    rows: int
    encoding: str
    log_likelihood: Estimate | None
    estimates: tuple[Estimate, ...]
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
        default=10_000,
        metavar="N",
        help="first rows for the pseudo-log-likelihood; 0: none (default 10,000)",
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
    parser.add_argument("--chains", type=at_least(2), metavar="N", help="of each direction of --ais (100)")
    parser.add_argument(
        "--double", action="store_true", help="repeat --ais with twice the temperatures, which should change little"
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the noise of --ais (default 0)")
    parser.add_argument("--json", action="store_true", help="JSON instead of text")
    add_data_flags(parser, remembered=True)
    add_compute(parser)
    add_verbosity(parser)


def run(args: argparse.Namespace) -> int:
    """Score and print."""
    annealing = _annealing(args)
    apply_compute(args)
    model = load_checkpoint(args.model)
    dataset = open_data(args.data, args, model=model)
    result = score(
        model.params,
        dataset,
        pseudo_rows=args.pseudo_rows,
        annealing=annealing,
        key=Key(args.seed),
        progress=args.progress,
    )
    if args.json:
        fields = asdict(result)
        if result.log_likelihood is not None:
            fields["log_likelihood"] = result.log_likelihood._asdict()
        fields["estimates"] = [estimate._asdict() for estimate in result.estimates]
        print(json.dumps(fields))
    else:
        _print(result, model.params, dataset)
    return 0


def _annealing(args: argparse.Namespace) -> Annealing | None:
    """What --ais and the flags beside it ask for; UsageError where these come without it."""
    if args.ais is None:
        for flag, given in (("--double", args.double), ("--chains", args.chains is not None)):
            if given:
                raise UsageError(f"{flag}: says how --ais estimates log Z; expected --ais beside it")
        return None
    return Annealing(args.ais, Annealing.chains if args.chains is None else args.chains, args.double)


def score(
    params: RBMParams,
    dataset: Dataset,
    *,
    pseudo_rows: int = 10_000,
    annealing: Annealing | None = None,
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
    likelihood, estimates = _log_likelihood(params, dataset, energy / rows, annealing, key or Key(0), progress)
    return Score(
        rows=rows,
        encoding=dataset.encoding.describe(),
        log_likelihood=likelihood,
        estimates=estimates,
        pseudo_log_likelihood=float(np.concatenate(pseudo).mean()) if pseudo else None,
        pseudo_rows=scored,
        free_energy=energy / rows,
        reconstruction_error=error / (rows * params.n_visible),
    )


def _log_likelihood(
    params: RBMParams,
    dataset: Dataset,
    free_energy: float,
    annealing: Annealing | None,
    key: Key,
    progress: bool | None,
) -> tuple[Estimate | None, tuple[Estimate, ...]]:
    """Mean of -F(v) - log Z, where Z can be enumerated or is to be estimated, and the estimates it is made of."""
    if can_enumerate(params):
        return log_partition(params).log_likelihood(free_energy), ()
    if annealing is None:
        return None, ()
    base = log_odds(leading_blocks(dataset)) if params.visible == "bernoulli" else None
    start = first_rows(dataset, annealing.chains)
    temperatures = annealing.temperatures

    def upwards(temperatures: int, key: Key) -> Estimate:
        chains = annealing.chains
        with counted(progress, f"AIS, {temperatures:,} temperatures", chains * temperatures) as done:
            return ais_log_partition(
                params, temperatures=temperatures, chains=chains, key=key, base_bias=base, progress=done
            )

    up = upwards(temperatures, key.fold_in(0))
    with counted(progress, "reverse AIS", len(start) * temperatures) as done:
        down = reverse_ais_log_partition(
            params, start, temperatures=temperatures, key=key.fold_in(1), base_bias=base, progress=done
        )
    parts = [up, down, *([upwards(2 * temperatures, key.fold_in(2))] if annealing.double else [])]
    return between(up, down).log_likelihood(free_energy), tuple(z.log_likelihood(free_energy) for z in parts)


def _text(estimate: Estimate) -> str:
    how = f"{estimate.method}, effective sample size {estimate.effective_sample_size:.1f}"
    return f"{estimate.value:.3f} nats per row, {estimate.low:.3f} to {estimate.high:.3f} ({how})"


def _print(result: Score, params: RBMParams, dataset: Dataset) -> None:
    exact = result.log_likelihood
    lines = [("data", f"{dataset.name}, {result.rows:,} rows"), ("encoding", result.encoding)]
    if result.estimates:
        up, down, *doubled = result.estimates
        lines.append(("log-likelihood", f"by AIS {_text(up)}"))
        lines.append(("", f"by reverse AIS {_text(down)}"))
        lines.append(("", f"the lower one {min(up.value, down.value):.3f}, {abs(up.value - down.value):.3f} apart"))
        for estimate in doubled:
            lines.append(("", f"by AIS {_text(estimate)}, moved by {estimate.value - up.value:+.3f}"))
    elif exact is not None:
        lines.append(("log-likelihood", f"{exact.value:.3f} nats per row ({exact.method})"))
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
