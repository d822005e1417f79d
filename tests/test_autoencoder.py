"""rbmx.Autoencoder: what it computes, what it learns, and that nothing of a fit depends on chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from rbmx.training.backprop import Network  # noqa: E402
from tests.nets import RNG, X, principal_error, rbm, same_parameters  # noqa: E402


@pytest.mark.parametrize("code", ["linear", "sigmoid", "relu"])
def test_forward_is_the_net_written_out(code: str) -> None:
    model = rbmx.Autoencoder([6, 5, 3], code=code, seed=1)
    functions = {"linear": lambda a: a, "sigmoid": torch.sigmoid, "relu": torch.relu}
    x = torch.from_numpy(X)
    p = model.state_dict()
    h = torch.sigmoid(x @ p["encoder.0.weight"].T + p["encoder.0.bias"])
    c = functions[code](h @ p["encoder.2.weight"].T + p["encoder.2.bias"])
    h = torch.sigmoid(c @ p["decoder.0.weight"].T + p["decoder.0.bias"])
    y = torch.sigmoid(h @ p["decoder.2.weight"].T + p["decoder.2.bias"])
    torch.testing.assert_close(model.encode(x), c)
    torch.testing.assert_close(model.decode(c), y)
    torch.testing.assert_close(model(x), y)
    torch.testing.assert_close(torch.from_numpy(model.network().forward(X)), y)


def test_codes_and_reconstructions_of_whatever_fit_takes(tmp_path: Path) -> None:
    model = rbmx.Autoencoder([6, 3], seed=0)
    rows = np.random.default_rng(0).random((2500, 6)).astype(np.float32)  # three blocks
    np.save(tmp_path / "rows.npy", rows)
    x = torch.from_numpy(rows)
    # blocks of 1,000 rows instead of all at once: other paths in a matrix product, the last bits of float32
    for data in (rows, x, tmp_path / "rows.npy"):
        torch.testing.assert_close(model.transform(data), model.encode(x).detach(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(model.reconstruct(data), model(x).detach(), rtol=1e-5, atol=1e-6)
    assert not model.transform(rows).requires_grad
    with pytest.raises(rbmx.errors.DataError, match="data: expected rows of 6 values, got 5"):
        model.transform(rows[:, :5])


def test_initial_weights_are_those_of_glorot_and_bengio_and_belong_to_the_seed() -> None:
    model = rbmx.Autoencoder([300, 200], seed=1)
    weight, limit = model.encoder[0].weight, (6 / 500) ** 0.5
    assert weight.abs().max() < limit and weight.abs().max() > 0.999 * limit
    # 60,000 uniform numbers: standard deviation limit / sqrt(3), its own error 1 / sqrt(60,000 * 1.25) of that
    assert weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.01)
    assert not any(stage.bias.any() for stage in model.stages() if isinstance(stage, torch.nn.Linear))
    for activation, gain in (("sigmoid", 4.0), ("relu", 2**0.5)):
        other = rbmx.Autoencoder([300, 200], code=activation, seed=1)
        torch.testing.assert_close(other.encoder[0].weight, gain * weight)
        assert torch.equal(other.decoder[0].weight, model.decoder[0].weight)
    assert same_parameters(model, rbmx.Autoencoder([300, 200], seed=1))
    assert not torch.equal(weight, rbmx.Autoencoder([300, 200], seed=2).encoder[0].weight)
    torch.manual_seed(3)
    one = rbmx.Autoencoder([6, 4])
    torch.manual_seed(3)
    assert same_parameters(one, rbmx.Autoencoder([6, 4]))


def test_from_layers_is_the_stack_of_conditionals_unrolled() -> None:
    layers = [rbm(6, 5), rbm(5, 4, 1), rbm(4, 2, 2, hidden="gaussian")]
    model = rbmx.Autoencoder.from_layers(layers)
    x = h = torch.from_numpy(X)
    for layer in layers:
        h = layer.hidden_mean(h)
    torch.testing.assert_close(model.encode(x), h, rtol=0, atol=0)
    for layer in reversed(layers):
        h = layer.visible_mean(h)
    torch.testing.assert_close(model(x), h)  # the decoder multiplies by a copy of W^T: another order of sums
    assert isinstance(model.encoder[-1], torch.nn.Linear)
    assert isinstance(rbmx.Autoencoder.from_layers(layers, code="sigmoid").encoder[-1], torch.nn.Sigmoid)
    arrays = rbmx.Autoencoder.from_layers([layer._params() for layer in layers])
    assert same_parameters(model, arrays)


@pytest.mark.parametrize("units", ["gaussian", "gaussian(learned)"])
def test_from_layers_of_real_values_has_linear_outputs(units: str) -> None:
    layers = [rbm(6, 5, visible=units), rbm(5, 3, 1)]
    model = rbmx.Autoencoder.from_layers(layers)
    x = torch.from_numpy(RNG.normal(size=(9, 6)).astype(np.float32))
    torch.testing.assert_close(model.encode(x), layers[1](layers[0](x)), rtol=1e-5, atol=1e-6)  # W / sigma at once
    down = layers[0].visible_mean(layers[1].visible_mean(model.encode(x)))
    torch.testing.assert_close(model(x), down, rtol=1e-5, atol=1e-5)


def test_tied_weights_share_storage_and_gradient() -> None:
    model = rbmx.Autoencoder([6, 5, 3], tied=True, seed=1)
    assert model.decoder[0].weight is model.encoder[2].weight and model.decoder[2].weight is model.encoder[0].weight
    assert len(list(model.parameters())) == 6
    free = rbmx.Autoencoder([6, 5, 3], seed=1).load_network(model.network())
    x = torch.from_numpy(X)
    for net in (model, free):
        ((net(x) - x) ** 2).sum().backward()
    torch.testing.assert_close(model(x), free(x))
    both = free.encoder[0].weight.grad + free.decoder[2].weight.grad.T
    torch.testing.assert_close(model.encoder[0].weight.grad, both, rtol=1e-5, atol=1e-5)  # float32 sums of 53 rows
    model.fit(X, epochs=2)
    assert model.decoder[2].weight is model.encoder[0].weight
    tied = rbmx.Autoencoder.from_layers([rbm(6, 5), rbm(5, 3, 1)], tied=True)
    loose = rbmx.Autoencoder.from_layers([rbm(6, 5), rbm(5, 3, 1)])
    torch.testing.assert_close(tied(x), loose(x))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("optimizer", ["lbfgs", "cg"])
def test_full_batch_searches_reach_the_principal_subspace(optimizer: str, tied: bool) -> None:
    """An exact fact about linear autoencoders (Baldi and Hornik 1989); tied weights reach it too."""
    pytest.importorskip("scipy")
    rows = (np.random.default_rng(3).normal(size=(1300, 5)) * [3, 2, 1, 0.5, 0.2] + 1).astype(np.float32)
    model = rbmx.Autoencoder([5, 2], output="linear", tied=tied, seed=0, dtype=torch.float64)
    records = model.fit(rows, optimizer=optimizer, epochs=250)
    # line searches stop where the value no longer falls by its last digits
    assert model.reconstruction_error(rows) == pytest.approx(principal_error(rows, 2), rel=1e-6)
    assert records[-1].loss == pytest.approx(model.reconstruction_error(rows), rel=1e-12)


def test_a_fit_is_a_loop_of_seeded_orders_over_a_torch_optimizer() -> None:
    """Two epochs written out in plain torch; the last minibatch has 13 rows and counts as a mean over 13."""
    from rbmx.backends.native import permutation
    from rbmx.rng import Key, Purpose

    model, own = (rbmx.Autoencoder([6, 4], seed=1) for _ in range(2))
    records = model.fit(X, epochs=2, batch_size=20, optimizer="adam", lr=0.01, seed=9)
    stepper = torch.optim.Adam(own.parameters(), lr=0.01)
    key = Key(9).fold_in(Purpose.SHUFFLE)
    for epoch in range(2):
        order, total = permutation(53, key.fold_in(epoch)), 0.0
        for start in range(0, 53, 20):
            x = torch.from_numpy(X[order[start : start + 20]])
            loss = torch.nn.functional.binary_cross_entropy(own(x), x, reduction="sum")
            total += loss.item()
            stepper.zero_grad()
            (loss / len(x)).backward()
            stepper.step()
        assert records[epoch].loss == pytest.approx(total / 53, rel=1e-5)
    for one, other in zip(model.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)  # Adam divides by small roots


def test_a_full_batch_search_holds_the_activations_of_one_block() -> None:
    rows = RNG.random((2300, 6)).astype(np.float32)
    model, seen = rbmx.Autoencoder([6, 4], seed=1), set()
    model.encoder[0].register_forward_pre_hook(lambda module, inputs: seen.add(len(inputs[0])))
    whole = model.fit(rows, epochs=1, optimizer="lbfgs")
    assert seen == {1000, 300}
    streamed = rbmx.Autoencoder([6, 4], seed=1).fit(rows, epochs=1, optimizer="lbfgs", buffer_bytes=1)
    assert streamed[0].loss == whole[0].loss


@pytest.mark.parametrize("optimizer", ["lbfgs", "cg"])
def test_patience_ends_a_search_too(optimizer: str) -> None:
    model = rbmx.Autoencoder([6, 4], seed=1)
    records = model.fit(X, epochs=200, optimizer=optimizer, validation=1 - X, patience=2)
    best = min(record.validation_loss for record in records)
    assert len(records) < 200 and records[-3].validation_loss == best
    assert model.reconstruction_error(1 - X) == records[-3].validation_error


def test_a_bar_is_shown_where_it_is_wanted_and_not_where_stderr_is_no_terminal(capsys: Any) -> None:
    model = rbmx.Autoencoder([6, 4], seed=1)
    model.fit(X, epochs=2)
    assert capsys.readouterr() == ("", "")
    model.fit(X, epochs=2, validation=X, progress=True)
    model.fit(X, epochs=2, optimizer="lbfgs", progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "106" in err
    assert "epoch 2/2, loss 4." in err and ", validation error " in err


OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda model: "sgd",
    "nesterov": lambda model: "nesterov",
    "rmsprop": lambda model: "rmsprop",
    "settings": lambda model: rbmx.Adam(0.01, beta1=0.8),
    "class": lambda model: torch.optim.AdamW,
    "instance": lambda model: torch.optim.Adagrad(model.parameters(), lr=0.1),
    "closure": lambda model: torch.optim.LBFGS(model.parameters(), max_iter=3),
    "lbfgs": lambda model: "lbfgs",
    "cg": lambda model: "cg",
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_learns_and_the_same_seed_gives_the_same_bytes(name: str) -> None:
    models = [rbmx.Autoencoder([6, 4], seed=1) for _ in range(2)]
    before = models[0].reconstruction_error(X)
    for model in models:
        torch.manual_seed(RNG.integers(1 << 30).item())  # which must not matter
        model.fit(X, epochs=5, batch_size=10, optimizer=OPTIMIZERS[name](model), seed=3)
    assert models[0].reconstruction_error(X) < before
    assert same_parameters(*models)


def test_settings_of_minibatches_show() -> None:
    """Each changes what is learned; a bound on norms holds."""
    results = {}
    settings: dict[str, dict[str, Any]] = {
        "plain": {},
        "seed": {"seed": 4},
        "order": {"shuffle": False},
        "decay": {"weight_decay": 0.1},
        "dropout": {"dropout": 0.5},
        "input_dropout": {"input_dropout": 0.5},
        "max_norm": {"max_norm": 0.3},
        "schedule": {"schedule": rbmx.LinearDecay()},
    }
    for name, more in settings.items():
        models = [rbmx.Autoencoder([6, 4], code="sigmoid", seed=1) for _ in range(2)]
        for model in models:
            model.fit(X, **{"epochs": 3, "batch_size": 10, "optimizer": "sgd", "lr": 0.1, "seed": 3} | more)
        assert same_parameters(*models), name
        results[name] = models[0].encoder[0].weight.detach()
        assert all(name == other or not torch.equal(results[name], results[other]) for other in results)
    assert results["max_norm"].norm(dim=1).max() <= 0.3 + 1e-6


def test_norms_are_bounded_in_all_layers_but_the_output_tied_or_free() -> None:
    """A tied layer's units are the columns of the weights that it shares."""
    for tied in (False, True):
        model = rbmx.Autoencoder([6, 5, 3], tied=tied, seed=1)
        model.fit(X, epochs=1, batch_size=10, max_norm=0.3)
        up, code, down, output = (layer.weight for layer in model.network().layers)
        for weight in (up, code, down):
            assert np.linalg.norm(weight, axis=1).max() <= 0.3 + 1e-6, tied
        assert np.linalg.norm(output, axis=1).max() > 0.3
    single = rbmx.DenoisingAutoencoder(6, 4, seed=1)
    single.fit(X, epochs=1, max_norm=0.3)
    assert single.encoder[0].weight.norm(dim=1).max() <= 0.3 + 1e-6


@pytest.mark.parametrize("hidden", ["sigmoid", "linear"])
@pytest.mark.parametrize("code", ["sigmoid", "linear"])
def test_dropout_takes_units_of_every_layer_but_the_output(hidden: str, code: str) -> None:
    """Half the inputs of each layer above the first are zero, and none at the output; 0.5 and 53 x 5 draws: +-0.12."""
    model = rbmx.Autoencoder([6, 5, 5], hidden=hidden, code=code, seed=1)
    layers = [stage for stage in model.stages() if isinstance(stage, torch.nn.Linear)]
    seen: list[torch.Tensor] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    model.fit(X, epochs=1, batch_size=53, dropout=0.5)
    shares = [float((values == 0).double().mean()) for values in seen]
    assert shares[0] == 0 and all(abs(share - 0.5) < 0.12 for share in shares[1:])
    masks = [values == 0 for values in seen[1:]]
    assert not torch.equal(masks[0], masks[1]) and not torch.equal(masks[1], masks[2])


@pytest.mark.parametrize("hook", ["on_epoch_end", "on_batches"])
def test_a_scheduler_of_torch_moves_the_rate(hook: str) -> None:
    """By halves, an epoch of one minibatch at a time, beside a schedule of ours; the records tell both."""
    model = rbmx.Autoencoder([6, 4], seed=1)
    stepper = torch.optim.SGD(model.parameters(), lr=0.8)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(stepper, 0.5)
    step = type("Step", (), {hook: lambda self, *arguments: scheduler.step()})()
    records = model.fit(
        X, epochs=3, batch_size=53, optimizer=stepper, schedule=lambda epoch, epochs: 0.1, callbacks=[step]
    )
    assert [record.learning_rate for record in records] == pytest.approx([0.08, 0.04, 0.02], rel=1e-12)
    assert stepper.param_groups[0]["lr"] == pytest.approx(0.1, rel=1e-12)
    own = rbmx.Autoencoder([6, 4], seed=1)
    for rate in (0.08, 0.04, 0.02):
        own.fit(X, epochs=1, batch_size=53, optimizer="sgd", lr=rate)
    for one, other in zip(model.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(one, other)  # the rows of the one minibatch in another order


def test_weights_decay_and_biases_do_not() -> None:
    """One step down the gradient, and 0.1 * 0.5 of each weight less."""
    plain, decayed = (rbmx.Autoencoder([6, 4], seed=1) for _ in range(2))
    start = rbmx.Autoencoder([6, 4], seed=1).encoder[0].weight
    for model, decay in ((plain, 0.0), (decayed, 0.5)):
        with torch.no_grad():
            model.encoder[0].bias.fill_(1)
        model.fit(X, epochs=1, optimizer="sgd", lr=0.1, weight_decay=decay)
    torch.testing.assert_close(decayed.encoder[0].bias, plain.encoder[0].bias)
    torch.testing.assert_close(decayed.encoder[0].weight, plain.encoder[0].weight - 0.05 * start)


def test_dropout_keeps_the_expectation_of_a_linear_net() -> None:
    """With weights held still, the mean over many epochs of what reaches the output is the output without dropout."""
    model = rbmx.Autoencoder([6, 2], output="linear", seed=1)
    seen = []
    hook = model.decoder[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    model.fit(X, epochs=100, batch_size=53, optimizer="sgd", lr=1e-12, input_dropout=0.3, shuffle=False)
    hook.remove()
    mean, spread = torch.stack(seen).mean(0), torch.stack(seen).std(0)
    # 106 means of 100 draws: beyond 4.5 standard errors once in 1,000 fits
    assert ((mean - model.encode(torch.from_numpy(X))).abs() <= 4.5 * spread / 10).all()


def test_validation_patience_and_the_way_back() -> None:
    model = rbmx.Autoencoder([6, 4], seed=1)
    records = model.fit(X, epochs=60, optimizer="sgd", lr=1.0, validation=1 - X, patience=2)
    losses = [record.validation_loss for record in records]
    assert len(records) == int(np.argmin(losses)) + 3 < 60
    again = rbmx.Autoencoder([6, 4], seed=1)
    again.fit(X, epochs=int(np.argmin(losses)) + 1, optimizer="sgd", lr=1.0)
    assert same_parameters(model, again)
    assert model.reconstruction_error(1 - X) == records[int(np.argmin(losses))].validation_error


def test_an_optimizer_instance_goes_on_and_gets_its_rate_back() -> None:
    whole, parts = (rbmx.Autoencoder([6, 4], seed=1) for _ in range(2))
    one, two = (torch.optim.Adam(model.parameters(), lr=0.01) for model in (whole, parts))
    whole.fit(X, epochs=2, shuffle=False, optimizer=one)
    for _ in range(2):
        parts.fit(X, epochs=1, shuffle=False, optimizer=two)
    assert same_parameters(whole, parts)
    whole.fit(X, epochs=2, optimizer=one, schedule=lambda epoch, epochs: 0.5)
    assert one.param_groups[0]["lr"] == 0.01
    assert len(whole.history) == 4

    class Interrupt(rbmx.training.Callback):
        def on_batches(self, trainer: Any, rows_done: int, rows_total: int | None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        whole.fit(X, optimizer=one, schedule=lambda epoch, epochs: 0.5, callbacks=[Interrupt()])
    assert one.param_groups[0]["lr"] == 0.01


def test_a_run_goes_on_as_if_it_had_not_been_interrupted(tmp_path: Path) -> None:
    """Orders, noise, schedule and moments go on, through files too."""
    settings: dict[str, Any] = {"batch_size": 10, "dropout": 0.2, "schedule": rbmx.LinearDecay(), "seed": 4}
    whole, part = (rbmx.DenoisingAutoencoder(6, 4, seed=1) for _ in range(2))
    whole.fit(X, epochs=5, optimizer=torch.optim.Adam(whole.parameters(), lr=0.01), **settings)

    class Stop(rbmx.training.Callback):
        def on_epoch_end(self, trainer: Any, record: Any) -> None:
            if record.epoch == 2:
                raise rbmx.StopTraining

    stepper = torch.optim.Adam(part.parameters(), lr=0.01)
    part.fit(X, epochs=5, optimizer=stepper, callbacks=[Stop()], **settings)
    part.save(tmp_path / "m.safetensors")
    again = rbmx.load(tmp_path / "m.safetensors")
    other = torch.optim.Adam(again.parameters(), lr=0.5)
    other.load_state_dict(stepper.state_dict())
    records = again.fit(X, epochs=5, first_epoch=2, optimizer=other, **settings)
    assert [record.epoch for record in records] == [3, 4, 5]
    assert same_parameters(whole, again)
    assert [record.loss for record in again.history] == [record.loss for record in whole.history]


def test_frozen_layers_stay() -> None:
    model = rbmx.Autoencoder([6, 5, 3], seed=1)
    model.encoder.requires_grad_(False)
    before = model.encoder[0].weight.clone()
    for optimizer in ("adam", "lbfgs"):
        model.fit(X, epochs=2, optimizer=optimizer)
    assert torch.equal(model.encoder[0].weight, before)
    model.requires_grad_(False)
    for optimizer in ("adam", "lbfgs"):
        with pytest.raises(ValueError, match="optimizer: expected parameters that require gradients"):
            model.fit(X, optimizer=optimizer)


def test_data_of_all_kinds_give_the_same() -> None:
    bits = (X > 0.5).astype(np.uint8)
    kinds = (bits, torch.from_numpy(bits), bits.astype(bool), lambda: iter([bits[:20], bits[20:]]))
    models = []
    for data in kinds:
        models.append(rbmx.Autoencoder([6, 4], seed=1))
        models[-1].fit(data, epochs=2, seed=0)
        # float32 sums over other blocks
        assert models[-1].reconstruction_error(data) == pytest.approx(models[0].reconstruction_error(bits), rel=1e-6)
    assert all(same_parameters(models[0], model) for model in models)


def test_larger_data_stream() -> None:
    model = rbmx.Autoencoder([6, 4], seed=1)
    records = model.fit(X, epochs=2, batch_size=7, buffer_bytes=24 * 20)
    assert [record.rows for record in records] == [53, 53]


def test_float64_and_half_precision_work() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        model = rbmx.Autoencoder([6, 4], seed=1, dtype=dtype)
        records = model.fit(X, epochs=3)
        assert records[-1].loss < records[0].loss and model.encoder[0].weight.dtype == dtype


def test_a_network_of_numpy_is_the_same_net() -> None:
    model = rbmx.Autoencoder([6, 4], seed=1)
    network = model.network()
    assert isinstance(network, Network)
    vector = network.flat() + 1
    model.load_network(network.unflat(vector))
    np.testing.assert_array_equal(model.network().flat(), vector.astype(np.float32))


def test_what_does_not_fit_is_refused_before_any_work() -> None:
    model = rbmx.Autoencoder([6, 4], seed=1)
    before = rbmx.Autoencoder([6, 4], seed=1)
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (X[:, :5], {}, "data: expected rows of 6 values, got 5"),
        (X * 2, {}, r"data: row .* value 1\.\d+.*\[0, 1\]"),
        (X, {"loss": "mse"}, "loss: expected one of squared_error, cross_entropy, nll, got 'mse'"),
        (X, {"loss": "nll"}, "loss: nll goes with log_softmax outputs, got sigmoid"),
        (X, {"optimizer": "newton"}, "optimizer: expected 'sgd'"),
        (X, {"optimizer": "lbfgs", "lr": 0.1}, "lr: lbfgs has its own or none"),
        (X, {"optimizer": "lbfgs", "dropout": 0.1}, "dropout, max_norm: go with minibatches, not with lbfgs"),
        (X, {"optimizer": torch.optim.Adam(before.parameters())}, "optimizer: expected one over the parameters of"),
        (X, {"optimizer": torch.optim.Rprop, "weight_decay": 0.1}, "weight_decay: Rprop has none"),
        (X, {"dropout": 1.0}, "dropout: expected a share"),
        (X, {"max_norm": 0.0}, "max_norm: expected a positive"),
        (X, {"patience": 2}, "patience: expected validation="),
        (X, {"validation": X[:, :5]}, "data: expected rows of 6 values, got 5"),
        (X, {"epochs": -1}, "epochs: expected"),
        (X, {"first_epoch": 11}, "first_epoch: expected 0 to 10, the epochs in all, got 11"),
        (X, {"first_epoch": 1, "optimizer": "cg"}, "first_epoch: cg starts anew"),
        (X, {"callbacks": [print]}, "callbacks: expected objects"),
        (X, {"epochs": 1.5}, "epochs: expected a whole number, got 1.5"),
        (X, {"dropout": "much"}, "dropout: expected a number, got 'much'"),
    ]
    for data, settings, message in wrong:
        with pytest.raises((ValueError, TypeError), match=message):
            model.fit(data, **settings)
    assert same_parameters(model, before) and model.history == []
    for arguments, settings, message in [
        ([[6]], {}, r"sizes: expected 2 or more positive numbers of units, got \[6\]"),
        ([[6, 0]], {}, "sizes: expected"),
        ([[6, 2.0]], {}, "sizes: expected a whole number, got 2.0"),
        ([[6, 3]], {"code": "tanh"}, "code: expected linear or sigmoid or relu, got 'tanh'"),
        ([[6, 3]], {"output": "relu"}, "output: expected sigmoid or linear, got 'relu'"),
        ([[6, 5, 3]], {"hidden": ["sigmoid", "relu"]}, "hidden: expected .* for 1 layers"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            rbmx.Autoencoder(*arguments, **settings)
    with pytest.raises(ValueError, match=r"network: expected layers of \[\(6, 4\), \(4, 6\)\]"):
        model.load_network(rbmx.Autoencoder([6, 3]).network())
    with pytest.raises(ValueError, match="network: expected weights of layer 1 that are those of layer 0 transposed"):
        rbmx.Autoencoder([6, 4], tied=True).load_network(model.network())
    with pytest.raises(ValueError, match="tied: expected visible units without learned variances"):
        rbmx.Autoencoder.from_layers([rbm(6, 4, visible="gaussian(learned)")], tied=True)
    with pytest.raises(ValueError, match="layers: expected visible units of the same type as the hidden units"):
        rbmx.Autoencoder.from_layers([rbm(6, 4), rbm(4, 3, visible="gaussian")])


def test_a_diverged_fit_gives_back_the_epoch_before() -> None:
    model = rbmx.Autoencoder([6, 4], output="linear", seed=1)
    before = rbmx.Autoencoder([6, 4], output="linear", seed=1)
    with pytest.raises(rbmx.DivergedError, match=r"in epoch 1 at learning rate 1e\+20"):
        model.fit(X, epochs=2, batch_size=10, optimizer="sgd", lr=1e20)
    assert same_parameters(model, before)
