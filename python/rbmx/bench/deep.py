"""Published figures of deep models on MNIST, by our recipes: errors on the test images, beside their anchors.

Pre-training is greedy CD on bits (pixel > 127) or PCD where a top layer must dream; tuning sees gray values / 255.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

import rbmx
from rbmx.bench.harness import Report, facts, table
from rbmx.rng import Key
from rbmx.training import LinearDecay

__all__ = ["MODELS", "Images", "Outcome", "run_deep"]

DRAWS = 10


@dataclass(frozen=True)
class Images:
    """MNIST: gray values / 255 in float32, and labels."""

    train: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    test: npt.NDArray[np.float32]
    test_labels: npt.NDArray[np.int64]

    @property
    def bits(self) -> npt.NDArray[np.bool_]:
        """Pixel > 127."""
        return self.train > 127 / 255


@dataclass(frozen=True)
class Outcome:
    """A figure of one recipe.

    Attributes:
        name: what was measured.
        value: of it.
        published: its anchor, a limit: larger where `larger`, else smaller is better.
        note: the spread, the curve.
    """

    name: str
    value: float
    published: float
    larger: bool = False
    note: str = ""

    @property
    def within(self) -> bool:
        """Whether it is at least as good as published."""
        return self.value >= self.published if self.larger else self.value <= self.published


def run_deep(images: Images, only: Sequence[str], *, quick: bool = False, seed: int = 0, threads: int = 2) -> Report:
    """Train each model by its recipe and print its figures beside the published ones.

    Args:
        images: MNIST.
        only: names in MODELS.
        quick: a few epochs on the images given.
        seed: of weights, noise and draws.
        threads: of the kernels and of torch.
    """
    rbmx.set_num_threads(threads)
    torch.set_num_threads(threads)
    report = Report("deep", {"only": list(only), "seed": seed, "quick": quick, "rounds": 1}, facts(threads=threads))
    print(report.origin(), flush=True)
    for name in only:
        started = time.perf_counter()
        outcomes = MODELS[name](images, Recipe(quick, seed))
        seconds = time.perf_counter() - started
        print(_table(outcomes, seconds), flush=True)
        report.rows += [
            {"name": o.name, "value": o.value, "published": o.published, "note": o.note, "seconds": seconds}
            | ({} if quick else {"within": o.within})
            for o in outcomes
        ]
    return report


@dataclass(frozen=True)
class Recipe:
    """How much of everything."""

    quick: bool
    seed: int

    def epochs(self, n: int) -> int:
        """So many, one in a trial run."""
        return 1 if self.quick else n


def _autoencoder(images: Images, recipe: Recipe) -> list[Outcome]:
    """784-1000-500-250-30 with a linear code (Hinton and Salakhutdinov 2006)."""
    network = rbmx.DBN([784, 1000, 500, 250, 30], units=[*["bernoulli"] * 4, "gaussian"], seed=recipe.seed)
    network.fit(
        images.bits,
        epochs=recipe.epochs(20),
        lr=0.1,
        per_layer=[{}, {}, {}, {"lr": 0.005}],
        progress=False,
    )
    model = network.autoencoder(seed=recipe.seed)
    before = model.reconstruction_error(images.test)
    watch = _Curve(lambda: model.reconstruction_error(images.test), every=10)
    model.fit(
        images.train, epochs=recipe.epochs(150), batch_size=200, lr=0.001, schedule=LinearDecay(0.01),
        callbacks=[watch], progress=False,
    )  # fmt: skip
    error = model.reconstruction_error(images.test)
    note = f"{before:.2f} before backprop; by epoch {watch}"
    return [Outcome("deep autoencoder, squared error per image", error, 3.00, note=note)]


def _classifier(images: Images, recipe: Recipe) -> list[Outcome]:
    """784-500-500-2000 and a softmax, dropout in backprop."""
    network = rbmx.DBN([784, 500, 500, 2000], seed=recipe.seed)
    network.fit(images.bits, epochs=recipe.epochs(20), lr=0.1, progress=False)
    model = network.classifier(10, seed=recipe.seed)
    watch = _Curve(lambda: 100 * (1 - model.score(images.test, images.test_labels)), every=5)
    model.fit(
        images.train, images.labels, epochs=recipe.epochs(60), batch_size=100, lr=0.001, schedule=LinearDecay(0.01),
        dropout=0.3, input_dropout=0.2, callbacks=[watch], progress=False,
    )  # fmt: skip
    error = 100 * (1 - model.score(images.test, images.test_labels))
    return [Outcome("DBN and backprop, test error %", error, 1.2, note=f"by epoch {watch}")]


def _few_labels(images: Images, recipe: Recipe) -> list[Outcome]:
    """Ten draws of each number of labels, after training on all images without any.

    Up to 10,000 a softmax learns from the hidden means of one machine of 1,024 units, which many small steps at a high
    rate have made nearly binary; with all 60,000 labels, of which there is nothing to draw but the order and the
    dropout, a stack is tuned whole.
    """
    machine = rbmx.RBM(784, 1024, seed=recipe.seed)
    machine.fit(
        images.bits, epochs=recipe.epochs(25), batch_size=10, lr=0.05, momentum=0.9, weight_decay=1e-5,
        schedule=LinearDecay(), progress=False,
    )  # fmt: skip
    with torch.no_grad():
        features, held_out = (machine.hidden_mean(torch.from_numpy(rows)) for rows in (images.train, images.test))

    def softmax(draw: int, n: int) -> float:
        chosen = _draw(images.labels, n, Key(recipe.seed).fold_in(draw))
        model = rbmx.Classifier([1024], 10, seed=draw)
        model.fit(
            features[chosen], images.labels[chosen], optimizer="lbfgs", epochs=recipe.epochs(300),
            weight_decay=0.3 / n, progress=False,
        )  # fmt: skip
        return model.score(held_out, images.test_labels)

    network = rbmx.DBN([784, 500, 500, 2000], seed=recipe.seed)
    network.fit(images.bits, epochs=recipe.epochs(20), lr=0.1, progress=False)

    def whole(draw: int, _: int) -> float:
        model = network.classifier(10, seed=draw)
        model.fit(
            images.train, images.labels, epochs=recipe.epochs(40), batch_size=200, lr=0.002, schedule=LinearDecay(0.01),
            dropout=0.2, input_dropout=0.2, progress=False,
        )  # fmt: skip
        return model.score(images.test, images.test_labels)

    outcomes = []
    draws = 2 if recipe.quick else DRAWS
    for n, published in ((100, 81.70), (1000, 93.65), (10_000, 97.27), (60_000, 98.73)):
        learn, available = whole if n == 60_000 else softmax, min(n, len(images.labels))
        shares = [100 * learn(draw, available) for draw in range(draws)]
        note = f"sd {stdev(shares):.2f} over {draws} draws"
        outcomes.append(Outcome(f"{n:,} labels, test accuracy %", fmean(shares), published, larger=True, note=note))
        print(f"  {outcomes[-1].name}: {outcomes[-1].value:.2f} ({note})", file=sys.stderr, flush=True)
    return outcomes


def _up_down(images: Images, recipe: Recipe) -> list[Outcome]:
    """784-500-500-2000 with the labels in its top layer, fine-tuned by up-down (Hinton, Osindero and Teh 2006).

    260 epochs with chains of 3, then 6, then 10 steps, under a falling rate, and weight decay; then, as training rows
    fared no better than others, 240 more with chains of 3 and no decay, in which the rate falls to zero twice. Each
    epoch draws its pixels anew from the grey values, which stand for their means at the end, and has its own velocity.
    """
    network = rbmx.DBN([784, 500, 500, 2000], n_classes=10, seed=recipe.seed)
    network.fit(
        images.bits, images.labels, epochs=recipe.epochs(30), per_layer=[{}, {}, {"epochs": recipe.epochs(60)}],
        propagate="resample", lr=0.05, momentum=0.9, weight_decay=2e-4, schedule=LinearDecay(), progress=False,
    )  # fmt: skip

    def error() -> float:
        return 100 * (1 - network.score(images.test, images.test_labels))

    curve = [f"greedy {error():.2f}"]
    for epoch in (0, 100, 200, 499) if recipe.quick else range(500):
        warm = epoch < 260
        pixels = np.random.default_rng([recipe.seed, epoch]).random(images.train.shape, np.float32) < images.train
        network.up_down(
            pixels, images.labels, epochs=1, k=(3, 6, 10)[epoch // 100] if warm else 3,
            lr=0.02 * (1 - epoch / 300) if warm else 0.02 * (120 - (epoch - 260) % 120) / 120, momentum=0.9,
            weight_decay=2e-4 if warm else 0.0, progress=False,
        )  # fmt: skip
        if (epoch + 1) % 20 == 0:
            curve.append(f"{epoch + 1}: {error():.2f}")
            print(f"  up-down {curve[-1]}", file=sys.stderr, flush=True)
    return [Outcome("DBN with labels, up-down, test error %", error(), 1.25, note=", ".join(curve))]


MODELS: dict[str, Callable[[Images, Recipe], list[Outcome]]] = {
    "autoencoder": _autoencoder,
    "classifier": _classifier,
    "few-labels": _few_labels,
    "up-down": _up_down,
}


def _draw(labels: npt.NDArray[np.int64], n: int, key: Key) -> npt.NDArray[np.int64]:
    """So many rows, as many of each class as can be."""
    if n == len(labels):
        return np.arange(n)
    generator = np.random.default_rng(key.seed)
    order = generator.permutation(len(labels))
    per_class = [order[labels[order] == label][: n // 10] for label in range(10)]
    return np.concatenate(per_class)


class _Curve:
    """A measure now and then while a net is tuned."""

    def __init__(self, measure: Callable[[], float], every: int) -> None:
        self.measure, self.every = measure, every
        self.points: list[str] = []

    def on_epoch_end(self, trainer: Any, record: Any) -> None:
        """Measure after each `every` epochs."""
        if record.epoch % self.every == 0:
            self.points.append(f"{record.epoch}: {self.measure():.2f}")
            print(f"  {self.points[-1]}", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        return ", ".join(self.points)


def _table(outcomes: Sequence[Outcome], seconds: float) -> str:
    lines = [[o.name, f"{o.value:.2f}", f"{o.published:.2f}", o.note] for o in outcomes]
    return table(["", "rbmx", "published", f"{seconds:.0f} s in all"], lines)
