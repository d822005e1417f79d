"""The classification RBM in NumPy, against enumeration of all x, y and h."""

from __future__ import annotations

import contextlib
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rbmx.errors import DataError, DivergedError
from rbmx.rng import Key
from rbmx.samplers import CD, PCD
from rbmx.training import L1, L2, SGD, Adam, Dropout, LinearDecay, StopTraining
from rbmx.training.class_rbm import (
    UNLABELLED,
    ClassOffsets,
    ClassRBMParams,
    Objective,
    class_scores,
    gradient,
    log_probabilities,
    sample,
)
from rbmx.training.class_trainer import ClassConfig, ClassTrainer, labelled_rows

D, H, K = 4, 3, 3
X = np.array(list(product([0.0, 1], repeat=D)))
HIDDEN = np.array(list(product([0.0, 1], repeat=H)))


def machine(seed: int = 0, scale: float = 1.0, dtype: Any = np.float64) -> ClassRBMParams:
    rng = np.random.default_rng(seed)
    shapes = ((H, D), (H, K), (D,), (H,), (K,))
    return ClassRBMParams(*((scale * rng.normal(size=shape)).astype(dtype) for shape in shapes))


def joint(params: ClassRBMParams) -> NDArray[np.float64]:
    """p(x, y, h) of every state, (2^D, K, 2^H)."""
    x, h = X[:, None, None, :], HIDDEN[None, None, :, :]
    u = np.eye(K)[None, :, None, :]
    log_p = (x * params.visible_bias).sum(-1) + (u * params.class_bias).sum(-1) + (h * params.hidden_bias).sum(-1)
    log_p = log_p + (h * (x @ params.weight.T.astype(float) + u @ params.class_weight.T.astype(float))).sum(-1)
    p = np.exp(log_p - log_p.max())
    return np.asarray(p / p.sum())


def expectations(params: ClassRBMParams, weights: NDArray[np.float64]) -> ClassRBMParams:
    """Sums over states of `weights` (2^D, K, 2^H) times what each parameter multiplies."""
    return ClassRBMParams(
        np.einsum("xyh,hj,xi->ji", weights, HIDDEN, X),
        np.einsum("xyh,hj->jy", weights, HIDDEN),
        np.einsum("xyh,xi->i", weights, X),
        np.einsum("xyh,hj->j", weights, HIDDEN),
        weights.sum(axis=(0, 2)),
    )


def slope_of(params: ClassRBMParams, x: Any, y: Any, objective: Objective, **settings: Any) -> ClassRBMParams:
    out = params.zeros()
    gradient(params, x, y, objective, **{"gibbs_steps": 1, "key": Key(0), "out": out, **settings})
    return out


def assert_close(found: ClassRBMParams, expected: ClassRBMParams, **tolerance: float) -> None:
    for name in found.names:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), err_msg=name, **tolerance)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 6))
def test_class_probabilities_are_those_of_the_joint_distribution(seed: int, scale: float) -> None:
    params = machine(seed, scale)
    p = joint(params).sum(axis=2)
    np.testing.assert_allclose(np.exp(log_probabilities(params, X)), p / p.sum(axis=1, keepdims=True), atol=1e-10)
    together = class_scores(params, X) + (X @ params.visible_bias)[:, None]
    np.testing.assert_allclose(together - together.max(), np.log(p) - np.log(p).max(), atol=1e-8)


def test_scores_do_not_overflow() -> None:
    """Scores of 10^5 to the last digits of float32: only a tenth of a nat is sure of them."""
    found = log_probabilities(machine(scale=1e4, dtype=np.float32), X.astype(np.float32))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-5)
    slope = slope_of(machine(scale=1e4), X, np.arange(len(X)) % K, Objective(1, 0.1))
    assert all(np.isfinite(getattr(slope, name)).all() for name in slope.names)


@pytest.mark.parametrize("seed", range(5))
def test_the_discriminative_gradient_is_the_difference_of_clamped_expectations(seed: int) -> None:
    """E[. | x, y] - E[. | x], exact: rounding of float64 alone."""
    params, p = machine(seed), joint(machine(seed))
    rows = np.array([3, 7, 8, 8, 15])
    y = np.array([0, 1, 2, 0, 1])
    weights = np.zeros_like(p)
    for row, label in zip(rows, y, strict=True):
        weights[row, label] += p[row, label] / p[row, label].sum() / len(rows)
        weights[row] -= p[row] / p[row].sum() / len(rows)
    found = slope_of(params, X[rows], y, Objective(1, 0))
    assert_close(found, expectations(params, weights), atol=1e-12)
    assert not found.visible_bias.any()


def expected_update(params: ClassRBMParams, row: int, label: int | None, k: int) -> ClassRBMParams:
    """E of the CD-k step by its transition matrix, the last h at its mean; label None: y ~ p(y | x)."""
    p = joint(params)
    start = p[row].copy() if label is None else np.where(np.arange(K)[:, None] == label, p[row], 0)
    start /= start.sum()
    given_h, given_xy = p / p.sum(axis=(0, 1)), p / p.sum(axis=2, keepdims=True)
    before, after = np.zeros_like(p), np.zeros_like(p)
    before[row] = after[row] = start
    for _ in range(k):
        after = np.einsum("xyh,abh->ab", after, given_h)[:, :, None] * given_xy
    return expectations(params, before - after)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("label", [1, None])
def test_the_generative_gradient_has_the_mean_of_its_transition_matrix(label: int | None, k: int) -> None:
    """200,000 samples against enumeration: z of 31 numbers within 4.5, one in 4,000 seeds would miss."""
    params, n = machine(3, 1.5), 2000
    x = np.repeat(X[5:6], n, axis=0)
    y = np.full(n, UNLABELLED if label is None else label)
    objective = Objective(0, 1) if label is not None else Objective(1, 0, unlabelled=1)
    found = [slope_of(params, x, y, objective, gibbs_steps=k, key=Key(seed)) for seed in range(100)]
    expected = expected_update(params, 5, label, k)
    for name in params.names:
        values = np.array([getattr(slope, name) for slope in found])
        error = np.maximum(values.std(axis=0, ddof=1) / 10, 1e-9)
        z = (values.mean(axis=0) - getattr(expected, name)) / error
        assert np.abs(z).max() < 4.5, name


def test_persistent_chains_at_the_models_distribution_give_the_slope_of_the_likelihood() -> None:
    """h ~ p(h), so (x, y) ~ p(x, y) after a step: 40,000 chains beside 3 rows, z of 31 numbers within 4.5."""
    params, p = machine(3), joint(machine(3))
    rows, y = np.array([5, 9, 9]), np.array([1, 0, 2])
    data = np.zeros_like(p)
    for row, label in zip(rows, y, strict=True):
        data[row, label] += p[row, label] / p[row, label].sum() / len(rows)
    expected = expectations(params, data - p)
    rng, found = np.random.default_rng(0), []
    for seed in range(100):
        chains = HIDDEN[rng.choice(len(HIDDEN), 400, p=p.sum(axis=(0, 1)))]
        found.append(slope_of(params, X[rows], y, Objective(0, 1), key=Key(seed), chains=chains))
    for name in params.names:
        values = np.array([getattr(slope, name) for slope in found])
        z = (values.mean(axis=0) - getattr(expected, name)) / (values.std(axis=0, ddof=1) / 10)
        assert np.abs(z).max() < 4.5, name


def test_chains_move_on_and_stay_as_many() -> None:
    params, chains = machine(3), np.zeros((7, H))
    moved = gradient(
        params,
        X[:3],
        np.array([0, 1, 2]),
        Objective(1, 0.1),
        gibbs_steps=2,
        key=Key(0),
        out=params.zeros(),
        chains=chains,
    )
    assert moved is not None and moved.shape == (7, H) and set(np.unique(moved)) <= {0, 1} and moved.any()
    assert not chains.any()


def test_the_parts_of_the_objective_add_up() -> None:
    params, x, y = machine(1), X[[1, 6, 9]], np.array([2, 0, 1])
    hybrid, exact, cd = (slope_of(params, x, y, Objective(*w)) for w in ((1, 0.3), (1, 0), (0, 1)))
    for name in params.names:
        both = getattr(exact, name) + 0.3 * getattr(cd, name)
        np.testing.assert_allclose(getattr(hybrid, name), both, atol=1e-12)
        half = getattr(slope_of(params, x, y, Objective(1, 0.3), rate=0.5), name)
        np.testing.assert_allclose(half, both / 2, atol=1e-12)


def test_rows_without_a_label_leave_the_discriminative_part_alone() -> None:
    params, x = machine(1), X[[1, 6, 9, 11]]
    y = np.array([2, UNLABELLED, 1, UNLABELLED])
    found = slope_of(params, x, y, Objective(1, 0))
    known = slope_of(params, x[::2], y[::2], Objective(1, 0))
    assert_close(found, ClassRBMParams(*(getattr(known, name) / 2 for name in known.names)), atol=1e-12)


def test_the_centred_gradient_is_that_of_shifted_units() -> None:
    """W (h - lambda)(x - mu): the plain gradient of the shifted machine, in the parameters of this one."""
    params, x, y = machine(2), X[[1, 6, 9]], np.array([2, 0, 1])
    mu, nu, lam = np.array([0.3, 0.5, 0.1, 0.9]), np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.6, 0.5])
    for objective in (Objective(1, 0), Objective(1, 0.3)):
        plain = slope_of(params, x, y, objective)
        offsets = ClassOffsets(mu, nu, lam.copy(), 0.0)
        found = slope_of(params, x, y, objective, offsets=offsets)
        weight = plain.weight - np.outer(plain.hidden_bias, mu) - np.outer(lam, plain.visible_bias)
        class_weight = plain.class_weight - np.outer(plain.hidden_bias, nu) - np.outer(lam, plain.class_bias)
        expected = ClassRBMParams(
            weight,
            class_weight,
            plain.visible_bias - lam @ weight,
            plain.hidden_bias - weight @ mu - class_weight @ nu,
            plain.class_bias - lam @ class_weight,
        )
        assert_close(found, expected, atol=1e-12)


def test_dropout_keeps_the_mean_of_the_scores() -> None:
    """d log p(y | x) under masks: with U = 0 all classes alike, the mean over masks is the plain slope of U."""
    params, x, y = machine(4), X[[5]].repeat(4000, axis=0), np.full(4000, 1)
    params.class_weight[...] = 0
    params.class_bias[...] = 0
    plain, thinned = (slope_of(params, x, y, Objective(1, 0), dropout=rate) for rate in (0.0, 0.5))
    # masks times 2: a standard deviation of each mean of at most 1 / sqrt(4000)
    np.testing.assert_allclose(thinned.class_weight, plain.class_weight, atol=0.05)
    assert not np.array_equal(thinned.class_weight, plain.class_weight)


def test_samples_have_the_joint_distribution_and_labels_stay() -> None:
    """20,000 chains of 30 steps: standard errors of at most 0.0035, five of them allowed."""
    params = machine(5, 0.7, np.float32)
    p = joint(params).sum(axis=2)
    x, y = sample(params, 20_000, 30, Key(1))
    places = (x @ 2.0 ** np.arange(D - 1, -1, -1)).astype(int)
    found = np.zeros_like(p)
    np.add.at(found, (places, y), 1 / len(x))
    np.testing.assert_allclose(found, p, atol=0.0175)
    labels = np.full(20_000, 2)
    x, y = sample(params, 20_000, 30, Key(2), labels)
    assert (y == 2).all()
    np.testing.assert_allclose(x.mean(axis=0), p[:, 2] @ X / p[:, 2].sum(), atol=0.0175)


def test_the_joint_machine_is_the_same_machine() -> None:
    from rbmx.likelihood import log_partition

    params = machine(6, dtype=np.float32)
    z = log_partition(params.joint()).value
    scores = class_scores(params, X.astype(np.float32)) + (X @ params.visible_bias)[:, None]
    np.testing.assert_allclose(np.exp(scores - z), joint(params).sum(axis=2), atol=1e-6)


# training


def stripes(n: int = 600, seed: int = 0) -> tuple[Any, Any]:
    """Three classes of 12 noisy bits, each with four of its own on."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    clean = np.repeat(np.eye(3), 4, axis=1)[y]
    return (clean != (rng.random((n, 12)) < 0.15)).astype(np.uint8), y


def trained(config: ClassConfig, hidden: int = 8, **settings: Any) -> tuple[ClassRBMParams, Any]:
    x, y = stripes()
    params = ClassRBMParams.initial(12, hidden, 3, key=Key(0))
    trainer = ClassTrainer(params, *labelled_rows(x, y, params), config, progress=False, **settings)
    return params, trainer.run()


@pytest.mark.parametrize(
    ("objective", "lr"),
    [(Objective(1, 0), 1.0), (Objective(0, 1), 0.1), (Objective(1, 0.05), 1.0)],
    ids=["discriminative", "generative", "hybrid"],
)
@pytest.mark.parametrize("sampler", [CD(), PCD(1, 20)])
def test_every_objective_learns_the_classes(objective: Objective, lr: float, sampler: CD | PCD) -> None:
    """Noise of 0.15 on twelve bits leaves about 3 % of rows that nobody can tell."""
    _, records = trained(ClassConfig(15, 20, objective, sampler, SGD(lr, 0.5), averaging=0.9))
    assert records[-1].error < 0.07
    assert [record.epoch for record in records] == list(range(1, 16))


def test_a_seed_repeats_to_the_byte_and_another_does_not() -> None:
    config = ClassConfig(3, 20, Objective(1, 0.1), PCD(1, 5), SGD(0.3, 0.9, nesterov=True), (L2(0.001), Dropout(0.3)))
    (first, _), (again, _) = trained(config), trained(config)
    assert all(np.array_equal(getattr(first, name), getattr(again, name)) for name in first.names)
    other, _ = trained(ClassConfig(**{**vars(config), "seed": 1}))
    assert not np.array_equal(first.weight, other.weight)


def test_unlabelled_rows_help_where_labels_are_few() -> None:
    """Twelve labels: what the other rows say of x separates the classes."""
    x, y = stripes(1000)
    few = np.where(np.arange(1000) < 12, y, UNLABELLED)
    unseen = stripes(1000, seed=1)
    errors = []
    for beta in (0.0, 1.0):
        params = ClassRBMParams.initial(12, 12, 3, key=Key(0))
        rows, labels = labelled_rows(x, few, params, unlabelled=True)
        config = ClassConfig(20, 50, Objective(1, 0.01, beta), PCD(1, 50), SGD(0.3), schedule=LinearDecay())
        ClassTrainer(params, rows, labels, config, progress=False).run()
        errors.append((log_probabilities(params, unseen[0].astype(np.float32)).argmax(1) != unseen[1]).mean())
    assert errors[1] < errors[0]


def test_the_best_parameters_by_validation_stay() -> None:
    x, y = stripes(200, seed=1)
    params = ClassRBMParams.initial(12, 64, 3, key=Key(0))
    train_rows = labelled_rows(*stripes(60), params)
    unseen = labelled_rows(x, y, params)
    config = ClassConfig(200, 10, Objective(1, 0), optimizer=SGD(2.0), patience=5)
    records = ClassTrainer(params, *train_rows, config, validation=unseen, progress=False).run()
    best = min((record.validation_error, record.validation_log_loss) for record in records)
    assert len(records) < 200
    best_epoch = next(r.epoch for r in records if (r.validation_error, r.validation_log_loss) == best)
    assert len(records) == best_epoch + 5
    found = log_probabilities(params, x.astype(np.float32)).argmax(axis=1)
    assert (found != y).mean() == records[best_epoch - 1].validation_error


@pytest.mark.parametrize("error", [KeyboardInterrupt, StopTraining])
def test_the_best_parameters_stay_where_a_run_is_cut_short(error: type[BaseException]) -> None:
    """Validated on other labels than its own it is best after the first epoch, and cut short in the third."""
    rows, labels = stripes(60)
    kept = []

    class Cut:
        def on_epoch_end(self, trainer: Any, record: Any) -> None:
            kept.append(trainer.params.copy())
            if record.epoch == 3:
                raise error

    params = ClassRBMParams.initial(12, 16, 3, key=Key(0))
    data, unseen = labelled_rows(rows, labels, params), labelled_rows(rows, (labels + 1) % 3, params)
    config = ClassConfig(9, 10, Objective(1, 0), optimizer=SGD(0.5), patience=5)
    trainer = ClassTrainer(params, *data, config, validation=unseen, callbacks=[Cut()], progress=False)
    with contextlib.suppress(KeyboardInterrupt):
        trainer.run()
    reached = [(record.validation_error, record.validation_log_loss) for record in trainer.history]
    assert min(reached) == reached[0] < reached[2]
    np.testing.assert_array_equal(params.weight, kept[0].weight)


def test_a_diverged_run_gives_back_the_epoch_before() -> None:
    x, y = stripes(100)
    params = ClassRBMParams.initial(12, 8, 3, key=Key(0))
    before = params.copy()
    config = ClassConfig(5, 10, Objective(0, 1), optimizer=SGD(1e5), centering=0.0, averaging=0.5)
    with pytest.raises(DivergedError, match=r"weights diverged at minibatch \d+ \(epoch 1\) with learning rate 100000"):
        ClassTrainer(params, *labelled_rows(x, y, params), config, progress=False).run()
    np.testing.assert_array_equal(params.weight, before.weight)


def test_a_run_of_few_minibatches_is_averaged_too() -> None:
    x, y = stripes(30)
    last, mean = (ClassRBMParams.initial(12, 8, 3, key=Key(0)) for _ in range(2))
    for params, averaging in ((last, 0.0), (mean, 0.999)):
        config = ClassConfig(1, 10, Objective(1, 0), averaging=averaging)
        ClassTrainer(params, *labelled_rows(x, y, params), config, progress=False).run()
    assert np.abs(mean.weight - last.weight).max() < np.abs(last.weight).max() / 10
    assert not np.array_equal(mean.weight, ClassRBMParams.initial(12, 8, 3, key=Key(0)).weight)


def test_callbacks_hear_of_epochs_and_may_stop() -> None:
    class Watch:
        def on_epoch_end(self, trainer: ClassTrainer, record: Any) -> None:
            assert trainer.history[-1] is record
            if record.epoch == 2:
                raise StopTraining

    _, records = trained(ClassConfig(5), callbacks=[Watch()])
    assert len(records) == 2


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 11)), [0, 1], r"data: expected rows of 12 values \(n_visible\), got 11"),
        (np.full((2, 12), 7.0), [0, 1], "data: row 0"),
        (np.zeros((2, 12)), [0, 3], "labels: row 1: expected 0 to 2, got 3"),
        (np.zeros((2, 12)), [0, -1], "labels: row 1: expected 0 to 2, got -1; -1, of a row without a label, needs"),
        (np.zeros((2, 12)), [0], r"labels: expected one for each of 2 rows, got \(1,\)"),
        (np.zeros((0, 12)), [], "data: expected at least one row"),
        (np.zeros((2, 12)), ["a", "b"], "labels: expected whole numbers from 0 to 2, got <U1"),
        (np.zeros((2, 12)), [0.5, 1], "labels: expected whole numbers from 0 to 2, got float64"),
    ],
)
def test_bad_data_are_named(x: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        labelled_rows(x, y, ClassRBMParams.initial(12, 4, 3, key=Key(0)))


def test_some_label_must_be_known() -> None:
    with pytest.raises(DataError, match="labels: expected at least one that is known"):
        labelled_rows(np.zeros((2, 4)), [-1, -1], machine(), unlabelled=True)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ClassConfig(epochs=-1), ValueError, "epochs: expected 0 or more, got -1"),
        (lambda: ClassConfig(batch_size=0), ValueError, "batch_size: expected 1 to 65536, got 0"),
        (lambda: ClassConfig(patience=0), ValueError, "patience: expected 1 or more"),
        (lambda: ClassConfig(sampler="pt"), ValueError, "sampler: expected CD or PCD"),  # type: ignore[arg-type]
        (lambda: ClassConfig(optimizer=Adam()), ValueError, "optimizer: expected SGD"),  # type: ignore[arg-type]
        (lambda: ClassConfig(penalties=[L1(0.1)]), ValueError, "penalties: expected L2 or Dropout"),  # type: ignore[arg-type]
        (lambda: ClassConfig(centering=2.0), ValueError, "centering: expected a rate"),
        (lambda: ClassConfig(averaging=1.0), ValueError, "averaging: expected 0 <= averaging < 1"),
        (lambda: ClassConfig(schedule="linear"), ValueError, "schedule: expected a function"),  # type: ignore[arg-type]
        (lambda: ClassConfig(seed=-1), ValueError, "seed: expected an integer from 0"),
        (lambda: trained(ClassConfig(schedule=lambda *_: np.nan)), ValueError, r"schedule: .* in epoch 0 .*, got nan"),
        (lambda: ClassConfig(epochs=1.5), TypeError, "epochs: expected a whole number"),  # type: ignore[arg-type]
        (lambda: Objective(1, -0.1), ValueError, "generative: expected a weight of 0 or more, got -0.1"),
        (lambda: Objective(0, 0), ValueError, "discriminative, generative: expected one of them above 0"),
        (lambda: ClassRBMParams.initial(4, 3, 1, key=Key(0)), ValueError, "n_classes: expected 2 or more, got 1"),
        (lambda: trained(ClassConfig(patience=3)), ValueError, "patience: stops on the validation error"),
    ],
)
def test_bad_settings_are_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        make()
