"""scikit-learn estimators over rbmx.train: no torch. `pip install rbmx[sklearn]`."""

from __future__ import annotations

try:
    from rbmx.sklearn.bernoulli import BernoulliRBM
    from rbmx.sklearn.dbn import DBNClassifier, DBNTransformer
    from rbmx.sklearn.gaussian import GaussianRBM
    from rbmx.sklearn.mixed import MixedRBM
except ImportError as error:  # pragma: no cover - an environment without scikit-learn
    raise ImportError(f"rbmx.sklearn needs scikit-learn 1.6 or newer ({error}): pip install 'rbmx[sklearn]'") from error

__all__ = ["BernoulliRBM", "DBNClassifier", "DBNTransformer", "GaussianRBM", "MixedRBM"]
