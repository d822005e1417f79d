"""A deep belief network that writes the digit it is asked for: labels in its top layer, samples by class, MNIST."""

from __future__ import annotations

import sys

import numpy as np

import rbmx
from rbmx.report.images import save_tiles


def main() -> None:
    """Train 784-500-500 with ten labels; print how many test images it reads right, and how many samples
    it reads as the digit that was asked for."""
    images, labels = rbmx.data.mnist("train")
    test, test_labels = rbmx.data.mnist("test")
    network = rbmx.DBN([784, 500, 500], n_classes=10, seed=0)
    top = {"persistent": True, "lr": 0.05, "schedule": rbmx.LinearDecay()}  # chains, so that it dreams well
    network.fit(images[:20000] > 127, labels[:20000], epochs=10, lr=0.1, per_layer=[{}, top])
    print(f"read right: {network.score(test > 127, test_labels):.3f} of the test images")
    asked = np.repeat(np.arange(10), 10)
    digits = network.sample(100, steps=300, label=asked, seed=1, mean=True)
    print(f"written as asked: {network.score(digits > 0.5, asked):.2f} of 100 samples")
    if len(sys.argv) > 1:
        save_tiles(sys.argv[1], digits.numpy())


if __name__ == "__main__":
    main()
