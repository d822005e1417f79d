"""MixedRBM: a table of numbers, categories and flags as one layer of visible units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted, validate_data

from rbmx.backends import Rows, as_array
from rbmx.sklearn.columns import Category, Column, Flag, Number, kind_of_dtype, learn_column
from rbmx.sklearn.transformer import RBMTransformer, Values
from rbmx.units import mixed, unit_type

__all__ = ["MixedRBM"]


class MixedRBM(RBMTransformer):
    """A unit type for each column, Bernoulli hidden units: features of a table as it is.

    Numbers are standardised and Gaussian of variance 1, categories are one-hot coded and softmax (Potts), flags are
    Bernoulli. Types are those of a DataFrame's columns (bool: flag; numeric: number; all else: category), and numbers
    for an array, unless `column_types` says otherwise. Visible biases start where units alone have the columns' means.

    Missing values (NaN, None, pandas.NA) are summed out in fit, partial_fit and transform; `impute` fills them in.

    `score_samples` is -F(v), which is log p(v) + log Z of the coded row.

    Args:
        n_components, batch_size, n_iter, verbose, random_state, k, persistent, momentum, weight_decay: as of
            BernoulliRBM.
        learning_rate: as of GaussianRBM; numbers are standardised, so that it does not depend on their scale.
        column_types: "number", "category" or "flag" for each column; or a mapping of some columns, by name or index.
        categories: a mapping of columns, by name or index, to all values they can have; without it, and without a
            categorical dtype, those of the training data (of the first chunk, with partial_fit).

    Attributes:
        columns_: what each column became: Number(mean, scale), Category(values) or Flag(); all means, scales and
            values again as mean_, scale_ and categories_.
        components_: W, (n_components, visible units): a category has as many units as values.
        intercept_hidden_, intercept_visible_, h_samples_, n_features_in_, feature_names_in_: as of BernoulliRBM.

    Raises:
        ValueError: by fit and transform: a value its column cannot have, a category not seen in training among them.
    """

    def __init__(
        self,
        n_components: int = 256,
        *,
        column_types: Sequence[str] | Mapping[Any, str] | None = None,
        categories: Mapping[Any, Sequence[Any]] | None = None,
        learning_rate: float = 0.01,
        batch_size: int = 10,
        n_iter: int = 10,
        verbose: int = 0,
        random_state: Any = None,
        k: int = 1,
        persistent: bool = False,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            n_components,
            learning_rate=learning_rate,
            batch_size=batch_size,
            n_iter=n_iter,
            verbose=verbose,
            random_state=random_state,
            k=k,
            persistent=persistent,
            momentum=momentum,
            weight_decay=weight_decay,
        )
        self.column_types = column_types
        self.categories = categories

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    @property
    def mean_(self) -> NDArray[np.float64]:
        """Means of the number columns, in their order."""
        return np.array([column.mean for column in self.columns_ if isinstance(column, Number)])

    @property
    def scale_(self) -> NDArray[np.float64]:
        """Standard deviations of the number columns, in their order."""
        return np.array([column.scale for column in self.columns_ if isinstance(column, Number)])

    @property
    def categories_(self) -> list[tuple[Any, ...]]:
        """Values of the category columns, in their order."""
        return [column.values for column in self.columns_ if isinstance(column, Category)]

    def _validated(self, X: Any, *, reset: bool, missing: bool = False) -> Values:  # noqa: N803
        """The rows in the code of the visible units, (rows, visible units); with `missing`, NaN where one is."""
        dtypes = list(X.dtypes) if hasattr(X, "iloc") else None
        words = self._expects_words(dtypes) if reset else bool(self.categories_)
        finite = "allow-nan" if missing else True
        dtype = object if words else (np.float64, np.float32)
        table = validate_data(self, X, reset=reset, dtype=dtype, ensure_all_finite=finite)
        names = [f"column {name!r}" for name in getattr(self, "feature_names_in_", range(table.shape[1]))]
        if reset:
            kinds, known = self._kinds(dtypes), self._known_categories(dtypes)
            self.columns_: list[Column] = [
                learn_column(kind, table[:, j], names[j], known.get(j)) for j, kind in enumerate(kinds)
            ]
            units = groupby(column.unit for column in self.columns_)
            self._frame: Any = None if dtypes is None else X.iloc[:0]
            self._visible = mixed((unit, len(list(same))) for unit, same in units)
        coded = [column.encode(table[:, j], names[j]) for j, column in enumerate(self.columns_)]
        return np.concatenate(coded, axis=1, dtype=np.float32 if table.dtype == np.float32 else np.float64)

    def _expects_words(self, dtypes: list[Any] | None) -> bool:
        """Whether a column may hold something else than numbers."""
        given = self.column_types or ()
        said = given.values() if isinstance(given, Mapping) else given
        return "category" in {*said, *(kind_of_dtype(dtype) for dtype in dtypes or ())}

    def _kinds(self, dtypes: list[Any] | None) -> list[str]:
        """Of each column, "number", "category" or "flag"."""
        n = self.n_features_in_
        kinds = ["number"] * n if dtypes is None else [kind_of_dtype(dtype) for dtype in dtypes]
        if isinstance(self.column_types, Mapping):
            for j, kind in self._by_index(self.column_types, "column_types").items():
                kinds[j] = kind
        elif self.column_types is not None:
            kinds = list(self.column_types)
            if len(kinds) != n:
                raise ValueError(f"column_types: expected one for each of {n} columns, got {len(kinds)}")
        return kinds

    def _known_categories(self, dtypes: list[Any] | None) -> dict[int, Sequence[Any]]:
        """All values that a column can have, by its index, where somebody says."""
        declared = {j: list(d.categories) for j, d in enumerate(dtypes or ()) if hasattr(d, "categories")}
        return {**declared, **self._by_index(self.categories or {}, "categories")}

    def _by_index(self, mapping: Mapping[Any, Any], argument: str) -> dict[int, Any]:
        """A mapping of columns, by name or index, with indices as keys."""
        index: dict[Any, int] = {j: j for j in range(self.n_features_in_)}
        index |= {name: j for j, name in enumerate(getattr(self, "feature_names_in_", ()))}
        unknown = [column for column in mapping if column not in index]
        if unknown:
            raise ValueError(f"{argument}: there is no column {unknown[0]!r}")
        return {index[column]: value for column, value in mapping.items()}

    def _initial_visible_bias(self, v: Values) -> Values:
        known = (~np.isnan(v)).sum(axis=0).astype(np.float64)
        return unit_type(self._visible).start_at(np.nanmean(v, axis=0, dtype=np.float64), known)

    def _visible_values(self, rows: Rows) -> Values:
        """A table in the order of the columns, a DataFrame where fit was given one.

        Else of numbers, or of objects where there are categories. The most probable value of flags and categories.
        """
        decoded = self._decoded(as_array(rows).astype(self._dtype))
        if self._frame is None:
            return np.column_stack(decoded)
        table: Any = type(self._frame)(dict(zip(self._frame.columns, decoded, strict=True)))
        kept = [name for name, column in zip(table.columns, self.columns_, strict=True) if column.kind != "number"]
        typed: Values = table.astype({name: self._frame.dtypes[name] for name in kept})
        return typed

    def _decoded(self, states: Values) -> list[Values]:
        """The values of each column."""
        ends = np.cumsum([column.width for column in self.columns_])[:-1]
        parts = np.split(states, ends, axis=1)
        return [column.decode(part) for column, part in zip(self.columns_, parts, strict=True)]

    def impute(self, X: Any, steps: int = 100) -> Any:  # noqa: N803
        """X with a value for every missing one: E[v | what is known] of numbers, else the most probable value.

        What is known stays as it is, and a DataFrame stays one.

        Args:
            X: a table as in transform.
            steps: as of every rbmx estimator.
        """
        check_is_fitted(self)
        coded = self._validated(X, reset=False, missing=True)
        firsts = np.cumsum([0, *(column.width for column in self.columns_)])[:-1]
        gaps, found = np.isnan(coded[:, firsts]), self._decoded(self._filled(coded, steps))
        framed = hasattr(X, "iloc")
        table: Any = X.copy() if framed else np.array(X)
        for j in np.flatnonzero(gaps.any(axis=0)):
            rows = np.flatnonzero(gaps[:, j])
            if framed:
                column, filled = table.iloc[:, j].copy(), found[j][rows]
                if isinstance(self.columns_[j], Flag) and _holds_bools(column):
                    filled = filled.astype(bool)
                elif column.dtype.kind in "iu":  # pandas' own, which know gaps
                    column = column.astype("Float64")
                column.iloc[rows] = filled
                table.isetitem(j, column)
            else:
                table[rows, j] = found[j][rows]
        return table


def _holds_bools(column: Any) -> bool:
    """Whether a column's known values are True and False, whatever its dtype."""
    known = column.dropna()
    return column.dtype.kind == "b" or (len(known) > 0 and all(isinstance(value, bool | np.bool_) for value in known))
