"""rbmx.RBM: a torch module that is the native engine underneath."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402


def random_rbm(n_visible=5, n_hidden=4, *, dtype=torch.float32, visible="bernoulli", hidden="bernoulli", scale=1.0):
    rbm = rbmx.RBM(n_visible, n_hidden, visible=visible, hidden=hidden, seed=3, dtype=dtype)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in rbm.parameters():
            p.copy_(scale * torch.randn(p.shape, generator=generator))
    return rbm


def all_states(n, dtype=torch.float32):
    return torch.tensor(list(itertools.product((0, 1), repeat=n)), dtype=dtype)


def random_bits(rows, units, seed=0):
    return (torch.rand(rows, units, generator=torch.Generator().manual_seed(seed)) < 0.4).float()


def test_free_energy_matches_the_sum_over_hidden_states():
    rbm = random_rbm(dtype=torch.float64)
    v, h = all_states(5, torch.float64), all_states(4, torch.float64)
    energies = torch.stack([rbm.energy(v, state.expand(len(v), 4)) for state in h])
    torch.testing.assert_close(rbm.free_energy(v), -torch.logsumexp(-energies, 0))


def test_forward_is_the_hidden_mean_and_drops_into_sequential():
    rbm = random_rbm()
    net = torch.nn.Sequential(rbm, torch.nn.Linear(4, 2))
    net(random_bits(3, 5)).sum().backward()
    assert rbm.weight.grad.abs().sum() > 0
    assert torch.equal(rbm(random_bits(3, 5)), rbm.hidden_mean(random_bits(3, 5)))


def test_log_likelihood_is_minus_free_energy_minus_log_z_by_enumeration():
    rbm = random_rbm(6, 3)
    v = all_states(6)
    log_z = torch.logsumexp(-rbm.free_energy(v).double(), 0).item()
    # float32 weights, float64 sums: the free energies above are float32
    assert rbm.log_partition().value == pytest.approx(log_z, abs=1e-5)
    probabilities = torch.exp(-rbm.free_energy(v).double() - rbm.log_partition().value)
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-5)
    estimate = rbm.log_likelihood(v[:8])
    assert estimate.value == pytest.approx(torch.log(probabilities[:8]).mean().item(), abs=1e-5)
    assert estimate.method.startswith("exact")


def test_pseudo_log_likelihood_is_the_sum_of_all_conditionals():
    rbm = random_rbm(5, 3)
    v = all_states(5)
    log_p = -rbm.free_energy(v).double()
    expected = []
    for row, value in enumerate(v):
        total = 0.0
        for i in range(5):
            flipped = value.clone()
            flipped[i] = 1 - flipped[i]
            other = (v == flipped).all(1).nonzero().item()
            total += (log_p[row] - torch.logaddexp(log_p[row], log_p[other])).item()
        expected.append(total)
    assert rbm.pseudo_log_likelihood(v).tolist() == pytest.approx(expected, abs=1e-5)


def test_parameters_share_memory_with_the_kernel_and_their_version_moves():
    rbm = rbmx.RBM(20, 8, seed=0)
    pointer, version = rbm.weight.data_ptr(), rbm.weight._version
    rbm.fit(random_bits(64, 20), epochs=1, progress=False)
    assert rbm.weight.data_ptr() == pointer
    assert rbm.weight._version > version


def test_a_graph_from_before_fit_cannot_be_used_after_it():
    rbm = rbmx.RBM(20, 8, seed=0)
    v = random_bits(64, 20).requires_grad_()
    energy = rbm.free_energy(v).sum()
    rbm.fit(random_bits(64, 20), epochs=1, progress=False)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        energy.backward()


def test_fit_gives_the_bytes_of_rbmx_train():
    x = random_bits(130, 20)
    rbm = rbmx.RBM(20, 8, seed=4)
    params = rbm._params_copy()
    rbm.fit(x, epochs=2, batch_size=32, k=2, lr=0.1, momentum=0.5, weight_decay=1e-3, progress=False)
    config = rbmx.TrainConfig(
        epochs=2, batch_size=32, sampler=rbmx.CD(2), optimizer=rbmx.SGD(0.1, 0.5), penalties=(rbmx.L2(1e-3),), seed=4
    )
    rbmx.train(params, x.numpy(), config, progress=False)
    assert params.weight.tobytes() == rbm.weight.detach().numpy().tobytes()


def test_resume_after_save_and_load_is_bit_exact(tmp_path):
    x = random_bits(130, 20)
    settings = {"batch_size": 32, "persistent": True, "momentum": 0.5, "progress": False}
    whole = rbmx.RBM(20, 8, seed=4)
    whole.fit(x, epochs=4, **settings)
    part = rbmx.RBM(20, 8, seed=4)
    part.fit(x, epochs=2, **settings)
    part.save(tmp_path / "part.safetensors")
    again = rbmx.load(tmp_path / "part.safetensors")
    again.fit(x, epochs=4, resume=True, progress=False)
    assert torch.equal(again.weight, whole.weight)
    assert [r.epoch for r in again.history] == [1, 2, 3, 4]


def test_contrastive_divergence_adds_to_grad_as_backward_does():
    rbm, v = random_rbm(), random_bits(16, 5)
    rbm.contrastive_divergence(v, seed=1)
    once = [p.grad.clone() for p in rbm.parameters()]
    rbm.contrastive_divergence(v, seed=1)
    for p, g in zip(rbm.parameters(), once, strict=True):
        torch.testing.assert_close(p.grad, 2 * g)


def test_the_expected_gradient_of_long_chains_is_that_of_the_likelihood():
    # 400 Gibbs steps of a weakly coupled machine mix; 40,000 rows: the standard error of an entry is at most 0.0036
    rbm = random_rbm(4, 3, scale=0.5)
    v = all_states(4).repeat(2500, 1)
    rbm.contrastive_divergence(v, k=400, seed=2)
    estimates = [p.grad.clone() for p in rbm.parameters()]
    rbm.zero_grad()
    log_z = torch.logsumexp(-rbm.free_energy(all_states(4)), 0)
    (rbm.free_energy(v).mean() + log_z).backward()
    for p, estimate in zip(rbm.parameters(), estimates, strict=True):
        torch.testing.assert_close(estimate, p.grad, atol=5 * 0.0036, rtol=0)


def test_any_torch_optimizer_learns_with_contrastive_divergence():
    p = torch.tensor([0.1, 0.9]).repeat(6)
    v = (torch.rand(500, 12, generator=torch.Generator().manual_seed(0)) < p).float()
    rbm = rbmx.RBM(12, 4, seed=0)
    optimizer = torch.optim.Adam(rbm.parameters(), 0.05)
    before = rbm.log_likelihood(v).value
    for _ in range(200):
        optimizer.zero_grad()
        rbm.contrastive_divergence(v)
        optimizer.step()
    assert rbm.log_likelihood(v).value > before + 4  # from 12 log 2 = 8.3 nats to the entropy, 3.9


def test_sampling_repeats_with_a_seed_and_never_without():
    rbm, v = random_rbm(30, 20, scale=0.1), random_bits(4, 30)
    for draw in (
        lambda **s: rbm.gibbs(v, 2, **s),
        lambda **s: rbm.sample_hidden(v, **s),
        lambda **s: rbm.sample(4, steps=3, **s),
    ):
        assert torch.equal(draw(seed=7), draw(seed=7))
        assert not torch.equal(draw(), draw())


def test_torch_manual_seed_rules_where_no_seed_is_given():
    outcomes = []
    for _ in range(2):
        torch.manual_seed(11)
        rbm = rbmx.RBM(20, 8)
        rbm.fit(random_bits(64, 20), epochs=1, progress=False)
        outcomes.append((rbm.weight.detach().clone(), rbm.gibbs(random_bits(4, 20))))
    assert torch.equal(outcomes[0][0], outcomes[1][0])
    assert torch.equal(outcomes[0][1], outcomes[1][1])


def test_the_noise_counter_travels_with_state_dict_and_files(tmp_path):
    rbm, v = random_rbm(30, 20, scale=0.1), random_bits(4, 30)
    rbm.gibbs(v)
    rbm.save(tmp_path / "m.safetensors")
    other = random_rbm(30, 20)
    other.load_state_dict(rbm.state_dict())
    loaded = rbmx.load(tmp_path / "m.safetensors")
    expected = rbm.gibbs(v)
    assert torch.equal(other.gibbs(v), expected)
    assert torch.equal(loaded.gibbs(v), expected)


def test_given_values_stay_while_the_rest_is_sampled():
    rbm = random_rbm(6, 4)
    given = torch.tensor([1.0, 0.0, float("nan"), 1.0, float("nan"), float("nan")])
    samples = rbm.sample(50, steps=5, seed=1, given=given)
    assert torch.equal(samples[:, [0, 1, 3]], given[[0, 1, 3]].expand(50, 3))
    assert set(samples.unique().tolist()) <= {0.0, 1.0}
    masked = rbm.sample(5, steps=2, given=torch.ones(6), mask=torch.tensor([True] * 3 + [False] * 3))
    assert torch.equal(masked[:, :3], torch.ones(5, 3))


def test_conditional_samples_follow_the_enumerated_conditional():
    rbm = random_rbm(3, 3, scale=0.8)
    given = torch.tensor([1.0, float("nan"), float("nan")])
    samples = rbm.sample(20000, steps=30, seed=3, given=given)
    states = all_states(3)
    states = states[states[:, 0] == 1]
    p = torch.softmax(-rbm.free_energy(states), 0)
    counts = torch.tensor([(samples == s).all(1).sum() for s in states])
    chi2 = (((counts - 20000 * p) ** 2) / (20000 * p)).sum().item()
    assert chi2 < 16.27  # 3 degrees of freedom, 0.001


def test_other_dtypes_work_through_torch_and_say_so_once():
    rbm = random_rbm(20, 8, scale=0.1).to(torch.float64)
    with pytest.warns(UserWarning, match="no native path for torch.float64"):
        samples = rbm.gibbs(random_bits(4, 20).double(), 2, seed=1)
    assert samples.dtype == torch.float64
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(rbm.gibbs(random_bits(4, 20).double(), 2, seed=1), samples)
        rbm.contrastive_divergence(random_bits(4, 20).double())
        rbm.fit(random_bits(64, 20), epochs=1, progress=False)
    assert rbm.weight.dtype == torch.float64


def test_state_dict_names_are_the_parameters_and_the_counter():
    assert list(rbmx.RBM(3, 2).state_dict()) == ["weight", "visible_bias", "hidden_bias", "noise_counter"]


def test_repr_tells_sizes_and_unit_types():
    assert repr(rbmx.RBM(3, 2)) == "RBM(n_visible=3, n_hidden=2, visible='bernoulli', hidden='bernoulli')"


def test_gaussian_visible_units_train_on_the_reference_backend():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([2.0, 0.0, -2.0])
    rbm = rbmx.RBM(3, 2, visible="gaussian", seed=0)
    rbm.fit(x, epochs=60, batch_size=20, lr=0.05, progress=False)
    np.testing.assert_allclose(rbm.reconstruct(x).mean(0), x.mean(0), atol=0.35)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.hidden_mean(torch.zeros(2, 4)), r"v: expected \(rows, 5\), got \(2, 4\)"),
        (lambda r: r.gibbs(torch.zeros(2, 5), -1), "steps: expected 0 or more, got -1"),
        (lambda r: r.contrastive_divergence(torch.zeros(2, 5), k=0), "k: expected 1 or more"),
        (lambda r: r.contrastive_divergence(torch.zeros(0, 5)), "at least one row"),
        (lambda r: r.fit(torch.zeros(2, 5), batch_size=0), "batch_size: expected 1 to 65536, got 0"),
        (lambda r: r.fit(torch.zeros(2, 5), lr=-1.0), "lr: expected a positive"),
        (lambda r: r.fit(torch.zeros(2, 4)), r"expected rows of 5 values \(n_visible\), got 4"),
        (lambda r: r.fit(torch.full((2, 5), 7.0)), "--scale and --binarize"),
        (lambda r: r.fit(torch.zeros(2, 5), resume=True), "resume: expected a module that was fitted"),
        (lambda r: r.sample(0), "n: expected 1 or more, got 0"),
        (
            lambda r: r.log_partition("guess"),
            "method: expected one of auto, exact, ais, reverse_ais, both, got 'guess'",
        ),
        (lambda r: r.log_partition("both"), "start: method 'both' begins its chains at rows of data"),
        (lambda r: rbmx.RBM(3, 2, visible="potts"), "unit type: expected one of bernoulli, spin, .* got 'potts'"),
        (lambda r: rbmx.RBM(0, 2), "n_visible: expected 1 to"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(random_rbm())


def test_arrays_are_taken_where_tensors_are() -> None:
    rbm = rbmx.RBM(5, 3, seed=0)
    v = np.eye(5, dtype=np.float32)
    torch.testing.assert_close(rbm(v), rbm(torch.from_numpy(v)))
    torch.testing.assert_close(rbm.free_energy(v), rbm.free_energy(torch.from_numpy(v)))


def test_a_given_value_that_is_not_known_is_refused() -> None:
    rbm = rbmx.RBM(3, 2, seed=0)
    given = torch.tensor([1.0, float("nan"), 0.0])
    assert not torch.isnan(rbm.sample(4, steps=2, given=given)).any()
    with pytest.raises(ValueError, match=r"^given: NaN"):
        rbm.sample(4, steps=2, given=given, mask=torch.tensor([True, True, False]))
    with pytest.raises(ValueError, match=r"^steps: expected 0 or more"):
        rbm.sample(4, steps=-1)


def test_modules_are_attributes_of_the_package() -> None:
    assert rbmx.units.mixed([("gaussian", 2)]) == "gaussian*2"
    assert callable(rbmx.jobs.train_rounds) and rbmx.training.LikelihoodMonitor is rbmx.LikelihoodMonitor


def test_resume_takes_no_other_settings_but_a_schedule_that_no_file_holds(tmp_path: Path) -> None:
    x = (np.random.default_rng(0).random((40, 5)) < 0.5).astype(np.uint8)
    rbm = rbmx.RBM(5, 3, seed=0)
    rbm.fit(x, epochs=2, lr=0.1, schedule=lambda epoch, epochs: 0.5, progress=False)
    rbm.save(tmp_path / "m.safetensors")
    for changes, name in (({"lr": 0.5}, "optimizer"), ({"batch_size": 50}, "batch_size"), ({"seed": 9}, "seed")):
        with pytest.raises(ValueError, match=f"^{name}: resume=True goes on with"):
            rbm.fit(x, epochs=3, resume=True, progress=False, **changes)
    rbm.fit(x, epochs=3, lr=0.1, resume=True, progress=False)
    again = rbmx.load(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="pass it again"):
        again.fit(x, epochs=3, resume=True, progress=False)
    again.fit(x, epochs=3, resume=True, schedule=lambda epoch, epochs: 0.5, progress=False)
    torch.testing.assert_close(again.weight, rbm.weight, rtol=0, atol=0)
