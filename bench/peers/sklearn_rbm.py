"""scikit-learn's BernoulliRBM: its only algorithm is persistent CD with one Gibbs step.

That is the work of CD-1 per batch, so it stands beside CD-1; its answer is checked against PCD-1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.neural_network import BernoulliRBM

from rbmx.bench.task import CDTask
from rbmx.params import RBMParams

__all__ = ["SklearnLoop", "build"]


class SklearnLoop:
    label = "scikit-learn BernoulliRBM (PCD-1)"
    persistent = True

    def __init__(self, task: CDTask, images: npt.NDArray[np.uint8]) -> None:
        if task.k != 1:
            raise NotImplementedError(f"BernoulliRBM has no CD-{task.k}, only PCD-1")
        start = task.initial()
        self.task = task
        self.images = images.astype(np.float32)
        self.model = BernoulliRBM(
            n_components=task.n_hidden,
            learning_rate=task.learning_rate,
            batch_size=task.batch_size,
            random_state=np.random.RandomState(task.seed),
        )
        self.model.partial_fit(self.images[: task.batch_size])
        self.model.components_[:] = start.weight
        self.model.intercept_visible_[:] = start.visible_bias
        self.model.intercept_hidden_[:] = start.hidden_bias
        self.model.h_samples_[:] = 0

    def train(self, first: int, last: int) -> None:
        # fit() would begin with new weights; partial_fit per batch is the loop inside fit().
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            for row in range(first, last, self.task.batch_size):
                self.model.partial_fit(self.images[row : row + self.task.batch_size])

    def params(self) -> RBMParams:
        return RBMParams(
            np.ascontiguousarray(self.model.components_, np.float32),
            self.model.intercept_visible_.astype(np.float32),
            self.model.intercept_hidden_.astype(np.float32),
        )


build = SklearnLoop
