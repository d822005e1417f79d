"""Epochs of a net in NumPy: what minibatches do, what full-batch searches reach, and what is refused."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from rbmx.bits import PackedBits
from rbmx.errors import DataError, DivergedError
from rbmx.rng import Key, Purpose
from rbmx.training import SGD, Adam, Callback, EarlyStopping, RMSProp, StopTraining
from rbmx.training.backprop import Affine, Network, flattened
from rbmx.training.fine_tuning import fine_tune

RNG = np.random.default_rng(0)
X = RNG.random((53, 6)).astype(np.float32)
LABELS = (X[:, 0] > 0.5).astype(np.int64)


def net(output: str = "sigmoid", sizes: tuple[int, ...] = (6, 4, 6), dtype: Any = np.float32) -> Network:
    rng = np.random.default_rng(1)
    activations = ["sigmoid"] * (len(sizes) - 2) + [output]
    return Network(
        [
            Affine(rng.normal(0, 0.5, (n, m)).astype(dtype), np.zeros(n, dtype), activation)
            for m, n, activation in zip(sizes, sizes[1:], activations, strict=False)
        ]
    )


def linear(n: int, code: int) -> Network:
    rng = np.random.default_rng(2)
    down, up = rng.normal(0, 0.3, (code, n)), rng.normal(0, 0.3, (n, code))
    return Network([Affine(down, np.zeros(code), "linear"), Affine(up, np.zeros(n), "linear")])


def test_sgd_is_a_loop_of_seeded_orders_and_mean_gradients() -> None:
    """Two epochs written out; the last minibatch has 13 rows and counts as a mean over 13."""
    from rbmx.backends.native import permutation

    network, own = net(), net()
    records = fine_tune(network, X, loss="cross_entropy", optimizer=SGD(0.5), epochs=2, batch_size=20, seed=9)
    key = Key(9).fold_in(Purpose.SHUFFLE)
    for epoch in range(2):
        order, total = permutation(53, key.fold_in(epoch)), 0.0
        for start in range(0, 53, 20):
            rows = X[order[start : start + 20]]
            loss, gradient = own.loss_and_gradient(rows, rows, "cross_entropy")
            total += loss
            for layer, (weight, bias) in zip(own.layers, gradient, strict=True):
                layer.weight -= 0.5 * (weight / len(rows))
                layer.bias -= 0.5 * (bias / len(rows))
        assert records[epoch].loss == pytest.approx(total / 53, rel=1e-6)
        assert records[epoch].rows == 53
    np.testing.assert_allclose(network.flat(), own.flat(), rtol=1e-5, atol=1e-7)  # float32, sums in the same order


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    nets = [net() for _ in range(3)]
    for network, seed in zip(nets, (1, 1, 2), strict=True):
        fine_tune(network, X, optimizer="adam", epochs=3, batch_size=10, seed=seed)
    np.testing.assert_array_equal(nets[0].flat(), nets[1].flat())
    assert not np.array_equal(nets[0].flat(), nets[2].flat())


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9), SGD(0.1, 0.9, nesterov=True), Adam(0.01), RMSProp(0.01)])
def test_optimizers_are_those_of_torch(optimizer: Any) -> None:
    torch = pytest.importorskip("torch")
    classes = {
        SGD: lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=optimizer.nesterov, weight_decay=0.02),
        Adam: lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.02),
        RMSProp: lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, weight_decay=0.02),
    }
    network = net("linear", (6, 6), np.float64)
    weight = torch.tensor(network.layers[0].weight.copy(), requires_grad=True)
    stepper = classes[type(optimizer)]([weight])
    rows = torch.tensor(X, dtype=torch.float64)
    for start in [*range(0, 50, 10), 50] * 2:
        batch = rows[start : start + 10]
        stepper.zero_grad()
        (((batch @ weight.T - batch) ** 2).sum() / len(batch)).backward()
        stepper.step()

    class Fixed(Callback):  # the bias stays at 0, as torch's net has none
        def on_batches(self, trainer: Any, rows_done: int, rows_total: int | None) -> None:
            network.layers[0].bias[...] = 0

    settings: dict[str, Any] = {"epochs": 2, "batch_size": 10, "shuffle": False, "weight_decay": 0.02}
    fine_tune(network, X, optimizer=optimizer, callbacks=[Fixed()], progress=False, **settings)
    # torch's moments after a different but equal formula for Nesterov's and plain velocities, in float64
    np.testing.assert_allclose(network.layers[0].weight, weight.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["lbfgs", "cg"])
def test_full_batch_searches_reach_the_principal_subspace(method: str) -> None:
    """A linear autoencoder's least squared error is the sum of the discarded eigenvalues (Baldi and Hornik 1989)."""
    pytest.importorskip("scipy")
    rows = np.random.default_rng(3).normal(size=(2300, 5)) * [3, 2, 1, 0.5, 0.2] + 1
    rows = rows.astype(np.float32)
    variances = np.sort(np.linalg.eigvalsh(np.cov(rows.T.astype(np.float64), bias=True)))
    network = linear(5, 2)
    records = fine_tune(network, rows, optimizer=method, epochs=400)
    assert records[-1].loss == pytest.approx(variances[:3].sum(), rel=1e-6)  # line searches end at gradients of 1e-7
    assert network.loss(rows, rows) / 2300 == records[-1].loss
    assert all(later.loss <= earlier.loss for earlier, later in pairwise(records))
    assert records[0].rows % 2300 == 0 and records[0].learning_rate == 0


@pytest.mark.parametrize("method", ["lbfgs", "cg"])
def test_weight_decay_is_part_of_what_a_search_minimises(method: str) -> None:
    """One linear layer with decay d is ridge regression: W = C (C + d / 2)^-1 for centred rows."""
    pytest.importorskip("scipy")
    rows = X.astype(np.float64) - X.mean(0, dtype=np.float64)
    network = Network([Affine(np.zeros((6, 6)), np.zeros(6), "linear")])
    fine_tune(network, rows.astype(np.float32), optimizer=method, epochs=200, weight_decay=0.1)
    covariance = rows.T @ rows / len(rows)
    expected = covariance @ np.linalg.inv(covariance + 0.05 * np.eye(6))
    np.testing.assert_allclose(network.layers[0].weight, expected, atol=1e-5)  # float32 rows


def test_classification_by_labels_is_learned_and_measured() -> None:
    network = net("log_softmax", (6, 8, 2))
    records = fine_tune(
        network, X, LABELS, loss="nll", optimizer=Adam(0.05), epochs=60, batch_size=10, validation=(X, LABELS)
    )
    assert records[-1].validation_error == np.mean(network.forward(X).argmax(1) != LABELS) < 0.05
    assert records[-1].validation_loss == pytest.approx(network.loss(X, LABELS, "nll") / 53)


def test_targets_follow_their_rows_when_the_data_stream() -> None:
    """Windows of 8 rows of 24 bytes: each row's own target, or the loss could not be zero."""
    network = Network([Affine(np.eye(6, dtype=np.float32), np.zeros(6, np.float32), "linear")])
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 3, "buffer_bytes": 8 * 24}
    blocks = [X[:20], X[20:25], X[25:]]
    assert fine_tune(network, lambda: iter(blocks), X, optimizer=SGD(1e-9), **settings)[-1].loss < 1e-9
    assert fine_tune(network, X, X, optimizer=SGD(1e-9), **settings)[-1].loss < 1e-9
    assert fine_tune(network, X, X[::-1], optimizer=SGD(1e-9), **settings)[-1].loss > 0.1


def test_bits_are_data() -> None:
    bits = (X > 0.5).astype(np.uint8)
    nets = [net(), net()]
    for network, data in zip(nets, (bits, PackedBits.pack(bits)), strict=True):
        fine_tune(network, data, loss="cross_entropy", epochs=2)
    np.testing.assert_array_equal(nets[0].flat(), nets[1].flat())


def test_patience_stops_and_goes_back_to_the_best_epoch() -> None:
    """Validation rows that are the opposite of the data: the first epoch is the best, two more are borne."""
    network, kept = net(), []

    class Keep(Callback):
        def on_epoch_end(self, trainer: Any, record: Any) -> None:
            kept.append(trainer.learner.flat())

    records = fine_tune(network, X, optimizer=SGD(0.5), epochs=50, validation=1 - X, patience=2, callbacks=[Keep()])
    losses = [record.validation_loss for record in records]
    best = int(np.argmin(losses))
    assert len(records) == best + 3 < 50
    np.testing.assert_array_equal(network.flat(), kept[best])


def test_callbacks_stop_and_schedules_scale_the_rate() -> None:
    class Stop(Callback):
        def on_epoch_end(self, trainer: Any, record: Any) -> None:
            if record.epoch == 3:
                raise StopTraining

    records = fine_tune(
        net(), X, optimizer=SGD(0.1), epochs=9, schedule=lambda epoch, epochs: 1 / (1 + epoch), callbacks=[Stop()]
    )
    assert [record.learning_rate for record in records] == pytest.approx([0.1, 0.05, 0.1 / 3])
    early = EarlyStopping("loss", patience=1, min_delta=1e9)
    assert len(fine_tune(net(), X, epochs=9, callbacks=[early])) == 2
    with pytest.raises(ValueError, match=r"monitor: 'validation_loss' is not measured; pass validation="):
        fine_tune(net(), X, callbacks=[EarlyStopping("validation_loss")])
    with pytest.raises(ValueError, match=r"monitor: expected one of epoch, rows.*got 'free_energy'"):
        fine_tune(net(), X, callbacks=[EarlyStopping("free_energy")])


def test_a_diverged_epoch_gives_back_what_it_had() -> None:
    network = net("linear")
    before = network.flat()
    with np.errstate(all="ignore"), pytest.raises(DivergedError, match=r"loss .* in epoch 1 at learning rate 1e.20"):
        fine_tune(network, X, optimizer=SGD(1e20), epochs=2, batch_size=10)
    np.testing.assert_array_equal(network.flat(), before)


def test_what_does_not_fit_is_refused_before_any_work() -> None:
    network = net()
    before = network.flat()
    with pytest.raises(DataError, match="data: expected rows of 6 values, got 5"):
        fine_tune(network, X[:, :5])
    with pytest.raises(DataError, match=r"data: row 0, column 0 .*2.0"):
        fine_tune(network, X + 2)
    with pytest.raises(ValueError, match=r"targets: expected 53, one for each row of the data, got \(52, 6\)"):
        fine_tune(network, X, X[1:])
    with pytest.raises(ValueError, match=r"targets: expected values in \[0, 1\], got 2.0 in row 0, column 0"):
        fine_tune(network, X, np.full((53, 6), 2.0), loss="cross_entropy")
    with pytest.raises(ValueError, match="loss: nll goes with log_softmax outputs, got sigmoid"):
        fine_tune(network, X, LABELS, loss="nll")
    with pytest.raises(ValueError, match="targets: expected labels from 0 to 1, got 8 in row 0"):
        fine_tune(net("log_softmax", (6, 2)), X, LABELS + 7, loss="nll")
    with pytest.raises(ValueError, match=r"optimizer: expected .sgd.*RMSProp.*, .lbfgs. or .cg., got"):
        fine_tune(network, X, optimizer="newton")
    with pytest.raises(ValueError, match="patience: expected validation= beside it"):
        fine_tune(network, X, patience=3)
    for setting, value in {"epochs": -1, "batch_size": 0, "weight_decay": -1.0, "seed": -1, "patience": 0}.items():
        with pytest.raises(ValueError, match=f"{setting}: expected"):
            fine_tune(network, X, validation=X, **{setting: value})
    with pytest.raises(ValueError, match="schedule: lbfgs searches along lines and has no rate"):
        fine_tune(network, X, optimizer="lbfgs", schedule=lambda epoch, epochs: 1.0)
    np.testing.assert_array_equal(network.flat(), before)


def test_flattened_gradients_stand_where_flat_parameters_stand() -> None:
    network = net(dtype=np.float64)
    loss, gradient = network.loss_and_gradient(X, X)
    there = network.unflat(network.flat() - 1e-6 * flattened(gradient))
    assert there.loss(X, X) < loss


class Recorder(Callback):
    """Keeps the parameters of each epoch, and raises at a call."""

    def __init__(self, at: int, error: type[BaseException], *, in_batches: bool) -> None:
        self.at, self.error, self.in_batches, self.calls = at, error, in_batches, 0
        self.vectors: list[np.ndarray] = []

    def on_batches(self, trainer: Any, rows_done: int, rows_total: int | None) -> None:
        self.calls += 1
        if self.in_batches and self.calls == self.at:
            self.tried = trainer.learner.flat()
            raise self.error

    def on_epoch_end(self, trainer: Any, record: Any) -> None:
        self.vectors.append(trainer.learner.flat())
        if not self.in_batches and len(self.vectors) == self.at:
            raise self.error


@pytest.mark.parametrize("method", ["lbfgs", "cg"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, StopTraining])
def test_a_search_that_is_cut_short_ends_where_its_last_line_did(method: str, error: type[BaseException]) -> None:
    network, watch = net(dtype=np.float64), Recorder(8, error, in_batches=True)
    with contextlib.suppress(KeyboardInterrupt):
        fine_tune(network, X, optimizer=method, epochs=50, callbacks=[watch])
    assert watch.vectors
    assert not np.array_equal(watch.tried, watch.vectors[-1])
    np.testing.assert_array_equal(network.flat(), watch.vectors[-1])


@pytest.mark.parametrize("error", [KeyboardInterrupt, StopTraining])
def test_patience_has_its_best_epoch_whatever_the_callback_of_another_raises(error: type[BaseException]) -> None:
    """The epoch in which the callback raises is the best so far."""
    network, watch = net(), Recorder(3, error, in_batches=False)
    later = Recorder(9, error, in_batches=False)
    with contextlib.suppress(KeyboardInterrupt):
        fine_tune(network, X, epochs=5, validation=X, patience=2, callbacks=[watch, later])
    np.testing.assert_array_equal(network.flat(), watch.vectors[2])
    assert len(later.vectors) == (3 if error is StopTraining else 2)  # who comes after an asked end hears of the epoch
