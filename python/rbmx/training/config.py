"""Everything that decides a training run, as one frozen value."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rbmx.arguments import check_types, items, number
from rbmx.backends import ENGINES, Update
from rbmx.samplers import CD, PCD, PT, FastPCD, Sampler, sampler_from
from rbmx.training.optimizers import SGD, Adam, Optimizer, RMSProp, optimizer_from
from rbmx.training.passes import require_passes
from rbmx.training.penalties import L1, L2, Dropout, GroupL2, MaxNorm, Penalty, Sparsity, dropout, total
from rbmx.training.schedules import ExponentialDecay, Forgotten, LinearDecay, Schedule, factor_of

__all__ = ["TrainConfig"]

CENTERING = 0.01
_SAMPLERS = (CD, PCD, FastPCD, PT)
_OPTIMIZERS = (SGD, Adam, RMSProp)
_PENALTIES = (L1, L2, GroupL2, MaxNorm, Sparsity, Dropout)
_SETTINGS = {cls.__name__: cls for cls in (*_SAMPLERS, *_OPTIMIZERS, *_PENALTIES, LinearDecay, ExponentialDecay)}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of rbmx.train and RBM.fit.

    Attributes:
        epochs: passes over the data, counted over the life of the model (a resumed run goes on to this number).
        batch_size: rows of a minibatch, 1 to 65536.
        sampler: CD(k), PCD(k, chains), FastPCD(k, ...), PT(k, temperatures, ...), or "cd", "pcd", "fast_pcd", "pt".
        optimizer: SGD(lr, momentum, nesterov), Adam(...), RMSProp(...), or "sgd", "nesterov", "adam", "rmsprop".
        penalties: a sequence of L1, L2, GroupL2, MaxNorm, Sparsity and Dropout.
        schedule: factor of the learning rate, schedule(epoch, epochs), epoch from 0; None: constant.
        centering: the rate by which offsets follow the means of the units, 0 < rate <= 1: centred gradients (Melchior,
            Fischer and Wiskott 2016), which learn as well from data that are mostly on as from their complement and
            find better optima. 0: plain gradients. None: 0.01 for machines on bits (Bernoulli, and visible softmax
            groups) by CD or PCD, where the native loop centres at little cost, minibatches of two rows or more, and no
            penalties but L1 and L2; else plain. A resumed run stays what it was.
        shuffle: visit rows in a new seeded order each epoch.
        seed: decides order, noise and chains.
        engine: "auto", "binary", "blas" or "reference" (rbmx.backends.backend_for).
        reproducible: real-valued rows take canonical-order products on any machine, even one without fused
            multiply-add, where they are slow: the same bytes everywhere.
        visible_bias: "data": a new run whose visible biases are all zero starts them where the units alone have the
            data's means, for Bernoulli units at log(p / (1 - p)), p how often each is on in the data (Hinton 2010,
            section 8): without it plain PCD can get stuck with every hidden unit on. Learned variances start at the
            data's. "keep": they stay as they come.
        clamped_steps: Gibbs steps that fill in the missing entries (NaN) of a minibatch, the observed ones clamped.
        buffer_bytes: data up to this size stay in memory; larger ones stream, shuffled by blocks and inside a
            buffer of this size.
        monitor_rows: rows that the error of an epoch is measured on.
    """

    epochs: int = 10
    batch_size: int = 100
    sampler: Sampler = field(default_factory=CD)
    optimizer: Optimizer = field(default_factory=SGD)
    penalties: tuple[Penalty, ...] = ()
    schedule: Schedule | None = None
    centering: float | None = None
    shuffle: bool = True
    seed: int = 0
    engine: str = "auto"
    reproducible: bool = False
    visible_bias: str = "data"
    clamped_steps: int = 10
    buffer_bytes: int = 128 << 20
    monitor_rows: int = 1000

    def __post_init__(self) -> None:
        check_types(self)
        require_passes(self)
        object.__setattr__(self, "sampler", sampler_from(self.sampler))
        object.__setattr__(self, "optimizer", optimizer_from(self.optimizer))
        if self.engine not in ENGINES:
            raise ValueError(f"engine: expected one of {', '.join(ENGINES)}, got {self.engine!r}")
        if self.visible_bias not in ("data", "keep"):
            raise ValueError(f"visible_bias: expected 'data' or 'keep', got {self.visible_bias!r}")
        if self.clamped_steps < 1:
            raise ValueError(f"clamped_steps: expected 1 or more, got {self.clamped_steps}")
        if self.buffer_bytes < 1:
            raise ValueError(f"buffer_bytes: expected a positive size, got {self.buffer_bytes}")
        if self.monitor_rows < 1:
            raise ValueError(f"monitor_rows: expected 1 or more, got {self.monitor_rows}")
        if self.centering is not None and not 0 <= self.centering <= 1:
            raise ValueError(f"centering: expected a rate from 0 (plain gradients) to 1, got {self.centering}")
        object.__setattr__(self, "penalties", tuple(items("penalties", self.penalties, "penalties")))
        for penalty in self.penalties:
            if not isinstance(penalty, Penalty):
                raise ValueError(f"penalties: expected L1, L2, GroupL2, MaxNorm, Sparsity or Dropout, got {penalty!r}")
        if sum(isinstance(penalty, Sparsity) for penalty in self.penalties) > 1:
            raise ValueError("penalties: expected one Sparsity at most; each would move the same sliding mean")
        if dropout(self.penalties) and isinstance(self.sampler, FastPCD | PT):
            raise ValueError(f"penalties: Dropout goes with CD and PCD, not with {self.sampler}")

    @classmethod
    def of(
        cls,
        *,
        sampler: Sampler | str = "cd",
        optimizer: Optimizer | str = "sgd",
        penalties: Sequence[Penalty] = (),
        k: int | None = None,
        persistent: bool | None = None,
        lr: float | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        **others: Any,
    ) -> TrainConfig:
        """Settings from their short forms: k and persistent of the sampler, lr and momentum of the optimizer, and
        weight_decay, which is L2(weight_decay).

        Raises:
            TypeError: a name that is none of a setting.
            ValueError: a short form beside what it would change, or as in TrainConfig.
        """
        unknown = sorted(set(others) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise TypeError(f"{unknown[0]}: no setting of training has this name")
        decay = [] if weight_decay is None else [L2(number("weight_decay", weight_decay))]
        return cls(
            sampler=sampler_from(sampler, k=k, persistent=persistent),
            optimizer=optimizer_from(optimizer, lr=lr, momentum=momentum),
            penalties=(*items("penalties", penalties, "penalties"), *decay),
            **others,
        )

    def resumed(self, asked: TrainConfig) -> TrainConfig:
        """These settings, of a run to go on with, for the epochs asked for, with a function that no file could hold.

        Raises:
            ValueError: another setting is asked for.
        """
        last = replace(self, epochs=asked.epochs)
        if isinstance(last.schedule, Forgotten) and asked.schedule is not None:
            last = replace(last, schedule=asked.schedule)
        default = TrainConfig()
        for field_ in dataclasses.fields(TrainConfig):
            wanted, kept = getattr(asked, field_.name), getattr(last, field_.name)
            if wanted not in (kept, getattr(default, field_.name)):
                raise ValueError(f"{field_.name}: resume=True goes on with {kept}, got {wanted}; leave it out")
        return last

    def with_centering(self, *, native: bool, state_has_offsets: bool | None = None) -> TrainConfig:
        """The same settings with centering=None decided.

        Args:
            native: whether the native loop trains this machine on bits.
            state_has_offsets: of the run to go on from, which decides; None: a new run.
        """
        if self.centering is not None:
            return self
        wanted = native and self.batch_size > 1 and isinstance(self.sampler, CD | PCD) and self._has_native_penalties
        if state_has_offsets is not None:
            wanted = state_has_offsets
        return replace(self, centering=CENTERING if wanted else 0.0)

    @property
    def _has_native_penalties(self) -> bool:
        return all(isinstance(penalty, L1 | L2) for penalty in self.penalties)

    @property
    def weight_decay(self) -> float:
        """The total L2 decay."""
        return total(self.penalties, L2)

    def update(self, rate: float) -> Update:
        """What a minibatch does to the parameters at a learning rate."""
        return replace(
            self.optimizer.update(rate),
            weight_decay=self.weight_decay,
            l1=total(self.penalties, L1),
            offset_rate=self.centering or 0.0,
        )

    def learning_rate(self, epoch: int) -> float:
        """The rate of an epoch counted from 0."""
        return self.optimizer.lr * factor_of(self.schedule, epoch, self.epochs)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON values; a schedule that is a function of the user's is kept by name only."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: _to_json(value) for name, value in plain.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The settings that to_dict gave; a schedule that was a function is Forgotten.

        Raises:
            ValueError: an unknown setting.
        """
        return cls(**{name: _from_json(value) for name, value in values.items()})


def _to_json(value: Any) -> Any:
    if isinstance(value, Forgotten):
        return {"type": "function", "name": value.name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **dataclasses.asdict(value)}
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if callable(value):
        return {"type": "function", "name": getattr(value, "__name__", repr(value))}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    settings = dict(value)
    name = settings.pop("type", None)
    if name == "function":
        return Forgotten(**settings)
    if name not in _SETTINGS:
        raise ValueError(f"cannot rebuild {name!r} from a file: pass this setting again")
    return _SETTINGS[name](**settings)
