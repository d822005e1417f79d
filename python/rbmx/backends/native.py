"""The native kernels over NumPy arrays; the only module that imports rbmx._core."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The BLAS that _core is linked with: importing the wheel loads its library. Must come first.
import scipy_openblas32  # noqa: F401  isort: skip

try:
    from rbmx import _core
except ImportError as error:  # pragma: no cover - only in a broken installation
    raise ImportError(
        f"rbmx._core cannot be loaded ({error}); was rbmx built? Try `pip install -e .` in the checkout"
    ) from error

from rbmx.backends.base import Batches, Outcome, Progress, Rows, State, Statistics, as_array
from rbmx.backends.loop import Phase, sampled_phases, train_in_python
from rbmx.backends.reference import ReferenceBackend
from rbmx.bits import PackedBits
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Key
from rbmx.units import UnitType, unit_type

__all__ = [
    "NativeBackend",
    "arrays_of",
    "build_info",
    "decode_base64",
    "enumerate_log_partition",
    "extension_path",
    "get_num_threads",
    "has_kernels",
    "is_binary",
    "mark_lines",
    "parse_csv",
    "parse_csv_bits",
    "permutation",
    "product",
    "pseudo_log_likelihood",
    "set_isa",
    "set_num_threads",
    "settings_of",
    "train_up_down",
    "units_of",
    "words_of",
]

parse_csv = _core.parse_csv
parse_csv_bits = _core.parse_csv_bits
mark_lines = _core.mark_lines
decode_base64 = _core.decode_base64
train_up_down = _core.train_up_down

MEAN_ONE = 2.0**15  # means are counted in units of 2^-15


def extension_path() -> Path:
    """The file of the compiled kernels."""
    return Path(_core.__file__)


def build_info() -> dict[str, object]:
    """Version, compiler, instruction sets (all, and the one in use), threads and BLAS."""
    return dict(_core.build_info())


def set_isa(name: str) -> None:
    """The instruction set from now on, in this process: one of build_info()["instruction_sets"]."""
    _core.set_isa(name)


def set_num_threads(n: int) -> None:
    """How many threads native calls use from now on, in this process."""
    _core.set_num_threads(n)


def get_num_threads() -> int:
    """Threads of the next native call: what was set, else the processors this process may use."""
    return int(_core.get_num_threads())


def product(a: Float32s, b: Float32s) -> Float32s:
    """a b in canonical order, (m, k) times (k, n) as they lie in memory: the same bytes on any number of threads, any
    instruction set and for any split of the rows of a."""
    return np.asarray(_core.gemm(a, b))


def permutation(n: int, key: Key) -> NDArray[np.int64]:
    """A random order of 0 .. n - 1 that only the key decides."""
    return np.asarray(_core.permutation(n, key=key.words))


def enumerate_log_partition(weight: Float32s, bias: Float32s, other_bias: Float32s) -> float:
    """log sum_s exp(s.bias + sum_i softplus(other_bias + s W)_i) over all states s of n bits; weight (n, others)."""
    return float(_core.log_partition(np.ascontiguousarray(weight), bias, other_bias))


def pseudo_log_likelihood(params: RBMParams, visible: PackedBits) -> NDArray[np.float64]:
    """sum_i log p(v_i | v without i), float64 (rows,); weights of magnitude up to 600."""
    return np.asarray(_core.pseudo_log_likelihood(*arrays_of(params), words_of(visible)))


Arrays = tuple[Float32s, Float32s, Float32s]


def arrays_of(params: RBMParams) -> Arrays:
    """Weight and biases, as the kernels take them."""
    return params.weight, params.visible_bias, params.hidden_bias


REAL_UNITS = ("gaussian", "relu")


def _kernel_unit(unit: UnitType) -> str | None:
    """What the kernels call such units, softmax groups aside; None: no kernel takes them."""
    if unit.binary:
        return "bernoulli"
    return unit.name if unit.name in REAL_UNITS else None


def is_binary(params: RBMParams) -> bool:
    """Whether the bit kernels run it: Bernoulli hidden units under Bernoulli units and softmax groups."""
    hidden = params.hidden_unit
    return params.visible_unit.binary and hidden.binary and not len(hidden.variables(params.n_hidden))


def has_kernels(params: RBMParams) -> bool:
    """Whether kernels over bits or over real values run it."""
    hidden = params.hidden_unit
    grouped = len(hidden.variables(params.n_hidden)) > 0
    return None not in (_kernel_unit(params.visible_unit), _kernel_unit(hidden)) and not grouped


@lru_cache(maxsize=64)
def _cached_units(visible: str, hidden: str, n_visible: int) -> _core.Units:
    unit = unit_type(visible, n_visible)
    return _core.Units(
        visible=_kernel_unit(unit) or visible,
        hidden=_kernel_unit(unit_type(hidden)) or hidden,
        groups=unit.variables(n_visible).astype(np.int32),
    )


def units_of(params: RBMParams) -> _core.Units:
    """The unit types as the kernels know them."""
    return _cached_units(params.visible, params.hidden, params.n_visible)


def words_of(bits: PackedBits) -> NDArray[np.uint64]:
    """The words of the rows, one row after another."""
    return np.ascontiguousarray(bits.words)


def settings_of(batches: Batches) -> _core.Settings:
    """What the kernels that train are told of a run of minibatches."""
    return _core.Settings(
        batch_size=batches.batch_size,
        gibbs_steps=batches.gibbs_steps,
        key=batches.key.words,
        first_step=batches.first_step,
        **dataclasses.asdict(batches.update),
    )


class NativeBackend:
    """Machines of Bernoulli, Gaussian and rectified units, and of softmax visible groups, in C++.

    Packed bits take exact integer sums of selected weights. Real values take products in canonical order, which are
    the faster ones as well wherever the processor has a fused multiply-add; without one (the baseline) they would be
    emulated, so BLAS takes over unless `reproducible`. Two cross-checks: engine="blas" sends everything through BLAS,
    and engine="plain" trains by the loops of csrc/ref, the specification.
    """

    limits_sums = True

    def __init__(self, engine: str = "auto", *, reproducible: bool = False) -> None:
        self.engine = engine
        self.reproducible = reproducible
        self.name = f"native ({engine})" if engine != "auto" else "native"

    @property
    def canonical(self) -> bool:
        """Whether real values take canonical products, whose bytes are the same everywhere."""
        return self.reproducible or (self.engine != "blas" and build_info()["instruction_set"] != "baseline")

    def _exact(self, params: RBMParams, rows: Rows) -> PackedBits | None:
        """The rows where the bit kernels apply to them."""
        return rows if isinstance(rows, PackedBits) and self.engine != "blas" and is_binary(params) else None

    def _product(self, a: Float32s, b: Float32s) -> Float32s:
        return np.asarray(_core.gemm(a, b)) if self.canonical else a @ b

    def _mean(self, params: RBMParams, side: str, given: Rows) -> Float32s:
        bits = self._exact(params, given)
        if bits is not None:
            return np.asarray(_core.mean(*arrays_of(params), side, words_of(bits), units=units_of(params)))
        values = np.ascontiguousarray(as_array(given))
        return np.asarray(
            _core.mean_dense(*arrays_of(params), side, values, units=units_of(params), canonical=self.canonical)
        )

    def hidden_mean(self, params: RBMParams, visible: Rows) -> Float32s:
        """E[h | v] of the input c + W v."""
        return self._mean(params, "hidden", visible)

    def visible_mean(self, params: RBMParams, hidden: Rows) -> Float32s:
        """E[v | h] of the input b + h W."""
        return self._mean(params, "visible", hidden)

    def _sample(self, params: RBMParams, side: str, given: Rows, key: Key, first_row: int, step: int) -> Rows:
        n_out = params.n_hidden if side == "hidden" else params.n_visible
        place: dict[str, Any] = {"key": key.words, "first_row": first_row, "step": step, "units": units_of(params)}
        bits = self._exact(params, given)
        if bits is not None:
            return PackedBits(_core.sample(*arrays_of(params), side, words_of(bits), **place), n_out)
        values = np.ascontiguousarray(as_array(given))
        drawn = _core.sample_dense(*arrays_of(params), side, values, **place, canonical=self.canonical)
        return PackedBits(drawn, n_out) if drawn.dtype == np.uint64 else drawn

    def sample_hidden(self, params: RBMParams, visible: Rows, key: Key, first_row: int = 0, step: int = 0) -> Rows:
        """h ~ p(h | v)."""
        return self._sample(params, "hidden", visible, key, first_row, step)

    def sample_visible(self, params: RBMParams, hidden: Rows, key: Key, first_row: int = 0, step: int = 0) -> Rows:
        """v ~ p(v | h)."""
        return self._sample(params, "visible", hidden, key, first_row, step)

    def gibbs(
        self,
        params: RBMParams,
        visible: Rows,
        steps: int,
        key: Key,
        first_row: int = 0,
        first_step: int = 0,
    ) -> Rows:
        """v after `steps` times h ~ p(h | v), v ~ p(v | h); of binary units bits from the first sample on."""
        if steps < 0:
            raise ValueError(f"steps: expected 0 or more, got {steps}")
        while steps and not (isinstance(visible, PackedBits) and is_binary(params)):
            hidden = self.sample_hidden(params, visible, key, first_row, first_step)
            visible = self.sample_visible(params, hidden, key, first_row, first_step)
            steps, first_step = steps - 1, first_step + 1
        if not isinstance(visible, PackedBits):
            return PackedBits.pack(visible) if params.visible_unit.binary else visible
        if steps == 0:
            return visible
        words = visible.words.copy()
        _core.gibbs(
            *arrays_of(params),
            words,
            steps=steps,
            key=key.words,
            first_row=first_row,
            step=first_step,
            units=units_of(params),
        )
        return PackedBits(words, params.n_visible)

    def reconstruct(self, params: RBMParams, visible: Rows) -> Float32s:
        """E[v | E[h | v]], mean field."""
        return self.visible_mean(params, self.hidden_mean(params, visible))

    def free_energy(self, params: RBMParams, visible: Rows) -> NDArray[np.float64]:
        """F(v) = U(v) - v.b - cumulant(W v + c)."""
        if isinstance(visible, PackedBits) and is_binary(params):
            return np.asarray(_core.free_energy(*arrays_of(params), words_of(visible)))
        rows = as_array(visible)
        inputs = self._product(rows, params.weight.T)
        v = rows.astype(np.float64)
        own = params.visible_unit.energy(v) - v @ params.visible_bias.astype(np.float64)
        return np.asarray(own - params.hidden_unit.cumulant(inputs.astype(np.float64) + params.hidden_bias))

    def cd_statistics(
        self,
        params: RBMParams,
        visible: Rows,
        gibbs_steps: int,
        key: Key,
        first_row: int = 0,
        step: int = 0,
    ) -> Statistics:
        """Sums over rows of v0 p0 - v1 p1; exact integers underneath where the rows are bits."""
        if isinstance(visible, PackedBits) and is_binary(params):
            weight, v, h = _core.cd_statistics(
                *arrays_of(params),
                words_of(visible),
                gibbs_steps=gibbs_steps,
                key=key.words,
                first_row=first_row,
                step=step,
                units=units_of(params),
            )
            return Statistics(weight / MEAN_ONE, v.astype(np.float64), h / MEAN_ONE, len(visible))
        p0 = self.hidden_mean(params, visible)
        hidden = self.sample_hidden(params, visible, key, first_row, step)
        samples = self.sample_visible(params, hidden, key, first_row, step)
        if gibbs_steps > 1:
            samples = self.gibbs(params, samples, gibbs_steps - 1, key, first_row, step + 1)
        p1, v0, v1 = self.hidden_mean(params, samples), as_array(visible), as_array(samples)
        return Statistics(
            (self._product(p0.T, v0) - self._product(p1.T, v1)).astype(np.float64),
            v0.sum(axis=0, dtype=np.float64) - v1.sum(axis=0, dtype=np.float64),
            p0.sum(axis=0, dtype=np.float64) - p1.sum(axis=0, dtype=np.float64),
            len(visible),
        )

    def phases(
        self, params: RBMParams, visible: Rows, chains: Rows | None, gibbs_steps: int, key: Key, step: int
    ) -> tuple[Phase, Phase, Rows | None]:
        """Positive and negative phase of a minibatch; chains: hidden states that go on, None for CD."""
        return sampled_phases(self, params, visible, chains, gibbs_steps, key.fold_in(step))

    def anneal(
        self,
        params: RBMParams,
        base_bias: Float32s,
        betas: NDArray[np.float64],
        visible: Rows,
        key: Key,
        progress: Progress | None = None,
    ) -> tuple[Rows, NDArray[np.float64]]:
        """Of bits all temperatures in one native call: the weights are packed once, beta scales their sums."""
        if not is_binary(params):
            return ReferenceBackend().anneal(params, base_bias, betas, visible, key, progress)
        bits = visible if isinstance(visible, PackedBits) else PackedBits.pack(visible)
        words = bits.words.copy()
        weights = _core.anneal(
            *arrays_of(params), base_bias, betas, words, key=key.words, units=units_of(params), progress=progress
        )
        return PackedBits(words, params.n_visible), np.asarray(weights)

    def train(
        self,
        params: RBMParams,
        rows: Rows,
        batches: Batches,
        state: State,
        progress: Progress | None = None,
    ) -> Outcome:
        """Thousands of minibatches in one native call with the GIL released."""
        if self.engine == "binary" and not isinstance(rows, PackedBits):
            raise ValueError("engine: 'binary' needs binary rows, got real values; binarise them or use 'auto'")
        bits = self._exact(params, rows)
        if not batches.is_plain or (bits is None and state.offsets is not None):
            return train_in_python(self, params, rows, batches, state, progress)
        settings = settings_of(batches)
        velocity = None if state.velocity is None else arrays_of(state.velocity)
        squares = None if state.squares is None else arrays_of(state.squares)
        chains = state.chains.words if isinstance(state.chains, PackedBits) else state.chains
        if bits is not None:
            outcome = _core.train_minibatches(
                *arrays_of(params),
                words_of(bits),
                batches.order,
                settings,
                velocity=velocity,
                squares=squares,
                offsets=None if state.offsets is None else (state.offsets.visible, state.offsets.hidden),
                chains=chains,
                units=units_of(params),
                progress=progress,
                reference=self.engine == "plain",
            )
        else:
            outcome = _core.train_dense(
                *arrays_of(params),
                np.ascontiguousarray(as_array(rows)),
                batches.order,
                settings,
                velocity=velocity,
                squares=squares,
                chains=chains,
                units=units_of(params),
                progress=progress,
                canonical=self.canonical,
                reference=self.engine == "plain",
            )
        return Outcome(*outcome)
