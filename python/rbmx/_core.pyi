# The native kernels (csrc/bindings); use them through rbmx.backends.native.
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

_F = NDArray[np.float32]
_Bits = NDArray[np.uint64]
_Int = NDArray[np.int64]
_Key = tuple[int, int]

@final
class Settings:
    def __init__(
        self,
        *,
        batch_size: int,
        gibbs_steps: int,
        rule: str,
        learning_rate: float,
        first: float,
        second: float,
        epsilon: float,
        weight_decay: float,
        l1: float,
        offset_rate: float,
        key: _Key,
        first_step: int,
    ) -> None: ...

@final
class Units:
    def __init__(self, *, visible: str = ..., hidden: str = ..., groups: NDArray[np.int32]) -> None: ...

def philox(counter: list[int], key: _Key) -> list[int]: ...
def permutation(n: int, *, key: _Key) -> _Int: ...
def set_isa(name: str) -> None: ...
def set_num_threads(n: int) -> None: ...
def get_num_threads() -> int: ...
def build_info() -> dict[str, Any]: ...
def mean(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    side: str,
    given: _Bits,
    *,
    units: Units = ...,
    reference: bool = False,
) -> _F: ...
def mean_dense(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    side: str,
    given: _F,
    *,
    units: Units = ...,
    canonical: bool = False,
    reference: bool = False,
) -> _F: ...
def sample(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    side: str,
    given: _Bits,
    *,
    key: _Key,
    first_row: int = 0,
    step: int = 0,
    units: Units = ...,
    reference: bool = False,
) -> _Bits: ...
def sample_dense(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    side: str,
    given: _F,
    *,
    key: _Key,
    first_row: int = 0,
    step: int = 0,
    units: Units = ...,
    canonical: bool = False,
    reference: bool = False,
) -> NDArray[Any]: ...  # bits of Bernoulli units, float32 of others
def gibbs(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    visible: _Bits,
    *,
    steps: int,
    key: _Key,
    first_row: int = 0,
    step: int = 0,
    units: Units = ...,
    reference: bool = False,
) -> None: ...
def free_energy(
    weight: _F, visible_bias: _F, hidden_bias: _F, visible: _Bits, *, reference: bool = False
) -> NDArray[np.float64]: ...
def cd_statistics(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    visible: _Bits,
    *,
    gibbs_steps: int,
    key: _Key,
    first_row: int = 0,
    step: int = 0,
    units: Units = ...,
    reference: bool = False,
) -> tuple[_Int, _Int, _Int]: ...
def anneal(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    base_bias: _F,
    betas: NDArray[np.float64],
    visible: _Bits,
    *,
    key: _Key,
    first_row: int = 0,
    step: int = 0,
    units: Units = ...,
    progress: Callable[[int], object] | None = None,
    reference: bool = False,
) -> NDArray[np.float64]: ...
def pseudo_log_likelihood(
    weight: _F, visible_bias: _F, hidden_bias: _F, visible: _Bits, *, reference: bool = False
) -> NDArray[np.float64]: ...
def log_partition(
    weight: _F,
    bias: _F,
    other_bias: _F,
    *,
    progress: Callable[[int], object] | None = None,
    reference: bool = False,
) -> float: ...
def gemm(a: _F, b: _F, *, reference: bool = False) -> _F: ...
def train_minibatches(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    data: _Bits,
    order: _Int,
    settings: Settings,
    *,
    velocity: tuple[_F, _F, _F] | None = None,
    squares: tuple[_F, _F, _F] | None = None,
    offsets: tuple[_F, _F] | None = None,
    chains: _Bits | _F | None = None,
    units: Units = ...,
    progress: Callable[[int], object] | None = None,
    reference: bool = False,
) -> tuple[str, int, BaseException | None]: ...
def train_dense(
    weight: _F,
    visible_bias: _F,
    hidden_bias: _F,
    data: _F,
    order: _Int,
    settings: Settings,
    *,
    velocity: tuple[_F, _F, _F] | None = None,
    squares: tuple[_F, _F, _F] | None = None,
    chains: _Bits | _F | None = None,
    units: Units = ...,
    progress: Callable[[int], object] | None = None,
    canonical: bool = False,
    reference: bool = False,
) -> tuple[str, int, BaseException | None]: ...

_Way = tuple[tuple[_F, _F, _F], tuple[_F, _F, _F] | None, tuple[int, int]]

def train_up_down(
    up: Sequence[_Way],
    down: Sequence[_Way],
    top: tuple[_F, _F, _F],
    data: _Bits,
    order: _Int,
    settings: Settings,
    *,
    velocity: tuple[_F, _F, _F] | None = None,
    chains: _Bits | _F | None = None,
    units: Units = ...,
    progress: Callable[[int], object] | None = None,
    reference: bool = False,
) -> tuple[str, int, BaseException | None]: ...
def parse_csv(
    text: Buffer,
    label: str | None,
    values: NDArray[np.uint8] | NDArray[np.float32],
    labels: _Int | None,
    *,
    bytes_per_thread: int = ...,
) -> tuple[int, int, str, int, int, int, int]: ...
def parse_csv_bits(
    text: Buffer,
    label: str | None,
    threshold: float,
    n_values: int,
    words: _Bits,
    labels: _Int | None,
    *,
    bytes_per_thread: int = ...,
) -> tuple[int, int, str, int, int, int, int]: ...
def decode_base64(text: Buffer) -> bytes: ...
def mark_lines(text: Buffer, every: int, seen: int, offsets: _Int) -> tuple[int, int]: ...
