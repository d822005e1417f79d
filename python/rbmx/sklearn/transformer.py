"""What all estimators share: fitting by rbmx.train, hidden means as features, Gibbs steps."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted, validate_data

from rbmx.backends import Backend, Rows, as_array, backend_for
from rbmx.bits import PackedBits
from rbmx.data import Dataset, open_source
from rbmx.data.csr import is_sparse
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key, Purpose
from rbmx.samplers import CD, PCD
from rbmx.samplers.clamped import AVERAGED_STEPS, complete, mean_of_hidden, mean_of_missing
from rbmx.training import L2, SGD, Callback, EpochRecord, TrainConfig, Trainer, TrainState, train
from rbmx.training.completing import require_known_columns
from rbmx.training.measuring import MONITOR_STEPS

__all__ = ["RBMTransformer", "dense", "seed_from"]

Values = NDArray[Any]
Self = TypeVar("Self", bound="RBMTransformer")
VERBOSE_ROWS = 1000  # rows that the score of an iteration is measured on


class RBMTransformer(ABC, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Visible units of some type under Bernoulli hidden units, whose means are the features.

    The fitted attributes are the truth: `components_` (n_components, n_features), `intercept_hidden_`,
    `intercept_visible_` and `h_samples_`, the hidden states of the persistent chains. Every parameter is a float32
    inside; attributes and features have the dtype of the data.
    """

    _visible: str  # unit types of the visible side (rbmx.units)
    _score_name = "unnormalised log-likelihood"  # in the lines of `verbose`
    _engine = "auto"
    _takes_missing = True  # NaN, in fit, partial_fit and transform

    def __init__(
        self,
        n_components: int,
        *,
        learning_rate: float,
        batch_size: int,
        n_iter: int,
        verbose: int,
        random_state: Any,
        k: int,
        persistent: bool,
        momentum: float,
        weight_decay: float,
    ) -> None:
        self.n_components = n_components
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.verbose = verbose
        self.random_state = random_state
        self.k = k
        self.persistent = persistent
        self.momentum = momentum
        self.weight_decay = weight_decay

    # what a kind of visible units decides

    def _dataset(self, v: Values) -> Dataset:
        """Rows as the visible units see them: real numbers unless a class knows more."""
        return open_source(v, unbounded=True, missing=self._takes_missing, name="X")

    @abstractmethod
    def _initial_visible_bias(self, v: Values) -> Values:
        """Where the visible biases start, (visible units,)."""

    @abstractmethod
    def _visible_values(self, rows: Rows) -> Values:
        """States of the visible units as the user's values."""

    def _scores(self, v: Values, params: RBMParams) -> NDArray[np.float64]:
        """The score of each row under these parameters, (rows,): log p(v) + log Z = -F(v) unless a class has better."""
        return -self._map(v, params, lambda backend, rows, _: backend.free_energy(params, rows))

    def _validated(self, X: Any, *, reset: bool, missing: bool = False) -> Values:  # noqa: N803
        """X as float32 or float64 rows, dense or CSR; with `missing`, NaN may stand in it."""
        finite = "allow-nan" if missing else True
        dtypes = (np.float64, np.float32)
        rows: Values = validate_data(self, X, accept_sparse="csr", dtype=dtypes, reset=reset, ensure_all_finite=finite)
        return rows

    # scikit-learn's methods

    def fit(self: Self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Learn from the rows of X, anew.

        Args:
            X: array or sparse matrix (rows, n_features). NaN, where the class takes it, is a missing entry: it is
                summed out, never filled in with a number.
            y: ignored.

        Raises:
            ValueError: bad data or settings.
            DivergedError: weights left the usable range; lower learning_rate.
        """
        rows = self._validated(X, reset=True, missing=self._takes_missing)
        self._start(rows)
        return self._train(rows, self.n_iter)

    def partial_fit(self: Self, X: Any, y: Any = None) -> Self:  # noqa: N803
        """Go on learning: one pass over a chunk of rows in minibatches of batch_size, chains carried on.

        The number of features and the dtype of the attributes are those of the first chunk. Args and errors as of fit.
        """
        first = not hasattr(self, "components_")
        rows = self._validated(X, reset=first, missing=self._takes_missing)
        if first:
            self._start(rows)
        return self._train(rows, 1)

    def transform(self, X: Any) -> Values:  # noqa: N803
        """P(h = 1 | v), (rows, n_components), in the dtype of X; the same for the same X, however often.

        In rows with missing entries, P(h = 1 | the others): an average over 100 steps of a chain that changes the
        missing entries alone, with noise by the row's place.
        """
        check_is_fitted(self)
        v = self._validated(X, reset=False, missing=self._takes_missing)
        gaps = _with_gaps(v)
        if not gaps.any():
            return self._mean_hiddens(v)
        features = np.empty((v.shape[0], len(self.components_)), v.dtype)
        if not gaps.all():
            features[~gaps] = self._mean_hiddens(v[~gaps])
        params = self._params()
        backend = backend_for(params, self._engine)
        features[gaps] = mean_of_hidden(backend, params, dense(v[gaps]), AVERAGED_STEPS, Key(0))
        return features

    def inverse_transform(self, X: Any) -> Values:  # noqa: N803
        """E[v | h] of hidden states or means, in the user's values, (rows, n_features).

        Args:
            X: (rows, n_components), as transform gives them.
        """
        check_is_fitted(self)
        h = check_array(X, dtype=(np.float64, np.float32))
        params = self._params()
        if h.shape[1] != params.n_hidden:
            raise ValueError(f"X: expected {params.n_hidden} hidden units (n_components), got {h.shape[1]}")
        means = backend_for(params, self._engine).visible_mean(params, h.astype(np.float32))
        return self._visible_values(means)

    def impute(self, X: Any, steps: int = 100) -> Values:  # noqa: N803
        """X with a value for every NaN: E[v_missing | v_observed], the same for the same X.

        Args:
            X: rows as in transform, of any class.
            steps: Gibbs steps with the observed entries clamped, 2 or more; the second half is averaged over.
        """
        check_is_fitted(self)
        v = self._validated(X, reset=False, missing=True)
        return np.where(np.isnan(rows := dense(v, v.dtype)), self._filled(v, steps), rows)

    def sample(self, n: int = 1, steps: int = 1000) -> Values:
        """n rows of the machine's own after `steps` Gibbs steps from noise; no two calls share theirs.

        Args:
            n: how many chains.
            steps: Gibbs steps of each.
        """
        check_is_fitted(self)
        check_scalar(n, "n", Integral, min_val=1)
        check_scalar(steps, "steps", Integral, min_val=1)
        params, key = self._params(), Key(seed_from(self.random_state_))
        backend = backend_for(params, self._engine)
        coins = Draws(key.fold_in(0), 0, 0, 0).uniform(n, params.n_hidden) < 0.5
        start = backend.sample_visible(params, PackedBits.pack(coins), key.fold_in(1))
        return self._visible_values(backend.gibbs(params, start, steps, key.fold_in(2)))

    def score_samples(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """How much the machine expects each row, (rows,), in nats; the class says by which measure."""
        check_is_fitted(self)
        return self._scores(self._validated(X, reset=False), self._params())

    def gibbs(self, v: Any) -> Values:
        """One Gibbs step h ~ p(h | v), v ~ p(v | h), (rows, n_features); no two calls share their noise.

        Args:
            v: rows to start from, as in fit.
        """
        check_is_fitted(self)
        rows = self._validated(v, reset=False)
        return self._sample_visibles(self._sample_hiddens(rows, self.random_state_), self.random_state_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._takes_missing
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    # the machine

    def _mean_hiddens(self, v: Values) -> Values:
        """P(h = 1 | v) of one row or of rows."""
        params = self._params()
        means = self._map(v, params, lambda backend, rows, _: backend.hidden_mean(params, rows))
        return means.astype(v.dtype, copy=False)

    def _filled(self, v: Values, steps: int) -> Values:
        """States with E[v_missing | v_observed] in place of NaN, float32."""
        check_scalar(steps, "steps", Integral, min_val=2)
        params = self._params()
        return mean_of_missing(backend_for(params, self._engine), params, dense(v), steps, Key(0))

    def _sample_hiddens(self, v: Values, rng: Any) -> Values:
        """h ~ p(h | v), bool, for one row or for rows."""
        params, key = self._params(), Key(seed_from(rng))
        return self._map(
            v, params, lambda backend, rows, row: as_array(backend.sample_hidden(params, rows, key, row)) > 0
        )

    def _sample_visibles(self, h: Values, rng: Any) -> Values:
        """v ~ p(v | h) for rows of hidden states."""
        params = self._params()
        rows = backend_for(params, self._engine).sample_visible(params, PackedBits.pack(h), Key(seed_from(rng)))
        return self._visible_values(rows)

    def _map(self, v: Values, params: RBMParams, function: Callable[[Backend, Rows, int], Values]) -> Values:
        """function(backend, rows, first row) over the blocks of v; one row gives one row."""
        if v.ndim == 1:
            one: Values = self._map(v[None], params, function)[0]
            return one
        backend = backend_for(params, self._engine)
        return np.concatenate([function(backend, rows, row) for row, rows in self._dataset(v).blocks()])

    def _params(self) -> RBMParams:
        """The fitted attributes as arrays of their own that the kernels take."""
        weight, visible_bias, hidden_bias = (
            np.array(values, np.float32, order="C")
            for values in (self.components_, self.intercept_visible_, self.intercept_hidden_)
        )
        return RBMParams(weight, visible_bias, hidden_bias, visible=self._visible)

    def _start(self, rows: Values) -> None:
        """Parameters and chains before the first minibatch."""
        check_scalar(self.n_components, "n_components", Integral, min_val=1)
        check_scalar(self.batch_size, "batch_size", Integral, min_val=1)
        self.random_state_ = check_random_state(self.random_state)
        if _with_gaps(rows).any():
            require_known_columns(self._dataset(rows))
        seed = seed_from(self.random_state_)
        bias = self._initial_visible_bias(rows)
        params = RBMParams.initial(len(bias), self.n_components, key=Key(seed).fold_in(Purpose.INITIAL_WEIGHTS))
        params.visible_bias[...] = bias
        chains = np.zeros((self.batch_size, self.n_components), np.bool_)
        self._state = TrainState(seed=seed, chains=PackedBits.pack(chains) if self.persistent else None)
        self._dtype = rows.dtype
        self._publish(params)

    def _train(self: Self, rows: Values, iterations: int) -> Self:
        """Passes over the rows in their order, going on from the state."""
        check_scalar(iterations, "n_iter", Integral, min_val=0)
        check_scalar(self.learning_rate, "learning_rate", Real, min_val=0, include_boundaries="neither")
        config = TrainConfig(
            centering=0.0,
            epochs=self._state.epoch + iterations,
            batch_size=self.batch_size,
            sampler=PCD(self.k) if self.persistent else CD(self.k),
            optimizer=SGD(self.learning_rate, self.momentum),
            penalties=(L2(self.weight_decay),),
            shuffle=False,
            seed=self._state.seed,
            engine=self._engine,
            visible_bias="keep",
            monitor_rows=1,
        )
        params = self._params()
        watchers = [_Verbose(self, rows[:VERBOSE_ROWS])] if self.verbose else []
        dataset = self._dataset(rows)
        self._state = train(params, dataset, config, state=self._state, callbacks=watchers, progress=False).state
        self._publish(params)
        return self

    def _publish(self, params: RBMParams) -> None:
        """Parameters and chains as scikit-learn's attributes."""
        self.components_ = params.weight.astype(self._dtype)
        self.intercept_hidden_ = params.hidden_bias.astype(self._dtype)
        self.intercept_visible_ = params.visible_bias.astype(self._dtype)
        if self._state.chains is not None:
            self.h_samples_ = as_array(self._state.chains).astype(self._dtype)


class _Verbose(Callback):
    """Prints a line an iteration, as scikit-learn does."""

    def __init__(self, estimator: RBMTransformer, rows: Values) -> None:
        self.estimator, self.rows = estimator, rows
        self.begin = time.perf_counter()
        self.iteration = 0

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """The mean score under the parameters as they are now."""
        self.iteration += 1
        name, rows = type(self.estimator).__name__, self.rows
        if _with_gaps(rows).any():
            filled = complete(backend_for(trainer.params), trainer.params, dense(rows), MONITOR_STEPS, Key(0))
            rows = as_array(filled)
        score = self.estimator._scores(rows, trainer.params).mean()
        end = time.perf_counter()
        print(
            f"[{name}] Iteration {self.iteration}, {self.estimator._score_name} = {score:.2f}, "
            f"time = {end - self.begin:.2f}s"
        )
        self.begin = end


def dense(v: Values, dtype: Any = np.float32) -> Values:
    """Rows as a C-contiguous array."""
    rows: Any = v
    return np.ascontiguousarray(rows.toarray() if is_sparse(v) else rows, dtype)


def _with_gaps(v: Values) -> NDArray[np.bool_]:
    """Which rows have missing entries, (rows,)."""
    gaps: Any = v
    if is_sparse(v):
        if not np.isnan(gaps.data).any():
            return np.zeros(v.shape[0], bool)
        gaps = gaps.toarray()
    return np.asarray(np.isnan(gaps).any(axis=1))


def seed_from(random_state: Any) -> int:
    """64 bits from a NumPy RandomState, to name a Key."""
    return int(random_state.randint(0, 1 << 64, dtype=np.uint64))
