"""Flags that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Literal

import rbmx

__all__ = [
    "add_compute",
    "add_data_flags",
    "add_seed",
    "add_shape",
    "add_verbosity",
    "apply_compute",
    "at_least",
    "binarize",
    "byte_size",
    "number",
    "picture_shape",
]

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def add_data_flags(parser: argparse.ArgumentParser, *, remembered: bool) -> None:
    """--label, --binarize and --scale; `remembered` says that the model file knows them."""
    default = "; as in training by default" if remembered else ""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--label",
        choices=["first", "last", "none"],
        help=f"the column of a CSV file that holds labels{default or '; required for CSV'}",
    )
    group.add_argument(
        "--binarize",
        type=binarize,
        metavar="THRESHOLD|sample|none",
        help="a value above THRESHOLD is 1; sample: a value is the probability of a 1"
        f"{default or '; none: values as they are (default)'}",
    )
    group.add_argument(
        "--scale",
        type=number(above=0),
        metavar="S",
        help=f"divide values by S, 255 for grey levels{default}",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """--seed, 0 where it is not given."""
    parser.add_argument("--seed", type=at_least(0), default=0, help="of all random numbers (default 0)")


def add_shape(parser: argparse.ArgumentParser) -> None:
    """--shape of a visible row as a picture."""
    parser.add_argument(
        "--shape",
        type=picture_shape,
        metavar="HxW",
        help="a visible row as a picture, 28x28 (default: a square, else one line)",
    )


def add_compute(parser: argparse.ArgumentParser) -> None:
    """--threads."""
    parser.add_argument(
        "--threads",
        type=at_least(1),
        metavar="N",
        help="cores to use (default: all that this process may use)",
    )


def apply_compute(args: argparse.Namespace) -> None:
    """Let --threads hold for this process."""
    if args.threads is not None:
        rbmx.set_num_threads(args.threads)


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """--progress and --quiet: True, False or, by default, None for a bar on terminals."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--progress",
        action="store_true",
        default=None,
        help="a progress bar on stderr even where that is no terminal",
    )
    group.add_argument(
        "--quiet",
        dest="progress",
        action="store_false",
        help="nothing on stderr but errors",
    )


def at_least(lowest: int) -> Callable[[str], int]:
    """Reads whole numbers from `lowest` up."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text) or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {lowest}, got {text!r}")
        return int(text)

    return read


def number(*, above: float | None = None, least: float | None = None) -> Callable[[str], float]:
    """Reads finite numbers, larger than `above` or not smaller than `least`."""
    bound = f" above {above:g}" if above is not None else f" of at least {least:g}"

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        fits = value > above if above is not None else least is None or value >= least
        if not fits or value in (float("inf"), float("-inf")):
            raise argparse.ArgumentTypeError(f"expected a finite number{bound}, got {text!r}")
        return value

    return read


def binarize(text: str) -> float | Literal["sample", "none"]:
    """Reads a threshold, "sample" or "none"."""
    if text == "sample":
        return "sample"
    if text == "none":
        return "none"
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f'expected a threshold, "sample" or "none", got {text!r}')
    return value


def byte_size(text: str) -> int:
    """Reads a number of bytes: 4096, 64K, 128M, 2G."""
    match = re.fullmatch(r"(\d{1,12})([KMG]?)B?", text.upper())
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"expected a size such as 64K, 128M or 2G, got {text!r}")
    return int(match[1]) * UNITS[match[2]]


def picture_shape(text: str) -> tuple[int, int]:
    """Reads height and width: 28x28."""
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.lower())
    if match is None or 0 in (height := int(match[1]), width := int(match[2])):
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 28x28, got {text!r}")
    return height, width
