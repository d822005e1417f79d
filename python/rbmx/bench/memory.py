"""Peak memory of training, measured in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.bench.csv_reading import write_csv
from rbmx.bench.harness import Report, WrongAnswerError, facts, table

__all__ = ["CSV_LIMIT_MB", "TRAINING_LIMIT_MB", "WIDE_ARRAYS", "WIDE_EXTRA_MB", "peak_of", "run_memory", "wide_memory"]

TRAINING_LIMIT_MB = 60.0
"""Above an interpreter with NumPy, while 784-500 trains on the 60,000 binarised images."""

CSV_LIMIT_MB = 400.0
"""Resident, while `rbmx fit` streams a CSV file of any size."""

WIDE_ARRAYS, WIDE_EXTRA_MB = 4, 8.0
"""Weight-sized arrays, and beyond them, that training with momentum may hold above the packed data."""

# The high-water mark of the process itself: unlike ru_maxrss it starts anew at exec.
_PEAK = """
import json, re, sys
def report(**more):
    kilobytes = re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read()).group(1)
    print(json.dumps({"peak_mb": int(kilobytes) * 1024 / 1e6, **more}))
"""

_NUMPY = "import numpy\nreport()"

_TRAIN = """
import rbmx
from rbmx.data import open_source
params = rbmx.RBMParams.initial(784, 500, key=rbmx.Key(0))
data = open_source(sys.argv[1], binarize=127)
result = rbmx.train(params, data, rbmx.TrainConfig(epochs=int(sys.argv[2])), progress=False)
last = result.history[-1]
report(rows=last.rows, error=last.reconstruction_error)
"""

_WIDE_DATA = """
import numpy as np
import rbmx, rbmx.training
from rbmx.bits import PackedBits
units, n_rows = int(sys.argv[1]), int(sys.argv[2])
words = np.random.default_rng(0).integers(2**64, size=(n_rows, units // 64), dtype=np.uint64)
rows = PackedBits(words, units)
config = rbmx.TrainConfig(epochs=1, optimizer=rbmx.SGD(lr=0.01, momentum=0.5))
"""

_WIDE_TRAIN = """
params = rbmx.RBMParams.initial(units, units, key=rbmx.Key(0))
result = rbmx.train(params, rows, config, progress=False)
report(rows=result.history[-1].rows)
"""

_COMMAND = """
from rbmx.cli import main
status = main(sys.argv[1:])
report(status=status)
"""


def peak_of(program: str, arguments: Sequence[str] = ()) -> dict[str, float]:
    """Run a Python program that ends with `report(...)`: its peak_mb and what it reported."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK + program, *arguments],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _train(images_path: Path, epochs: int) -> tuple[list[list[str]], list[dict[str, object]]]:
    """The line and the record of training from the IDX file."""
    numpy_mb = peak_of(_NUMPY)["peak_mb"]
    figures = peak_of(_TRAIN, [str(images_path), str(epochs)])
    if not 0.0 < figures["error"] < 0.06:
        raise WrongAnswerError(f"training: reconstruction error {figures['error']}, expected < 0.06")
    above = figures["peak_mb"] - numpy_mb
    lines = [
        ["interpreter with NumPy", f"{numpy_mb:.0f}", "", ""],
        [f"training on {images_path.name}", f"{figures['peak_mb']:.0f}", f"{above:.0f}", "60"],
    ]
    record: dict[str, object] = {
        "name": "training",
        "rows": figures["rows"],
        "peak_mb": figures["peak_mb"],
        "numpy_peak_mb": numpy_mb,
        "above_numpy_mb": above,
        "limit_mb": TRAINING_LIMIT_MB,
        "within": above < TRAINING_LIMIT_MB,
    }
    return lines, [record]


def wide_memory(units: int = 2048, n_rows: int = 5000) -> dict[str, object]:
    """Print and return what training with momentum holds at its peak, in weight-sized arrays.

    Above an interpreter with the same modules and the same packed rows; the parameters count, and their making.
    """
    arguments = [str(units), str(n_rows)]
    without = peak_of(_WIDE_DATA + "report()", arguments)["peak_mb"]
    figures = peak_of(_WIDE_DATA + _WIDE_TRAIN, arguments)
    if figures["rows"] != n_rows:
        raise WrongAnswerError(f"training memory: trained on {figures['rows']} rows, expected {n_rows}")
    array_mb = 4e-6 * units**2
    above, limit = figures["peak_mb"] - without, WIDE_ARRAYS * array_mb + WIDE_EXTRA_MB
    head = [f"training {units}-{units} with momentum, MB", "above data", "weight arrays", "limit"]
    line = ["peak", f"{above:.1f}", f"{above / array_mb:.2f}", f"{limit:.1f} = {WIDE_ARRAYS} arrays + 8"]
    print(table(head, [line]), "\n", flush=True)
    return {
        "name": "training memory",
        "units": units,
        "rows": n_rows,
        "above_data_mb": above,
        "weight_array_mb": array_mb,
        "weight_arrays": above / array_mb,
        "limit_mb": limit,
        "within": above <= limit,
    }


def _stream(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], gigabytes: float
) -> tuple[list[list[str]], list[dict[str, object]]]:
    """The line and the record of `rbmx fit` on a CSV file of that size."""
    with tempfile.TemporaryDirectory() as folder:
        path, model = Path(folder) / "mnist.csv", Path(folder) / "model.safetensors"
        rows = write_csv(path, images, labels, min_bytes=int(gigabytes * 1e9))
        size = path.stat().st_size / 1e9
        print(f"  wrote {rows:,} rows, {size:.2f} GB; rbmx fit ...", file=sys.stderr, flush=True)
        command = ["fit", str(path), "--label", "first", "--binarize", "127", "--hidden", "500"]
        start = time.perf_counter()
        figures = peak_of(_COMMAND, [*command, "--epochs", "1", "-o", str(model)])
        seconds = time.perf_counter() - start
        if figures["status"] != 0 or not model.is_file():
            raise WrongAnswerError(f"rbmx fit ended with status {figures['status']}, no model")
    peak = figures["peak_mb"]
    lines = [[f"rbmx fit, CSV of {size:.2f} GB, {seconds:.0f} s", f"{peak:.0f}", "", "400"]]
    record: dict[str, object] = {
        "name": "csv",
        "rows": rows,
        "gigabytes": size,
        "seconds": seconds,
        "peak_mb": peak,
        "limit_mb": CSV_LIMIT_MB,
        "within": peak < CSV_LIMIT_MB,
    }
    return lines, [record]


def run_memory(
    images_path: Path,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    csv_gigabytes: float = 0.0,
    epochs: int = 2,
    threads: int = 2,
) -> Report:
    """Measure training from the IDX file and, if asked, `rbmx fit` on a large CSV file.

    Args:
        images_path: the IDX file of the 60,000 images.
        images: gray values whose rows the CSV file repeats.
        labels: their digits.
        csv_gigabytes: size of the CSV file, made in a temporary folder; 0 for none.
        epochs: of the training.
        threads: only written into the report.
    """
    report = Report("memory", {"csv_gigabytes": csv_gigabytes, "epochs": epochs}, facts(threads=threads))
    lines, report.rows = _train(images_path, epochs)
    if csv_gigabytes > 0:
        more_lines, more_rows = _stream(images, labels, csv_gigabytes)
        lines += more_lines
        report.rows += more_rows
    print(table(["peak memory, MB", "resident", "above NumPy", "limit"], lines), flush=True)
    return report
