"""GaussianRBM: real columns of variance 1 under Bernoulli hidden units."""

from __future__ import annotations

from typing import Any

import numpy as np

from rbmx.backends import Rows, as_array
from rbmx.data.csr import is_sparse
from rbmx.sklearn.transformer import RBMTransformer, Values, dense

__all__ = ["GaussianRBM"]


class GaussianRBM(RBMTransformer):
    """Gaussian visible units of variance 1, Bernoulli hidden units: features of real columns.

    The variance is fixed: bring the columns to it first, as in make_pipeline(StandardScaler(), GaussianRBM()). Visible
    biases start at the column means (of the first chunk, with partial_fit), so that the weights have only what goes
    together to learn. The rate must be far below that of Bernoulli units, for nothing bounds a reconstruction
    (Hinton 2010, section 13.2); too high a one ends in DivergedError.

    NaN is a missing entry, summed out in fit, partial_fit and transform; `impute` fills it in.

    `score_samples` is -F(v), which is log p(v) + log Z: it ranks rows under one machine, and does not compare machines.

    Args:
        n_components, batch_size, n_iter, verbose, random_state, k, momentum, weight_decay: as of BernoulliRBM.
        learning_rate: of a mean over the rows of a minibatch.
        persistent: True: PCD; False: CD, whose chains start at the data.

    Attributes:
        components_, intercept_hidden_, intercept_visible_, n_features_in_, feature_names_in_: as of BernoulliRBM.
        h_samples_: as there, where persistent is true.
    """

    _visible = "gaussian"

    def __init__(
        self,
        n_components: int = 256,
        *,
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

    def _initial_visible_bias(self, v: Values) -> Values:
        if is_sparse(v) and not np.isnan(v.data).any():
            return np.asarray(v.mean(axis=0)).ravel()
        return np.asarray(np.nanmean(dense(v, v.dtype), axis=0))

    def _visible_values(self, rows: Rows) -> Values:
        return as_array(rows).astype(self._dtype)
