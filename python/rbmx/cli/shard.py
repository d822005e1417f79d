"""`rbmx shard`: a data set as virtual shards, here or on HDFS."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rbmx.cli.arguments import add_data_flags, add_seed, at_least
from rbmx.cli.data import open_data
from rbmx.data import Dataset
from rbmx.errors import DataError

__all__ = ["SUMMARY", "add_arguments", "run"]

SUMMARY = "cut data into shards for rbmx train-mr"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DATA, how many shards, and where they go."""
    parser.add_argument("data", metavar="DATA", help="a CSV, IDX (both also .gz) or .npy file")
    parser.add_argument("-n", "--shards", type=at_least(1), required=True, metavar="N", help="how many")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="a new folder for a file per shard, or an hdfs:// URI"
    )
    parser.add_argument(
        "--shuffle", action="store_true", help="rows in a random order (--seed): for data sorted by class; in memory"
    )
    parser.add_argument(
        "--keep-labels", action="store_true", help="labels beside the rows: what a classifier over shards needs"
    )
    parser.add_argument(
        "--block-rows",
        type=at_least(1),
        default=1,
        metavar="N",
        help="shards begin at multiples of N rows (default 1); 1000 for gradients summed over shards",
    )
    parser.add_argument(
        "-c",
        "--conf-path",
        action="append",
        default=[],
        metavar="FILE",
        help="mrjob.conf that names hadoop, for hdfs://",
    )
    add_data_flags(parser, remembered=False)
    add_seed(parser)


def run(args: argparse.Namespace) -> int:
    """Cut, and say what became of it."""
    from rbmx.jobs.inputs import is_remote

    dataset = open_data(args.data, args)
    size = _upload(args, dataset) if is_remote(args.output) else _write(args, dataset, Path(args.output))
    rows = dataset.n_rows
    print(f"{args.output}: {args.shards} shards of {rows} rows, {dataset.encoding.describe()}, {size / 1e6:.1f} MB")
    return 0


def _write(args: argparse.Namespace, dataset: Dataset, folder: Path) -> int:
    from rbmx.jobs.sharding import write_shards

    paths = write_shards(
        dataset,
        args.shards,
        folder,
        label=args.label,
        shuffle=args.seed if args.shuffle else None,
        labels=args.keep_labels,
        block_rows=args.block_rows,
    )
    return sum(path.stat().st_size for path in paths)


def _upload(args: argparse.Namespace, dataset: Dataset) -> int:
    from rbmx.jobs.engine import Engine

    with tempfile.TemporaryDirectory(prefix="rbmx-shards-") as folder:
        hdfs = Engine("hadoop", Path(folder), tuple(args.conf_path)).hdfs
        if hdfs.exists(args.output):
            raise DataError(f"{args.output}: is there already; choose a new folder, or remove it (hadoop fs -rm -r)")
        shards = Path(folder) / "shards"
        size = _write(args, dataset, shards)
        hdfs.upload(sorted(shards.iterdir()), args.output)
    return size
