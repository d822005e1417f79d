"""Random numbers that belong to places: Philox4x32-10 in NumPy, the specification of the native kernels.

There is no generator object and no global state. A Key names a stream of numbers; a number is found by its
place in the stream: (unit, row, step, stream). See docs/determinism.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import whole_number

__all__ = ["Draws", "Key", "Purpose", "draw32", "philox", "uniform"]

ROWS_PER_CALL = 8
TIE_BIT = 0x80000000
ANGLE_BIT = 0x40000000  # the stream of a normal number's second uniform
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)

Words = NDArray[np.uint64]


class Purpose(IntEnum):
    """What a key is used for: keys of different purposes never share a number."""

    INITIAL_WEIGHTS = 0
    TRAINING = 1
    SHUFFLE = 2
    CHAINS = 3
    SAMPLING = 4
    BINARIZE = 5
    SHARD = 6
    LIKELIHOOD = 7
    CLAMPED = 8
    UP_DOWN = 9
    CORRUPTION = 10
    DROPOUT = 11


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, ...]:
    """Philox4x32-10 of broadcastable uint64 arrays that hold 32-bit words.

    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = x0 * _M0, x2 * _M1
        x0, x1, x2, x3 = (
            (b >> _HALF) ^ x1 ^ np.uint64(k0),
            b & _LOW,
            (a >> _HALF) ^ x3 ^ np.uint64(k1),
            a & _LOW,
        )
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return x0, x1, x2, x3


@dataclass(frozen=True)
class Key:
    """A 64-bit name for a stream of random numbers; fold_in derives independent names from it."""

    seed: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", whole_number("seed", self.seed))
        if not 0 <= self.seed < 1 << 64:
            raise ValueError(f"seed: expected an integer from 0 to 2^64 - 1, got {self.seed}")

    @property
    def words(self) -> tuple[int, int]:
        """The two 32-bit words of the Philox key."""
        return self.seed & 0xFFFFFFFF, self.seed >> 32

    def fold_in(self, n: int) -> Key:
        """The n-th key derived from this one: the first two words of Philox at counter
        (n, n >> 32, 0, 2^32 - 1), a stream that no half-step uses."""
        if n < 0:
            raise ValueError(f"n: expected 0 or more, got {n}")
        counter = tuple(np.uint64(w) for w in (n & 0xFFFFFFFF, n >> 32 & 0xFFFFFFFF, 0, 0xFFFFFFFF))
        low, high, _, _ = philox(tuple(np.array([w]) for w in counter), self.words)  # type: ignore[arg-type]
        return Key(int(low[0]) | int(high[0]) << 32)


def _draw16(
    key: Key, first_row: int, n_rows: int, units: NDArray[np.int64], step: int, stream: int
) -> NDArray[np.uint64]:
    rows = np.arange(first_row, first_row + n_rows)
    groups = np.arange(first_row // ROWS_PER_CALL, (first_row + n_rows - 1) // ROWS_PER_CALL + 1)
    call = philox(
        (
            units.astype(np.uint64)[None, :],
            (groups.astype(np.uint64) & _LOW)[:, None],
            np.full((1, 1), step & 0xFFFFFFFF, np.uint64),
            np.full((1, 1), stream, np.uint64),
        ),
        key.words,
    )
    halves = np.stack([half for word in call for half in (word & np.uint64(0xFFFF), word >> np.uint64(16))])
    return np.asarray(halves[rows % ROWS_PER_CALL, rows // ROWS_PER_CALL - groups[0], :])


def draw32(
    key: Key, first_row: int, n_rows: int, n_units: int, *, first_unit: int = 0, step: int = 0, stream: int = 0
) -> NDArray[np.uint32]:
    """32 random bits for each (row, unit), (n_rows, n_units): the same however rows and units are split into calls."""
    if n_rows == 0:
        return np.zeros((0, n_units), np.uint32)
    units = np.arange(first_unit, first_unit + n_units)
    high = _draw16(key, first_row, n_rows, units, step, stream)
    low = _draw16(key, first_row, n_rows, units, step, stream | TIE_BIT)
    return (high << np.uint64(16) | low).astype(np.uint32)


def uniform(
    key: Key, first_row: int, n_rows: int, n_units: int, *, first_unit: int = 0, step: int = 0, stream: int = 0
) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) with 32 bits, float64 (n_rows, n_units)."""
    bits = draw32(key, first_row, n_rows, n_units, first_unit=first_unit, step=step, stream=stream)
    return bits.astype(np.float64) * 2.0**-32


@dataclass(frozen=True)
class Draws:
    """The random numbers of one half-step: those at (unit, row, step, stream) for a block of rows and units."""

    key: Key
    first_row: int
    step: int
    stream: int
    first_unit: int = 0

    def at_unit(self, unit: int) -> Draws:
        """The numbers of the units from this one on: a block of a layer draws at its own places."""
        return replace(self, first_unit=self.first_unit + unit)

    def uniform(self, n_rows: int, n_units: int) -> NDArray[np.float64]:
        """Uniform in [0, 1), (n_rows, n_units)."""
        return self._uniform(n_rows, n_units, self.stream)

    def normal(self, n_rows: int, n_units: int) -> NDArray[np.float64]:
        """Standard normal (Box and Muller, from a unit's numbers in two streams), (n_rows, n_units)."""
        radius = np.sqrt(-2.0 * np.log1p(-self._uniform(n_rows, n_units, self.stream)))
        angle = self._uniform(n_rows, n_units, self.stream | ANGLE_BIT)
        return np.asarray(radius * np.cos(2.0 * np.pi * angle))

    def _uniform(self, n_rows: int, n_units: int, stream: int) -> NDArray[np.float64]:
        return uniform(
            self.key, self.first_row, n_rows, n_units, first_unit=self.first_unit, step=self.step, stream=stream
        )
