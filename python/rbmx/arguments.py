"""Arguments of the right type: the one place where a wrong one gets its error, by name, with what was expected."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

__all__ = ["check_types", "items", "number", "text", "whole_number"]


def whole_number(name: str, value: object) -> int:
    """The value as an int; TypeError where it is another type: 3.0, "3" and True are no whole numbers."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise _wrong(name, value, "a whole number")
    return int(value)


def number(name: str, value: object) -> float:
    """The value, an int or a float; TypeError where it is another type."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise _wrong(name, value, "a number")
    return int(value) if isinstance(value, Integral) else float(value)


def text(name: str, value: object) -> str:
    """The value; TypeError where it is no str."""
    if not isinstance(value, str):
        raise _wrong(name, value, "a str")
    return value


def items(name: str, value: object, what: str) -> Sequence[Any]:
    """The value; TypeError where it is no list or tuple. `what` says of which things."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise _wrong(name, value, f"a list of {what}")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise _wrong(name, value, "True or False")
    return bool(value)


def _wrong(name: str, value: object, expected: str) -> TypeError:
    return TypeError(f"{name}: expected {expected}, got {value!r}")


_BY_ANNOTATION = {"int": whole_number, "float": number, "str": text, "bool": _flag}


def check_types(settings: Any) -> None:
    """For the __post_init__ of a dataclass: its int, float, str and bool fields ("| None" too) hold what they say.

    NumPy's scalars become Python's, which files can hold.

    Raises:
        TypeError: a field of another type.
    """
    for field in dataclasses.fields(settings):
        kind, optional = str(field.type).removesuffix(" | None"), str(field.type).endswith(" | None")
        value = getattr(settings, field.name)
        if kind in _BY_ANNOTATION and not (optional and value is None):
            object.__setattr__(settings, field.name, _BY_ANNOTATION[kind](field.name, value))
