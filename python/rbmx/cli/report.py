"""`rbmx report`: a page of pictures about a model."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from rbmx.backends import Rows
from rbmx.checkpoint import Checkpoint, load_checkpoint
from rbmx.cli.arguments import (
    add_compute,
    add_data_flags,
    add_seed,
    add_shape,
    apply_compute,
    at_least,
)
from rbmx.cli.data import open_data
from rbmx.cli.info import build_facts
from rbmx.cli.model_facts import weights_digest
from rbmx.cli.score import Score, score
from rbmx.data import Dataset
from rbmx.files import require_writable, written_whole
from rbmx.rng import Key, Purpose

__all__ = ["SUMMARY", "add_arguments", "run", "write"]

SUMMARY = "write one self-contained HTML page: filters, samples, reconstructions, training"

ROWS_SHOWN = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, DATA, and where the page goes."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="what rbmx fit wrote")
    parser.add_argument("data", metavar="DATA", nargs="?", help="rows to reconstruct and to score, best unseen ones")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help=".html")
    parser.add_argument("--title", help="the headline")
    parser.add_argument("--steps", type=at_least(1), default=1000, metavar="N", help="of the chains (default 1000)")
    add_shape(parser)
    add_data_flags(parser, remembered=True)
    add_seed(parser)
    add_compute(parser)


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    write(args)
    print(f"{args.output}: open it in a browser")
    return 0


def write(args: argparse.Namespace) -> None:
    """Write the page."""
    from rbmx.report import gather, visible_shape, write_report  # matplotlib: only when needed

    apply_compute(args)
    require_writable(args.output)
    model = load_checkpoint(args.model)
    shape = visible_shape(model.params.n_visible, args.shape)
    rows, facts = None, []
    if args.data is not None:
        dataset = open_data(args.data, args, model=model)
        rows = _first_rows(dataset)
        facts = _facts(score(model.params, dataset), dataset)
    key = Key(args.seed).fold_in(Purpose.SAMPLING)
    evidence = gather(model.params, rows, key=key, steps=args.steps)
    with written_whole(args.output) as path:
        write_report(
            path,
            model,
            evidence,
            shape=shape,
            title=args.title,
            facts=facts,
            origin=_origin(model),
        )


def _first_rows(dataset: Dataset) -> Rows:
    for _, block in dataset.blocks():
        return block[:ROWS_SHOWN]
    raise ValueError(f"{dataset.name}: no rows")  # open_data has refused empty files


def _facts(result: Score, dataset: Dataset) -> list[tuple[str, str, str]]:
    name = Path(dataset.name).name
    if result.log_likelihood is not None:
        estimate = result.log_likelihood
        remark = f"nats per row of {name}; {estimate.method}"
        return [("log-likelihood", _signed(estimate.value), remark)]
    if result.pseudo_log_likelihood is not None:
        remark = f"nats per row, first {result.pseudo_rows:,} rows of {name}"
        return [("pseudo-log-likelihood", _signed(result.pseudo_log_likelihood), remark)]
    return [("free energy", _signed(result.free_energy), f"nats, mean over {name}")]


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _origin(model: Checkpoint) -> dict[str, str]:
    origin = {}
    if "command" in model.extra:
        origin["command"] = model.extra["command"]
    if model.config is not None:
        origin["seed"] = str(model.config.seed)
        settings = {field.name: getattr(model.config, field.name) for field in fields(model.config)}
        origin["settings"] = ", ".join(f"{name} {value}" for name, value in settings.items())
    if model.encoding is not None:
        origin["encoding"] = model.encoding.describe()
    origin["weights"] = f"sha256 {weights_digest(model.params)}"
    if "version" in model.extra:
        origin["trained with"] = f"rbmx {model.extra['version']}"
    facts = ", ".join(f"{name} {text}" for name, text in build_facts().items())
    origin["page made with"] = facts
    return origin
