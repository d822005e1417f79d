"""DBNTransformer and DBNClassifier: deep belief networks as estimators, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from rbmx.backends import as_array
from rbmx.data import Dataset, open_source
from rbmx.rng import Key, Purpose, uniform
from rbmx.sklearn.transformer import seed_from
from rbmx.training import Adam, Affine, Callback, Network, TrainConfig, fine_tune
from rbmx.training.ascent import ascend
from rbmx.training.greedy import initial_stack, train_stack

__all__ = ["DBNClassifier", "DBNTransformer"]

Values = NDArray[Any]
Self = TypeVar("Self", bound="_DBN")
RATES = {
    "bernoulli": 0.05,
    "gaussian": 0.005,
}  # of a layer with such visible units (Hinton 2010, sections 7.1 and 13.2)


class _DBN(BaseEstimator):
    """Greedy training of a stack on the rows of X."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int],
        *,
        visible: str,
        learning_rate: float | Sequence[float] | None,
        batch_size: int,
        n_iter: int,
        propagate: str,
        verbose: int,
        random_state: Any,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.visible = visible
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_iter = n_iter
        self.propagate = propagate
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _validated(self, X: Any, *, reset: bool, **more: Any) -> Any:  # noqa: N803
        return validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=reset, **more)

    def _pretrain(self: Self, rows: Values) -> Self:
        sizes = self._sizes()
        check_scalar(self.batch_size, "batch_size", Integral, min_val=1)
        check_scalar(self.n_iter, "n_iter", Integral, min_val=0)
        if self.visible not in ("auto", *RATES):
            raise ValueError(f"visible: expected 'auto', 'bernoulli' or 'gaussian', got {self.visible!r}")
        self.visible_ = self.visible if self.visible != "auto" else _units_for(rows)
        if self.visible_ == "gaussian":
            dense = _dense(rows).astype(np.float64)
            self.mean_, spread = dense.mean(axis=0), dense.std(axis=0)
            self.scale_ = np.where(spread > 0, spread, 1.0)
        self._seed = seed_from(check_random_state(self.random_state))
        layers = initial_stack([rows.shape[1], *sizes], units=self.visible_, seed=self._seed)
        configs = [
            TrainConfig.of(
                epochs=self.n_iter, batch_size=self.batch_size, lr=rate, seed=Key(self._seed).fold_in(i).seed
            )
            for i, rate in enumerate(self._rates(len(layers)))
        ]
        watchers = [_Verbose(type(self).__name__, len(layers))] if self.verbose else []
        train_stack(
            layers,
            self._dataset(rows),
            configs,
            propagate=self.propagate,  # type: ignore[arg-type]
            callbacks=watchers,
            progress=False,
        )
        self.layers_ = layers
        return self

    def _sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        if not isinstance(sizes, Sequence | np.ndarray) or len(sizes) == 0:
            raise ValueError(f"hidden_layer_sizes: expected the units of one hidden layer or more, got {sizes!r}")
        for size in sizes:
            check_scalar(size, "hidden_layer_sizes", Integral, min_val=1)
        return [int(size) for size in sizes]

    def _rates(self, n_layers: int) -> list[float]:
        if self.learning_rate is None:
            return [RATES[self.visible_], *[RATES["bernoulli"]] * (n_layers - 1)]
        rates = list(np.atleast_1d(self.learning_rate))
        if len(rates) not in (1, n_layers):
            raise ValueError(f"learning_rate: expected one or {n_layers}, one a layer, got {len(rates)}")
        for rate in rates:
            check_scalar(float(rate), "learning_rate", Real, min_val=0, include_boundaries="neither")
        return [float(rate) for rate in rates] * (n_layers if len(rates) == 1 else 1)

    def _dataset(self, rows: Values) -> Dataset:
        """What the visible units see."""
        if self.visible_ == "bernoulli":
            return open_source(rows, name="X")
        return open_source((_dense(rows) - self.mean_) / self.scale_, unbounded=True, name="X")

    def _parts(self, rows: Values) -> Iterator[Any]:
        return (part for _, part in self._dataset(rows).blocks())


class DBNTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _DBN):
    """Features of a deep belief network: the means of its top layer (Hinton, Osindero and Teh 2006).

    Layers are trained one after another by CD-1 with the native kernels, rows handed up as sampled bits or as means.

    Args:
        hidden_layer_sizes: hidden units of each layer, from the data up.
        visible: "bernoulli": X in [0, 1], bits or probabilities; "gaussian": real columns, brought to mean 0 and
            variance 1 by those of fit; "auto": Bernoulli where all values that fit sees lie in [0, 1], else Gaussian.
        learning_rate: one for all layers, or one for each; None: 0.05, and 0.005 for Gaussian visible units.
        batch_size: rows of a minibatch.
        n_iter: passes over the data for each layer.
        propagate: "sample", "resample" or "mean", as in rbmx.DBN.fit.
        verbose: 1: a line for each layer and pass.
        random_state: of weights and noise.

    Attributes:
        layers_: RBMParams of each layer, from the data up.
        visible_: "bernoulli" or "gaussian".
        mean_, scale_: of the columns, where visible_ is "gaussian".
        n_features_in_, feature_names_in_: as ever.
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (256, 64),
        *,
        visible: str = "auto",
        learning_rate: float | Sequence[float] | None = None,
        batch_size: int = 32,
        n_iter: int = 10,
        propagate: str = "sample",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            visible=visible,
            learning_rate=learning_rate,
            batch_size=batch_size,
            n_iter=n_iter,
            propagate=propagate,
            verbose=verbose,
            random_state=random_state,
        )

    def fit(self, X: Any, y: Any = None) -> DBNTransformer:  # noqa: N803
        """Train the stack on the rows of X, anew.

        Args:
            X: array or CSR matrix (rows, n_features).
            y: ignored.

        Raises:
            ValueError: bad data or settings.
            DivergedError: weights left the usable range; lower learning_rate.
        """
        return self._pretrain(self._validated(X, reset=True))

    def transform(self, X: Any) -> Values:  # noqa: N803
        """E[h_L | ... E[h_1 | v]], (rows, hidden_layer_sizes[-1]), in the dtype of X."""
        check_is_fitted(self)
        rows = self._validated(X, reset=False)
        means = [as_array(ascend(part, self.layers_, mode="mean", seed=0)) for part in self._parts(rows)]
        return np.concatenate(means).astype(rows.dtype, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.layers_[-1].n_hidden


class DBNClassifier(ClassifierMixin, _DBN):
    """A deep belief network with a softmax on top: greedy training on X, then backprop on the labels by Adam, in NumPy.

    Args:
        hidden_layer_sizes, visible, learning_rate, batch_size, n_iter, propagate, verbose, random_state: as of
            DBNTransformer.
        fine_tune_iter: passes of backprop.
        fine_tune_learning_rate: of Adam.
        alpha: L2 decay of the weights in backprop.

    Attributes:
        classes_: the labels.
        network_: the tuned net (rbmx.training.Network).
        layers_, visible_, mean_, scale_, n_features_in_, feature_names_in_: as of DBNTransformer; layers_ as they were
            before backprop.
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (256, 64),
        *,
        visible: str = "auto",
        learning_rate: float | Sequence[float] | None = None,
        batch_size: int = 32,
        n_iter: int = 10,
        propagate: str = "sample",
        fine_tune_iter: int = 50,
        fine_tune_learning_rate: float = 0.005,
        alpha: float = 0.0,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            visible=visible,
            learning_rate=learning_rate,
            batch_size=batch_size,
            n_iter=n_iter,
            propagate=propagate,
            verbose=verbose,
            random_state=random_state,
        )
        self.fine_tune_iter = fine_tune_iter
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.alpha = alpha

    def fit(self, X: Any, y: Any) -> DBNClassifier:  # noqa: N803
        """Train the stack on the rows of X, then the whole net on their labels, anew.

        Args:
            X: array or CSR matrix (rows, n_features).
            y: labels (rows,), of two classes or more.

        Raises:
            ValueError: bad data, labels or settings.
            DivergedError: weights left the usable range; lower the learning rates.
        """
        rows, labels = self._validated(X, reset=True, y=y)
        check_classification_targets(labels)
        check_scalar(self.fine_tune_iter, "fine_tune_iter", Integral, min_val=0)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: expected two classes or more, got 1 class, {self.classes_[0]!r}")
        self._pretrain(rows)
        head = _head(self.layers_[-1].n_hidden, len(self.classes_), Key(self._seed).fold_in(len(self.layers_)))
        self.network_ = Network.from_stack(self.layers_, head)
        fine_tune(
            self.network_,
            self._dataset(rows),
            codes,
            loss="nll",
            optimizer=Adam(self.fine_tune_learning_rate),
            epochs=self.fine_tune_iter,
            batch_size=self.batch_size,
            weight_decay=self.alpha,
            seed=self._seed,
            progress=False,
        )
        return self

    def predict_log_proba(self, X: Any) -> Values:  # noqa: N803
        """log p(class | row), (rows, n_classes), in the order of classes_."""
        check_is_fitted(self)
        rows = self._validated(X, reset=False)
        return np.concatenate([self.network_.forward(part) for part in self._parts(rows)])

    def predict_proba(self, X: Any) -> Values:  # noqa: N803
        """p(class | row), (rows, n_classes), in the order of classes_; rows sum to 1 in float64."""
        proba = np.exp(self.predict_log_proba(X).astype(np.float64))
        return np.asarray(proba / proba.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> Values:  # noqa: N803
        """The most probable class of each row, (rows,)."""
        best = self.predict_log_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])


def _head(n_in: int, n_classes: int, key: Key) -> Affine:
    """A softmax with small random weights, uniform within 1 / n_in."""
    weight = (2 * uniform(key.fold_in(Purpose.INITIAL_WEIGHTS), 0, n_classes, n_in) - 1) / n_in
    return Affine(weight.astype(np.float32), np.zeros(n_classes, np.float32), "log_softmax")


class _Verbose(Callback):
    """Prints a line for each layer and pass."""

    def __init__(self, name: str, n_layers: int) -> None:
        self.name, self.n_layers, self.layer = name, n_layers, 0

    def on_train_start(self, trainer: Any) -> None:
        """The next layer."""
        self.layer += 1

    def on_epoch_end(self, trainer: Any, record: Any) -> None:
        """Its reconstruction error."""
        print(
            f"[{self.name}] Layer {self.layer}/{self.n_layers}, iteration {record.epoch}, reconstruction error = "
            f"{record.reconstruction_error:.4f}, time = {record.seconds:.2f}s"
        )


def _units_for(rows: Any) -> str:
    values = rows.data if hasattr(rows, "toarray") else rows
    return "bernoulli" if values.min(initial=0) >= 0 and values.max(initial=0) <= 1 else "gaussian"


def _dense(rows: Any) -> Values:
    return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
