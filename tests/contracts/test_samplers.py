"""Walk the samplers of every backend on machines small enough to enumerate: exact CD-k updates, and no drift."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rbmx.backends import Batches, State, Update
from rbmx.backends.native import NativeBackend
from rbmx.backends.reference import ReferenceBackend
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.rng import Draws, Key
from rbmx.units.bernoulli import Bernoulli

BACKENDS = {"native": NativeBackend(), "reference": ReferenceBackend()}
SHAPES = [(1, 1), (4, 3), (3, 5), (6, 6)]


def states(n: int) -> Any:
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(np.float64)


def sigmoid(x: Any) -> Any:
    return np.exp(-np.logaddexp(0, -x))


def probability_of(states_: Any, p: Any) -> Any:
    """p(s) of independent bits for each row of probabilities: (rows, states)."""
    return np.prod(np.where(states_[None] == 1, p[:, None], 1 - p[:, None]), axis=2)


class Enumerated:
    """A Bernoulli machine written out: p(v), p(h | v), and the transition matrix of one Gibbs step."""

    def __init__(self, params: RBMParams) -> None:
        w, b, c = (a.astype(np.float64) for a in (params.weight, params.visible_bias, params.hidden_bias))
        self.v, h = states(params.n_visible), states(params.n_hidden)
        self.p_hidden = sigmoid(self.v @ w.T + c)
        self.step = probability_of(h, self.p_hidden) @ probability_of(self.v, sigmoid(h @ w + b))
        log_p = self.v @ b + np.logaddexp(0, self.v @ w.T + c).sum(1)
        self.p = np.exp(log_p - np.logaddexp.reduce(log_p))

    def cd_moments(self, k: int) -> tuple[Any, Any]:
        """Mean and variance of the flattened CD-k statistic (weight, visible, hidden) from each v."""
        t = np.linalg.matrix_power(self.step, k)
        outer = self.p_hidden[:, :, None] * self.v[:, None, :]
        feature = np.concatenate([outer.reshape(len(self.v), -1), self.v, self.p_hidden], axis=1)
        mean = t @ feature
        return feature - mean, t @ feature**2 - mean**2


def z_scores(params: RBMParams, exact: Enumerated, backend: Any, k: int, copies: int) -> Any:
    """(sum found - sum expected) / deviation over `copies` of every v, each with its own noise."""
    rows = PackedBits.pack(np.repeat(exact.v, copies, 0))
    found = backend.cd_statistics(params, rows, k, Key(17), 0, k)
    sums = np.concatenate([found.weight.ravel(), found.visible, found.hidden])
    mean, variance = (moment.sum(0) * copies for moment in exact.cd_moments(k))
    rounding = len(rows) * 2.0**-16  # means are counted in units of 2^-15
    return np.maximum(np.abs(sums - mean) - rounding, 0) / np.sqrt(variance + 1e-9)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize(("n_visible", "n_hidden"), SHAPES)
def test_cd_statistics_have_the_mean_that_the_transition_matrix_gives(
    n_visible: int, n_hidden: int, k: int, scale: float, name: str, machine: Any
) -> None:
    """About 100,000 rows, at most 48 sums, 5 deviations: a false alarm once in 30,000 seeds (this one is fixed).

    Power: 1 deviation of a sum is 0.16 % of a row, so a sampler that is 3 % off shows at z > 10, see below.
    """
    params = machine(n_visible, n_hidden, scale=scale)
    copies = 100_000 >> n_visible
    assert z_scores(params, Enumerated(params), BACKENDS[name], k, copies).max() < 5


MUTANTS = {
    "a flipped hidden bias": lambda p: RBMParams(p.weight, p.visible_bias, -p.hidden_bias),
    "a dropped visible bias": lambda p: RBMParams(p.weight, 0 * p.visible_bias, p.hidden_bias),
    "reversed weights": lambda p: RBMParams(p.weight[:, ::-1].copy(), p.visible_bias, p.hidden_bias),
    "weights 10 % too large": lambda p: RBMParams(p.weight * np.float32(1.1), p.visible_bias, p.hidden_bias),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_machine_fails_the_z_test(mutant: str, machine: Any) -> None:
    """The test above bites: sampling from each of these instead gives z > 10."""
    params = machine(4, 3)
    broken = MUTANTS[mutant](params)
    assert z_scores(broken, Enumerated(params), BACKENDS["native"], 1, 6000).max() > 10


@pytest.fixture
def biased_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The NumPy sampler draws 1 with 1.03 times the probability; its means stay right."""

    def sample(self: Bernoulli, x: Any, draws: Draws) -> Any:
        return (draws.uniform(*x.shape) < 1.03 * self.mean(x)).astype(np.float64)

    monkeypatch.setattr(Bernoulli, "sample", sample)


@pytest.mark.usefixtures("biased_sampler")
def test_a_sampler_that_is_3_percent_off_fails_the_z_test_and_drifts(machine: Any) -> None:
    params = machine(4, 3)
    exact = Enumerated(params)
    assert z_scores(params, exact, BACKENDS["reference"], 1, 6000).max() > 10
    found, degrees = after_gibbs(params, exact.p, BACKENDS["reference"], 10, 100_000)
    assert found > 2 * limit(degrees)


def test_one_gibbs_step_fewer_fails_the_z_test(machine: Any) -> None:
    params = machine(4, 3, scale=2.0)
    exact = Enumerated(params)
    mean, variance = (moment.sum(0) * 6000 for moment in exact.cd_moments(2))
    found = BACKENDS["native"].cd_statistics(params, PackedBits.pack(np.repeat(exact.v, 6000, 0)), 1, Key(17))
    sums = np.concatenate([found.weight.ravel(), found.visible, found.hidden])
    assert (np.abs(sums - mean) / np.sqrt(variance)).max() > 10


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("chains", [None, 40_000])
def test_one_update_of_training_is_the_expected_one(name: str, chains: int | None, machine: Any) -> None:
    """rate * (positive - negative means) of one batch; for PCD-1 from fair-coin chains in the same way."""
    params = machine(4, 3)
    exact = Enumerated(params)
    n = 40_000
    rows = PackedBits.pack(np.repeat(exact.v, n // 16, 0))
    h = states(3)
    if chains is None:
        expected, variance = (m.mean(0) for m in exact.cd_moments(1))
        variance = variance / n
        state = State()
    else:
        w = params.weight.astype(np.float64)
        start = np.full(8, 1 / 8) @ probability_of(exact.v, sigmoid(h @ w + params.visible_bias))
        outer = (exact.p_hidden[:, :, None] * exact.v[:, None, :]).reshape(16, -1)
        feature = np.concatenate([outer, exact.v, exact.p_hidden], axis=1)
        mean = start @ feature
        expected, variance = feature.mean(0) - mean, (start @ feature**2 - mean**2) / chains
        coins = np.random.default_rng(0).permutation(np.repeat(h, chains // 8, 0))
        state = State(None, PackedBits.pack(coins))
    rate = 0.5
    after = params.copy()
    batches = Batches(np.arange(n), n, 1, Update(rate), Key(3), 0)
    BACKENDS[name].train(after, rows, batches, state)
    change = np.concatenate(
        [(getattr(after, x) - getattr(params, x)).ravel() for x in ("weight", "visible_bias", "hidden_bias")]
    ).astype(np.float64)
    # the deviation, plus the rounding of means to 2^-15 and of float32 parameters
    allowed = rate * (5 * np.sqrt(variance) + 2.0**-16) + 1e-6
    assert np.all(np.abs(change - rate * expected) < allowed)


def chi_square(counts: Any, p: Any) -> tuple[float, int]:
    """The statistic and its degrees; states expected fewer than 5 times are taken together."""
    expected = p * counts.sum()
    rare = expected < 5
    found = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    keep = wanted > 0
    return float(((found - wanted)[keep] ** 2 / wanted[keep]).sum()), int(keep.sum()) - 1


def after_gibbs(params: RBMParams, p: Any, backend: Any, steps: int, n: int) -> tuple[float, int]:
    """Chi-square against p(v) of n chains that were drawn from p(v) and then moved."""
    start = np.random.default_rng(7).choice(len(p), n, p=p)
    rows = PackedBits.pack(states(params.n_visible)[start])
    moved = backend.gibbs(params, rows, steps, Key(11)).words[:, 0].astype(np.int64)
    return chi_square(np.bincount(moved, minlength=len(p)), p)


def limit(degrees: int) -> float:
    """Wilson and Hilferty: the point that a chi-square passes once in 30,000 (4 deviations)."""
    return degrees * (1 - 2 / (9 * degrees) + 4 * np.sqrt(2 / (9 * degrees))) ** 3


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("scale", [0.5, 1.5, 3.0])
@pytest.mark.parametrize(("n_visible", "n_hidden"), [(1, 1), (4, 3), (3, 8), (8, 5)])
def test_chains_drawn_from_the_model_stay_there(
    n_visible: int, n_hidden: int, scale: float, name: str, machine: Any
) -> None:
    params = machine(n_visible, n_hidden, scale=scale)
    n, steps = (100_000, 10) if name == "native" else (20_000, 3)
    found, degrees = after_gibbs(params, Enumerated(params).p, BACKENDS[name], steps, n)
    assert found < limit(degrees)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_chains_of_a_broken_machine_drift(mutant: str, machine: Any) -> None:
    """The test above bites: ten steps of any of these machines leave p(v) by more than three times the limit."""
    params = machine(4, 3, scale=1.5)
    found, degrees = after_gibbs(MUTANTS[mutant](params), Enumerated(params).p, BACKENDS["native"], 10, 100_000)
    assert found > 3 * limit(degrees)


def test_persistent_chains_of_a_model_that_does_not_move_stay_in_its_distribution(machine: Any) -> None:
    """PCD with a rate of almost nothing is a sampler: 50 updates of 50,000 chains started from fair coins."""
    params = machine(4, 5, scale=1.0)
    h = states(5)
    w = params.weight.astype(np.float64)
    log_p = h @ params.hidden_bias + np.logaddexp(0, h @ w + params.visible_bias).sum(1)
    p = np.exp(log_p - np.logaddexp.reduce(log_p))
    chains = PackedBits.pack(np.random.default_rng(0).integers(0, 2, (50_000, 5)))
    batches = Batches(np.zeros(50, np.int64), 1, 2, Update(1e-12), Key(6), 0)
    BACKENDS["native"].train(params, PackedBits.pack(np.zeros((1, 4))), batches, State(None, chains))
    found, degrees = chi_square(np.bincount(chains.words[:, 0].astype(np.int64), minlength=32), p)
    assert found < limit(degrees)
