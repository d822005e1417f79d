"""`rbmx transform`: data as the hidden units see them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray

from rbmx.backends import Backend, backend_for
from rbmx.bits import PackedBits
from rbmx.checkpoint import load_checkpoint
from rbmx.cli.arguments import add_compute, add_data_flags, add_seed, add_verbosity, apply_compute
from rbmx.cli.data import open_data
from rbmx.cli.exit_status import UsageError
from rbmx.cli.progress import with_bar
from rbmx.data import Dataset
from rbmx.files import require_writable, written_whole
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "write the hidden features of data as .npy"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, DATA, and where the features go."""
    parser.add_argument("model", metavar="MODEL", type=Path, help="what rbmx fit wrote")
    parser.add_argument("data", metavar="DATA", help="a CSV, IDX (both also .gz) or .npy file")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help=".npy")
    parser.add_argument("--sample", action="store_true", help="bits drawn with these probabilities, not the means")
    add_data_flags(parser, remembered=True)
    add_seed(parser)
    add_compute(parser)
    add_verbosity(parser)


def run(args: argparse.Namespace) -> int:
    """Transform block by block, so that no file is too large."""
    apply_compute(args)
    output = args.output
    if output.suffix != ".npy":
        raise UsageError(f"-o: expected a name that ends in .npy, got {output}")
    require_writable(output)
    model = load_checkpoint(args.model)
    dataset = open_data(args.data, args, model=model)
    params = model.params
    key = Key(args.seed).fold_in(Purpose.SAMPLING) if args.sample else None
    blocks = with_bar(
        _features(backend_for(params), params, dataset, key),
        args.progress,
        "transforming",
        dataset.n_blocks,
    )
    dtype = np.dtype(np.uint8 if args.sample else np.float32)
    with written_whole(output) as path, open(path, "wb") as stream:
        rows = _write_npy(stream, blocks, params.n_hidden, dtype)
    print(f"{output}: {rows} rows of {params.n_hidden} features, {dtype}")
    return 0


def _features(backend: Backend, params: RBMParams, dataset: Dataset, key: Key | None) -> Iterable[NDArray[Any]]:
    for first_row, rows in dataset.blocks():
        if key is None:
            yield backend.hidden_mean(params, rows)
        else:
            states = backend.sample_hidden(params, rows, key, first_row)
            yield states.unpack() if isinstance(states, PackedBits) else states


def _write_npy(stream: BinaryIO, blocks: Iterable[NDArray[Any]], width: int, dtype: np.dtype[Any]) -> int:
    """Blocks of rows as one .npy array whose length is known at the end; returns that length."""
    start = _write_header(stream, 0, width, dtype)
    rows = 0
    for block in blocks:
        stream.write(np.ascontiguousarray(block, dtype).data)
        rows += len(block)
    stream.seek(0)
    if _write_header(stream, rows, width, dtype) != start:  # NumPy pads it against this
        raise RuntimeError("the .npy header changed its size")
    return rows


def _write_header(stream: BinaryIO, rows: int, width: int, dtype: np.dtype[Any]) -> int:
    header = {"shape": (rows, width), "fortran_order": False, "descr": dtype.str}
    write_array_header_1_0(stream, header)
    return stream.tell()
