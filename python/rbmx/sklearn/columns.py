"""What a column of a table becomes: its unit type, and the way there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Category", "Column", "Flag", "Number", "kind_of_dtype", "learn_column"]

Values = NDArray[Any]
Reals = NDArray[np.float64]


class Column(Protocol):
    """A column's code: `width` visible units of type `unit` (a spec of rbmx.units)."""

    kind: ClassVar[str]

    @property
    def unit(self) -> str:
        """The spec of its unit type."""
        ...

    @property
    def width(self) -> int:
        """How many units it has."""
        ...

    def encode(self, values: Values, name: str) -> Reals:
        """(rows,) values as states, (rows, width), NaN where missing; ValueError names a value it cannot have."""
        ...

    def decode(self, states: Values) -> Values:
        """States (rows, width) as values (rows,)."""
        ...


@dataclass(frozen=True)
class Number:
    """(value - mean) / scale, a Gaussian unit."""

    mean: float
    scale: float
    kind: ClassVar[str] = "number"
    unit: ClassVar[str] = "gaussian"
    width: ClassVar[int] = 1

    @classmethod
    def learn(cls, values: Values, name: str) -> Number:
        """Mean and standard deviation of the known values of a column; a constant has scale 1."""
        numbers = _numbers(values, name)
        known = numbers[~np.isnan(numbers)]
        return cls(float(known.mean()), float(known.std()) or 1.0)

    def encode(self, values: Values, name: str) -> Reals:
        """Standardised."""
        return (_numbers(values, name)[:, None] - self.mean) / self.scale

    def decode(self, states: Values) -> Values:
        """In the column's own scale."""
        return np.asarray(states[:, 0] * self.scale + self.mean)


@dataclass(frozen=True)
class Category:
    """One unit on among as many as there are values, a softmax group."""

    values: tuple[Any, ...]
    kind: ClassVar[str] = "category"

    @classmethod
    def learn(cls, values: Values, name: str, known: Sequence[Any] | None) -> Category:
        """All known values in their order, or those of the column, sorted where they can be."""
        found = list(dict.fromkeys(values[~_missing(values)].tolist())) if known is None else list(known)
        if known is None:
            found.sort(key=lambda value: (type(value).__name__, value))
        if len(found) < 2:
            raise ValueError(f"{name}: expected two categories or more, got {found}: it tells nothing, leave it out")
        return cls(tuple(found))

    @property
    def unit(self) -> str:
        """softmax(number of values)."""
        return f"softmax({self.width})"

    @property
    def width(self) -> int:
        """The number of values."""
        return len(self.values)

    def encode(self, values: Values, name: str) -> Reals:
        """One-hot rows."""
        place = {value: i for i, value in enumerate(self.values)}
        known = ~_missing(values)
        states = np.full((len(values), self.width), np.nan)
        try:
            states[known] = np.eye(self.width)[[place[value] for value in values[known].tolist()]]
        except KeyError as error:
            raise ValueError(
                f"{name}: category {error.args[0]!r} was not seen in training, which knew {list(self.values)}; "
                "name all there can be by categories="
            ) from None
        return states

    def decode(self, states: Values) -> Values:
        """The value of the unit that is on, or most probably on."""
        found: Values = np.array(self.values, dtype=object)[states.argmax(axis=1)]
        return found


@dataclass(frozen=True)
class Flag:
    """A Bernoulli unit: 0 and 1, or False and True."""

    kind: ClassVar[str] = "flag"
    unit: ClassVar[str] = "bernoulli"
    width: ClassVar[int] = 1

    def encode(self, values: Values, name: str) -> Reals:
        """0 and 1."""
        numbers = _numbers(values, name)
        bad = (numbers != 0) & (numbers != 1) & ~np.isnan(numbers)
        if bad.any():
            raise ValueError(f"{name}: expected flags, 0 and 1 or False and True, got {values[bad.argmax()]!r}")
        return numbers[:, None]

    def decode(self, states: Values) -> Values:
        """0 and 1, the nearer one of a probability."""
        return np.rint(states[:, 0])


def learn_column(kind: str, values: Values, name: str, known: Sequence[Any] | None) -> Column:
    """The code of a column from its values in training, some of which may be missing.

    Args:
        kind: "number", "category" or "flag".
        values: (rows,).
        name: what errors call it.
        known: all categories there can be; None: those of `values`.
    """
    if _missing(values).all():
        raise ValueError(f"{name}: all values are missing: it tells nothing, leave it out")
    if kind == "number":
        return Number.learn(values, name)
    if kind == "category":
        return Category.learn(values, name, known)
    if kind == "flag":
        return Flag()
    raise ValueError(f"{name}: expected type 'number', 'category' or 'flag', got {kind!r}")


def kind_of_dtype(dtype: Any) -> str:
    """What a DataFrame's column of that dtype is, where nobody says."""
    return {"b": "flag", "i": "number", "u": "number", "f": "number"}.get(dtype.kind, "category")


def _missing(values: Values) -> NDArray[np.bool_]:
    """Where NaN, None, NaT or pandas.NA stands: what does not equal itself, or does not say."""
    if values.dtype != object:
        return np.asarray(values != values)
    return np.array([value is None or not _is(value == value) for value in values], bool)


def _is(answer: object) -> bool:
    return isinstance(answer, bool | np.bool_) and bool(answer)


def _numbers(values: Values, name: str) -> Reals:
    try:
        return np.where(_missing(values), np.nan, values).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected numbers ({error}); for words say column_types 'category'") from None
