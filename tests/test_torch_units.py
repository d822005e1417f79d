"""The torch functions of every unit type: equal to the specification, and differentiable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from rbmx import torch_units  # noqa: E402
from rbmx.backends.reference import ReferenceBackend  # noqa: E402
from rbmx.rng import Draws, Key  # noqa: E402
from rbmx.units import unit_type  # noqa: E402
from tests.units.layers import HIDDEN, PAIRS, VISIBLE, layer, machine, rows_of  # noqa: E402

REFERENCE = ReferenceBackend()


def module_of(params: Any, dtype: Any = torch.float64) -> Any:
    """The module with these parameters."""
    rbm = rbmx.RBM(params.n_visible, params.n_hidden, visible=params.visible, hidden=params.hidden, seed=0, dtype=dtype)
    with torch.no_grad():
        for name in params.names:
            getattr(rbm, name).copy_(torch.from_numpy(getattr(params, name)))
    return rbm


def wide(n: int, spec: str) -> Any:
    """Inputs from -300 to 300, zero among them."""
    ends = np.concatenate([-np.logspace(-3, 2.5, 20), [0], np.logspace(-3, 2.5, 20)])
    return np.stack([np.roll(ends, 7 * i) for i in range(n)], axis=1)


@pytest.mark.parametrize("spec", HIDDEN)
def test_cumulants_and_means_are_those_of_the_specification(spec: str) -> None:
    """1e-10 of their size where cancellation is worst; float32 to 1e-5 of the inputs' size."""
    unit, x = unit_type(spec), wide(HIDDEN[spec], spec)
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 2e-5)):
        tensor = torch.from_numpy(x).to(dtype)
        x_seen = tensor.double().numpy()
        found = torch_units.cumulant(unit, tensor).double().numpy()
        np.testing.assert_allclose(found, unit.cumulant(x_seen), rtol=tolerance, atol=tolerance)
        mean = torch_units.mean(unit, tensor).double().numpy()
        np.testing.assert_allclose(mean, unit.mean(x_seen), rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize("pair", PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_energies_and_their_slopes_are_those_of_the_specification(pair: tuple[str, str]) -> None:
    """F, E and E[h | v] in float64, and dF / d(parameter) against the sums of the reference's positive phase."""
    params = machine(*pair)
    rbm, values = module_of(params), np.ascontiguousarray(rows_of(params, 5), np.float32)
    v = torch.from_numpy(values.astype(np.float64))
    np.testing.assert_allclose(rbm.free_energy(v).detach(), REFERENCE.free_energy(params, values), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rbm(v).detach(), REFERENCE.hidden_mean(params, values), atol=1e-6)
    h, _ = layer(params.hidden_unit, params.n_hidden, 4)
    energies = torch.stack([rbm.energy(v, torch.from_numpy(s).expand(len(v), -1)) for s in h[:4]])
    from tests.units.layers import terms

    np.testing.assert_allclose(energies.detach(), -terms(params, v.numpy(), h[:4]).T, rtol=1e-9, atol=1e-9)
    reconstruction = rbm.reconstruct(v).numpy()
    np.testing.assert_allclose(reconstruction, REFERENCE.reconstruct(params, values), rtol=1e-5, atol=1e-5)
    rbm.free_energy(v).sum().backward()
    unit, means = params.visible_unit, rbm(v).detach().numpy()
    t = unit.statistic(v.numpy())
    np.testing.assert_allclose(rbm.weight.grad, -means.T @ t, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rbm.visible_bias.grad, -t.sum(0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rbm.hidden_bias.grad, -(unit.replicas(v.numpy()) * means).sum(0), rtol=1e-9, atol=1e-9)
    if params.log_variance is not None:
        slope = REFERENCE.cd_statistics(params, values, 1, Key(0)).log_variance
        half = unit.learned(params.n_visible) * len(v) / 2
        np.testing.assert_allclose(-rbm.log_variance.grad, slope + half, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("spec", VISIBLE)
def test_gradcheck_of_energies_and_means_in_float64(spec: str) -> None:
    visible = machine(spec, "relu")
    rbm = module_of(visible)
    v = torch.from_numpy(rows_of(visible, 3) + (0 if spec == "counts" else 0.07)).requires_grad_()
    h = torch.rand(3, visible.n_hidden, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rbm.free_energy, (v,))
    assert torch.autograd.gradcheck(rbm.energy, (v, h))
    assert torch.autograd.gradcheck(rbm.visible_mean, (h,))
    if spec in HIDDEN:
        other = module_of(machine("gaussian", spec))
        assert torch.autograd.gradcheck(other, (torch.randn(3, 2, dtype=torch.float64, requires_grad=True),))
        assert torch.autograd.gradcheck(
            other.free_energy, (torch.randn(3, 2, dtype=torch.float64, requires_grad=True),)
        )


@pytest.mark.parametrize("spec", [spec for spec in VISIBLE if spec not in ("bernoulli", "gaussian")])
def test_samples_outside_the_native_path_are_those_of_the_specification(spec: str) -> None:
    n = VISIBLE[spec]
    unit = unit_type(spec)
    x = np.random.default_rng(0).normal(size=(6, n))
    draws = Draws(Key(4), 0, 2, 1)
    np.testing.assert_array_equal(torch_units.sample(unit, torch.from_numpy(x), draws), unit.sample(x, draws))


@pytest.mark.parametrize("spec", VISIBLE)
def test_float64_modules_sample_and_give_gradients(spec: str) -> None:
    """The gradient of CD-1 through torch beside the reference's own of the same rows: 5 deviations of 400 blocks."""
    params = machine(spec, "spin")
    rbm = module_of(params)
    v = torch.from_numpy(np.ascontiguousarray(np.repeat(rows_of(params, 4), 1000, 0)))
    with pytest.warns(UserWarning, match="no native path"):
        rbm.contrastive_divergence(v, seed=1)
    sums = REFERENCE.cd_statistics(params, v.numpy().astype(np.float32), 1, Key(5))
    for name, expected in (("weight", sums.weight), ("visible_bias", sums.visible), ("hidden_bias", sums.hidden)):
        scale = 0.02 * (1 + v.abs().max().item())  # a row's statistic is bounded by this many deviations of the mean
        np.testing.assert_allclose(getattr(rbm, name).grad, -expected / len(v), atol=8 * scale)
    if sums.log_variance is not None:
        np.testing.assert_allclose(rbm.log_variance.grad, -sums.log_variance / len(v), atol=1e-6)
    if spec != "counts":
        assert unit_type(spec).check(rbm.sample(5, steps=2, seed=0).numpy()) is None


@pytest.mark.parametrize("spec", HIDDEN)
def test_one_graph_holds_a_module_of_any_units(spec: str) -> None:
    """torch.compile without a break; the backend that only traces, since what is asked is whether it can be traced."""
    params = machine("counts" if spec == "bernoulli" else "gaussian(learned)", spec)
    rbm, v = module_of(params), torch.from_numpy(rows_of(params, 3))
    for function in (rbm.hidden_mean, rbm.free_energy):
        traced = torch.compile(function, backend="eager", fullgraph=True)
        torch.testing.assert_close(traced(v), function(v))


def test_a_mixed_module_can_be_exported() -> None:
    params = machine("gaussian + softmax(3) + bernoulli", "relu")
    rbm, v = module_of(params), torch.from_numpy(rows_of(params, 3))
    exported = torch.export.export(rbm, (v,))
    torch.testing.assert_close(exported.module()(v), rbm(v))


def test_a_unit_type_without_torch_functions_says_so() -> None:
    class Other(type(unit_type("spin"))):  # type: ignore[misc]
        pass

    with pytest.raises(TypeError, match="spin: no torch functions for this unit type"):
        torch_units.mean(Other(), torch.zeros(1, 1))
