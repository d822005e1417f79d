"""rbmx.Classifier and rbmx.Regressor: log-softmax and linear heads, from random starts and from stacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from tests.nets import LABELS, RNG, X, rbm, same_parameters  # noqa: E402


def test_forward_is_the_log_softmax_of_the_net_written_out() -> None:
    model = rbmx.Classifier([6, 5], 3, hidden="relu", seed=1)
    x, p = torch.from_numpy(X), model.state_dict()
    h = torch.relu(x @ p["layers.0.weight"].T + p["layers.0.bias"])
    expected = torch.log_softmax(h @ p["layers.2.weight"].T + p["layers.2.bias"], 1)
    torch.testing.assert_close(model(x), expected)
    torch.testing.assert_close(model.predict_proba(X), expected.exp())
    assert torch.equal(model.predict(X), expected.argmax(1))
    assert model.score(X, expected.argmax(1)) == 1.0
    assert model.score(X, 2 - expected.argmax(1)) == float((expected.argmax(1) == 1).double().mean())


def test_from_layers_computes_the_stack_below_the_head() -> None:
    layers = [rbm(6, 5, visible="gaussian"), rbm(5, 4, 1)]
    for model in (rbmx.Classifier.from_layers(layers, 3, seed=2), rbmx.Regressor.from_layers(layers, 3, seed=2)):
        seen = []
        model.layers[4].register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        model(torch.from_numpy(X))
        torch.testing.assert_close(seen[0], layers[1](layers[0](torch.from_numpy(X))), rtol=0, atol=0)
        assert model.layers[4].weight.abs().max() > 0


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "cg"])
def test_a_classifier_learns_its_labels(optimizer: str) -> None:
    model = rbmx.Classifier([6, 8], 2, seed=1)
    more: dict[str, Any] = {"lr": 0.05, "batch_size": 10} if optimizer == "adam" else {}
    records = model.fit(X, LABELS, epochs=60, optimizer=optimizer, validation=(X, LABELS), **more)
    assert model.score(X, LABELS) == 1 - records[-1].validation_error > 0.95
    assert records[-1].validation_loss == pytest.approx(
        torch.nn.functional.nll_loss(model(torch.from_numpy(X)), torch.from_numpy(LABELS)).item(), rel=1e-5
    )


def test_logistic_regression_reaches_the_optimum_of_scikit_learn() -> None:
    """Convex, so there is one optimum: C = 1 / (rows * decay), the intercepts free of decay as biases are here."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    labels = RNG.integers(0, 3, 53)
    model = rbmx.Classifier([6], 3, seed=1, dtype=torch.float64)
    model.fit(X, labels, optimizer="lbfgs", epochs=300, weight_decay=0.02)
    theirs = linear_model.LogisticRegression(C=1 / (53 * 0.02), tol=1e-10, max_iter=2000).fit(X.astype(float), labels)
    # both stop where the mean loss is flat to about 1e-12 and its curvature is 0.02
    np.testing.assert_allclose(model.predict_proba(X).numpy(), theirs.predict_proba(X), atol=1e-5)


def test_linear_regression_reaches_the_least_squares() -> None:
    y = X @ RNG.normal(size=(6, 2)) + 0.1 * RNG.normal(size=(53, 2)) + [3, -2]
    model = rbmx.Regressor([6], 2, seed=1, dtype=torch.float64)
    records = model.fit(X, y, optimizer="lbfgs", epochs=300)
    design = np.hstack([X, np.ones((53, 1))])
    best, residuals, _, _ = np.linalg.lstsq(design, y, rcond=None)
    np.testing.assert_allclose(model.predict(X).numpy(), design @ best, atol=1e-6)
    assert records[-1].loss == pytest.approx(residuals.sum() / 53, rel=1e-8)
    expected = np.mean(1 - residuals / np.square(y - y.mean(0)).sum(0))
    assert model.score(X, y) == pytest.approx(expected, rel=1e-8)


def test_a_regressor_of_one_output_takes_and_gives_rows() -> None:
    y = X[:, 0] * 2 + 1
    model = rbmx.Regressor([6, 5], seed=1)
    model.fit(X, y, epochs=80, lr=0.02, batch_size=10, validation=(X, y[:, None]))
    assert model.predict(X).shape == (53,) and model(torch.from_numpy(X)).shape == (53, 1)
    assert model.score(X, y) > 0.9
    assert model.score(X, np.where(y > y.mean(), 1.0, -1.0)) < model.score(X, y)


def test_labels_of_any_integer_kind_give_the_same() -> None:
    models = []
    for labels in (LABELS, LABELS.astype(np.uint8), torch.from_numpy(LABELS), LABELS.tolist(), LABELS[::-1][::-1]):
        models.append(rbmx.Classifier([6], 2, seed=1))
        models[-1].fit(X, labels, epochs=2)
    assert all(same_parameters(models[0], model) for model in models)


def test_dropout_belongs_to_the_seed() -> None:
    models = [rbmx.Classifier([6, 5], 2, seed=1) for _ in range(3)]
    for model, seed in zip(models, (3, 3, 4), strict=True):
        model.fit(X, LABELS, epochs=2, shuffle=False, dropout=0.5, input_dropout=0.2, seed=seed)
    assert same_parameters(models[0], models[1]) and not same_parameters(models[0], models[2])


def test_what_does_not_fit_is_refused_before_any_work() -> None:
    model, before = (rbmx.Classifier([6, 5], 2, seed=1) for _ in range(2))
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (LABELS[1:], {}, r"labels: expected 53, one for each row of the data, got \(52,\)"),
        (LABELS + 1, {}, "labels: expected labels from 0 to 1, got 2 in row 0"),
        (LABELS - 1, {}, "labels: expected labels from 0 to 1, got -1 in row"),
        (LABELS / 2, {}, r"labels: expected integer labels \(rows,\), got float64"),
        (X, {}, r"labels: expected integer labels \(rows,\), got float32 \(53, 6\)"),
        (LABELS, {"validation": X}, r"validation: expected \(data, labels\), got ndarray"),
        (LABELS, {"validation": (X, LABELS + 1)}, "validation labels: expected labels from 0 to 1, got 2 in row 0"),
        (LABELS, {"validation": (X, LABELS[1:])}, "validation labels: expected 53"),
        (LABELS, {"optimizer": 3}, "optimizer: expected"),
    ]
    for labels, settings, message in wrong:
        with pytest.raises(ValueError, match=message):
            model.fit(X, labels, **settings)
    with pytest.raises(rbmx.DataError, match="data: expected rows of 6 values, got 5"):
        model.predict(X[:, :5])
    with pytest.raises(ValueError, match="labels: expected 52, one for each row"):
        model.score(X[1:], LABELS)
    with pytest.raises(ValueError, match="n_classes: expected 2 or more, got 1"):
        rbmx.Classifier([6], 1)
    regressor = rbmx.Regressor([6], 2)
    for targets, message in [
        (X[:, 0], r"targets: expected \(rows, 2\), got \(53,\)"),
        (X[:, :2] * np.nan, r"targets: expected finite values, got \[nan nan\] in row 0"),
        (np.full((53, 2), "a"), "targets: expected real numbers"),
        (X[1:, :2], r"targets: expected 53, one for each row of the data, got \(52, 2\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            regressor.fit(X, targets)
    with pytest.raises(ValueError, match="targets: expected values that vary"):
        regressor.score(X, np.ones((53, 2)))
    with pytest.raises(ValueError, match="n_outputs: expected 1 or more, got 0"):
        rbmx.Regressor([6], 0)
    assert same_parameters(model, before)


def test_a_source_of_unknown_length_streams_beside_its_labels() -> None:
    """Blocks of 10 rows through a buffer of 20 rows: no more are held, and each row has its label."""

    def parts() -> Iterator[np.ndarray]:
        for start in range(0, 50, 10):
            yield X[start : start + 10]

    held = []

    class Watch(rbmx.training.Callback):
        def on_batches(self, trainer: Any, rows_done: int, rows_total: int | None) -> None:
            assert not trainer.dataset.source.in_memory
            held.append(len(trainer.learner._rows))

    settings: dict[str, Any] = {"epochs": 3, "batch_size": 10, "seed": 2, "buffer_bytes": 20 * X.shape[1] * 4}
    streamed, loaded = (rbmx.Classifier([6], 2, seed=1) for _ in range(2))
    streamed.fit(parts, LABELS[:50], shuffle=False, callbacks=[Watch()], **settings)
    loaded.fit(X[:50], LABELS[:50], shuffle=False, **settings)
    assert max(held) == 20
    assert same_parameters(streamed, loaded)
    with pytest.raises(ValueError, match=r"labels: expected 50, one for each row of the data, got \(49,\)"):
        streamed.fit(parts, LABELS[:49], **settings)
    once = rbmx.Classifier([6], 2, seed=1)
    once.fit(parts(), LABELS[:50], shuffle=False, **settings)  # its one pass has to serve for all
    assert same_parameters(once, loaded)


@pytest.mark.parametrize("kind", [rbmx.Classifier, rbmx.Regressor])
def test_whole_numbers_of_numpy_are_saved(tmp_path: Path, kind: Any) -> None:
    model = kind([6, 5], np.int64(2), seed=np.uint8(3))
    model.save(tmp_path / "m.safetensors")
    again = rbmx.load(tmp_path / "m.safetensors")
    assert same_parameters(model, again) and again._seed == 3


def test_each_fit_of_a_seeded_net_has_orders_of_its_own() -> None:
    """And the second is the same in a net that makes it after as many epochs; an int seed repeats."""
    models = [rbmx.Classifier([6, 5], 2, seed=1) for _ in range(3)]
    drawn: list[list[np.ndarray]] = []
    for model, more in zip(models, ({}, {}, {"seed": 1}), strict=True):
        for _ in range(2):
            seen: list[np.ndarray] = []
            hook = model.layers[0].register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
            model.fit(X, LABELS, epochs=1, batch_size=10, input_dropout=0.5, **more)
            hook.remove()
            drawn.append(seen)
    pairs = zip(drawn[::2], drawn[1::2], strict=True)
    same = [all(torch.equal(a, b) for a, b in zip(one, two, strict=True)) for one, two in pairs]
    assert same == [False, False, True]
    assert same_parameters(models[0], models[1])
    assert torch.equal(drawn[0][0], drawn[4][0])  # the first fit takes the module's seed as it is


def test_a_seeded_fit_that_goes_on_is_the_one_that_was_not_interrupted() -> None:
    """After a fit before it, too: its orders are those of the run that it continues."""
    whole, parts = (rbmx.Classifier([6, 5], 2, seed=1) for _ in range(2))
    for model in (whole, parts):
        model.fit(X, LABELS, epochs=2, batch_size=10)
    whole.fit(X, LABELS, epochs=3, batch_size=10, optimizer="sgd", lr=0.1)
    stop = type("Stop", (), {"on_epoch_end": lambda self, trainer, record: _stop_at(record, 1)})()
    parts.fit(X, LABELS, epochs=3, batch_size=10, optimizer="sgd", lr=0.1, callbacks=[stop])
    parts.fit(X, LABELS, epochs=3, batch_size=10, optimizer="sgd", lr=0.1, first_epoch=1)
    assert same_parameters(whole, parts)


def _stop_at(record: Any, epoch: int) -> None:
    if record.epoch == epoch:
        raise rbmx.StopTraining
