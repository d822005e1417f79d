"""Wake-sleep fine-tuning of a greedily trained stack: the up-down algorithm of Hinton, Osindero and Teh (2006)."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.backends import Rows, as_array, backend_for
from rbmx.backends.loop import require_usable
from rbmx.bits import PackedBits
from rbmx.data import Dataset
from rbmx.data.labelled import labelled
from rbmx.errors import DivergedError
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.samplers import CD, PCD
from rbmx.training.ascent import require_stack
from rbmx.training.callbacks import RECORDED, ProgressBar, StopTraining, require_callbacks
from rbmx.training.config import TrainConfig
from rbmx.training.feed import Feed
from rbmx.training.greedy import classes_of
from rbmx.training.history import EpochRecord
from rbmx.training.interrupt import DeferredInterrupt
from rbmx.training.measuring import first_rows
from rbmx.training.optimizers import SGD
from rbmx.training.penalties import L2
from rbmx.training.state import TrainState

__all__ = ["Directions", "UpDown"]

Slope = dict[str, NDArray[np.float32]]
_TOP = 1 << 20  # of the key, beyond the numbers of layers


@dataclass(frozen=True, eq=False)
class Directions:
    """A stack whose layers below the top go up by other weights than they come down by.

    Attributes:
        recognition: the way up: weight and hidden_bias of each layer below the top.
        generative: the way down: weight and visible_bias of each.
        top: the machine on top, labels behind its visible units where there are any.
    """

    recognition: Sequence[RBMParams]
    generative: Sequence[RBMParams]
    top: RBMParams


class UpDown:
    """One run; callbacks receive it and may read params (the top machine), state, config, history, dataset.

    Each minibatch goes up by sampling from the recognition weights (wake), the top machine makes a step of contrastive
    divergence, and what its chain ends at goes down by sampling from the generative weights (sleep). Both ways learn by
    the delta rule, each from the states that the other one visited (Hinton, Osindero and Teh 2006, appendix B):

        generative   d log p(h_l | h_(l+1)):  h_(l+1) (h_l - E[h_l | h_(l+1)]),   wake states
        recognition  d log q(s_(l+1) | s_l):  s_l (s_(l+1) - E[s_(l+1) | s_l]),   sleep states

    Args:
        stack: changed in place.
        dataset: states of the lowest visible units.
        config: sampler CD(k) or PCD(k) for the top machine, optimizer SGD(lr, momentum), penalties L2, schedule, seed.
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
        self._velocity = [layer.zeros() for layer in self._layers]
        self._chains: Rows | None = None
        self._monitor = first_rows(dataset, config.monitor_rows)
        self._interrupt = DeferredInterrupt()
        show = sys.stderr.isatty() if progress is None else progress
        self._callbacks = [*require_callbacks(callbacks), *([ProgressBar("up-down")] if show else [])]

    @property
    def _layers(self) -> list[RBMParams]:
        return [*self.stack.recognition, *self.stack.generative, self.stack.top]

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
        state, config, started = self.state, self.config, time.perf_counter()
        rate = config.learning_rate(state.epoch)
        for window in self._feed.windows(state.epoch):
            for start in range(0, len(window.order), config.batch_size):
                rows = window.rows[window.order[start : start + config.batch_size]]
                self._step(rows, rate)
                state.step += 1
                state.epoch_rows += len(rows)
                self._call("on_batches", state.epoch_rows, self.dataset.n_rows)
                self._interrupt.deliver()
        seconds = time.perf_counter() - started
        rows_done, state.epoch_rows = state.epoch_rows, 0
        state.epoch += 1
        error, energy = self._measure()
        self.history.append(
            EpochRecord(state.epoch, rows_done, seconds, rows_done / max(seconds, 1e-9), rate, error, energy)
        )
        self._call("on_epoch_end", self.history[-1])

    def _step(self, rows: Rows, rate: float) -> None:
        stack, step = self.stack, self.state.step
        v, hot = self._split(rows)
        wake = [v]
        for i, layer in enumerate(stack.recognition):
            wake.append(backend_for(layer).sample_hidden(layer, wake[-1], self._key.fold_in(2 * i), step=step))
        seen = _beside(wake[-1], hot)
        dreamt = self._dream(seen)
        sleep = [self._split(dreamt)[0]]
        for i in reversed(range(len(stack.generative))):
            sleep.insert(0, self._down(stack.generative[i], sleep[0], i, step))
        gradients = [
            *(_recognition_slope(layer, *sleep[i : i + 2]) for i, layer in enumerate(stack.recognition)),
            *(_generative_slope(layer, *wake[i : i + 2]) for i, layer in enumerate(stack.generative)),
            _contrastive_slope(stack.top, seen, dreamt),
        ]
        self._update(gradients, rate)

    def _dream(self, seen: Rows) -> Rows:
        """Visible states of the top machine after k Gibbs steps, from the data or from where the chains are."""
        sampler, key = self.config.sampler, self._key.fold_in(_TOP).fold_in(self.state.step)
        start = seen if self._chains is None else self._chains
        end = backend_for(self.stack.top).gibbs(self.stack.top, start, sampler.k, key)
        if isinstance(sampler, PCD):
            self._chains = end
        return end

    def _down(self, layer: RBMParams, above: Rows, i: int, step: int) -> Rows:
        """Sleep states below: drawn, but means of visible units where the data are real values."""
        if i == 0 and self.dataset.kind == "real":
            return backend_for(layer).visible_mean(layer, above)
        return backend_for(layer).sample_visible(layer, above, self._key.fold_in(2 * i + 1), step=step)

    def _split(self, rows: Rows) -> tuple[Rows, NDArray[np.float32] | None]:
        """Units, and the labels behind them."""
        if self.n_classes is None:
            return rows, None
        values = as_array(rows)
        units, hot = values[:, : -self.n_classes], values[:, -self.n_classes :]
        return PackedBits.pack(units) if isinstance(rows, PackedBits) else np.ascontiguousarray(units), hot

    def _update(self, gradients: Sequence[Slope], rate: float) -> None:
        decay, momentum = self.config.weight_decay, self.config.update(rate).first
        for layer, velocity, slope in zip(self._layers, self._velocity, gradients, strict=True):
            for name, values in slope.items():
                moved, parameter = getattr(velocity, name), getattr(layer, name)
                moved *= np.float32(momentum)
                moved += np.float32(rate) * values
                if name == "weight" and decay:
                    moved -= np.float32(rate * decay) * parameter
                parameter += moved
            try:
                require_usable(backend_for(layer), layer)
            except ArithmeticError:
                raise DivergedError(
                    f"weights diverged at minibatch {self.state.step} (epoch {self.state.epoch + 1}) with learning "
                    f"rate {rate:g} of {self.config.optimizer}; lower the learning rate"
                ) from None

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
        energies = [backend_for(top).free_energy(top, _beside(as_array(states), hot)) for hot in each]
        return float(-np.logaddexp.reduce(np.negative(energies), axis=0).mean())

    def _call(self, method: str, *arguments: Any) -> None:
        for callback in self._callbacks:
            function = getattr(callback, method, None)
            if function is not None:
                function(self, *arguments)


def _recognition_slope(layer: RBMParams, below: Rows, above: Rows) -> Slope:
    """Mean of d log q(above | below) over rows."""
    short = as_array(above) - backend_for(layer).hidden_mean(layer, below)
    return {"weight": short.T @ as_array(below) / len(short), "hidden_bias": short.mean(axis=0)}


def _generative_slope(layer: RBMParams, below: Rows, above: Rows) -> Slope:
    """Mean of d log p(below | above) over rows."""
    short = as_array(below) - backend_for(layer).visible_mean(layer, above)
    return {"weight": as_array(above).T @ short / len(short), "visible_bias": short.mean(axis=0)}


def _contrastive_slope(top: RBMParams, seen: Rows, dreamt: Rows) -> Slope:
    """Positive less negative phase, means over the rows of each."""
    v, h = as_array(seen), backend_for(top).hidden_mean(top, seen)
    u, g = as_array(dreamt), backend_for(top).hidden_mean(top, dreamt)
    return {
        "weight": h.T @ v / len(v) - g.T @ u / len(u),
        "visible_bias": v.mean(axis=0) - u.mean(axis=0),
        "hidden_bias": h.mean(axis=0) - g.mean(axis=0),
    }


def _beside(rows: Rows, hot: NDArray[np.float32] | None) -> Rows:
    """Units with labels behind them."""
    if hot is None:
        return rows
    values = np.concatenate([as_array(rows), hot], axis=1)
    return PackedBits.pack(values) if isinstance(rows, PackedBits) else values


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
    if not isinstance(config.sampler, CD | PCD) or getattr(config.sampler, "chains", None) is not None:
        raise ValueError(f"sampler: up-down takes CD(k) or PCD(k), got {config.sampler}")
    if not isinstance(config.optimizer, SGD) or config.optimizer.nesterov:
        raise ValueError(f"optimizer: up-down takes SGD(lr, momentum), got {config.optimizer}")
    default = TrainConfig()
    for name in ("engine", "reproducible", "visible_bias", "clamped_steps", "centering"):
        if getattr(config, name) != getattr(default, name):
            raise ValueError(f"{name}: up-down does not know this setting, got {getattr(config, name)!r}")
    if not all(isinstance(penalty, L2) for penalty in config.penalties):
        raise ValueError(f"penalties: up-down takes L2, got {list(config.penalties)}")
