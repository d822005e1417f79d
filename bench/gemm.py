"""The canonical product beside the linked BLAS at the shapes of training: GFLOP/s and their ratio, in turns."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy_openblas32

from rbmx.backends import native

SHAPES = [
    ("v W^T", 100, 500, 784),
    ("h W", 100, 784, 500),
    ("p^T v", 500, 784, 100),
    ("p^T v", 500, 784, 200),
    ("square", 1024, 1024, 1024),
]
ROUNDS = 15


def load_blas() -> ctypes.CDLL:
    """The library that rbmx is linked with."""
    return ctypes.CDLL(str(Path(scipy_openblas32.get_lib_dir()) / scipy_openblas32.get_library(fullname=True)))


def blas_product(blas: ctypes.CDLL, a: Any, b: Any, out: Any) -> None:
    """out = a b; a and b are C-contiguous or transposes of such."""
    (m, k), n = a.shape, b.shape[1]
    row_major, as_is, transposed = 101, 111, 112
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    x, y, z = (ctypes.c_void_p(array.ctypes.data) for array in (a, b, out))
    turn_a, a_pitch = (as_is, k) if a.flags.c_contiguous else (transposed, m)
    turn_b, b_pitch = (as_is, n) if b.flags.c_contiguous else (transposed, k)
    blas.scipy_cblas_sgemm(row_major, turn_a, turn_b, m, n, k, one, x, a_pitch, y, b_pitch, zero, z, n)


def compare(blas: ctypes.CDLL, name: str, a: Any, b: Any, threads: int) -> str:
    """One line of the table: the best of each, and the median of the ratios of a round."""
    (m, k), n = a.shape, b.shape[1]
    out = np.empty((m, n), np.float32)
    repeats = max(3, int(2e8 / (m * n * k)))
    seconds = np.empty((2, ROUNDS))
    for turn in range(ROUNDS):
        for row, product in enumerate((lambda: native._core.gemm(a, b), lambda: blas_product(blas, a, b, out))):
            start = time.perf_counter()
            for _ in range(repeats):
                product()
            seconds[row, turn] = (time.perf_counter() - start) / repeats
    ours, theirs = 2e-9 * m * n * k / seconds.min(axis=1)
    ratio = float(np.median(seconds[1] / seconds[0]))
    shape = f"{m} x {n} x {k}"
    return f"{threads} threads  {name:7} {shape:18} canonical {ours:6.1f}  BLAS {theirs:6.1f}  ratio {ratio:.2f}"


def main() -> None:
    """Print one line per shape and number of threads."""
    blas, rng = load_blas(), np.random.default_rng(0)
    for threads in (1, 2):
        native.set_num_threads(threads)
        blas.scipy_openblas_set_num_threads(threads)
        for name, m, n, k in SHAPES:
            a = rng.random((k, m) if name == "p^T v" else (m, k), dtype=np.float32)
            b = rng.random((n, k) if name == "v W^T" else (k, n), dtype=np.float32)
            x, y = (a.T if name == "p^T v" else a), (b.T if name == "v W^T" else b)
            print(compare(blas, name, x, y, threads), flush=True)


if __name__ == "__main__":
    main()
