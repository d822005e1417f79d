"""Losses and gradients of small nets, against autograd and finite differences, and the nets that stacks become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rbmx.backends import backend_for
from rbmx.bits import PackedBits
from rbmx.params import RBMParams
from rbmx.training import backprop
from rbmx.training.backprop import LOSSES, Affine, Network, flattened

RNG = np.random.default_rng(0)
CASES = [(loss, output) for loss, outputs in LOSSES.items() for output in outputs]


def net(output: str, hidden: str = "sigmoid", dtype: Any = np.float64, sizes: tuple[int, ...] = (5, 4, 3)) -> Network:
    rng = np.random.default_rng(1)
    activations = [hidden] * (len(sizes) - 2) + [output]
    return Network(
        [
            Affine(rng.normal(size=(n, m)).astype(dtype), rng.normal(size=n).astype(dtype), activation)
            for m, n, activation in zip(sizes, sizes[1:], activations, strict=False)
        ]
    )


def rows_and_target(loss: str, rows: int = 7) -> tuple[Any, Any]:
    target = RNG.integers(0, 3, rows) if loss == "nll" else RNG.random((rows, 3))
    return RNG.random((rows, 5)), target


@pytest.mark.parametrize("hidden", ["sigmoid", "relu", "linear"])
@pytest.mark.parametrize(("loss", "output"), CASES)
def test_loss_and_gradient_match_autograd_in_float64(loss: str, output: str, hidden: str) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    network, (x, target) = net(output, hidden), rows_and_target(loss)
    parameters = [
        tuple(torch.tensor(array, requires_grad=True) for array in (a.weight, a.bias)) for a in network.layers
    ]
    functions = {"sigmoid": torch.sigmoid, "relu": torch.relu, "linear": lambda a: a}
    functions["log_softmax"] = lambda a: torch.log_softmax(a, 1)
    y = torch.tensor(x)
    for (weight, bias), layer in zip(parameters, network.layers, strict=True):
        y = functions[layer.activation](y @ weight.T + bias)
    wanted = torch.tensor(target)
    losses = {
        "squared_error": lambda: functional.mse_loss(y, wanted, reduction="sum"),
        "cross_entropy": lambda: functional.binary_cross_entropy(y, wanted, reduction="sum"),
        "nll": lambda: functional.nll_loss(y, wanted, reduction="sum"),
    }
    expected = losses[loss]()
    expected.backward()
    total, gradient = network.loss_and_gradient(x, target, loss)
    np.testing.assert_allclose(network.forward(x), y.detach().numpy(), rtol=1e-12, atol=1e-14)
    assert total == pytest.approx(expected.item(), rel=1e-12)  # sums of 21 terms in float64, twice
    assert network.loss(x, target, loss) == total
    for found, pair in zip(gradient, parameters, strict=True):
        for array, parameter in zip(found, pair, strict=True):
            np.testing.assert_allclose(array, parameter.grad.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("loss", "output"), CASES)
def test_gradient_matches_finite_differences(loss: str, output: str) -> None:
    network, (x, target) = net(output), rows_and_target(loss)
    vector, step = network.flat(), 1e-6
    gradient = flattened(network.loss_and_gradient(x, target, loss)[1])
    for i, slope in enumerate(gradient):
        ahead, behind = vector.copy(), vector.copy()
        ahead[i] += step
        behind[i] -= step
        difference = network.unflat(ahead).loss(x, target, loss) - network.unflat(behind).loss(x, target, loss)
        assert difference / (2 * step) == pytest.approx(slope, rel=1e-5, abs=1e-7)  # third derivatives times 1e-12


def test_sums_over_rows_add_over_shards() -> None:
    network, (x, target) = net("sigmoid"), rows_and_target("cross_entropy", 11)
    parts = [network.loss_and_gradient(x[a:b], target[a:b], "cross_entropy") for a, b in ((0, 4), (4, 11))]
    total, gradient = network.loss_and_gradient(x, target, "cross_entropy")
    assert sum(part[0] for part in parts) == pytest.approx(total, rel=1e-13)
    np.testing.assert_allclose(sum(flattened(part[1]) for part in parts), flattened(gradient), rtol=1e-12)


def test_extreme_net_inputs_stay_finite() -> None:
    """A naive log of a sigmoid, or an exponential of a net input, would overflow or warn."""
    network = Network([Affine(np.float32([[300.0], [-300.0]]), np.zeros(2, np.float32), "sigmoid")])
    x, target = np.float32([[1.0]]), np.float32([[0.0, 1.0]])
    total, gradient = network.loss_and_gradient(x, target, "cross_entropy")
    assert total == 600
    np.testing.assert_array_equal(gradient[0][0], [[1.0], [-1.0]])
    head = Network([Affine(np.float32([[300.0], [-300.0]]), np.zeros(2, np.float32), "log_softmax")])
    assert head.loss(x, np.array([1]), "nll") == 600


def test_flat_and_unflat_are_inverse() -> None:
    network = net("linear", dtype=np.float32)
    again = network.unflat(network.flat())
    for one, other in zip(network.layers, again.layers, strict=True):
        assert one.activation == other.activation and other.weight.dtype == np.float32
        np.testing.assert_array_equal(one.weight, other.weight)
        np.testing.assert_array_equal(one.bias, other.bias)
        assert not np.shares_memory(one.weight, other.weight)


@pytest.mark.parametrize("units", ["bernoulli", "gaussian", "gaussian(learned)"])
def test_a_stack_computes_the_hidden_means_of_its_machines(machine: Callable[..., RBMParams], units: str) -> None:
    layers = [machine(6, 4, visible=units) if "learned" not in units else learned(machine), machine(4, 3, seed=1)]
    x = RNG.integers(0, 2, (9, 6)).astype(np.float32) if units == "bernoulli" else RNG.normal(size=(9, 6))
    rows = np.asarray(x, np.float32)
    means = rows
    for layer in layers:
        means = backend_for(layer, "reference").hidden_mean(layer, means)
    head = Affine(np.ones((2, 3), np.float32), np.zeros(2, np.float32), "linear")
    # float32 against the reference's float64
    np.testing.assert_allclose(Network.from_stack(layers).forward(rows), means, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        Network.from_stack(layers, head).forward(rows), means.sum(1, keepdims=True) * [1, 1], rtol=1e-5
    )


@pytest.mark.parametrize("units", ["bernoulli", "gaussian", "gaussian(learned)"])
def test_the_unrolled_stack_goes_up_and_down_by_the_machines_means(
    machine: Callable[..., RBMParams], units: str
) -> None:
    bottom = learned(machine) if "learned" in units else machine(6, 4, visible=units)
    layers = [bottom, machine(4, 3, hidden="gaussian", seed=1)]
    rows = RNG.random((9, 6)).astype(np.float32)
    means = rows
    for layer in layers:
        means = backend_for(layer, "reference").hidden_mean(layer, means)
    for layer in reversed(layers):
        means = backend_for(layer, "reference").visible_mean(layer, means)
    network = Network.autoencoder_of(layers)
    assert [a.activation for a in network.layers][1] == "linear"
    np.testing.assert_allclose(network.forward(rows), means, rtol=1e-4, atol=1e-5)  # four layers in float32
    assert Network.autoencoder_of(layers, code="sigmoid").layers[1].activation == "sigmoid"


def learned(machine: Callable[..., RBMParams]) -> RBMParams:
    plain = machine(6, 4)
    variance = RNG.normal(size=6).astype(np.float32)
    return RBMParams(plain.weight, plain.visible_bias, plain.hidden_bias, "gaussian(learned)", "bernoulli", variance)


def test_a_net_has_memory_of_its_own(machine: Callable[..., RBMParams]) -> None:
    layer = machine(6, 4)
    for affine in Network.autoencoder_of([layer]).layers:
        for array in (affine.weight, affine.bias):
            assert not any(np.shares_memory(array, getattr(layer, name)) for name in layer.names)


def test_bits_are_rows_and_targets() -> None:
    network = net("sigmoid", dtype=np.float32, sizes=(5, 4, 5))
    bits = RNG.integers(0, 2, (8, 5)).astype(np.uint8)
    packed = PackedBits.pack(bits)
    total, gradient = network.loss_and_gradient(packed, packed, "cross_entropy")
    expected, other = network.loss_and_gradient(bits, bits, "cross_entropy")
    assert total == expected
    np.testing.assert_array_equal(flattened(gradient), flattened(other))


def test_what_does_not_fit_is_refused(machine: Callable[..., RBMParams]) -> None:
    network, x = net("log_softmax"), RNG.random((2, 5))
    with pytest.raises(ValueError, match=r"x: expected \(rows, 5\), got \(2, 4\)"):
        network.forward(x[:, :4])
    with pytest.raises(ValueError, match="loss: expected one of squared_error, cross_entropy, nll, got 'mse'"):
        network.loss(x, [0, 1], "mse")
    with pytest.raises(ValueError, match="loss: squared_error goes with sigmoid or relu or linear outputs, got log_so"):
        network.loss(x, x)
    with pytest.raises(ValueError, match="target: expected labels from 0 to 2, got 3 in row 1"):
        network.loss(x, [0, 3], "nll")
    with pytest.raises(ValueError, match=r"target: expected integer labels \(rows,\), got float64"):
        network.loss(x, [0.0, 1.0], "nll")
    with pytest.raises(ValueError, match="target: expected 2 rows, one for each row of x, got 1"):
        net("linear").loss(x, np.zeros((1, 3)))
    with pytest.raises(ValueError, match="layers: layer 0 gives 4 values of float64, layer 1 takes 5"):
        Network([network.layers[0], network.layers[0]])
    with pytest.raises(ValueError, match="layers: log_softmax is for the last layer"):
        Network([Affine(np.eye(3), np.zeros(3), "log_softmax"), Affine(np.eye(3), np.zeros(3))])
    with pytest.raises(ValueError, match="activation: expected one of sigmoid, relu, linear, log_softmax, got 'tanh'"):
        Affine(np.eye(3), np.zeros(3), "tanh")
    with pytest.raises(ValueError, match=r"bias: expected float64 \(3,\), got float32 \(3,\)"):
        Affine(np.eye(3), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"vector: expected \(39,\), got \(3,\)"):
        network.unflat(np.zeros(3))
    with pytest.raises(ValueError, match="layers: machine 0 has 4 hidden units, machine 1 5 visible ones"):
        Network.from_stack([machine(6, 4), machine(5, 2)])
    with pytest.raises(ValueError, match=r"layers: expected hidden units of bernoulli, gaussian.*got relu"):
        Network.from_stack([machine(6, 4, hidden="relu")])
    with pytest.raises(ValueError, match=r"layers: expected visible units of .*got spin"):
        Network.from_stack([machine(6, 4, visible="spin")])
    with pytest.raises(ValueError, match="layers: expected one machine or more, got none"):
        Network.from_stack([])


def test_only_a_reproducible_net_takes_canonical_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so do its copies; the sums are the same to float32."""
    plain, taken = net("sigmoid", dtype=np.float32, sizes=(5, 4, 5)), []
    kept = replace(plain, reproducible=True)
    canonical = backprop.product
    monkeypatch.setattr(backprop, "product", lambda a, b: taken.append(a.shape) or canonical(a, b))
    x = RNG.random((7, 5))
    loss, gradient = plain.loss_and_gradient(x, x)
    assert not taken
    for same in (kept, kept.copy(), kept.unflat(kept.flat())):
        taken.clear()
        other_loss, other = same.loss_and_gradient(x, x)
        assert len(taken) == 5  # two layers forward, two gradients of weights, one delta handed down
        assert other_loss == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(flattened(other), flattened(gradient), rtol=1e-4, atol=1e-5)
