"""One RBM on one source of rows: epochs of native minibatches, measured and watched."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from rbmx.backends import Batches, Memory, NegativePhase, Offsets, Outcome, Rows, State, backend_for, trains_natively
from rbmx.bits import PackedBits
from rbmx.data import Dataset, open_source
from rbmx.errors import DataError, DivergedError
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.samplers import CD
from rbmx.samplers.clamped import has_missing
from rbmx.training.callbacks import RECORDED, ProgressBar, StopTraining, require_callbacks, tell, tell_epoch
from rbmx.training.completing import require_known_columns, train_completing
from rbmx.training.config import TrainConfig
from rbmx.training.feed import Feed, Window
from rbmx.training.history import EpochRecord
from rbmx.training.interrupt import DeferredInterrupt
from rbmx.training.measuring import VALIDATION_ROWS, first_rows, leading_blocks, reconstruction_and_energy
from rbmx.training.penalties import ACTIVITY, Sparsity, dropout, in_python
from rbmx.training.starting import initial_offsets, start_at_data
from rbmx.training.state import TrainState

__all__ = ["TrainResult", "Trainer", "train"]

MAX_STEP = 1 << 32


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What a run leaves: parameters (the same arrays that came in), state to go on from, and the epochs."""

    params: RBMParams
    state: TrainState
    history: list[EpochRecord]


def train(
    params: RBMParams,
    data: Any,
    config: TrainConfig | None = None,
    *,
    state: TrainState | None = None,
    validation: Any = None,
    callbacks: Sequence[Any] = (),
    progress: bool | None = None,
) -> TrainResult:
    """Train `params` in place by contrastive divergence.

    Args:
        params: changed in place.
        data: anything rbmx.data.open_source takes; NaN in real values is a missing entry, which is summed out.
        config: settings; default TrainConfig().
        state: of an earlier run with the same settings, to go on from to the bit.
        validation: data to measure after each epoch.
        callbacks: objects with any of the methods of rbmx.training.Callback.
        progress: a bar on stderr; None: where stderr is a terminal.

    Returns:
        TrainResult(params, state, history of this call).

    Raises:
        DataError: data that do not fit the model.
        DivergedError: weights left the usable range; params are those before the last window of minibatches.
    """
    return Trainer(
        params, data, config, state=state, validation=validation, callbacks=callbacks, progress=progress
    ).run()


class Trainer:
    """The run behind rbmx.train; callbacks receive it and may read params, state, config, history, dataset; params and
    state not in `on_batches`, while a run of minibatches has them.

    Args: as of rbmx.train, and
        missing: whether NaN in real values is a missing entry; else it is an error.
    """

    recorded = RECORDED

    def __init__(
        self,
        params: RBMParams,
        data: Any,
        config: TrainConfig | None = None,
        *,
        state: TrainState | None = None,
        validation: Any = None,
        callbacks: Sequence[Any] = (),
        progress: bool | None = None,
        missing: bool = True,
    ) -> None:
        self.params = params
        config = config or TrainConfig()
        self.dataset: Dataset = self._open(data, missing=missing)
        self.history: list[EpochRecord] = []
        self._backend = backend_for(params, config.engine, reproducible=config.reproducible)
        if params.visible == "counts":
            _refuse_for_counts(config)
        self.config = config.with_centering(
            native=self.dataset.kind == "bits" and trains_natively(params, config.engine),
            state_has_offsets=None if state is None else state.offsets is not None,
        )
        key = Key(self.config.seed)
        self._noise_key = key.fold_in(Purpose.TRAINING)
        self.state = self._initial_state(key) if state is None else self._resumed(state)
        self._feed = Feed(
            self.dataset,
            batch_size=self.config.batch_size,
            shuffle=self.config.shuffle,
            key=key.fold_in(Purpose.SHUFFLE),
            buffer_bytes=self.config.buffer_bytes,
        )
        self._monitor = first_rows(self.dataset, self.config.monitor_rows)
        self._validation = None
        if validation is not None:
            validation_set = self._open(validation, missing=missing)
            self._validation = first_rows(validation_set, VALIDATION_ROWS)
        self.finished = False  # to the last epoch, or to where a callback stopped it
        self._interrupt = DeferredInterrupt()
        show = sys.stderr.isatty() if progress is None else progress
        self._callbacks = [*require_callbacks(callbacks), *([ProgressBar()] if show else [])]

    @property
    def checks_likelihood(self) -> bool:
        """Whether a callback measures likelihoods."""
        return any(getattr(callback, "measures_likelihood", False) for callback in self._callbacks)

    @property
    def has_validation(self) -> bool:
        """Whether rows of validation are measured after each epoch."""
        return self._validation is not None

    @property
    def rows_begun(self) -> int:
        """Rows of this epoch that are done."""
        return self.state.epoch_rows

    @property
    def rows_left(self) -> int | None:
        """Rows to visit until the end; None where only a pass tells."""
        n_rows = self.dataset.n_rows
        return None if n_rows is None else n_rows * (self.config.epochs - self.state.epoch) - self.state.epoch_rows

    def open(self, data: Any, *, missing: bool = True) -> Dataset:
        """A data set of rows that this machine takes, as the trainer opens its own.

        Raises:
            DataError: rows of another width, or values that are no states of the visible units.
        """
        return self._open(data, missing=missing)

    def run(self) -> TrainResult:
        """Train until config.epochs epochs are done."""
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
        return TrainResult(self.params, self.state, self.history)

    def _run_epoch(self) -> None:
        state, started = self.state, time.perf_counter()
        first = state.epoch_rows
        for window in self._feed.windows(state.epoch, skip_rows=first):
            self._run_window(window)
        seconds = time.perf_counter() - started
        rows = state.epoch_rows
        error, energy = reconstruction_and_energy(self._backend, self.params, self._monitor)
        validation = (
            (None, None)
            if self._validation is None
            else reconstruction_and_energy(self._backend, self.params, self._validation)
        )
        rate = self.config.learning_rate(state.epoch)
        state.epoch += 1
        state.epoch_rows = 0
        record = EpochRecord(
            state.epoch, rows, seconds, (rows - first) / max(seconds, 1e-9), rate, error, energy, *validation
        )
        self.history.append(record)
        tell_epoch(self._callbacks, self)

    def _run_window(self, window: Window) -> None:
        config, state = self.config, self.state
        steps = -(-len(window.order) // config.batch_size)
        if state.step + steps > MAX_STEP:
            raise ValueError("step: a model takes at most 2^32 minibatches; start a new seed")
        batches = Batches(
            window.order,
            config.batch_size,
            config.sampler.k,
            config.update(config.learning_rate(state.epoch)),
            self._noise_key,
            state.step,
            config.sampler if isinstance(config.sampler, NegativePhase) else None,
            in_python(config.penalties),
            dropout(config.penalties),
        )
        before = deepcopy((state.chains, state.offsets, state.memory))  # a diverged run gives back what it had
        kept = State(state.velocity, state.chains, state.squares, state.offsets, state.memory)
        outcome = self._train(window, batches, kept)
        if outcome.name == "diverged":
            state.chains, state.offsets, state.memory = before
            raise self._diverged(outcome)
        self._advance(outcome, kept, len(window.order))
        if outcome.exception is not None:
            raise outcome.exception

    def _train(self, window: Window, batches: Batches, kept: State) -> Outcome:
        def report(done: int) -> None:
            self._report(done, len(window.order))

        if not has_missing(window.rows):
            return self._backend.train(self.params, window.rows, batches, kept, report)
        steps = self.config.clamped_steps
        return train_completing(self._backend, self.params, window.rows, batches, kept, steps, report)

    def _advance(self, outcome: Outcome, kept: State, rows: int) -> None:
        state, config = self.state, self.config
        state.velocity, state.chains = kept.velocity, kept.chains
        state.step += outcome.batches
        state.epoch_rows += min(rows, outcome.batches * config.batch_size)

    def _diverged(self, outcome: Outcome) -> DivergedError:
        state, config = self.state, self.config
        return DivergedError(
            f"weights diverged at minibatch {state.step + outcome.batches} (epoch {state.epoch + 1}) with "
            f"learning rate {config.learning_rate(state.epoch):g} of {config.optimizer}: "
            "a weight or the sum of a unit's weights passed 2047; lower the learning rate"
        )

    def _report(self, batches: int, rows: int) -> None:
        done = self.state.epoch_rows + min(rows, batches * self.config.batch_size)
        self._call("on_batches", done, self.dataset.n_rows)
        self._interrupt.deliver()

    def _call(self, method: str, *arguments: Any) -> None:
        tell(self._callbacks, method, self, *arguments)

    def _open(self, data: Any, *, missing: bool = True) -> Dataset:
        dataset = open_source(data, unit=self.params.visible_unit, missing=missing)
        if dataset.n_visible != self.params.n_visible:
            raise DataError(
                f"{dataset.name}: expected rows of {self.params.n_visible} values (n_visible), got {dataset.n_visible}"
            )
        return dataset

    def _initial_state(self, key: Key) -> TrainState:
        config = self.config
        if self.dataset.kind == "real":
            require_known_columns(self.dataset)
        if config.visible_bias == "data" and not self.params.visible_bias.any():
            start_at_data(self.params, leading_blocks(self.dataset), self.dataset.name)
        chains = config.sampler.initial_chains(self.params, config.batch_size, key.fold_in(Purpose.CHAINS))
        update, zeros = config.update(1.0), self.params.zeros
        return TrainState(
            seed=config.seed,
            velocity=zeros() if update.has_velocity else None,
            chains=chains,
            squares=zeros() if update.has_squares else None,
            offsets=self._initial_offsets() if config.centering else None,
            memory=self._initial_memory(key),
        )

    def _initial_memory(self, key: Key) -> Memory:
        sampler = self.config.sampler
        if not isinstance(sampler, NegativePhase):
            return {}
        return sampler.initial_memory(self.params, self.config.batch_size, key.fold_in(Purpose.CHAINS))

    def _initial_offsets(self) -> Offsets:
        return initial_offsets(self.params, leading_blocks(self.dataset), self.config.engine)

    def _resumed(self, state: TrainState) -> TrainState:
        config = self.config
        if state.seed != config.seed:
            raise ValueError(f"seed: expected {state.seed}, the seed of the run to resume, got {config.seed}")
        persistent = config.sampler.initial_chains(self.params, 1, Key(0)) is not None
        if (state.chains is not None) != persistent:
            raise ValueError(f"sampler: {config.sampler} does not go on from the chains of the state")
        wanted = self._initial_memory(Key(0))
        chains_of_sampler = {n: a.shape for n, a in state.memory.items() if n != ACTIVITY}
        if {n: a.shape for n, a in wanted.items()} != chains_of_sampler:
            raise ValueError(f"sampler: {config.sampler} does not go on from the memory of the state")
        state = state.copy()
        units = None if state.chains is None else _units(state.chains)
        if units is not None and units != self.params.n_hidden:
            raise ValueError(f"chains: expected {self.params.n_hidden} hidden units, got {units}")
        update = config.update(1.0)
        if state.step and (state.squares is not None) != update.has_squares:
            raise ValueError(f"optimizer: {config.optimizer} does not go on from the moments of the state")
        if state.step and update.rule == "adam" and state.velocity is None:
            raise ValueError(f"optimizer: {config.optimizer} does not go on from the moments of the state")
        state.velocity = self._resumed_moment("velocity", state.velocity, update.has_velocity)
        state.squares = self._resumed_moment("squares", state.squares, update.has_squares)
        if not config.centering:
            state.offsets = None
        elif state.offsets is None:
            state.offsets = self._initial_offsets()
        return state

    def _resumed_moment(self, name: str, moment: RBMParams | None, wanted: bool) -> RBMParams | None:
        if moment is not None and moment.weight.shape != self.params.weight.shape:
            raise ValueError(f"{name}: expected the shapes of the parameters")
        if not wanted:
            return None
        return self.params.zeros() if moment is None else moment


def _units(rows: Rows) -> int:
    return rows.n_units if isinstance(rows, PackedBits) else rows.shape[1]


def _refuse_for_counts(config: TrainConfig) -> None:
    """ValueError for what does not know that a row's total multiplies the hidden biases."""
    if not isinstance(config.sampler, CD):
        raise ValueError(f"sampler: chains of counts need a row's total; expected CD(k), got {config.sampler}")
    if config.centering:
        raise ValueError(f"centering: counts take plain gradients, got a rate of {config.centering:g}")
    if dropout(config.penalties) or any(isinstance(penalty, Sparsity) for penalty in config.penalties):
        raise ValueError("penalties: counts do not go with Dropout and Sparsity")
