"""The classification RBM on plain arrays: p(y | x), its exact gradient, and contrastive divergence on (x, y).

Larochelle and Bengio 2008; Larochelle, Mandel, Pascanu and Bengio 2012.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rbmx.arguments import check_types, whole_number
from rbmx.params import Float32s, RBMParams
from rbmx.rng import Draws, Key

__all__ = [
    "UNLABELLED",
    "ClassOffsets",
    "ClassRBMParams",
    "Objective",
    "class_scores",
    "gradient",
    "log_probabilities",
    "sample",
]

UNLABELLED = -1  # the label of a row whose class is not known
BLOCK = 1 << 17  # values of (classes, rows, hidden units) worked on at once: they stay in the cache
CHAIN, VISIBLE, CLASS, LEFT = range(4)  # streams of the draws of a Gibbs step

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]


@dataclass(eq=False)
class ClassRBMParams:
    """Parameters of E(x, y, h) = -x.b - d_y - h.c - h W x - h U_y, all float32.

    Attributes:
        weight: W, (n_hidden, n_visible).   class_weight: U, (n_hidden, n_classes), U_y its column of class y.
        visible_bias: b, (n_visible,).   hidden_bias: c, (n_hidden,).   class_bias: d, (n_classes,).
    """

    weight: Float32s
    class_weight: Float32s
    visible_bias: Float32s
    hidden_bias: Float32s
    class_bias: Float32s

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays."""
        return tuple(field.name for field in fields(self))

    @property
    def n_visible(self) -> int:
        """Number of visible units."""
        return int(self.weight.shape[1])

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return int(self.weight.shape[0])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_bias)

    def copy(self) -> ClassRBMParams:
        """The same numbers in memory of their own."""
        return replace(self, **{name: getattr(self, name).copy() for name in self.names})

    def zeros(self) -> ClassRBMParams:
        """Zeros in the same shapes."""
        return replace(self, **{name: np.zeros_like(getattr(self, name)) for name in self.names})

    def joint(self) -> RBMParams:
        """The same machine as an RBM over (x, one-hot y): bernoulli and softmax units side by side, a copy."""
        return RBMParams(
            np.concatenate([self.weight, self.class_weight], axis=1),
            np.concatenate([self.visible_bias, self.class_bias]),
            self.hidden_bias.copy(),
            f"bernoulli*{self.n_visible} + softmax({self.n_classes})",
        )

    @classmethod
    def initial(
        cls, n_visible: int, n_hidden: int, n_classes: int, *, key: Key, std: float | None = None
    ) -> ClassRBMParams:
        """Weights near N(0, std^2), by default std = 1 / sqrt(max(n_visible, n_hidden)) / 2; biases zero."""
        if whole_number("n_classes", n_classes) < 2:
            raise ValueError(f"n_classes: expected 2 or more, got {n_classes}")
        if std is None:
            std = 0.5 / max(n_visible + n_classes, n_hidden) ** 0.5
        joint = RBMParams.initial(n_visible + n_classes, n_hidden, key=key, std=std)
        weight, class_weight = (np.ascontiguousarray(part) for part in np.split(joint.weight, [n_visible], axis=1))
        visible_bias, class_bias = (part.copy() for part in np.split(joint.visible_bias, [n_visible]))
        return cls(weight, class_weight, visible_bias, joint.hidden_bias, class_bias)


@dataclass(frozen=True)
class Objective:
    """What is ascended: discriminative * log p(y | x) + generative * log p(x, y), and unlabelled * log p(x).

    Attributes:
        discriminative, generative: weights of the rows with a label.
        unlabelled: weight of the rows without one.
    """

    discriminative: float = 1.0
    generative: float = 0.01
    unlabelled: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("discriminative", "generative", "unlabelled"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected a weight of 0 or more, got {value}")
        if not (self.discriminative or self.generative):
            raise ValueError("discriminative, generative: expected one of them above 0")

    @property
    def has_chains(self) -> bool:
        """Whether anything generative is in it."""
        return bool(self.generative or self.unlabelled)


@dataclass(eq=False)
class ClassOffsets:
    """Means of the units that the centred gradient takes away (Melchior, Fischer and Wiskott 2016).

    Attributes:
        visible, classes: of the data.   hidden: of the hidden units, sliding at `rate`.
    """

    visible: Floats
    classes: Floats
    hidden: Floats
    rate: float = 0.01


def class_scores(params: ClassRBMParams, x: Floats) -> Floats:
    """-F(x, y) - b.x = d_y + sum_j softplus((W x + c + U_y)_j), (rows, n_classes)."""
    inputs = x @ params.weight.T + params.hidden_bias
    scores = np.empty((len(x), params.n_classes), inputs.dtype)
    for rows in _blocks(params, len(x)):
        scores[rows] = _scores_and_means(params, inputs[rows])[0].T
    return scores


def log_probabilities(params: ClassRBMParams, x: Floats) -> Floats:
    """log p(y | x) of every class, (rows, n_classes), exact."""
    scores = class_scores(params, x)
    scores -= scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))


def gradient(
    params: ClassRBMParams,
    x: Floats,
    labels: Labels,
    objective: Objective,
    *,
    gibbs_steps: int,
    key: Key,
    out: ClassRBMParams,
    rate: float = 1.0,
    dropout: float = 0.0,
    chains: Floats | None = None,
    offsets: ClassOffsets | None = None,
) -> Floats | None:
    """The slope of the objective times `rate`, a mean over rows: exact for log p(y | x), else by CD or PCD.

    Args:
        params: the machine.
        x: (rows, n_visible) in [0, 1].
        labels: (rows,), UNLABELLED where the class is not known.
        objective: the weights of its parts.
        gibbs_steps: k of CD-k.
        key: of the noise of this minibatch.
        out: where the slopes go.
        rate: factor of all slopes.
        dropout: the share of hidden units that log p(y | x) of each row goes without; the others count
            1 / (1 - dropout) times, so that the scores of the whole machine are the means over what may be left
            (Srivastava et al. 2014).
        chains: hidden states that the negative phase goes on from; None: chains start at the rows.
        offsets: of the centred gradient; None: the plain one. Those of the hidden units slide.

    Returns:
        Where the chains stand; None: there are none.
    """
    known = labels != UNLABELLED
    scale = rate / len(x)
    share = (scale * np.where(known, objective.generative, objective.unlabelled)).astype(x.dtype)[:, None]
    inputs = x @ params.weight.T
    inputs += params.hidden_bias
    target = np.zeros((len(x), params.n_classes), x.dtype)
    target[known, labels[known]] = 1
    hidden = np.empty_like(inputs)
    out.class_weight[...] = 0
    out.class_bias[...] = 0
    active = np.zeros(params.n_hidden, x.dtype)
    left = _left(key, LEFT, inputs.shape, dropout, x.dtype)
    for rows in _blocks(params, len(x)):
        kept = None if left is None else left[rows]
        scores, means = _scores_and_means(params, inputs[rows], kept)
        posterior = _softmax(scores.T)
        q = target[rows]
        q[~known[rows]] = posterior[~known[rows]]
        hidden[rows] = _add(share[rows] * q, means, out)
        active += np.ascontiguousarray(q.T).reshape(-1) @ means.reshape(-1, params.n_hidden)
        if kept is not None:
            means *= kept
        hidden[rows] += _add(objective.discriminative * scale * (q - posterior), means, out)
    visible_share = share
    if share.any():
        start = chains
        if start is None:
            start = inputs + params.class_weight.T[_drawn(target, Draws(key, 0, 0, CLASS))]
            start = _bernoulli(start, Draws(key, 0, 0, CHAIN))
        x1, y1, h1, moved = _gibbs(params, start, gibbs_steps, key, move=chains is not None)
        against = -share if chains is None else np.full((len(x1), 1), -share.sum() / len(x1), x.dtype)
        chains = None if chains is None else moved
        h1 *= against
        one_hot = np.eye(params.n_classes, dtype=x.dtype)[y1]
        out.class_weight += h1.T @ one_hot
        out.class_bias += (against * one_hot).sum(axis=0)
        hidden, x, visible_share = (np.concatenate(pair) for pair in ((hidden, h1), (x, x1), (share, against)))
    hidden.sum(axis=0, out=out.hidden_bias)
    np.matmul(visible_share[:, 0], x, out=out.visible_bias)
    if offsets is None:
        np.matmul(hidden.T, x, out=out.weight)
        return chains
    mu, nu, lam = offsets.visible, offsets.classes, offsets.hidden
    lam += offsets.rate * (active / len(labels) - lam)
    np.matmul((hidden - visible_share * lam).T, x - mu, out=out.weight)
    out.class_weight -= np.outer(out.hidden_bias, nu) + np.outer(lam, out.class_bias)
    out.visible_bias -= lam @ out.weight
    out.class_bias -= lam @ out.class_weight
    out.hidden_bias -= out.weight @ mu + out.class_weight @ nu
    return chains


def sample(params: ClassRBMParams, n: int, steps: int, key: Key, labels: Labels | None = None) -> tuple[Floats, Labels]:
    """(x, y) of n chains after `steps` Gibbs steps from noise; y stays at `labels`, (n,), where they are given."""
    coins = Draws(key, 0, 0, CHAIN).uniform(n, params.n_hidden) < 0.5
    x, y, _, _ = _gibbs(params, coins.astype(np.float32), steps, key, labels=labels)
    return x, y


def _gibbs(
    params: ClassRBMParams,
    hidden: Floats,
    steps: int,
    key: Key,
    *,
    labels: Labels | None = None,
    move: bool = False,
) -> tuple[Floats, Labels, Floats, Floats]:
    """x, y and P(h = 1 | x, y) after `steps` times (x, y) ~ p(x, y | h), and h, drawn once more to `move` on.

    `labels` stay as they are where they are given.
    """
    for step in range(steps):
        x = _bernoulli(hidden @ params.weight + params.visible_bias, Draws(key, 0, step, VISIBLE))
        if labels is None:
            y = _drawn(_softmax(hidden @ params.class_weight + params.class_bias), Draws(key, 0, step + 1, CLASS))
        else:
            y = labels
        inputs = x @ params.weight.T
        inputs += params.hidden_bias
        inputs += params.class_weight.T[y]
        if move or step + 1 < steps:
            hidden = _bernoulli(inputs, Draws(key, 0, step + 1, CHAIN))
    return x, y, _sigmoid(inputs), hidden


def _add(weights: Floats, means: Floats, out: ClassRBMParams) -> Floats:
    """Sums over classes of `weights` (rows, n_classes) times `means`, (rows, n_hidden); U's and d's shares to out."""
    out.class_weight += (weights.T[:, None, :] @ means)[:, 0].T
    out.class_bias += weights.sum(axis=0)
    return np.asarray((weights[:, None, :] @ means.transpose(1, 0, 2))[:, 0])


def _blocks(params: ClassRBMParams, n_rows: int) -> list[slice]:
    size = max(1, BLOCK // (params.n_classes * params.n_hidden))
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def _scores_and_means(params: ClassRBMParams, inputs: Floats, left: Floats | None = None) -> tuple[Floats, Floats]:
    """class_scores (n_classes, rows) and P(h = 1 | x, y), (n_classes, rows, n_hidden), from W x + c.

    `left` is how many times each hidden unit counts in a row's scores, (rows, n_hidden); None: once.
    With t = tanh(a / 2): P = (1 + t) / 2 and softplus(a) = a / 2 + |a / 2| - log(1 + |t|) + log 2.
    """
    by_class = np.ascontiguousarray(params.class_weight.T)[:, None, :]
    half = inputs / 2 + by_class / 2
    means = np.tanh(half)
    soft = _sums(half, left)
    soft += _sums(np.abs(half, out=half), left)
    soft -= _sums(np.log1p(np.abs(means, out=half), out=half), left)
    means += 1
    means /= 2
    units = params.n_hidden if left is None else left.sum(axis=1)
    return soft + params.class_bias[:, None] + inputs.dtype.type(np.log(2.0)) * units, means


def _sums(values: Floats, left: Floats | None) -> Floats:
    """Over the hidden units that are left, (n_classes, rows), as products: the fastest way."""
    if left is None:
        ones = np.ones(values.shape[2], values.dtype)
        return np.asarray((values.reshape(-1, len(ones)) @ ones).reshape(values.shape[:2]))
    return np.asarray((values.transpose(1, 0, 2) @ left[:, :, None])[:, :, 0].T)


def _left(key: Key, stream: int, shape: tuple[int, ...], dropout: float, dtype: Any) -> Floats | None:
    """1 / (1 - dropout) where a row has the unit, else 0; None: it has all."""
    if not dropout:
        return None
    return ((Draws(key, 0, 0, stream).uniform(*shape) >= dropout) / (1 - dropout)).astype(dtype)


def _softmax(scores: Floats) -> Floats:
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray((1 + np.tanh(x / 2)) / 2)


def _bernoulli(inputs: Floats, draws: Draws) -> Floats:
    return (draws.uniform(*inputs.shape) < _sigmoid(inputs)).astype(inputs.dtype)


def _drawn(probabilities: Floats, draws: Draws) -> Labels:
    """A class for each row of probabilities."""
    cumulative = probabilities.cumsum(axis=1)
    u = draws.uniform(len(probabilities), 1)
    return np.asarray((u * cumulative[:, -1:] >= cumulative[:, :-1]).sum(axis=1))
