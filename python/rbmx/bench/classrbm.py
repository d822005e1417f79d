"""The classification RBM on MNIST, trained in three ways, beside the figures of Larochelle et al. (2012)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rbmx.backends.native import permutation
from rbmx.bench.harness import Report, facts, table
from rbmx.rng import Key, Purpose
from rbmx.samplers import PCD
from rbmx.training import SGD, Dropout, LinearDecay
from rbmx.training.class_rbm import ClassRBMParams, Objective
from rbmx.training.class_trainer import ClassConfig, ClassRecord, ClassTrainer, class_log_probabilities

__all__ = ["RECIPES", "run_classrbm"]

HELD_OUT = 5000  # training rows that validate; the test rows are looked at once, at the end
Images = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Recipe:
    """How a machine is trained, and the published test error in per cent."""

    config: ClassConfig
    published: float
    hidden: int = 1500
    limit: float | None = None


RECIPES = {
    "discriminative": Recipe(
        ClassConfig(
            30,
            objective=Objective(1, 0),
            optimizer=SGD(5.0),
            penalties=(Dropout(0.5),),
            schedule=LinearDecay(),
            averaging=0.999,
        ),
        1.81,
        hidden=500,
    ),
    "hybrid": Recipe(
        ClassConfig(
            40,
            objective=Objective(1, 0.03),
            sampler=PCD(1, 20),
            optimizer=SGD(5.0),
            penalties=(Dropout(0.5),),
            schedule=LinearDecay(),
            averaging=0.999,
        ),
        1.28,
        limit=1.28,
    ),
    "generative": Recipe(
        ClassConfig(40, objective=Objective(0, 1), sampler=PCD(1, 100), optimizer=SGD(0.15), schedule=LinearDecay()),
        3.39,
    ),
}


def run_classrbm(
    only: Sequence[str] = tuple(RECIPES),
    *,
    seed: int = 0,
    epochs: int | None = None,
    quick: bool = False,
    threads: int = 2,
) -> Report:
    """Train each machine on 55,000 images, watch it on 5,000, and say at the end how many test images it misses.

    Args:
        only: which of RECIPES.
        seed: of weights, order and noise; the split is always the same.
        epochs: instead of the recipe's.
        quick: 5,000 images, 100 hidden units and 2 epochs: a trial run, whose figures are held to nothing.
        threads: written into the report.
    """
    report = Report("classrbm", {"rounds": 1, "quick": quick, "seed": seed}, facts(threads=threads))
    print(report.origin(), "\n")
    train, unseen, test = _images(quick)
    for name in only:
        recipe = RECIPES[name]
        config = replace(recipe.config, seed=seed, epochs=2 if quick else epochs or recipe.config.epochs)
        report.rows.append(_run(name, replace(recipe, config=config), train, unseen, test, quick))
    return report


def _images(quick: bool) -> tuple[Images, Images, Images]:
    """Grey levels in [0, 1] and labels: to train on, to validate, to test."""
    from rbmx.data import mnist

    (gray, labels), (test, test_labels) = mnist("train"), mnist("test")
    order = permutation(len(gray), Key(0).fold_in(Purpose.SHUFFLE))
    chosen, held_out = order[: 5000 if quick else -HELD_OUT], order[-HELD_OUT:]

    def scaled(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return np.divide(images, 255, dtype=np.float32)

    return (
        (scaled(gray[chosen]), labels[chosen]),
        (scaled(gray[held_out]), labels[held_out]),
        (scaled(test), test_labels),
    )


def _run(name: str, recipe: Recipe, train: Images, unseen: Images, test: Images, quick: bool) -> dict[str, object]:
    config, hidden = recipe.config, 100 if quick else recipe.hidden
    params = ClassRBMParams.initial(784, hidden, 10, key=Key(config.seed).fold_in(Purpose.INITIAL_WEIGHTS))
    print(f"{name}: 784-{hidden}, {config}")
    start = time.perf_counter()
    trainer = ClassTrainer(params, *train, config, validation=unseen, callbacks=[_Curve()], progress=False)
    records = trainer.run()
    seconds = time.perf_counter() - start
    found = class_log_probabilities(params, test[0])
    error = 100 * float((found.argmax(axis=1) != test[1]).mean())
    row: dict[str, Any] = {
        "name": name,
        "hidden": hidden,
        "test_error": error,
        "test_log_loss": float(-found[np.arange(len(found)), test[1]].mean()),
        "validation_error": 100 * (records[-1].validation_error or 0.0),
        "published": recipe.published,
        "seconds": seconds,
        "curve": [record.to_json() for record in records],
    }
    if recipe.limit is not None and not quick:
        row["within"] = error <= recipe.limit
    head = [name, "test error %", "validation %", "published %", "log loss", "seconds"]
    figures = (error, row["validation_error"], recipe.published, row["test_log_loss"])
    cells = [f"seed {config.seed}", *(f"{figure:.4g}" for figure in figures), f"{seconds:.0f}"]
    print(table(head, [cells]), "\n", flush=True)
    return row


class _Curve:
    """Prints a line an epoch."""

    def on_epoch_end(self, trainer: ClassTrainer, record: ClassRecord) -> None:
        """What the record says."""
        print(
            f"  epoch {record.epoch:3}  {record.seconds:5.1f} s  training {record.error:7.2%} {record.log_loss:.4f}  "
            f"validation {record.validation_error:7.2%} {record.validation_log_loss:.4f}",
            flush=True,
        )
