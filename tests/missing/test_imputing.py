"""What fills gaps: conditional means, conditional samples and conditional likelihoods against enumeration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from rbmx.backends.reference import ReferenceBackend  # noqa: E402
from tests.missing.fillings import NAN, WITH_MISSING, conditional, with_gaps  # noqa: E402
from tests.test_torch_units import module_of  # noqa: E402
from tests.units.layers import VISIBLE, machine  # noqa: E402

SPECS = [spec for spec in VISIBLE if spec != "counts"]


def gapped(spec: str) -> tuple[Any, Any, Any]:
    """A float32 machine with one of its rows that has both known and missing entries; of one group, all missing."""
    params = machine(spec, "spin" if spec == "bernoulli" else "bernoulli")
    rows = with_gaps(params, 40)
    mixed = [row for row in rows if np.isnan(row).any() and not np.isnan(row).all()]
    row = mixed[0] if mixed else np.full(params.n_visible, NAN, np.float32)
    return params, module_of(params, torch.float32), row


def known_moments(params: Any, row: Any) -> tuple[Any, Any]:
    """Mean and deviation of each entry given the known ones."""
    filled, p, _ = conditional(params, row)
    mean = p @ filled
    return mean, np.sqrt(np.maximum(p @ filled**2 - mean**2, 0))


@pytest.mark.parametrize("spec", SPECS)
def test_imputed_means_and_samples_are_those_of_the_conditional(spec: str) -> None:
    """4,000 independent chains of 30 steps: 5 deviations; means of halves of chains are less scattered than samples."""
    params, rbm, row = gapped(spec)
    mean, deviation = known_moments(params, row)
    v = torch.from_numpy(np.repeat(row[None], 4000, 0))
    for mode in ("mean", "sample"):
        filled = rbm.impute(v, steps=30, seed=1, mode=mode).double().numpy()
        known = ~np.isnan(row)
        assert np.array_equal(filled[:, known], np.repeat(row[None, known], 4000, 0))
        assert np.all(np.abs(filled.mean(0) - mean) < 5 * deviation / np.sqrt(4000) + 1e-5)
        if mode == "sample":
            assert params.visible_unit.check(filled) is None
            square = ((filled - mean) ** 2).mean(0)
            spread = ((filled - mean) ** 2).std(0) / np.sqrt(4000)
            assert np.all(np.abs(square - deviation**2) < 5 * spread + 1e-5)


@pytest.mark.parametrize("spec", SPECS)
def test_samples_with_some_values_given_follow_the_conditional(spec: str) -> None:
    """sample(given=): 4,000 chains, the means of all entries and of their squares within 5 deviations."""
    params, rbm, row = gapped(spec)
    mean, deviation = known_moments(params, row)
    found = rbm.sample(4000, steps=30, seed=3, given=torch.from_numpy(row)).double().numpy()
    masked = rbm.sample(4000, 30, 3, given=torch.from_numpy(np.nan_to_num(row)), mask=torch.from_numpy(~np.isnan(row)))
    np.testing.assert_array_equal(masked.double().numpy(), found)
    assert np.all(np.abs(found.mean(0) - mean) < 5 * deviation / np.sqrt(4000) + 1e-5)
    spread = ((found - mean) ** 2).std(0) / np.sqrt(4000)
    assert np.all(np.abs(((found - mean) ** 2).mean(0) - deviation**2) < 5 * spread + 1e-5)


def test_the_pairs_of_a_conditional_are_right_as_well_as_its_means() -> None:
    """Chi-square over the 4 completions of two bits that a strong machine ties: 16.27 is passed once in 1,000."""
    params = machine("bernoulli", "spin")
    params.weight *= 3
    rbm = module_of(params, torch.float32)
    filled, p, _ = conditional(params, np.full(2, NAN, np.float32))
    found = rbm.impute(torch.full((20_000, 2), NAN), steps=40, seed=5, mode="sample").numpy()
    counts = np.array([(found == state).all(1).sum() for state in filled])
    assert ((counts - 20_000 * p) ** 2 / (20_000 * p)).sum() < 16.27


def test_imputing_repeats_with_a_seed_and_leaves_whole_rows() -> None:
    _, rbm, row = gapped("gaussian + softmax(3) + bernoulli")
    v = torch.from_numpy(np.stack([row, np.nan_to_num(row)]))
    v[1, 1:4] = torch.tensor([0.0, 1, 0])
    assert torch.equal(rbm.impute(v, seed=1, steps=4), rbm.impute(v, seed=1, steps=4))
    assert not torch.equal(rbm.impute(v, steps=4, mode="sample"), rbm.impute(v, steps=4, mode="sample"))
    assert torch.equal(rbm.impute(v, steps=4)[1], v[1])


@pytest.mark.parametrize("pair", WITH_MISSING[::5], ids=["-".join(pair) for pair in WITH_MISSING[::5]])
def test_conditional_likelihoods_are_quotients_of_sums(pair: tuple[str, str]) -> None:
    """Exact where entries can be summed out, by AIS elsewhere: weak couplings, 0.1 nats is five standard errors."""
    params = machine(*pair)
    rbm = module_of(params, torch.float32)
    gaps = with_gaps(params, 4)
    v = with_gaps(params, 4, share=0.0)
    given = ~np.isnan(gaps)
    found = rbm.conditional_log_likelihood(
        torch.from_numpy(v), torch.from_numpy(given), temperatures=50, chains=200, seed=0
    )
    assert found.dtype == torch.float64
    energies = ReferenceBackend().free_energy(params, v)
    for i in range(4):
        _, _, total = conditional(params, np.where(given[i], v[i], NAN).astype(np.float32))
        assert found[i].item() == pytest.approx(-energies[i] - total, abs=0.1)


def test_exact_and_sampled_conditional_likelihoods_agree() -> None:
    params = machine("gaussian + softmax(3) + bernoulli", "bernoulli")
    rbm = module_of(params, torch.float32)
    v, given = torch.from_numpy(with_gaps(params, 5, share=0.0)), torch.tensor([True, False, False, False, True])
    exact = rbm.conditional_log_likelihood(v, given, "exact")
    sampled = rbm.conditional_log_likelihood(v, given, "ais", temperatures=100, chains=400, seed=1)
    torch.testing.assert_close(sampled, exact, atol=0.05, rtol=0)
    everything = torch.ones(5, dtype=torch.bool)
    for method in ("exact", "ais"):
        assert rbm.conditional_log_likelihood(v, everything, method).abs().max() < 1e-5


@pytest.mark.parametrize("method", ["exact", "ais"])
def test_entries_neither_given_nor_asked_for_are_summed_out(method: str) -> None:
    """log p(asked | given) with a third part unknown; AIS: weak couplings, 0.1 nats is five standard errors."""
    params = machine("gaussian + softmax(3) + bernoulli", "bernoulli")
    v = with_gaps(params, 6, share=0.4)
    given = ~np.isnan(with_gaps(params, 6, seed=8, share=0.4))
    settings: dict[str, Any] = {} if method == "exact" else {"temperatures": 100, "chains": 400, "seed": 1}
    found = module_of(params, torch.float32).conditional_log_likelihood(
        torch.from_numpy(v), torch.from_numpy(given), method, **settings
    )
    for i, row in enumerate(v):
        (_, _, observed), (_, _, known) = (conditional(params, part) for part in (row, np.where(given[i], row, NAN)))
        assert found[i].item() == pytest.approx(observed - known, abs=1e-4 if method == "exact" else 0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.impute(torch.zeros(1, 5), mode="median"), "mode: expected 'mean' or 'sample', got 'median'"),
        (lambda r: r.impute(torch.zeros(1, 5), steps=1), "steps: expected 2 or more, got 1"),
        (lambda r: r.impute(torch.tensor([[0.0, 1, 0, 0, 7]])), "v: row 0, column 4: value 7: bernoulli units take"),
        (lambda r: r.impute(torch.tensor([[0.0, 1, NAN, 0, 1]])), r"columns 1 to 3 are one softmax\(3\) variable"),
        (
            lambda r: r.sample(2, given=torch.tensor([0.0, 1, NAN, 0, 1])),
            r"columns 1 to 3 are one softmax\(3\) variable",
        ),
        (
            lambda r: r.conditional_log_likelihood(torch.tensor([[0.0, 1, NAN, 0, 1]]), torch.ones(5)),
            r"columns 1 to 3 are one softmax\(3\) variable",
        ),
        (lambda r: r.sample(2, given=torch.zeros(5), mask=torch.ones(5)), r"given: row 0, column 1: value 0: softmax"),
        (lambda r: r.sample(2, given=torch.full((5,), NAN), mask=torch.ones(5)), "given: NaN where mask is true"),
        (
            lambda r: r.conditional_log_likelihood(torch.zeros(1, 5), torch.ones(5), "guess"),
            "method: expected one of auto, exact, ais, got 'guess'",
        ),
    ],
)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    rbm = rbmx.RBM(5, 2, visible="gaussian + softmax(3) + bernoulli", seed=0)
    with pytest.raises(ValueError, match=message):
        call(rbm)


def test_counts_are_sampled_from_rows_with_totals() -> None:
    rbm = module_of(machine("counts", "bernoulli"), torch.float32)
    start = torch.tensor([[3.0, 1, 0], [0, 0, 9]])
    assert rbm.sample(2, steps=5, start=start, seed=0).sum(1).tolist() == [4, 9]
    with pytest.raises(ValueError, match="start: counts keep the totals"):
        rbm.sample(2)
    with pytest.raises(ValueError, match="columns 0 to 2 are one counts variable"):
        rbm.impute(torch.tensor([[1.0, NAN, 0]]))
