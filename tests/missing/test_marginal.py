"""Free energies and hidden means of rows with missing entries against sums over all that these can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from rbmx import marginal  # noqa: E402
from rbmx.backends.reference import ReferenceBackend  # noqa: E402
from rbmx.likelihood import log_partition  # noqa: E402
from tests.missing.fillings import NAN, WITH_MISSING, conditional, fillings, with_gaps  # noqa: E402
from tests.test_torch_units import module_of  # noqa: E402
from tests.units.layers import HIDDEN, machine  # noqa: E402

FINITE = {"bernoulli", "spin", "softmax(3)"}
SUMMABLE = [pair for pair in WITH_MISSING if pair[0] in FINITE or pair[1] in FINITE]


@pytest.mark.parametrize("pair", SUMMABLE, ids=["-".join(pair) for pair in SUMMABLE])
def test_free_energy_hidden_means_and_slopes_are_sums_over_completions(pair: tuple[str, str]) -> None:
    """Quadrature where missing entries are continuous: 1e-6; slopes by autograd through the sum written out."""
    params = machine(*pair)
    rbm, rows = module_of(params), with_gaps(params, 4)
    v = torch.from_numpy(rows.astype(np.float64))
    energies, means = rbm.free_energy(v), rbm.hidden_mean(v)
    for i, row in enumerate(rows):
        filled, p, total = conditional(params, row)
        assert energies[i].item() == pytest.approx(-total, abs=2e-6)
        hidden = ReferenceBackend().hidden_mean(params, filled.astype(np.float32))
        np.testing.assert_allclose(means[i].detach(), p @ hidden, atol=2e-6)
    direct = torch.stack([written_out(rbm, params, row) for row in rows]).sum()
    for parameter in (rbm.weight, rbm.visible_bias, rbm.hidden_bias):
        found, expected = (torch.autograd.grad(e, parameter, retain_graph=True)[0] for e in (energies.sum(), direct))
        np.testing.assert_allclose(found, expected, atol=2e-6)


def written_out(rbm: Any, params: Any, row: Any) -> Any:
    """-log of the sum over completions, by torch."""
    filled, log_w = fillings(params, row)
    return -torch.logsumexp(torch.from_numpy(log_w) - rbm.complete_free_energy(torch.from_numpy(filled)), 0)


@pytest.mark.parametrize("visible", ["gaussian(learned)", "gaussian(learned) + spin"])
def test_slopes_in_log_variances_are_those_of_the_marginal(visible: str) -> None:
    """By central differences in float64."""
    params = machine(visible, "bernoulli")
    rbm = module_of(params)
    v = torch.from_numpy(with_gaps(params, 8).astype(np.float64))
    (slope,) = torch.autograd.grad(rbm.free_energy(v).sum(), rbm.log_variance)
    step = 1e-5
    for i in np.flatnonzero(params.visible_unit.learned(2)):
        ends = []
        for ahead in (step, -2 * step):
            with torch.no_grad():
                rbm.log_variance[i] += ahead
                ends.append(rbm.free_energy(v).sum().item())
        with torch.no_grad():
            rbm.log_variance[i] += step
        assert slope[i].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-7)


@pytest.mark.parametrize("visible", ["bernoulli", "softmax(3)", "gaussian + softmax(3) + bernoulli"])
def test_both_ways_to_sum_agree(visible: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the missing entries or over the hidden units: the one not taken is declared endless."""
    params = machine(visible, "bernoulli")
    rbm, v = module_of(params), torch.from_numpy(with_gaps(params, 12).astype(np.float64))
    counts = marginal._counts
    found = []
    for side in (0, 1):

        def one_side(layer: Any, known: Any, side: int = side) -> Any:
            both = counts(layer, known)
            return (
                both
                if both[1 - side] == 1 or both[side] == np.inf
                else tuple(c if i == side else np.inf for i, c in enumerate(both))
            )

        monkeypatch.setattr(marginal, "_counts", one_side)
        found.append((rbm.free_energy(v), rbm.hidden_mean(v)))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_a_row_without_any_entry_has_minus_log_z_and_prior_means() -> None:
    params = machine("bernoulli", "softmax(3)")
    rbm = module_of(params)
    v = torch.full((1, 2), NAN, dtype=torch.float64)
    assert rbm.free_energy(v).item() == pytest.approx(-log_partition(params).value, abs=1e-9)
    assert rbm.log_likelihood(torch.tensor([[NAN, 1.0], [1.0, 0.0]])).value == pytest.approx(
        -rbm.free_energy(torch.tensor([[NAN, 1.0], [1.0, 0.0]])).mean().item() - log_partition(params).value, abs=1e-6
    )


def test_rows_keep_their_order_and_shape() -> None:
    params = machine("bernoulli", "spin")
    rbm = module_of(params)
    rows = np.array([[1, NAN], [0, 1], [NAN, 1], [1, NAN], [NAN, NAN], [0, 1]])
    whole = rbm.free_energy(torch.from_numpy(rows))
    alone = torch.cat([rbm.free_energy(torch.from_numpy(row[None])) for row in rows])
    torch.testing.assert_close(whole, alone)
    assert torch.equal(rbm.free_energy(torch.from_numpy(rows.reshape(2, 3, 2))), whole.reshape(2, 3))
    assert rbm.hidden_mean(torch.from_numpy(rows.reshape(2, 3, 2))).shape == (2, 3, 2)


def test_many_rows_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    params = machine("softmax(3)", "bernoulli")
    rbm, v = module_of(params), torch.from_numpy(with_gaps(params, 50).astype(np.float64))
    whole = rbm.free_energy(v)
    monkeypatch.setattr(marginal, "_BLOCK", 30)
    torch.testing.assert_close(rbm.free_energy(v), whole)


def test_what_cannot_be_summed_out_is_refused() -> None:
    wide = rbmx.RBM(40, 30, seed=0)
    with pytest.raises(
        ValueError, match=r"v: 40 missing entries with 1.09951e\+12 states and 30 hidden units with 1.07"
    ):
        wide.free_energy(torch.full((1, 40), NAN))
    softmax = module_of(machine("softmax(3)", "spin"))
    with pytest.raises(ValueError, match=r"row 0: columns 0 to 2 are one softmax\(3\) variable, known whole or not"):
        softmax.free_energy(torch.tensor([[0.0, NAN, NAN]]))
    counts = module_of(machine("counts", "spin"))
    for row in ([1.0, NAN, 2.0], [NAN] * 3):
        with pytest.raises(ValueError, match=r"one counts variable|value nan: counts units take whole numbers"):
            counts.free_energy(torch.tensor([row]))
    for call in (wide.gibbs, wide.sample_hidden):
        with pytest.raises(ValueError, match="v: NaN, a missing entry; fill it in with impute"):
            call(torch.full((1, 40), NAN))


def test_hidden_means_of_many_missing_entries_are_averaged_and_have_no_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 correlated samples of a mean in [0, 1], 200 rows alike: a standard error of at most 0.01."""
    rbm = module_of(machine("bernoulli", "bernoulli"), torch.float32)
    v = torch.tensor([[NAN, 1.0], [NAN, NAN]]).repeat(200, 1)
    exact = rbm.hidden_mean(v).detach()
    monkeypatch.setattr(marginal, "MAX_STATES", 1)
    found = rbm.hidden_mean(v)
    assert torch.equal(found, rbm.hidden_mean(v))
    for start in (0, 1):
        np.testing.assert_allclose(found[start::2].mean(0).detach(), exact[start], atol=0.03)
    with pytest.raises(RuntimeError, match="is sampled: no gradient"):
        found.sum().backward()


@pytest.mark.parametrize("spec", HIDDEN)
def test_complete_rows_are_as_ever(spec: str) -> None:
    params = machine(spec, "bernoulli")
    rbm, rows = module_of(params), with_gaps(params, 6, share=0.0)
    v = torch.from_numpy(rows.astype(np.float64))
    assert torch.equal(rbm.free_energy(v), rbm.complete_free_energy(v))
    torch.testing.assert_close(marginal.free_energy(rbm, v), rbm.complete_free_energy(v), rtol=1e-9, atol=1e-9)
