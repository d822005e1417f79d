"""Denoising: a stack of denoising autoencoders learns features from damaged digits, and mends them, MNIST."""

from __future__ import annotations

import numpy as np
import torch

import rbmx


def main() -> None:
    """Train one layer on 10,000 images with a third of their pixels at random; print what is left of the damage."""
    images, _ = rbmx.data.mnist("train")
    test, _ = rbmx.data.mnist("test")
    seen, unseen = (pixels / np.float32(255) for pixels in (images[:10000], test[:1000]))
    model = rbmx.DenoisingAutoencoder(784, 500, noise=rbmx.SaltAndPepper(0.3), seed=0)
    model.fit(seen, epochs=6, lr=0.002)
    damage = np.random.default_rng(0)
    struck, coins = damage.random(unseen.shape) < 0.3, damage.integers(0, 2, unseen.shape)
    damaged = np.where(struck, coins, unseen)
    with torch.no_grad():
        mended = model(torch.from_numpy(damaged.astype(np.float32))).numpy()
    for name, rows in (("damaged", damaged), ("mended", mended)):
        print(f"{name}: squared error per image {((rows - unseen) ** 2).sum(1).mean():.1f}")


if __name__ == "__main__":
    main()
