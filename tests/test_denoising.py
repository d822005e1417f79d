"""Denoising autoencoders: noise that is exact in expectation and belongs to places, layers trained one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from rbmx.rng import Draws, Key  # noqa: E402
from tests.nets import LABELS, RNG, X, rbm, same_parameters  # noqa: E402

DRAWS = Draws(Key(1), 0, 0, 0)


def half(rows: int = 500, units: int = 200) -> Any:
    return torch.full((rows, units), 0.5)


def test_masking_loses_its_share_of_values_and_keeps_the_others() -> None:
    y = rbmx.Masking(0.3).corrupt(half(), DRAWS)
    assert set(y.unique().tolist()) == {0.0, 0.5}
    # 100,000 draws: a share is known to 0.00145; 4 of these once in 16,000 seeds
    assert (y == 0).double().mean().item() == pytest.approx(0.3, abs=0.006)


def test_salt_and_pepper_replaces_its_share_by_fair_bits() -> None:
    y = rbmx.SaltAndPepper(0.4).corrupt(half(), DRAWS)
    for value, share in ((0.0, 0.2), (1.0, 0.2), (0.5, 0.6)):
        assert (y == value).double().mean().item() == pytest.approx(share, abs=0.006)


def test_gaussian_noise_has_its_deviation() -> None:
    added = (rbmx.GaussianNoise(0.2).corrupt(half(), DRAWS) - half()).double()
    assert added.mean().item() == pytest.approx(0, abs=0.2 * 4 / 100_000**0.5)
    assert added.std().item() == pytest.approx(0.2, rel=4 / 200_000**0.5)
    assert (added / 0.2).pow(4).mean().item() == pytest.approx(3, abs=4 * (96 / 100_000) ** 0.5)


@pytest.mark.parametrize("noise", [rbmx.Masking(0.5), rbmx.SaltAndPepper(0.5), rbmx.GaussianNoise(0.5)])
def test_noise_belongs_to_row_epoch_and_unit(noise: Any) -> None:
    whole = noise.corrupt(half(50, 9), DRAWS)
    parts = [noise.corrupt(half(n, 9), Draws(Key(1), first, 0, 0)) for first, n in ((0, 13), (13, 37))]
    assert torch.equal(whole, torch.cat(parts))
    other = noise.corrupt(half(50, 9), Draws(Key(1), 0, 1, 0))
    assert (whole != other).any() and len({tuple(row) for row in whole.tolist()}) > 40


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_noise_and_nothing_but_noise(share: float) -> None:
    kept = rbmx.Masking(share).corrupt(half(20, 9), DRAWS)
    assert (kept == 0.5 * (1 - share)).all()
    assert (rbmx.SaltAndPepper(share).corrupt(half(20, 9), DRAWS) == 0.5).all() == (share == 0)


def test_the_net_sees_spoiled_rows_and_is_held_to_clean_ones() -> None:
    """With every value lost, the best that is left is each column's mean: its cross-entropy is the loss reached."""
    model = rbmx.DenoisingAutoencoder(6, 4, noise=rbmx.Masking(1.0), seed=1)
    records = model.fit(X, epochs=200, optimizer="lbfgs")
    mean = X.mean(0, dtype=np.float64)
    entropy = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean)).sum()
    assert records[-1].loss == pytest.approx(entropy, rel=1e-5)  # float32
    clean = rbmx.DenoisingAutoencoder(6, 4, noise=rbmx.Masking(0.0), seed=1)
    plain = rbmx.Autoencoder([6, 4], code="sigmoid", tied=True, seed=1)
    for net in (clean, plain):
        net.fit(X, epochs=3)
    assert same_parameters(clean, plain)


def test_the_rows_of_an_epoch_have_noise_of_their_own() -> None:
    """What the net saw, minibatch by minibatch, is what the noise makes of all rows of the pass at once."""
    from rbmx.rng import Purpose

    model, seen = rbmx.DenoisingAutoencoder(6, 4, noise=rbmx.Masking(0.5), seed=1), []
    model.encoder[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.fit(X, epochs=2, batch_size=20, shuffle=False, seed=5)
    for epoch, batches in enumerate((seen[:3], seen[3:])):
        draws = Draws(Key(5).fold_in(Purpose.CORRUPTION), 0, epoch, 0)
        assert torch.equal(torch.cat(batches), model.noise.corrupt(torch.from_numpy(X), draws))


def test_the_same_seed_spoils_the_same_values() -> None:
    models = [rbmx.DenoisingAutoencoder(6, 4, seed=1) for _ in range(3)]
    for model, seed in zip(models, (3, 3, 4), strict=True):
        model.fit(X, epochs=2, shuffle=False, seed=seed)
    assert same_parameters(models[0], models[1]) and not same_parameters(models[0], models[2])


def test_each_layer_is_a_denoising_autoencoder_of_what_the_lower_ones_hand_up() -> None:
    stack = rbmx.StackedDenoisingAutoencoder([6, 5, 3, 2], seed=1)
    layers = [rbmx.DenoisingAutoencoder(n, m, tied=False, seed=0) for n, m in ((6, 5), (5, 3), (3, 2))]
    start = stack.network().layers
    for i, layer in enumerate(layers):
        layer.load_network(rbmx.training.Network([start[i], start[5 - i]]))
    records = stack.pretrain(X, epochs=3, seed=8)
    rows = X
    for i, layer in enumerate(layers):
        theirs = layer.fit(rows, epochs=3, seed=Key(8).fold_in(i).seed)
        assert [record.loss for record in records[i]] == [record.loss for record in theirs]
        rows = layer.encode(torch.from_numpy(rows)).detach().numpy()
    assert torch.equal(stack.encode(torch.from_numpy(X)), torch.from_numpy(rows))
    assert torch.equal(stack.decoder[4].weight, layers[0].decoder[0].weight)


@pytest.mark.parametrize("tied", [False, True])
def test_a_stack_is_pretrained_then_tuned_and_a_head_starts_from_its_code(tied: bool) -> None:
    stack = rbmx.StackedDenoisingAutoencoder([6, 5, 3], noise=rbmx.GaussianNoise(0.1), tied=tied, seed=1)
    before = stack.reconstruction_error(X)
    stack.pretrain(X, epochs=20, lr=0.02, batch_size=10)
    stack.fit(X, epochs=20, lr=0.02, batch_size=10)
    assert stack.reconstruction_error(X) < before
    for model in (stack.classifier(2), stack.regressor()):
        seen: list[Any] = []
        model.layers[4].register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        model(torch.from_numpy(X))
        torch.testing.assert_close(seen[0], stack.encode(torch.from_numpy(X)), rtol=0, atol=0)
    own = stack.encoder[0].weight.clone()
    stack.classifier(2).fit(X, LABELS, epochs=1)
    assert torch.equal(stack.encoder[0].weight, own)


def test_real_values_take_linear_outputs() -> None:
    rows = RNG.normal(size=(53, 6)).astype(np.float32)
    stack = rbmx.StackedDenoisingAutoencoder([6, 5, 3], noise=rbmx.GaussianNoise(0.5), output="linear", seed=1)
    losses = [[record.loss for record in layer] for layer in stack.pretrain(rows, epochs=20, lr=0.02, batch_size=10)]
    assert all(layer[-1] < layer[0] for layer in losses)


def test_from_layers_makes_denoising_nets_too() -> None:
    layers = [rbm(6, 5), rbm(5, 3, 1)]
    plain = rbmx.Autoencoder.from_layers(layers)
    assert same_parameters(rbmx.StackedDenoisingAutoencoder.from_layers(layers), plain)
    single = rbmx.DenoisingAutoencoder.from_layers(layers[:1], tied=True)
    assert single.noise == rbmx.Masking() and single.decoder[0].weight is single.encoder[0].weight
    with pytest.raises(ValueError, match="layers: expected one, got 2; StackedDenoisingAutoencoder takes more"):
        rbmx.DenoisingAutoencoder.from_layers(layers)


def test_what_does_not_fit_is_refused() -> None:
    for noise in (rbmx.Masking, rbmx.SaltAndPepper):
        with pytest.raises(ValueError, match=r"share: expected a number from 0 to 1, got 1\.5"):
            noise(1.5)
    with pytest.raises(ValueError, match="std: expected 0 or more, got -1"):
        rbmx.GaussianNoise(-1)
    with pytest.raises(ValueError, match=r"noise: expected Masking\(\.\.\.\).*got 0.3"):
        rbmx.DenoisingAutoencoder(6, 4, noise=0.3)
    with pytest.raises(ValueError, match="hidden: expected sigmoid or linear, which a layer restores, got 'relu'"):
        rbmx.StackedDenoisingAutoencoder([6, 5, 3], hidden="relu")
    with pytest.raises(rbmx.DataError, match="data: expected rows of 6 values, got 5"):
        rbmx.StackedDenoisingAutoencoder([6, 5, 3]).pretrain(X[:, :5])


@pytest.mark.parametrize("noise", [rbmx.Masking, rbmx.SaltAndPepper, rbmx.GaussianNoise])
def test_noise_of_numpy_is_saved(tmp_path: Path, noise: Any) -> None:
    model = rbmx.DenoisingAutoencoder(6, 4, noise=noise(np.float32(0.5)), tied=np.True_, seed=np.int64(1))
    model.save(tmp_path / "m.safetensors")
    assert rbmx.load(tmp_path / "m.safetensors").noise == noise(0.5)
