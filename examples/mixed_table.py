"""A table with numbers and a category through MixedRBM: the diabetes data that scikit-learn ships, as they were taken.

Prints how well a linear model foretells the progress of the disease (mean R^2 of five folds), from the columns and from
the hidden units, and which patients the machine expects least.
"""

from __future__ import annotations

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from rbmx.sklearn import MixedRBM


def main() -> None:
    """Fit, score, print."""
    patients, progress = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    patients["sex"] = patients["sex"].map({1: "first", 2: "second"})  # the data's documentation does not say which
    penalties, folds = np.logspace(-1, 4, 12), KFold(5, shuffle=True, random_state=0)
    columns = make_column_transformer((OneHotEncoder(drop="first"), ["sex"]), remainder=StandardScaler())
    machine = MixedRBM(n_components=64, n_iter=20, random_state=0)

    def r_squared(model: Pipeline) -> float:
        return float(cross_val_score(model, patients, progress, cv=folds).mean())

    print(f"columns       R^2 {r_squared(make_pipeline(columns, RidgeCV(penalties))):.3f}")
    print(f"hidden units  R^2 {r_squared(make_pipeline(machine, StandardScaler(), RidgeCV(penalties))):.3f}")
    scores = machine.fit(patients).score_samples(patients)
    print("least expected:", *np.argsort(scores)[:5])
    print("sex became", machine.columns_[1])


if __name__ == "__main__":
    main()
