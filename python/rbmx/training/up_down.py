"""Wake-sleep fine-tuning of a greedily trained stack: the up-down algorithm of Hinton, Osindero and Teh (2006)."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rbmx.backends import Batches, Rows, as_array, backend_for
from rbmx.backends.up_down import Directions, UpDownState, beside, train_directions
from rbmx.data import Dataset
from rbmx.data.labelled import labelled
from rbmx.errors import DivergedError
from rbmx.rng import Key, Purpose
from rbmx.samplers import CD, PCD
from rbmx.training.ascent import require_stack
from rbmx.training.callbacks import RECORDED, ProgressBar, StopTraining, require_callbacks, tell, tell_epoch
from rbmx.training.config import TrainConfig
from rbmx.training.feed import Feed, Window
from rbmx.training.greedy import classes_of
from rbmx.training.history import EpochRecord
from rbmx.training.interrupt import DeferredInterrupt
from rbmx.training.measuring import first_rows
from rbmx.training.optimizers import SGD
from rbmx.training.penalties import L2
from rbmx.training.state import TrainState

__all__ = ["UpDown"]


class UpDown:
    """One run; callbacks receive it and may read what those of Trainer may; params is the top machine.

    Each minibatch goes up by sampling from the recognition weights (wake), the top machine makes a step of contrastive
    divergence, and what its chain ends at goes down by sampling from the generative weights (sleep). Both ways learn by
    the delta rule, each from the states that the other one visited (Hinton, Osindero and Teh 2006, appendix B):

        generative   d log p(h_l | h_(l+1)):  h_(l+1) (h_l - E[h_l | h_(l+1)]),   wake states
        recognition  d log q(s_(l+1) | s_l):  s_l (s_(l+1) - E[s_(l+1) | s_l]),   sleep states

    Args:
        stack: changed in place.
        dataset: states of the lowest visible units.
        config: sampler CD(k) or PCD(k, chains) for the top machine, optimizer SGD(lr, momentum), penalties L2,
            schedule, seed.
        labels: int (rows,), states of the top machine's softmax.
        callbacks, progress: as in rbmx.train.

    Raises:
        ValueError: layers that do not fit one another, hidden units that are not Bernoulli, learned variances, or
            settings that this algorithm does not know.
        DataError: labels as in rbmx.training.greedy.train_stack.
    """

    recorded = RECORDED
    checks_likelihood = has_validation = False
    rows_begun = 0

    def __init__(
        self,
        stack: Directions,
        dataset: Dataset,
        config: TrainConfig,
        *,
        labels: Any = None,
        callbacks: Sequence[Any] = (),
        progress: bool | None = None,
    ) -> None:
        _check(stack, config)
        n_classes = None if labels is None else classes_of([stack.top])
        require_stack([*stack.recognition, stack.top], n_classes)
        self.stack, self.config, self.params = stack, config, stack.top
        self.n_classes = n_classes
        self.dataset = dataset if n_classes is None else labelled(dataset, labels, n_classes)
        self.state = TrainState(seed=config.seed)
        self.history: list[EpochRecord] = []
        self.finished = False
        key = Key(config.seed).fold_in(Purpose.UP_DOWN)
        self._key = key.fold_in(Purpose.TRAINING)
        self._feed = Feed(
            self.dataset,
            batch_size=config.batch_size,
            shuffle=config.shuffle,
            key=key.fold_in(Purpose.SHUFFLE),
            buffer_bytes=config.buffer_bytes,
        )
        self._kept = UpDownState(
            velocity=stack.zeros() if config.update(1.0).has_velocity else None,
            chains=config.sampler.initial_chains(stack.top, config.batch_size, key.fold_in(Purpose.CHAINS)),
        )
        self._monitor = first_rows(dataset, config.monitor_rows)
        self._interrupt = DeferredInterrupt()
        show = sys.stderr.isatty() if progress is None else progress
        self._callbacks = [*require_callbacks(callbacks), *([ProgressBar("up-down")] if show else [])]

    @property
    def rows_left(self) -> int | None:
        """Rows to visit; None where only a pass tells."""
        n_rows = self.dataset.n_rows
        return None if n_rows is None else n_rows * self.config.epochs

    def run(self) -> list[EpochRecord]:
        """Train until config.epochs epochs are done; the records."""
        try:
            self._call("on_train_start")
            with self._interrupt:
                while self.state.epoch < self.config.epochs:
                    self._run_epoch()
                    self._interrupt.deliver()
            self.finished = True
        except StopTraining:
            self.finished = True
        finally:
            self._call("on_train_end")
        return self.history

    def _run_epoch(self) -> None:
        state, started = self.state, time.perf_counter()
        rate = self.config.learning_rate(state.epoch)
        for window in self._feed.windows(state.epoch):
            self._run_window(window, rate)
        seconds = time.perf_counter() - started
        rows_done, state.epoch_rows = state.epoch_rows, 0
        state.epoch += 1
        error, energy = self._measure()
        self.history.append(
            EpochRecord(state.epoch, rows_done, seconds, rows_done / max(seconds, 1e-9), rate, error, energy)
        )
        tell_epoch(self._callbacks, self)

    def _run_window(self, window: Window, rate: float) -> None:
        state, config = self.state, self.config
        batches = Batches(window.order, config.batch_size, config.sampler.k, config.update(rate), self._key, state.step)

        def report(done: int) -> None:
            rows = state.epoch_rows + min(len(window.order), done * config.batch_size)
            self._call("on_batches", rows, self.dataset.n_rows)
            self._interrupt.deliver()

        outcome = train_directions(self.stack, window.rows, batches, self._kept, report)
        state.step += outcome.batches
        state.epoch_rows += min(len(window.order), outcome.batches * config.batch_size)
        if outcome.name == "diverged":
            raise DivergedError(
                f"weights diverged at minibatch {state.step} (epoch {state.epoch + 1}) with learning rate {rate:g} of "
                f"{config.optimizer}; lower the learning rate"
            )
        if outcome.exception is not None:
            raise outcome.exception

    def _measure(self) -> tuple[float, float]:
        """Mean squared error per unit of the first rows, up and down by means; mean F of the top without labels."""
        up: Rows = self._monitor
        for layer in self.stack.recognition:
            up = backend_for(layer).hidden_mean(layer, up)
        energy, down = self._free_energy(up), up
        for layer in reversed(self.stack.generative):
            down = backend_for(layer).visible_mean(layer, down)
        error = as_array(self._monitor) - as_array(down)
        return float(np.mean(error * error, dtype=np.float64)), energy

    def _free_energy(self, states: Rows) -> float:
        """Mean F of the top machine, its labels summed out."""
        top = self.stack.top
        if self.n_classes is None:
            return float(backend_for(top).free_energy(top, states).mean())
        each = [np.broadcast_to(hot, (len(states), self.n_classes)) for hot in np.eye(self.n_classes, dtype=np.float32)]
        energies = [backend_for(top).free_energy(top, beside(as_array(states), hot)) for hot in each]
        return float(-np.logaddexp.reduce(np.negative(energies), axis=0).mean())

    def _call(self, method: str, *arguments: Any) -> None:
        tell(self._callbacks, method, self, *arguments)


def _check(stack: Directions, config: TrainConfig) -> None:
    if len(stack.recognition) != len(stack.generative) or not stack.recognition:
        raise ValueError(
            f"layers: expected one or more below the top, each with a way up and a way down, got "
            f"{len(stack.recognition)} and {len(stack.generative)}"
        )
    for layer in (*stack.recognition, *stack.generative, stack.top):
        if layer.hidden != "bernoulli" or layer.log_variance is not None:
            raise ValueError(
                f"layers: up-down takes Bernoulli hidden units and fixed variances, got {layer.visible} visible and "
                f"{layer.hidden} hidden ones"
            )
    layers = [*stack.recognition, *stack.generative, stack.top]
    for i, one in enumerate(layers):
        if any(np.shares_memory(one.weight, other.weight) for other in layers[:i]):
            raise ValueError("layers: expected weights of its own for each way, two of them share their memory")
    if not isinstance(config.sampler, CD | PCD):
        raise ValueError(f"sampler: up-down takes CD(k) or PCD(k), got {config.sampler}")
    if not isinstance(config.optimizer, SGD) or config.optimizer.nesterov:
        raise ValueError(f"optimizer: up-down takes SGD(lr, momentum), got {config.optimizer}")
    default = TrainConfig()
    for name in ("engine", "reproducible", "visible_bias", "clamped_steps", "centering"):
        if getattr(config, name) != getattr(default, name):
            raise ValueError(f"{name}: up-down does not know this setting, got {getattr(config, name)!r}")
    if not all(isinstance(penalty, L2) for penalty in config.penalties):
        raise ValueError(f"penalties: up-down takes L2, got {list(config.penalties)}")
