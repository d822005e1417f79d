"""rbmx.ClassRBM, the torch module: exact in float64, one machine with its NumPy half and with rbmx.RBM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rbmx
from rbmx.training.class_rbm import ClassRBMParams, Objective
from tests.training.test_class_rbm import HIDDEN, K, X, joint, machine, slope_of, stripes

torch = pytest.importorskip("torch")
ClassRBM = rbmx.ClassRBM


def module_of(params: ClassRBMParams, dtype: Any = None) -> Any:
    rbm = ClassRBM(params.n_visible, params.n_hidden, params.n_classes, seed=0, dtype=dtype or torch.float64)
    rbm._take_back(params)
    return rbm


def every_label() -> tuple[Any, Any]:
    """All x beside all y."""
    return torch.from_numpy(X.repeat(K, axis=0)), torch.arange(K).repeat(len(X))


def test_probabilities_and_energies_are_those_of_the_joint_distribution() -> None:
    """Rounding of float64 alone."""
    params = machine(1)
    rbm, p, (x, y) = module_of(params), joint(params), every_label()
    conditional = p.sum(2) / p.sum((1, 2))[:, None]
    rows = torch.from_numpy(X)
    np.testing.assert_allclose(rbm.predict_proba(rows), conditional, atol=1e-12)
    np.testing.assert_allclose(rbm(rows).exp().detach(), conditional, atol=1e-12)
    np.testing.assert_allclose(rbm.log_prob(x, y).exp().detach(), conditional.ravel(), atol=1e-12)
    assert rbm.predict(rows).tolist() == conditional.argmax(1).tolist()
    log_z = torch.logsumexp(-rbm.free_energy(x, y), 0)
    np.testing.assert_allclose((-rbm.free_energy(x, y) - log_z).exp().detach(), p.sum(2).ravel(), atol=1e-12)
    np.testing.assert_allclose((-rbm.free_energy(rows) - log_z).exp().detach(), p.sum((1, 2)), atol=1e-12)
    means = (p @ HIDDEN / p.sum(2)[:, :, None]).reshape(-1, HIDDEN.shape[1])
    np.testing.assert_allclose(rbm.hidden_mean(x, y).detach(), means, atol=1e-12)


def test_the_gradient_in_numpy_is_autograds() -> None:
    params = machine(2)
    rbm, y = module_of(params), np.arange(len(X)) % K
    rbm.log_prob(torch.from_numpy(X), torch.from_numpy(y)).mean().backward()
    found = slope_of(params, X, y, Objective(1, 0))
    for name in params.names:
        gradient = getattr(rbm, name).grad
        np.testing.assert_allclose(getattr(found, name), 0 if gradient is None else gradient, atol=1e-12, err_msg=name)


def test_gradcheck_and_one_compiled_graph() -> None:
    rbm = module_of(machine(3))
    x = (torch.from_numpy(X[::3]) * 0.8 + 0.1).requires_grad_()
    y = torch.arange(len(x)) % K
    assert torch.autograd.gradcheck(rbm, (x,))
    assert torch.autograd.gradcheck(lambda v: rbm.free_energy(v, y), (x,))
    compiled = torch.compile(rbm, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), rbm(x))


def test_rows_are_scored_in_parts_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = module_of(machine(3))
    rows = torch.from_numpy(X.reshape(2, 8, -1))
    whole = rbm(rows)
    monkeypatch.setattr("rbmx.classrbm._BLOCK", 20)
    torch.testing.assert_close(rbm(rows), whole)


def test_fit_predict_and_score_on_any_data() -> None:
    x, y = stripes(600)
    unseen, truth = stripes(400, seed=1)
    rbm = ClassRBM(12, 16, 3, seed=0)
    records = rbm.fit(x, y, epochs=15, batch_size=20, lr=1.0, momentum=0.5, alpha=0.05, validation=(unseen, truth))
    assert rbm.history == records and records[-1].validation_error is not None
    assert rbm.score(torch.from_numpy(unseen), torch.from_numpy(truth)) == 1 - records[-1].validation_error
    assert rbm.score(unseen, truth) > 0.93  # nobody can tell about 3 %
    found = rbm.predict(torch.from_numpy(unseen))
    assert (found.numpy() == truth).mean() == rbm.score(unseen, truth)
    rbm.fit(x, y, epochs=1)
    assert [record.epoch for record in rbm.history] == [*range(1, 16), 1]


@pytest.mark.parametrize("objective", ["discriminative", "hybrid"])
def test_the_defaults_learn(objective: str) -> None:
    rbm = ClassRBM(12, 16, 3, seed=0)
    rbm.fit(*stripes(2000), objective=objective, epochs=5)
    assert rbm.score(*stripes(400, seed=1)) > 0.93


def test_samples_of_a_class_look_like_it() -> None:
    x, y = stripes(600)
    rbm = ClassRBM(12, 16, 3, seed=0)
    rbm.fit(x, y, objective="generative", sampler="pcd", epochs=30, batch_size=20, lr=0.2)
    drawn, labels = rbm.sample(y=torch.arange(3).repeat(200), steps=50, seed=1)
    assert labels.tolist() == list(range(3)) * 200
    for c in range(3):
        mean = drawn[labels == c].mean(0)
        assert mean[4 * c : 4 * c + 4].mean() > 0.6 > 0.4 > mean.sum() / 8 - mean[4 * c : 4 * c + 4].mean() / 2
    one, label = rbm.sample(5, y=2, steps=2)
    assert one.shape == (5, 12) and label.tolist() == [2] * 5
    assert not torch.equal(rbm.sample(20, steps=2)[0], rbm.sample(20, steps=2)[0])
    assert torch.equal(rbm.sample(20, steps=2, seed=3)[0], rbm.sample(20, steps=2, seed=3)[0])


def test_the_joint_module_has_the_same_free_energies() -> None:
    rbm, (x, y) = module_of(machine(4, dtype=np.float32), torch.float32), every_label()
    rows = torch.cat([x, torch.nn.functional.one_hot(y, K)], 1).float()
    torch.testing.assert_close(rbm.joint().free_energy(rows), rbm.free_energy(x, y), atol=1e-5, rtol=1e-5)


def test_a_file_holds_the_module(tmp_path: Path) -> None:
    x, y = stripes(60)
    rbm = ClassRBM(12, 4, 3, seed=5)
    rbm.fit(x, y, epochs=2, validation=(x, y))
    rbm.sample(2, steps=1)
    path = tmp_path / "model.safetensors"
    rbm.save(path)
    again = ClassRBM.load(path)
    assert type(rbmx.load(path)) is ClassRBM
    assert again.history == rbm.history and repr(again) == repr(rbm)
    for name, tensor in rbm.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert torch.equal(again.sample(9, steps=1)[0], rbm.sample(9, steps=1)[0])  # the noise goes on too
    rbmx.RBM(3, 2, seed=0).save(path)
    with pytest.raises(rbmx.CheckpointError, match=r"expected an rbmx model of format rbmx.classrbm.1, got rbmx.rbm.1"):
        ClassRBM.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(rbmx.CheckpointError, match="expected an rbmx model"):
        ClassRBM.load(path)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r, x, y: r.fit(x, y + 1), ValueError, "labels: row .*: expected 0 to 2, got 3"),
        (lambda r, x, y: r.fit(x[:, :11], y), ValueError, "data: expected rows of 12 values"),
        (lambda r, x, y: r.fit(x, y - 1), ValueError, "labels: row .* got -1; -1, of a row without a label, needs"),
        (lambda r, x, y: r.fit(x, y, alpha=-0.1), ValueError, "alpha: expected a weight of 0 or more, got -0.1"),
        (lambda r, x, y: r.fit(x, y, alpha="much"), TypeError, "alpha: expected a number, got 'much'"),
        (lambda r, x, y: r.fit(x, y, beta=-1.0), ValueError, "beta: expected a weight"),
        (lambda r, x, y: r.fit(x, y, objective="best"), ValueError, "objective: expected one of discriminative"),
        (lambda r, x, y: r.fit(x, y, sampler="pt"), ValueError, "sampler: expected CD or PCD"),
        (lambda r, x, y: r.fit(x, y, optimizer="adam"), ValueError, "optimizer: expected SGD"),
        (lambda r, x, y: r.predict(x[:, :3]), ValueError, r"x: expected \(rows, 12\), got \(600, 3\)"),
        (lambda r, x, y: r.predict_proba(x * 255.0), ValueError, r"x: row .*value 255: bernoulli units take values in"),
        (lambda r, x, y: r.log_prob(torch.zeros(1, 12), torch.tensor([3])), ValueError, "y: expected classes from 0"),
        (lambda r, x, y: r.sample(y=1.5), ValueError, "y: expected whole numbers from 0 to 2"),
        (lambda r, x, y: r.sample(0), ValueError, "n, steps: expected 1 or more, got 0 and 1000"),
        (lambda r, x, y: r.sample(2, y=[0, 1, 2]), ValueError, "y: expected 2 labels or one, got 3"),
        (lambda r, x, y: ClassRBM(4, 3, 1), ValueError, "n_classes: expected 2 or more, got 1"),
    ],
)
def test_bad_arguments_are_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        call(ClassRBM(12, 4, 3, seed=0), *stripes())


def test_whole_numbers_of_numpy_are_saved(tmp_path: Path) -> None:
    module = rbmx.ClassRBM(np.int64(6), np.int64(4), np.int64(3), seed=np.int64(1))
    module.save(tmp_path / "m.safetensors")
    assert rbmx.load(tmp_path / "m.safetensors")._seed == 1
    assert repr(module) == "ClassRBM(n_visible=6, n_hidden=4, n_classes=3)"


@pytest.mark.parametrize("kind", [lambda seed: rbmx.RBM(6, 4, seed=seed), lambda seed: rbmx.DBN([6, 4], seed=seed)])
def test_seeds_of_numpy_are_saved(tmp_path: Path, kind: Any) -> None:
    model = kind(np.int64(3))
    if isinstance(model, rbmx.DBN):
        model.fit((np.arange(30).reshape(5, 6) % 2).astype(np.float32), epochs=1)
    model.save(tmp_path / "m.safetensors")
    assert rbmx.load(tmp_path / "m.safetensors")._seed == 3
