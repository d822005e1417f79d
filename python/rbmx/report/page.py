"""One HTML page about a model that needs nothing but itself: no network, no other file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from rbmx.checkpoint import Checkpoint
from rbmx.params import RBMParams
from rbmx.report.evidence import Evidence, Values, landmarks
from rbmx.report.figures import curves, histogram
from rbmx.report.images import columns_for, data_uri, diverging, ink, mosaic, stacked
from rbmx.samplers import CD
from rbmx.training import EpochRecord

__all__ = ["build_page", "write_report"]

MOST_FILTERS, MOST_RIBBONS = 400, 60
CHAINS_SHOWN, CHAIN_RIBBONS = 10, 4
PAIRS_SHOWN = 24
PAIRS_IN_A_LINE = 12

Facts = Sequence[tuple[str, str, str]]  # what, the figure, a remark


def write_report(
    path: str | os.PathLike[str],
    checkpoint: Checkpoint,
    evidence: Evidence,
    *,
    shape: tuple[int, int],
    title: str | None = None,
    facts: Facts = (),
    origin: Mapping[str, str] | None = None,
) -> None:
    """Write build_page(...) to `path`."""
    page = build_page(checkpoint, evidence, shape=shape, title=title, facts=facts, origin=origin)
    Path(path).write_text(page, encoding="utf-8")


def build_page(
    checkpoint: Checkpoint,
    evidence: Evidence,
    *,
    shape: tuple[int, int],
    title: str | None = None,
    facts: Facts = (),
    origin: Mapping[str, str] | None = None,
) -> str:
    """The page as HTML text.

    Args:
        checkpoint: the model, and how it was trained where the file knows.
        evidence: what `gather` computed from it.
        shape: (height, width) of a visible row as a picture.
        title: the headline; None says how many units learned.
        facts: figures of merit beside those of the checkpoint: (what, figure, remark).
        origin: how to make the model again: command, seed, versions, as name -> text.
    """
    params = checkpoint.params
    title = title or f"What {params.n_hidden:,} hidden units learned"
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    sections = [
        _head(checkpoint, evidence, shape, title, facts),
        _filters(evidence, shape),
        _chain(checkpoint, evidence, shape),
        _reconstructions(evidence, shape),
        _distributions(params, evidence),
        _training(checkpoint.history),
        _origin(origin or {}),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(
    checkpoint: Checkpoint,
    evidence: Evidence,
    shape: tuple[int, int],
    title: str,
    facts: Facts,
) -> str:
    params = checkpoint.params
    steps = evidence.film_steps[-1]
    chains = evidence.film.shape[1]
    start = "rows of data" if evidence.from_data else "coin flips"
    items = "\n".join(
        f"<div><dt>{escape(what)}</dt><dd>{escape(figure)}<small>{escape(remark)}</small></dd></div>"
        for what, figure, remark in [*_known_facts(checkpoint), *facts]
    )
    return (
        f"<header>\n<h1>{escape(title)}</h1>\n"
        f'<p class="lead">A restricted Boltzmann machine of {params.n_visible:,} visible and '
        f"{params.n_hidden:,} hidden units"
        f"{_trained_on(checkpoint)}. Below it dreams: {chains} chains leave {start} and take "
        f"{_count(steps, 'Gibbs step')}, slowly first, then faster and faster.</p>\n"
        f"{_film(evidence, shape)}\n"
        f'<dl class="facts">\n{items}\n</dl>\n</header>'
    )


def _trained_on(checkpoint: Checkpoint) -> str:
    name = checkpoint.extra.get("data")
    if not name:
        return ""
    rule = f", {checkpoint.encoding.describe()}" if checkpoint.encoding else ""
    return f", trained on {escape(Path(name).name)}{escape(rule)}"


def _known_facts(checkpoint: Checkpoint) -> Facts:
    params = checkpoint.params
    facts = [
        (
            "model",
            f"{params.n_visible:,} × {params.n_hidden:,}",
            _count(params.weight.size, "weight"),
        )
    ]
    if checkpoint.history:
        last = checkpoint.history[-1]
        seconds = sum(record.seconds for record in checkpoint.history)
        rows = sum(record.rows for record in checkpoint.history)
        facts += [
            ("trained", _count(last.epoch, "epoch"), f"of {_count(last.rows, 'row')}"),
            ("time", _duration(seconds), f"{rows / max(seconds, 1e-9):,.0f} rows a second"),
            (
                "reconstruction error",
                f"{last.reconstruction_error:.4f}",
                "mean squared, per visible unit",
            ),
        ]
    return facts


def _film(evidence: Evidence, shape: tuple[int, int]) -> str:
    frames, chains = evidence.film.shape[:2]
    columns = columns_for(chains, shape) if shape[0] == 1 else min(chains, 12)
    tiles = ink(evidence.film)
    sheet, height = stacked([mosaic(frame, shape, columns, magnify=False) for frame in tiles])
    ticks = "".join(f"<div>{_count(step, 'Gibbs step')}</div>" for step in evidence.film_steps)
    return (
        f'<figure style="--frames: {frames}">'
        f'<div class="film picture" role="img" aria-label="{chains} Gibbs chains over time" '
        f'style="aspect-ratio: {sheet.shape[1]} / {height}; '
        f'background-image: url({data_uri(sheet)})"></div>\n'
        f'<div class="ticker" aria-hidden="true"><div>{ticks}</div></div></figure>'
    )


def _filters(evidence: Evidence, shape: tuple[int, int]) -> str:
    shown = evidence.filters[: MOST_FILTERS if shape[0] > 1 else MOST_RIBBONS]
    total = evidence.filters.shape[0]
    limit = float(np.quantile(np.abs(shown), 0.99)) or 1.0
    picture = mosaic(diverging(shown, limit), shape, columns_for(len(shown), shape))
    ramp = diverging(np.linspace(-limit, limit, 128)[None], limit)
    which = "All" if len(shown) == total else f"The {len(shown):,} strongest of {total:,}"
    return (
        "<section>\n<h2>What each unit looks for</h2>\n"
        "<p>A hidden unit holds one weight for every visible unit. Drawn in the place of the "
        "visible units, its weights show the pattern that it answers to: red raises the chance "
        "that the unit is on, blue lowers it, and white does not matter.</p>\n"
        f"<figure>{_picture(picture, 'weights of the hidden units')}\n"
        f'<div class="scale"><span>−{limit:.2f}</span>'
        f'<img class="picture" src="{data_uri(ramp)}" alt=""><span>+{limit:.2f}</span></div>\n'
        f"<figcaption>{which} hidden units, largest weight vectors first, on one common colour "
        "scale. Strokes and blobs are features in use; a flat tile is a unit that learned nothing yet."
        "</figcaption></figure>\n</section>"
    )


def _chain(checkpoint: Checkpoint, evidence: Evidence, shape: tuple[int, int]) -> str:
    flat = shape[0] == 1
    shown = landmarks(evidence.film_steps[-1])
    chains = min(CHAIN_RIBBONS if flat else CHAINS_SHOWN, evidence.film.shape[1])
    cells = []
    for step in shown:
        frame = evidence.film[evidence.film_steps.index(step)]
        picture = mosaic(ink(frame[:chains]), shape, 1)
        image = _picture(picture, f"the chains after {_count(step, 'step')}")
        label = f'<div class="step">{step:,}</div>'
        cells.append(f"{label}{image}" if flat else f"<div>{image}{label}</div>")
    heading = "Left to itself" if evidence.from_data else "From noise, step by step"
    start = "a row of data" if evidence.from_data else "coin flips"
    moral = "What stays is what the model believes in."
    if evidence.from_data:
        moral = "Rows that last or turn into others of their kind are what the model believes in."
        if checkpoint.config is not None and isinstance(checkpoint.config.sampler, CD):
            moral += (
                f" CD-{checkpoint.config.sampler.k} teaches a model only what lies near the data, so "
                "long chains may wander off into blanks and blots; persistent chains mend that."
            )
    return (
        f"<section>\n<h2>{heading}</h2>\n"
        f"<p>The model can run by itself. Each chain below starts at {start} and then takes turns: "
        f"hidden units given the visible, visible units given the hidden. {moral}</p>\n"
        f'<figure class="card"><div class="chain{" flat" if flat else ""}" '
        f'style="--count: {len(shown)}">\n' + "\n".join(cells) + "\n</div>\n"
        f"<figcaption>{_count(chains, 'chain')}, "
        f"{'the steps one below the other' if flat else 'one to a line'}; the numbers count Gibbs "
        "steps. Shown are the probabilities of the visible units, darker for likelier.</figcaption>"
        "</figure>\n</section>"
    )


def _reconstructions(evidence: Evidence, shape: tuple[int, int]) -> str:
    if evidence.originals is None or evidence.reconstructions is None:
        return ""
    line = PAIRS_IN_A_LINE if shape[0] > 1 else 1
    n_pairs = min(PAIRS_SHOWN if line > 1 else PAIRS_SHOWN // 2, len(evidence.originals))
    tiles: list[Values] = []
    for start in range(0, n_pairs, line):
        part = slice(start, min(start + line, n_pairs))
        for values in (evidence.originals[part], evidence.reconstructions[part]):
            blank = np.zeros((line - len(values), values.shape[1]), np.float32)
            tiles.append(np.concatenate([values, blank]))
    picture = mosaic(ink(np.concatenate(tiles)), shape, line)
    error = float(np.mean((evidence.originals - evidence.reconstructions) ** 2))
    return (
        "<section>\n<h2>Seen, and told again</h2>\n"
        f"<p>A row goes up to the {evidence.filters.shape[0]:,} hidden units and back down. What "
        "returns is all that the hidden units kept of it.</p>\n"
        f"<figure>{_picture(picture, 'data rows and their reconstructions')}\n"
        f"<figcaption>Data above, reconstruction below, {n_pairs} rows. Over "
        f"{_count(len(evidence.originals), 'row')} the mean squared error is {error:.4f} per unit."
        "</figcaption></figure>\n</section>"
    )


def _distributions(params: RBMParams, evidence: Evidence) -> str:
    charts = _charts(
        ("weights, on a logarithmic scale", histogram("weights", params.weight, logarithmic=True)),
        ("visible biases", histogram("visible-biases", params.visible_bias)),
        ("hidden biases", histogram("hidden-biases", params.hidden_bias)),
    )
    remark = "Weights far out are patterns; the peak at zero is what does not matter."
    activations = evidence.activations
    if activations is not None:
        per_unit = activations.mean(axis=0)
        still = int(np.count_nonzero((per_unit < 0.005) | (per_unit > 0.995)))
        unused = f"{_count(still, 'unit')} never changed" if still else "every unit has its use"
        remark += (
            f" A row switches on {activations.sum(axis=1).mean():,.0f} of the "
            f"{params.n_hidden:,} hidden units on average; {unused}."
        )
        charts += _charts(
            ("how often each hidden unit is on", histogram("units", per_unit, limits=(0, 1))),
            (
                "hidden probabilities, on a logarithmic scale",
                histogram("activations", activations, logarithmic=True, limits=(0, 1)),
            ),
        )
    return f"<section>\n<h2>The numbers inside</h2>\n<p>{remark}</p>\n{charts}</section>"


def _training(history: Sequence[EpochRecord]) -> str:
    if not history:
        return ""
    epochs = [record.epoch for record in history]
    error = [("training", [record.reconstruction_error for record in history])]
    energy = [("training", [record.free_energy for record in history])]
    validation_error = [r.validation_reconstruction_error for r in history]
    validation_energy = [r.validation_free_energy for r in history]
    if None not in validation_error and None not in validation_energy:
        error.append(("validation", [value for value in validation_error if value is not None]))
        energy.append(("validation", [value for value in validation_energy if value is not None]))
    charts = _charts(("reconstruction error per visible unit", curves("error", epochs, error)))
    remark = "It falls as the hidden units learn to describe the data."
    if len(energy) > 1:
        charts += _charts(("mean free energy, nats", curves("energy", epochs, energy)))
        remark += (
            " Training and validation free energy that drift apart are the sign of overfitting: "
            "the model makes more room for rows it has seen than for others like them."
        )
    return (
        "<section>\n<h2>How training went</h2>\n"
        "<p>After each epoch, the mean squared error of reconstructing a fixed set of rows. "
        f"{remark}</p>\n{charts}</section>"
    )


def _charts(*charts: tuple[str, str]) -> str:
    """Charts side by side, each under its name."""
    figures = "\n".join(
        f'<figure class="card"><div class="name">{escape(name)}</div>{chart}</figure>' for name, chart in charts
    )
    return f'<div class="charts">\n{figures}\n</div>\n'


def _origin(origin: Mapping[str, str]) -> str:
    if not origin:
        return ""
    command = origin.get("command")
    rows = "\n".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in origin.items() if name != "command"
    )
    return (
        "<section>\n<h2>Make it again</h2>\n"
        "<p>Every random number belongs to a place in the computation, so for binary data the same "
        "seed gives the same bytes, with any number of threads.</p>\n"
        + (f"<pre>{escape(command)}</pre>\n" if command else "")
        + f"<table>\n{rows}\n</table>\n</section>"
    )


def _picture(pixels: np.ndarray, description: str) -> str:
    return f'<img class="picture" src="{data_uri(pixels)}" alt="{escape(description)}">'


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
