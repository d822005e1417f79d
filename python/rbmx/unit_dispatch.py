"""Functions of a unit type, one for each class: functools.singledispatch in a form that torch.compile can follow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar, get_type_hints, overload

__all__ = ["by_unit_type"]

Result = TypeVar("Result")
Function = Callable[..., Result]


class by_unit_type(Generic[Result]):  # noqa: N801 - a decorator
    """A function of (unit, ...) that goes to what is registered for the nearest class of the unit, else to itself.

    `@function.register` takes the class from the annotation of `unit`, `@function.register(Class)` as given.
    """

    def __init__(self, default: Function[Result]) -> None:
        self.default = default
        self.table: dict[type, Function[Result]] = {}

    @overload
    def register(self, kind: type) -> Callable[[Function[Result]], Function[Result]]: ...
    @overload
    def register(self, kind: Function[Result]) -> Function[Result]: ...
    def register(self, kind: Any) -> Any:
        """Add a function, as above."""
        return partial(self._add, kind) if isinstance(kind, type) else self._add(get_type_hints(kind)["unit"], kind)

    def _add(self, kind: type, function: Function[Result]) -> Function[Result]:
        self.table[kind] = function
        return function

    def __call__(self, unit: Any, *arguments: Any) -> Result:
        """The function of the unit's class."""
        for kind in type(unit).__mro__:
            if kind in self.table:
                return self.table[kind](unit, *arguments)
        return self.default(unit, *arguments)
