"""rbmx.DBN: what goes up and down, labels, samples, training and files, on networks small enough to enumerate."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from rbmx.errors import CheckpointError, DataError  # noqa: E402
from rbmx.likelihood.bound import stack_lower_bound  # noqa: E402
from rbmx.likelihood.exact import log_partition  # noqa: E402
from rbmx.training import TrainConfig  # noqa: E402
from rbmx.training.greedy import initial_stack, train_stack  # noqa: E402


def states(n: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)))


def network(*sizes: int, n_classes: int | None = None, scale: float = 1.0) -> Any:
    """Couplings strong enough that a wrong direction or a lost layer shows."""
    dbn = rbmx.DBN(sizes, n_classes=n_classes, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in dbn.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return dbn


def marginal(dbn: Any, *, given: int | None = None) -> np.ndarray:
    """p(v) of all visible states, float64 (2^n,), by enumeration; given a label, p(v | y)."""
    below, n = dbn.layers[:-1], dbn.sizes[-2]
    h = states(n).double()
    top = dbn.top.double()
    if dbn.n_classes is None:
        p = torch.softmax(-top.free_energy(h), 0)
    else:
        labels = torch.eye(dbn.n_classes).double()
        energies = torch.stack([top.free_energy(torch.cat([h, y.expand(len(h), -1)], 1)) for y in labels], 1)
        p = torch.softmax(-(energies if given is None else energies[:, given : given + 1]).flatten(), 0)
        p = p.reshape(len(h), -1).sum(1)
    for layer in reversed(below):
        mean = layer.double().visible_mean(h)
        v = states(layer.n_visible).double()
        p = p @ torch.exp(v @ torch.log(mean).T + (1 - v) @ torch.log(1 - mean).T).T
        h = v
    dbn.float()
    return p.detach().numpy()


def frequencies(samples: torch.Tensor) -> np.ndarray:
    index = (samples.numpy().astype(int) @ (1 << np.arange(samples.shape[1])[::-1])).astype(int)
    return np.bincount(index, minlength=1 << samples.shape[1])


def assert_distributed(samples: torch.Tensor, p: np.ndarray) -> None:
    """Pearson's chi square below its 0.9999 quantile (Wilson and Hilferty), states of under 5 expected put together."""
    expected, found = p * len(samples), frequencies(samples)
    rare = expected < 5
    expected, found = (np.append(a[~rare], a[rare].sum()) for a in (expected, found))
    keep = expected > 0
    n = keep.sum() - 1
    chi2 = ((found - expected)[keep] ** 2 / expected[keep]).sum()
    assert chi2 < n * (1 - 2 / (9 * n) + 3.719 * np.sqrt(2 / (9 * n))) ** 3


def test_up_and_down_are_the_layers_one_after_another() -> None:
    dbn = network(5, 4, 3)
    v = states(5)
    up = dbn.layers[1].hidden_mean(dbn.layers[0].hidden_mean(v))
    torch.testing.assert_close(dbn(v), up)
    torch.testing.assert_close(dbn.transform(v.numpy()), up)
    down = dbn.layers[0].visible_mean(dbn.layers[1].visible_mean(up))
    torch.testing.assert_close(dbn.inverse_transform(up), down)
    torch.testing.assert_close(dbn.reconstruct(v), down)
    dbn(v).sum().backward()
    assert dbn.layers[0].weight.grad.abs().sum() > 0
    assert "sizes=[5, 4, 3]" in repr(dbn)


def test_samples_have_the_distribution_of_the_network() -> None:
    dbn = network(4, 3, 3)
    assert_distributed(dbn.sample(20_000, steps=60, seed=3), marginal(dbn))


@pytest.mark.parametrize("label", [None, 0, 2])
def test_samples_by_class(label: int | None) -> None:
    dbn = network(4, 3, 3, n_classes=3)
    assert_distributed(dbn.sample(20_000, steps=60, seed=3, label=label), marginal(dbn, given=label))


def test_a_sampler_that_forgets_the_label_is_found() -> None:
    """The check bites: free samples are not those of a class, nor those of one class those of another."""
    dbn = network(4, 3, 3, n_classes=3)
    with pytest.raises(AssertionError):
        assert_distributed(dbn.sample(20_000, steps=60, seed=3), marginal(dbn, given=0))
    with pytest.raises(AssertionError):
        assert_distributed(dbn.sample(20_000, steps=60, seed=3, label=2), marginal(dbn, given=0))


def test_noise_never_repeats_but_under_a_seed() -> None:
    dbn = network(6, 5, 4, n_classes=2, scale=0.1)
    assert torch.equal(dbn.sample(8, steps=3, seed=7), dbn.sample(8, steps=3, seed=7))
    assert not torch.equal(dbn.sample(8, steps=3), dbn.sample(8, steps=3))
    mean = dbn.sample(8, steps=3, seed=7, mean=True)
    assert ((mean > 0) & (mean < 1)).all()
    started = dbn.sample(8, steps=0, seed=7, start=torch.ones(6))
    assert started.shape == (8, 6)


def test_class_probabilities_by_enumeration_of_the_top() -> None:
    dbn = network(5, 4, 3, n_classes=3)
    v = states(5)
    h, w = dbn.layers[0].hidden_mean(v).double(), dbn.top.double()
    log_joint = torch.stack(
        [
            torch.logsumexp(
                torch.stack(
                    [
                        -w.energy(torch.cat([h, y.expand(len(h), -1)], 1), g.expand(len(h), -1))
                        for g in states(3).double()
                    ],
                    1,
                ),
                1,
            )
            for y in torch.eye(3).double()
        ],
        1,
    )
    expected = torch.softmax(log_joint, 1).detach()
    dbn.float()
    # float32 free energies
    torch.testing.assert_close(dbn.predict_proba(v).double(), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(dbn.predict(v), expected.argmax(1))
    assert dbn.score(v, expected.argmax(1)) == 1.0
    # the features sum the labels out under the same probabilities
    each = torch.stack([dbn.top.hidden_mean(torch.cat([h.float(), y.expand(len(h), -1)], 1)) for y in torch.eye(3)], 1)
    torch.testing.assert_close(dbn(v), (expected.float()[:, :, None] * each).sum(1), atol=1e-5, rtol=1e-4)


def data(rows: int = 200) -> np.ndarray:
    return np.random.default_rng(5).random((rows, 12)) < np.linspace(0.1, 0.9, 12)


SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 20, "lr": 0.1}


def assert_same(one: Any, other: Any) -> None:
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_fit_is_train_stack_on_the_modules_memory() -> None:
    dbn = rbmx.DBN([12, 8, 6], seed=4)
    stack = initial_stack([12, 8, 6], seed=4)
    records = dbn.fit(data(), **SETTINGS, per_layer=[{"momentum": 0.5}, {"epochs": 3}])
    own = [{"momentum": 0.5}, {"epochs": 3}]
    train_stack(
        stack,
        data(),
        [TrainConfig.of(seed=rbmx.Key(4).fold_in(i).seed, **{**SETTINGS, **own[i]}) for i in range(2)],
    )
    for layer, expected in zip(dbn.layers, stack, strict=True):
        np.testing.assert_array_equal(layer.weight.detach().numpy(), expected.weight)
    assert [len(history) for history in records] == [2, 3]


def test_other_dtypes_train_a_copy_to_the_same_numbers() -> None:
    single, double = rbmx.DBN([12, 8, 6], seed=4), rbmx.DBN([12, 8, 6], seed=4, dtype=torch.float64)
    single.fit(data(), **SETTINGS)
    double.fit(data(), **SETTINGS)
    assert_same(single.double(), double)


class Stop:
    def __init__(self, after: int) -> None:
        self.left = after

    def on_epoch_end(self, trainer: Any, record: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_fit_goes_on_from_its_file_to_the_bit(tmp_path: Path, after: int) -> None:
    labels = data()[:, 0].astype(int)
    straight = rbmx.DBN([12, 8, 6], n_classes=2, seed=4)
    straight.fit(data(), labels, **SETTINGS, momentum=0.5)
    broken = rbmx.DBN([12, 8, 6], n_classes=2, seed=4)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(data(), labels, **SETTINGS, momentum=0.5, callbacks=[Stop(after)])
    broken.save(tmp_path / "broken.safetensors")
    again = rbmx.DBN.load(tmp_path / "broken.safetensors")
    again.fit(data(), labels, resume=True)
    assert_same(straight, again)
    assert [len(history) for history in again.train_state.histories] == [2, 2]


def test_resume_keeps_what_is_handed_up_and_takes_the_same_settings_again() -> None:
    straight, broken = rbmx.DBN([12, 8, 6], seed=4), rbmx.DBN([12, 8, 6], seed=4)
    straight.fit(data(), **SETTINGS, propagate="mean")
    with pytest.raises(KeyboardInterrupt):
        broken.fit(data(), **SETTINGS, propagate="mean", callbacks=[Stop(2)])
    with pytest.raises(ValueError, match="propagate: expected 'mean', that of the run to go on with, got 'sample'"):
        broken.fit(data(), **SETTINGS, propagate="sample", resume=True)
    with pytest.raises(ValueError, match=r"optimizer: resume=True goes on with SGD\(lr=0.1"):
        broken.fit(data(), lr=0.2, resume=True)
    broken.fit(data(), **SETTINGS, resume=True)
    assert_same(straight, broken)


class End:
    def on_epoch_end(self, trainer: Any, record: Any) -> None:
        if trainer.params.n_visible == 12 and record.epoch == 1:
            raise rbmx.StopTraining


def test_resume_leaves_a_layer_that_a_callback_ended() -> None:
    dbn = rbmx.DBN([12, 8, 6], seed=4)
    with pytest.raises(KeyboardInterrupt):
        dbn.fit(data(), **SETTINGS, callbacks=[End(), Stop(2)])
    bottom = dbn.layers[0].weight.detach().clone()
    dbn.fit(data(), resume=True)
    assert torch.equal(dbn.layers[0].weight, bottom)
    assert [len(history) for history in dbn.train_state.histories] == [1, 2]


def test_a_fit_that_is_refused_leaves_the_state_of_the_one_before() -> None:
    dbn = rbmx.DBN([12, 8, 6], seed=4)
    dbn.fit(data(), **SETTINGS)
    for broken in (lambda: dbn.fit(data(), propagate="smaple"), lambda: dbn.fit(data(), validation=data()[:, :3])):
        with pytest.raises((ValueError, DataError)):
            broken()
    assert [state.epoch for state in dbn.train_state.states] == [2, 2]
    dbn.fit(data(), epochs=3, resume=True)


def test_validation_of_a_network_with_labels() -> None:
    labels = data()[:, 0].astype(int)
    dbn = rbmx.DBN([12, 8, 6], n_classes=2, seed=4)
    records = dbn.fit(data(), labels, **SETTINGS, validation=(data(60), labels[:60]))
    assert all(record.validation_free_energy is not None for history in records for record in history)


def test_softmax_layers_hand_up_bits_and_long_chains_run() -> None:
    dbn = rbmx.DBN([12, 8, 4], units=["bernoulli", "softmax(4)", "bernoulli"], seed=0)
    dbn.fit(data(), epochs=2, lr=1e-6, batch_size=20)
    assert dbn.layers[1].weight.abs().max() < 0.1  # where it began: 2 x 10 steps of 1e-6
    assert rbmx.RBM(4, 3, visible="gaussian", seed=0).sample(2, steps=1500).shape == (2, 4)


def test_a_state_dict_of_two_ways_loads_into_a_new_network() -> None:
    dbn = rbmx.DBN([12, 8, 6], seed=4)
    dbn.up_down(data(), epochs=1, lr=0.05)
    fresh = rbmx.DBN([12, 8, 6], seed=5)
    fresh.load_state_dict(dbn.state_dict())
    assert_same(dbn, fresh)


def test_tables_and_machines_go_in_too(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    dbn = rbmx.DBN([12, 8, 6], seed=4)
    expected = dbn.transform(torch.from_numpy(data()).float())
    torch.testing.assert_close(dbn.transform(pandas.DataFrame(data())), expected)
    np.save(tmp_path / "rows.npy", data())
    torch.testing.assert_close(dbn.transform(tmp_path / "rows.npy"), expected)
    again = rbmx.DBN.from_layers(list(dbn.layers))
    torch.testing.assert_close(again.transform(data()), expected)


def test_a_file_holds_both_ways_and_everything_else(tmp_path: Path) -> None:
    dbn = rbmx.DBN([12, 8, 6], n_classes=2, seed=4)
    labels = data()[:, 0].astype(int)
    dbn.fit(data(), labels, **SETTINGS)
    dbn.up_down(data(), labels, epochs=1, batch_size=20, lr=0.05)
    dbn.save(tmp_path / "d.safetensors")
    loaded = rbmx.load(tmp_path / "d.safetensors")
    assert isinstance(loaded, rbmx.DBN)
    assert_same(dbn, loaded)
    assert loaded.train_state.histories == dbn.train_state.histories
    assert loaded.up_down_history == dbn.up_down_history
    assert torch.equal(loaded.predict(data()), dbn.predict(data()))
    with pytest.raises(CheckpointError, match="format"):
        rbmx.RBM(3, 2, seed=0).save(tmp_path / "r.safetensors")
        rbmx.DBN.load(tmp_path / "r.safetensors")
    whole = (tmp_path / "d.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="safetensors"):
        rbmx.DBN.load(tmp_path / "cut.safetensors")


def test_continuous_data_take_gaussian_units() -> None:
    dbn = rbmx.DBN([3, 5, 4], units="gaussian", seed=0)
    dbn.fit(np.random.default_rng(0).normal(size=(100, 3)), epochs=1, lr=0.01)
    assert dbn.transform(np.zeros((2, 3))).shape == (2, 4)
    assert dbn.sample(3, steps=5, seed=0).dtype == torch.float32


@pytest.mark.parametrize("n_classes", [None, 3])
def test_nets_made_of_a_network_compute_what_it_does(n_classes: int | None) -> None:
    dbn, v = network(5, 4, 3, n_classes=n_classes), states(5)
    below = dbn.layers[0].hidden_mean(v)
    w = dbn.top.weight[:, :4]
    code = torch.sigmoid(below @ w.T + dbn.top.hidden_bias)
    down = dbn.layers[0].visible_mean(torch.sigmoid(code @ w + dbn.top.visible_bias[:4]))
    model = dbn.autoencoder()
    torch.testing.assert_close(model.encode(v), code)
    torch.testing.assert_close(model(v), down)
    torch.testing.assert_close(dbn.autoencoder(tied=True)(v), down)
    linear = dbn.autoencoder(code="linear").encode(v)
    torch.testing.assert_close(linear, below @ w.T + dbn.top.hidden_bias)
    assert torch.allclose(dbn.classifier(7)(v).exp().sum(1), torch.ones(32))
    assert dbn.regressor(2)(v).shape == (32, 2)
    with torch.no_grad():
        next(model.parameters()).zero_()
    torch.testing.assert_close(dbn.layers[0].hidden_mean(v), below)  # a copy was zeroed


def test_nets_of_a_network_with_two_ways_go_up_by_one_and_down_by_the_other() -> None:
    dbn = rbmx.DBN([12, 8, 6], seed=4)
    dbn.up_down(data(), epochs=2, batch_size=20, lr=0.1)
    v = torch.from_numpy(data()).float()
    assert not torch.equal(dbn.recognition[0].weight, dbn.layers[0].weight)
    torch.testing.assert_close(dbn.autoencoder()(v), dbn.reconstruct(v))
    assert dbn.classifier(3)(v).shape == (200, 3)
    with pytest.raises(ValueError, match="tied: after up_down the two ways"):
        dbn.autoencoder(tied=True)


def test_the_lower_bound_is_that_of_the_stack() -> None:
    dbn = network(5, 4, 3)
    layers = [layer._params_copy() for layer in dbn.layers]
    rows = rbmx.data.PackedBits.pack(states(5).numpy())
    bound = dbn.lower_bound(states(5).numpy(), samples=400, seed=2)
    again, mean = stack_lower_bound(layers, rows, log_partition(layers[1]), samples=400, key=rbmx.Key(9))
    # the standard error of a mean over 400 draws of each of 32 rows is below 0.02 nats
    assert abs(bound.value - mean.value) < 0.1
    assert bound.value < np.log(marginal(dbn)).mean() + 0.1
    assert len(again) == 32


def test_what_cannot_be_is_refused_in_one_line() -> None:
    plain, labelled = rbmx.DBN([12, 8, 6], seed=0), rbmx.DBN([12, 8], n_classes=3, seed=0)
    for broken, complaint in (
        (lambda: rbmx.DBN([12]), "sizes: expected the units of two levels or more"),
        (lambda: rbmx.DBN([12, 8], n_classes=1), "n_classes: expected 2 or more, got 1"),
        (lambda: rbmx.DBN([12, 8], units=["bernoulli"]), "units: expected a unit type for each of 2 levels"),
        (lambda: plain.fit(data()[:, :5]), "expected rows of 12 values"),
        (lambda: plain.fit(data(), np.zeros(200, int)), "learned no labels"),
        (lambda: plain.fit(data(), per_layer=[{}]), "per_layer: expected a dict for each of 2 layers, got 1"),
        (lambda: plain.fit(data(), resume=True), "resume: expected a network that was fitted"),
        (lambda: plain.predict(data()), "learned no labels"),
        (lambda: plain.sample(3, label=1), "learned no labels"),
        (lambda: plain.sample(0), "n: expected 1 or more"),
        (lambda: plain.fit(data(), per_layer=[{}, {"lr": -1}]), "per_layer: layer 1: lr: expected a positive number"),
        (lambda: labelled.fit(data(), np.zeros(200, int), validation=data()), r"validation: expected \(data, labels\)"),
        (lambda: plain.transform(data() * 255.0), "outside"),
        (lambda: plain.transform(torch.full((2, 12), 7.0)), "v: row 0, column 0: value 7: bernoulli units take"),
        (lambda: plain.transform(np.full((2, 12), np.nan)), "value nan is not a finite number"),
        (lambda: plain.transform(torch.zeros(0, 12)), "with at least one row"),
        (lambda: plain.sample(3, start=torch.zeros(2, 12)), "start: expected one row or n=3, got 2"),
        (lambda: labelled.sample(3, mean=True), "mean: one layer alone ends at states"),
        (lambda: plain.up_down(data(), engine="reference"), "engine: up-down does not know this setting"),
        (lambda: plain.classifier(), "learned no labels"),
        (lambda: plain(torch.zeros(2, 5)), r"v: expected \(rows, 12\), got \(2, 5\)"),
        (lambda: plain.inverse_transform(torch.zeros(2, 5)), r"h: expected \(rows, 6\)"),
        (lambda: labelled.fit(data()), "labels: expected one for each row"),
        (lambda: labelled.fit(data(), np.full(200, 3)), "row 0: 3 is none of the classes 0 to 2"),
        (lambda: labelled.sample(2, label=[0, 5]), "row 1: 5 is none of the classes 0 to 2"),
        (lambda: labelled.up_down(data(), np.zeros(200, int)), "expected one or more below the top"),
        (lambda: plain.up_down(data(), optimizer="adam"), "up-down takes SGD"),
        (lambda: labelled.lower_bound(data()), "networks without labels"),
    ):
        with pytest.raises((ValueError, DataError), match=complaint):
            broken()
    with pytest.raises(TypeError, match="sizes: expected a list of numbers of units, got 12"):
        rbmx.DBN(12)
    with pytest.raises(TypeError, match="n_classes: expected a whole number, got 'a'"):
        rbmx.DBN([12, 8], n_classes="a")
    with pytest.raises(TypeError, match="epoch: no setting of training has this name"):
        plain.fit(data(), epoch=3)
