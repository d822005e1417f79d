"""NumPy's float32 matrix product: its peak, and the products of a training step."""

from __future__ import annotations

import time

import numpy as np

from rbmx.bench.harness import repeated, stopwatch

__all__ = ["product_seconds", "sgemm_peak"]


def sgemm_peak() -> float:
    """FLOP/s of the product of two 1024 x 1024 matrices, best of 40."""
    n = 1024
    rng = np.random.default_rng(0)
    a = rng.random((n, n), dtype=np.float32)
    out = np.empty_like(a)
    seconds = []
    for _ in range(40):
        start = time.perf_counter()
        np.matmul(a, a, out=out)
        seconds.append(time.perf_counter() - start)
    return 2.0 * n**3 / min(seconds)


def product_seconds(shape: tuple[int, int, int]) -> float:
    """Seconds of one product (m, inner) x (inner, n), repeated for a while."""
    m, inner, n = shape
    rng = np.random.default_rng(0)
    a = rng.random((m, inner), dtype=np.float32)
    b = rng.random((inner, n), dtype=np.float32)
    out = np.empty((m, n), np.float32)
    product = stopwatch(lambda: np.matmul(a, b, out=out))
    product()
    return repeated(product)()
