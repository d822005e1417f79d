"""Training on rows with missing entries: the exact gradient of log p(v_observed), and what data it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from rbmx.backends import as_array, backend_for  # noqa: E402
from rbmx.errors import DataError, DivergedError  # noqa: E402
from rbmx.params import RBMParams  # noqa: E402
from rbmx.rng import Key  # noqa: E402
from rbmx.samplers import PCD  # noqa: E402
from rbmx.samplers.clamped import complete  # noqa: E402
from rbmx.training import SGD, TrainConfig, TrainState, train  # noqa: E402
from tests.missing.fillings import NAN, with_gaps  # noqa: E402
from tests.test_torch_units import module_of  # noqa: E402
from tests.units.layers import layer, machine  # noqa: E402

PAIRS = [
    ("bernoulli", "bernoulli"),
    ("spin", "gaussian"),
    ("softmax(3)", "relu"),
    ("gaussian + softmax(3) + bernoulli", "bernoulli"),
    ("gaussian(learned)", "spin"),
    ("exponential", "bernoulli"),
]


def exact_gradient(params: RBMParams, rows: Any) -> Any:
    """d/d(parameter) of the mean of -log p(v_observed), by autograd through all sums."""
    rbm = module_of(params)
    v, log_w = layer(params.visible_unit, params.n_visible)
    log_z = torch.logsumexp(torch.from_numpy(log_w) - rbm.free_energy(torch.from_numpy(v)), 0)
    plain = [rbm.weight, rbm.visible_bias, rbm.hidden_bias]
    loss = rbm.free_energy(torch.from_numpy(rows.astype(np.float64))).mean() + log_z
    return torch.cat([g.ravel() for g in torch.autograd.grad(loss, plain)]).numpy()


def sampled_gradients(params: RBMParams, rows: Any, clamped_steps: int, blocks: int = 50, copies: int = 15) -> Any:
    """The same by contrastive_divergence with long chains, a row a block."""
    rbm = module_of(params, torch.float32)
    found = []
    for block in range(blocks):
        rbm.zero_grad()
        rbm.contrastive_divergence(torch.from_numpy(np.repeat(rows, copies, 0)), 12, block, clamped_steps)
        found.append(np.concatenate([p.grad.numpy().ravel() for p in (rbm.weight, rbm.visible_bias, rbm.hidden_bias)]))
    return np.array(found, float)


def z_scores(found: Any, exact: Any) -> Any:
    return np.abs(found.mean(0) - exact) / (found.std(0, ddof=1) / np.sqrt(len(found)) + 1e-4)


@pytest.mark.parametrize("pair", PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_the_expected_update_is_the_gradient_of_the_observed_entries(pair: tuple[str, str]) -> None:
    """12 Gibbs steps of these machines mix to 1e-3; 50 blocks: a t statistic of 49 degrees passes 5 once in 130,000."""
    params = machine(*pair)
    rows = with_gaps(params, 10)
    assert z_scores(sampled_gradients(params, rows, 10), exact_gradient(params, rows)).max() < 5


def test_zeros_in_place_of_missing_entries_fail_that_test() -> None:
    params = machine("bernoulli", "bernoulli")
    rows = with_gaps(params, 10)
    filled = sampled_gradients(params, np.nan_to_num(rows), 10)
    assert z_scores(filled, exact_gradient(params, rows)).max() > 10


def test_the_update_comes_to_the_gradient_as_clamped_steps_grow() -> None:
    """Three bits tied by strong weights, one known: one step leaves the positive phase at its start, 25 do not."""
    weight = np.full((2, 3), 1.6, np.float32)
    params = RBMParams(weight, np.full(3, -1.6, np.float32), np.full(2, -2.4, np.float32))
    rows = np.array([[1, NAN, NAN], [0, NAN, NAN]], np.float32)
    rbm = module_of(params)
    exact = torch.autograd.grad(rbm.free_energy(torch.from_numpy(rows.astype(float))).mean(), rbm.visible_bias)[0]
    errors = []
    for steps in (1, 4, 25):
        v = as_array(complete(backend_for(params), params, np.repeat(rows, 40_000, 0), steps, Key(1)))
        errors.append(float((-torch.from_numpy(v).double().mean(0) - exact).abs().max()))
    # a standard error is 0.5 / sqrt(80,000) = 0.0018
    assert errors[0] > errors[1] > errors[2] and errors[0] > 0.05 and errors[2] < 5 * 0.0018


def table(n: int, share: float, seed: int = 0) -> tuple[Any, Any]:
    """Three columns of numbers, a category and two flags, driven by one hidden bit; and the same with gaps."""
    rng = np.random.default_rng(seed)
    bit = rng.integers(0, 2, n)
    numbers = np.where(bit[:, None], [1.5, -1.0, 0.5], [-1.5, 1.0, -0.5]) + rng.normal(size=(n, 3))
    category = np.eye(3)[np.where(rng.random(n) < 0.8, bit, 2)]
    flags = (rng.random((n, 2)) < np.where(bit, 0.9, 0.2)[:, None]).astype(float)
    whole = np.hstack([numbers, category, flags])
    groups = np.array([0, 1, 2, 3, 3, 3, 4, 5])
    gone = rng.random((n, 6)) < share
    gone[gone.all(1), 0] = False
    return whole, np.where(gone[:, groups], NAN, whole)


SPEC = "gaussian*3 + softmax(3) + bernoulli*2"


def test_a_table_with_gaps_teaches_what_the_whole_table_does() -> None:
    """40 % missing: the likelihood of whole rows unseen comes within 0.25 nats of that of training on whole rows."""
    whole, gaps = table(1000, 0.4)
    unseen, _ = table(500, 0.0, seed=1)
    found = []
    for rows in (whole, gaps):
        rbm = rbmx.RBM(8, 2, visible=SPEC, seed=3)
        rbm.fit(rows, epochs=10, batch_size=50, lr=0.1, clamped_steps=3, progress=False)
        found.append(rbm.log_likelihood(unseen).value)
    start = rbmx.RBM(8, 2, visible=SPEC, seed=3)
    start.fit(whole, epochs=0)
    assert found[1] > found[0] - 0.25 and found[1] > start.log_likelihood(unseen).value + 0.7


def test_imputed_entries_are_nearer_than_column_means() -> None:
    whole, gaps = table(1000, 0.3)
    rbm = rbmx.RBM(8, 2, visible=SPEC, seed=3)
    rbm.fit(gaps, epochs=10, batch_size=50, lr=0.1, clamped_steps=3, progress=False)
    missing = np.isnan(gaps)
    filled = rbm.impute(torch.from_numpy(gaps).float(), steps=40, seed=0).numpy()
    by_mean = np.where(missing, np.nanmean(gaps, axis=0), gaps)
    error, baseline = (np.square(values - whole)[missing].mean() for values in (filled, by_mean))
    assert error < 0.75 * baseline


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("sampler", [rbmx.CD(2), PCD(1)])
def test_training_with_gaps_resumes_to_the_bit(engine: str, sampler: Any) -> None:
    rows = np.where(
        np.random.default_rng(0).random((37, 6)) < 0.3, NAN, np.random.default_rng(1).integers(0, 2, (37, 6))
    )
    rows[:, 0] = np.nan_to_num(rows[:, 0])

    def config(epochs: int) -> TrainConfig:
        return TrainConfig(epochs, 8, sampler, SGD(0.05, 0.5), seed=4, engine=engine)

    whole = RBMParams.initial(6, 4, key=Key(0))
    split = whole.copy()
    result = train(whole, rows, config(4), validation=rows)
    assert all(np.isfinite(r.reconstruction_error) and np.isfinite(r.free_energy) for r in result.history)
    state = TrainState.from_bytes(train(split, rows, config(2)).state.to_bytes())
    train(split, rows, config(4), state=state)
    assert whole.weight.tobytes() == split.weight.tobytes()


def test_rows_without_gaps_train_as_ever_whatever_clamped_steps() -> None:
    rows = np.random.default_rng(1).random((37, 6))
    weights = []
    for clamped in (1, 7):
        params = RBMParams.initial(6, 4, key=Key(0))
        train(params, rows, TrainConfig(2, 8, clamped_steps=clamped))
        weights.append(params.weight.tobytes())
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("visible", "rows", "message"),
    [
        ("bernoulli", [[NAN, 1], [NAN, 0.5]], r"data: column 0 \(counted from 0\) is NaN in every row"),
        ("gaussian", [[1, NAN], [2, NAN]], "column 1 .* is NaN in every row"),
        ("gaussian", [[1, 2], [NAN, NAN]], "row 1, .*: all values of the row are NaN: it says nothing; leave it out"),
        ("bernoulli", [[1, 2], [NAN, 1]], r"row 0, column 1 .*: value 2.0 lies outside \[0, 1\]"),
        ("gaussian", [[1, np.inf], [NAN, 1]], "row 0, column 1 .*: value inf is not a finite number"),
        ("softmax(2)", [[1, 0], [0, NAN]], r"row 1, column 0 .*: value 0.0: softmax\(2\) units take"),
        ("counts", [[1, 0], [3, NAN]], "row 1, column 1 .*: value nan: counts units take"),
    ],
)
def test_data_that_say_nothing_or_are_no_states_are_refused(visible: str, rows: Any, message: str) -> None:
    params = RBMParams.initial(2, 2, key=Key(0), visible=visible)
    with pytest.raises(DataError, match=message):
        train(params, np.array(rows, float))


def test_an_iterator_shows_its_first_block_ahead() -> None:
    rows = [np.array([[1.0, NAN]]), np.array([[1.0, 2.0]])]
    with pytest.raises(DataError, match=r"column 1 .* is NaN in every row of the first block, all that an iterator"):
        train(RBMParams.initial(2, 2, key=Key(0), visible="gaussian"), iter(rows), TrainConfig(1, 1))


def test_nan_is_an_error_where_nobody_asked_for_gaps(tmp_path: Any) -> None:
    from rbmx.data import open_source

    with pytest.raises(DataError, match=r"row 0, column 1 .*: value nan is not a finite number"):
        open_source(np.array([[0.5, NAN]])).load()
    with pytest.raises(DataError, match="value nan is not a finite number"):
        train(RBMParams.initial(2, 2, key=Key(0)), open_source(np.array([[0.5, NAN]]), binarize=0.3))
    csv = tmp_path / "gaps.csv"
    csv.write_text("1,0\n,1\n")
    with pytest.raises(DataError, match=r"gaps\.csv.*line 2"):
        train(RBMParams.initial(2, 2, key=Key(0)), open_source(csv, label=None))


def test_streams_with_gaps_train_too() -> None:
    _, gaps = table(400, 0.3)
    params = RBMParams.initial(8, 2, key=Key(0), visible=SPEC)
    result = train(params, lambda: iter([gaps[:150], gaps[150:]]), TrainConfig(2, 50, buffer_bytes=1))
    assert np.isfinite(result.history[-1].reconstruction_error) and np.all(np.isfinite(params.weight))


def test_a_run_that_diverges_gives_back_what_it_was_given() -> None:
    """The second minibatch of a pass diverges: the step of the first is taken back too."""
    rows = np.random.default_rng(0).integers(0, 2, (20, 6)).astype(np.float32)
    rows[::3, 1] = np.nan
    params = RBMParams.initial(6, 4, key=Key(1), std=0.1)
    before = params.copy()
    with pytest.raises(DivergedError):
        train(params, rows, TrainConfig(1, 10, optimizer=SGD(3000.0), visible_bias="keep", centering=0.0))
    for name in params.names:
        np.testing.assert_array_equal(getattr(params, name), getattr(before, name))
