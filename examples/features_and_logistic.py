"""Features for a linear model: hidden units of one RBM in front of a logistic regression, MNIST."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import rbmx
from rbmx.sklearn import BernoulliRBM


def main() -> None:
    """Fit on 5,000 images, print test accuracy from pixels and from hidden units."""
    images, labels = (a[:5000] for a in rbmx.data.mnist("train"))
    test, test_labels = rbmx.data.mnist("test")
    pixels = LogisticRegression(C=0.01, max_iter=500)
    hidden = make_pipeline(
        BernoulliRBM(n_components=500, learning_rate=0.05, n_iter=20, random_state=0), LogisticRegression(max_iter=500)
    )
    for name, model in (("pixels", pixels), ("hidden units", hidden)):
        accuracy = model.fit(images > 127, labels).score(test > 127, test_labels)
        print(f"{name:13}{np.round(accuracy, 3)}")


if __name__ == "__main__":
    main()
