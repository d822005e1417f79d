"""Digits in the plane: a deep autoencoder with a code of two numbers, begun at a deep belief network, MNIST."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

import rbmx


def main() -> None:
    """Train on 5,000 images; print how well the nearest codes name a digit, and two principal components beside."""
    images, labels = rbmx.data.mnist("train")
    test, test_labels = rbmx.data.mnist("test")
    seen, unseen = (pixels / np.float32(255) for pixels in (images[:5000], test[:2000]))
    stack = rbmx.DBN([784, 256, 64, 2], units=["bernoulli"] * 3 + ["gaussian"], seed=0)
    stack.fit(images[:5000] > 127, epochs=5, lr=0.1, per_layer=[{}, {}, {"lr": 0.01}])
    model = stack.autoencoder(seed=0)
    model.fit(seen, epochs=40, batch_size=100, lr=0.003, schedule=rbmx.LinearDecay())
    plane = PCA(2).fit(seen)
    codes = [[plane.transform(rows), model.transform(rows).numpy()] for rows in (seen, unseen)]
    for name, here, there in zip(("principal components", "autoencoder"), *codes, strict=True):
        named = KNeighborsClassifier(15).fit(here, labels[:5000]).score(there, test_labels[:2000])
        print(f"{name}: {named:.3f} of the digits named by their 15 nearest neighbours in the plane")
    print(f"squared error per image: {model.reconstruction_error(unseen):.1f}")


if __name__ == "__main__":
    main()
