"""Continuous data: a deep belief network with Gaussian visible units on standardised measurements of tumours."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import rbmx


def main() -> None:
    """Train 30-64-32 on the breast cancer table; print what its features foretell, and moments of its samples."""
    table, malignant = load_breast_cancer(return_X_y=True)
    seen, unseen, known, asked = train_test_split(table, malignant, test_size=0.4, random_state=0)
    scaler = StandardScaler().fit(seen)
    seen, unseen = scaler.transform(seen), scaler.transform(unseen)
    network = rbmx.DBN([30, 64, 32], units="gaussian", seed=0)
    network.fit(seen, epochs=200, batch_size=20, per_layer=[{"lr": 0.01}, {"lr": 0.05}])
    features = [network.transform(rows).numpy() for rows in (seen, unseen)]
    model = LogisticRegression(C=10.0, max_iter=1000).fit(features[0], known)
    print(f"foretold by 32 features: {model.score(features[1], asked):.3f}")
    samples = network.sample(2000, steps=200, seed=1).numpy()
    pairs = np.triu_indices(30, 1)
    agree = np.corrcoef(np.corrcoef(seen.T)[pairs], np.corrcoef(samples.T)[pairs])[0, 1]
    print(f"correlations of columns, data against samples: {agree:.2f}")


if __name__ == "__main__":
    main()
