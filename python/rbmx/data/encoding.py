"""How raw values become what a Bernoulli layer sees: bits, or real numbers in [0, 1]."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rbmx.bits import PackedBits
from rbmx.data.source import Block, row_and_column
from rbmx.errors import DataError
from rbmx.rng import Key, Purpose, uniform

__all__ = ["Encoded", "Encoding", "Kind"]

Kind = Literal["bits", "real"]
Encoded = PackedBits | NDArray[np.float32]

SAMPLE_ROWS = 512  # the uniform numbers of a whole block at once would take more memory than it
REMEDY = "bring them into range with --scale and --binarize (scale=, binarize=)"


@dataclass(frozen=True)
class Encoding:
    """The rule that turns raw values into bits or real values.

    Attributes:
        binarize: a threshold: 1 where the raw value is greater; "sample": a draw with probability
            value / scale that stays the same over epochs and splits; None: values as they are.
        scale: what values are divided by. Giving it without `binarize` says that values are real;
            without either, values of only 0 and 1 become bits.
        seed: of the draws of "sample"; 0 elsewhere.
        unbounded: real values of any size, for Gaussian visible units; without it they lie in [0, 1].
    """

    binarize: float | Literal["sample"] | None = None
    scale: float | None = None
    seed: int = 0
    unbounded: bool = False

    def __post_init__(self) -> None:
        if self.binarize is not None and self.binarize != "sample":
            threshold = finite_number(self.binarize, "binarize", 'a finite number, "sample" or None')
            object.__setattr__(self, "binarize", threshold)
        if self.scale is not None:
            scale = finite_number(self.scale, "scale", "a finite number above 0 or None")
            if scale <= 0:
                raise ValueError(f"scale: expected a finite number above 0, got {self.scale!r}")
            object.__setattr__(self, "scale", scale)
        if isinstance(self.binarize, float) and self.scale is not None:
            raise ValueError(
                f"scale: binarize={self.binarize:g} compares the raw values, so scale="
                f"{self.scale:g} would not be used; give one of the two"
            )
        if self.unbounded and self.binarize is not None:
            raise ValueError("unbounded: expected no binarize beside it")
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)):
            raise TypeError(f"seed: expected an int, got {self.seed!r}")
        # where nothing is drawn the seed is nothing two encodings could differ in
        seed = Key(int(self.seed)).seed if self.binarize == "sample" else 0
        object.__setattr__(self, "seed", seed)

    def describe(self) -> str:
        """The rule in words, for reports and logs."""
        if self.binarize == "sample":
            ratio = "value" if self.scale is None else f"value / {self.scale:g}"
            return f"sampled with probability {ratio}, seed {self.seed}"
        if self.binarize is not None:
            return f"binarised at value > {self.binarize:g}"
        if self.unbounded and self.scale is None:
            return "real values of any size"
        return "values as they are" if self.scale is None else f"real values, value / {self.scale:g}"

    def to_json(self) -> str:
        """The rule as JSON text, for checkpoints."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Encoding:
        """The rule that to_json wrote."""
        fields = json.loads(text)
        if not isinstance(fields, dict) or not set(fields) <= {"binarize", "scale", "seed", "unbounded"}:
            raise ValueError(f"encoding: expected binarize, scale and seed as JSON, got {text!r}")
        return cls(**fields)

    def kind_of(self, values: NDArray[Any] | PackedBits) -> Kind:
        """What such values become, if they are all there is; integers can only be 0 and 1."""
        if isinstance(values, PackedBits) or self.binarize is not None:
            return "bits"
        if self.scale is not None or self.unbounded:
            return "real"
        if values.dtype.kind in "biu":
            return "bits"
        return "bits" if bool(((values == 0) | (values == 1)).all()) else "real"

    def encode(
        self,
        block: Block,
        source_name: str = "data",
        *,
        kind: Kind | None = None,
        missing: bool = False,
        place: Callable[[int, int], str] = row_and_column,
    ) -> Encoded:
        """The block as packed bits or as float32 in [0, 1].

        Args:
            block: raw values; a float32 block that needs no change is returned as it is.
            source_name: what errors call the data.
            kind: what the whole source is; None takes it from this block.
            missing: NaN is a missing entry and stays, where values are real.
            place: how errors name a global row and column.
        """
        values = block.values
        if isinstance(values, PackedBits):
            if self.binarize is not None or self.scale is not None:
                raise ValueError(f"{source_name}: packed bits take neither binarize nor scale")
            return values
        kind = kind or self.kind_of(values)
        real = kind == "real" and self.binarize is None
        checked = _Checked(values, block.first_row, source_name, place, missing=missing and real)
        if self.binarize is not None and self.binarize != "sample":
            checked.require_finite()
            return PackedBits.pack(above(values, self.binarize))
        if self.unbounded:
            checked.require_float32()
        else:
            checked.require_range(self.scale)
        if self.binarize == "sample":
            return self._sample(values, block.first_row)
        if kind == "bits":
            checked.require_bits()
            return PackedBits.pack(values)
        if self.scale is None or self.scale == 1:
            return np.ascontiguousarray(values, np.float32)
        exact = values.dtype.kind == "f" and values.dtype.itemsize >= 4
        wide = values if exact else values.astype(np.float32)
        return np.ascontiguousarray(wide / wide.dtype.type(self.scale), np.float32)

    def _sample(self, values: NDArray[Any], first_row: int) -> PackedBits:
        key = Key(self.seed).fold_in(Purpose.BINARIZE)
        n_units = values.shape[1]
        parts = []
        for start in range(0, values.shape[0], SAMPLE_ROWS):
            part = values[start : start + SAMPLE_ROWS]
            draws = uniform(key, first_row + start, part.shape[0], n_units)
            # u < value / scale, without the rounding of a division
            parts.append(PackedBits.pack(draws * (self.scale or 1.0) < part))
        return PackedBits.concatenate(parts)


def finite_number(value: object, name: str, expected: str) -> float:
    """`value` as a float; TypeError or ValueError where it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}: expected {expected}, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return float(value)


def above(values: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """value > threshold, in the precision of the values."""
    if values.dtype.kind == "b":
        values = values.view(np.uint8)
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):  # a threshold beyond the dtype is beyond all its values
            limit = values.dtype.type(threshold)
    else:
        limits = np.iinfo(values.dtype)
        whole = math.floor(threshold)  # for integers v > t is v > floor(t)
        if whole < limits.min or whole >= limits.max:
            return np.full(values.shape, whole < limits.min)
        limit = values.dtype.type(whole)
    larger: NDArray[np.bool_] = values > limit
    return larger


@dataclass(frozen=True)
class _Checked:
    """A block on its way through the range checks, with what an error needs to name the place."""

    values: NDArray[Any]
    first_row: int
    name: str
    place: Callable[[int, int], str]
    missing: bool = False

    def require_finite(self) -> None:
        if self.values.dtype.kind != "f" or not self.values.size:
            return
        # NaN passes through min and max, so two passes without a temporary are enough
        if not (np.isfinite(self.values.min()) and np.isfinite(self.values.max())):
            self._refuse(~np.isfinite(self.values), "is not a finite number")

    def require_float32(self) -> None:
        self.require_finite()
        if self.values.dtype.kind != "f" or self.values.dtype.itemsize <= 4 or not self.values.size:
            return
        most = np.finfo(np.float32).max
        if not (-most <= self.values.min() and self.values.max() <= most):
            self._refuse(np.abs(self.values) > most, "is not a finite float32")

    def require_range(self, scale: float | None) -> None:
        if self.values.dtype.kind == "b" or not self.values.size:
            return
        top = 1.0 if scale is None else scale
        if not (self.values.min() >= 0 and self.values.max() <= top):
            self.require_finite()
            bad = ~((self.values >= 0) & (self.values <= top))
            of = "" if scale is None else f" (scale is {scale:g})"
            self._refuse(bad, f"lies outside [0, {top:g}]{of}; {REMEDY}")

    def require_bits(self) -> None:
        bad = (self.values != 0) & (self.values != 1)
        if bad.any():
            self._refuse(
                bad,
                "is neither 0 nor 1 as all values before it were; for real values say so with "
                "--scale 1 (scale=1), for bits use --binarize (binarize=)",
            )

    def _refuse(self, bad: NDArray[np.bool_], fault: str) -> None:
        """DataError for the first bad value; NaN is none where entries may be missing."""
        if self.missing:
            bad = bad & ~np.isnan(self.values)
            if not bad.any():
                return
        row, column = (int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
        value = self.values[row, column].item()
        where = self.place(self.first_row + row, column)
        raise DataError(f"{self.name}: {where}: value {value!r} {fault}")
