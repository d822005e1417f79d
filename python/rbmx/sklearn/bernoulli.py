"""BernoulliRBM: scikit-learn's, trained natively."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows, as_array
from rbmx.bits import PackedBits
from rbmx.data import Dataset, open_source
from rbmx.data.csr import is_sparse
from rbmx.likelihood.pseudolikelihood import pseudo_log_likelihood
from rbmx.params import RBMParams
from rbmx.sklearn.flips import score_of_flips
from rbmx.sklearn.transformer import RBMTransformer, Values

__all__ = ["BernoulliRBM"]


class BernoulliRBM(RBMTransformer):
    """Bernoulli units on both sides, a drop-in for sklearn.neural_network.BernoulliRBM.

    The same constructor, defaults, fitted attributes and algorithm: PCD-1 (Tieleman 2008) on the rows in their order,
    biases and chains from zero, no momentum. A short last minibatch weighs both phases by their own number of rows,
    and `partial_fit` cuts a chunk into minibatches and returns self.

    Values of 0 and 1 are bits and take the exact integer kernels; values between are probabilities. Values outside
    [0, 1] are what no Bernoulli unit can be: `fit` warns, and goes on with the numbers as they are, as scikit-learn
    does without a word; nothing is clipped. As weights then pass the range of the kernels, NumPy takes their place.

    NaN is refused as there; `impute` alone takes it.

    `score_samples` is the log pseudo-likelihood sum_i log p(v_i | all other v) over all bits, where scikit-learn
    draws one bit of each row: always the same for the same row, and what the mean of scikit-learn's draws tends to.

    Args:
        n_components: hidden units.
        learning_rate: of a mean over the rows of a minibatch.
        batch_size: rows of a minibatch, and persistent chains.
        n_iter: passes over the data.
        verbose: above 0, a line an iteration; its pseudo-likelihood is that of the first 1,000 rows.
        random_state: int, RandomState or None; names the 64-bit key of all noise.
        k: Gibbs steps of an update.
        persistent: PCD; False: CD, chains that start at the data each time (there is no h_samples_ then).
        momentum: 0 <= momentum < 1.
        weight_decay: each update takes learning_rate * weight_decay * weight off the weight.

    Attributes:
        components_: W, (n_components, n_features).
        intercept_hidden_: (n_components,).   intercept_visible_: (n_features,).
        h_samples_: hidden states of the chains, (batch_size, n_components).
        n_features_in_, feature_names_in_: as in every estimator.
    """

    _visible = "bernoulli"
    _takes_missing = False
    _score_name = "pseudo-likelihood"

    def __init__(
        self,
        n_components: int = 256,
        *,
        learning_rate: float = 0.1,
        batch_size: int = 10,
        n_iter: int = 10,
        verbose: int = 0,
        random_state: Any = None,
        k: int = 1,
        persistent: bool = True,
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
        return np.zeros(v.shape[1])

    def _dataset(self, v: Values) -> Dataset:
        low, high = _range(v)
        return open_source(v, unbounded=low < 0 or high > 1, name="X")

    def _start(self, rows: Values) -> None:
        self._engine = "auto"
        super()._start(rows)

    def _train(self, rows: Values, iterations: int) -> BernoulliRBM:
        low, high = _range(rows)
        if low < 0 or high > 1:
            self._engine = "reference"
            warnings.warn(
                f"X: values from {low:g} to {high:g}; Bernoulli units expect [0, 1] (bits or probabilities), and "
                "learn from others as if they were: rescale them, or take GaussianRBM",
                stacklevel=3,
            )
        return super()._train(rows, iterations)

    def _visible_values(self, rows: Rows) -> Values:
        return as_array(rows) > 0

    def _scores(self, v: Values, params: RBMParams) -> NDArray[np.float64]:
        def score(_backend: object, rows: Rows, _row: int) -> NDArray[np.float64]:
            exact = isinstance(rows, PackedBits)
            return pseudo_log_likelihood(params, rows) if exact else score_of_flips(params, as_array(rows))

        return self._map(v, params, score)


def _range(v: Values) -> tuple[float, float]:
    """The least and the greatest value, 0 among them."""
    values: Any = v.data if is_sparse(v) else v
    return float(values.min(initial=0)), float(values.max(initial=0))
