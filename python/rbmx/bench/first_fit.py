"""What the first training of a process costs more than later ones: loading, threads, memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.bench.harness import Timing, WrongAnswerError, table
from rbmx.bits import PackedBits

__all__ = ["LIMIT_MS", "first_fit", "time_fits"]

LIMIT_MS = 50.0
"""What the first call may cost more than the fifth."""

_PROGRAM = """
import hashlib, json, sys, time
import numpy as np
import rbmx
from rbmx.bits import PackedBits
rows = PackedBits(np.load(sys.argv[1]), int(sys.argv[2]))
rbmx.set_num_threads(int(sys.argv[4]))
config = rbmx.TrainConfig(epochs=1)
seconds, weights = [], set()
for _ in range(5):
    params = rbmx.RBMParams.initial(rows.n_units, int(sys.argv[3]), key=rbmx.Key(0))
    start = time.perf_counter()
    rbmx.train(params, rows, config, progress=False)
    seconds.append(time.perf_counter() - start)
    weights.add(hashlib.sha256(params.weight.tobytes()).hexdigest())
print(json.dumps([seconds, sorted(weights)]))
"""


def time_fits(images: npt.NDArray[np.uint8], *, n_hidden: int, threads: int, rounds: int) -> list[list[float]]:
    """Seconds of five equal calls of rbmx.train, one epoch each, in each of `rounds` fresh processes."""
    fits, weights = [], set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        np.save(path, PackedBits.pack(images).words)
        arguments = [str(path), str(images.shape[1]), str(n_hidden), str(threads)]
        for _ in range(rounds):
            command = [sys.executable, "-c", _PROGRAM, *arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            seconds, of_process = json.loads(done.stdout)
            fits.append(seconds)
            weights.update(of_process)
    if len(weights) != 1:
        raise WrongAnswerError(f"first fit: equal calls gave {len(weights)} different weights")
    return fits


def first_fit(
    images: npt.NDArray[np.uint8], *, n_hidden: int = 500, threads: int = 2, rounds: int = 7
) -> dict[str, object]:
    """Print and return the first call beside the fifth; "within" by the median of their differences."""
    fits = time_fits(images, n_hidden=n_hidden, threads=threads, rounds=rounds)
    calls = [Timing(tuple(1e3 * seconds[i] for seconds in fits)) for i in range(5)]
    more = statistics.median(1e3 * (seconds[0] - seconds[4]) for seconds in fits)
    head = [f"rbmx.train, {len(images):,} rows, ms", "first", "fifth", "more", "limit"]
    first, fifth = f"{calls[0].median:.1f}", f"{calls[4].median:.1f}"
    print(
        table(head, [["median of fresh processes", first, fifth, f"{more:.1f}", f"{LIMIT_MS:.0f}"]]), "\n", flush=True
    )
    return {
        "name": "first fit",
        "first_ms": calls[0].median,
        "fifth_ms": calls[4].median,
        "more_ms": more,
        "limit_ms": LIMIT_MS,
        "calls_ms": [list(call.seconds) for call in calls],
        "within": more <= LIMIT_MS,
    }
