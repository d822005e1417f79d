from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rbmx.bench import contestant
from rbmx.bench.contestant import Contestant, load_loop, load_peer, peers_folder
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.peers import PEERS, REAL_PEERS, AnswerCheck, run_peers
from rbmx.bench.task import (
    TOLERANCE,
    CDTask,
    check_task,
    compare,
    reconstruction_error,
    reference_loop,
)
from rbmx.bench.units import UNIT_PEERS
from rbmx.bench.up_down import UP_DOWN_PEER

NEEDS = {"torch_cd": "torch", "sklearn_rbm": "sklearn", "numpy_cd": "scipy", "sgemm_floor": "scipy"}


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.uint8]:
    """Noisy copies of ten random patterns, about 15 % ones, as in MNIST."""
    rng = np.random.default_rng(1)
    pattern = np.where(rng.random((10, 130)) < 0.15, 0.9, 0.03)
    rows = pattern[rng.integers(10, size=4000)]
    return (rng.random(rows.shape) < rows).astype(np.uint8)


def task(k: int) -> CDTask:
    # A small model, 80 batches: another seed changes the updates by at most 0.034, 0.014, 0.044.
    return check_task(CDTask(k=k, n_visible=130, n_hidden=65, batch_size=50))


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", ["rbmx_cd", "rbmx_blas", "numpy_cd", "torch_cd", "sklearn_rbm"])
def test_every_peer_does_the_work_of_the_plain_loop(name: str, k: int, images: npt.NDArray[np.uint8]) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    if name == "sklearn_rbm" and k > 1:
        with pytest.raises(NotImplementedError, match="BernoulliRBM has no CD-3"):
            load_loop(name, task(k), images)
        return
    loop = load_loop(name, task(k), images)
    loop.train(0, len(images))
    answer = loop.params()
    assert answer is not None
    expected = reference_loop(task(k), images, persistent=loop.persistent)
    distance = compare(task(k).initial(), answer, expected)
    assert distance.within(TOLERANCE), distance


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", ["rbmx_dense", "rbmx_reproducible", "rbmx_dense_blas", "numpy_cd", "torch_cd"])
def test_every_peer_does_the_work_of_the_plain_loop_on_real_values(
    name: str, k: int, images: npt.NDArray[np.uint8]
) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    rng = np.random.default_rng(2)
    real = (images * rng.random(images.shape)).astype(np.float32)
    loop = load_loop(name, task(k), real)
    loop.train(0, len(real))
    answer = loop.params()
    assert answer is not None
    distance = compare(task(k).initial(), answer, reference_loop(task(k), real))
    assert distance.within(TOLERANCE), distance


def test_another_seed_is_within_the_tolerance_and_other_work_is_not(
    images: npt.NDArray[np.uint8],
) -> None:
    start, expected = task(1).initial(), reference_loop(task(1), images)

    class OtherSeed(CDTask):
        def initial(self):  # type: ignore[no-untyped-def]
            return task(1).initial()

    settings = dataclasses.asdict(task(1))
    other = reference_loop(OtherSeed(**{**settings, "seed": 7}), images)
    assert compare(start, other, expected).within(TOLERANCE)
    wrong = {
        "more Gibbs steps": reference_loop(dataclasses.replace(task(1), k=3), images),
        "persistent": reference_loop(task(1), images, persistent=True),
        "rate": reference_loop(dataclasses.replace(task(1), learning_rate=0.012), images),
        "half of the rows": reference_loop(task(1), images[::2]),
        "untrained": start,
    }
    for name, params in wrong.items():
        assert not compare(start, params, expected).within(TOLERANCE), name


def test_the_plain_loop_learns(images: npt.NDArray[np.uint8]) -> None:
    settings = CDTask(n_visible=130, n_hidden=65)
    trained = reference_loop(settings, images)
    before = reconstruction_error(settings.initial(), images)
    assert reconstruction_error(trained, images) < 0.5 * before


def test_a_wrong_answer_ends_the_benchmark(images: npt.NDArray[np.uint8]) -> None:
    class Untrained:
        name = "untrained"
        persistent = False

        def answer(self, task: CDTask, images: npt.NDArray[np.uint8]) -> object:
            return task.initial()

    check = AnswerCheck(CDTask(n_visible=130, n_hidden=65), images)
    with pytest.raises(WrongAnswerError, match="untrained: wrong updates"):
        check(Untrained())  # type: ignore[arg-type]


def test_a_dense_step_of_cd1_counts_five_products() -> None:
    assert CDTask(k=1).dense_flops_per_row() == 5 * 2 * 784 * 500
    assert CDTask(k=10).dense_flops_per_row() == 23 * 2 * 784 * 500


def test_every_listed_peer_has_its_file() -> None:
    files = {path.stem for path in (peers_folder() / "peers").glob("*.py")} - {"__init__"}
    assert files == {*PEERS, *REAL_PEERS, *UNIT_PEERS, UP_DOWN_PEER}


def test_an_unknown_peer_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"peer: expected one of .*numpy_cd, .*, got 'nmupy'"):
        load_peer("nmupy")


def test_without_a_checkout_the_message_says_where_the_peers_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(contestant, "__file__", str(tmp_path / "site-packages/rbmx/bench/x.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="part of the checkout, not of the wheel"):
        peers_folder()


def test_accumulate_adds_a_product_of_arrays_and_transposes() -> None:
    pytest.importorskip("scipy")
    accumulate = load_peer("numpy_cd").accumulate
    rng = np.random.default_rng(0)
    for flip_a in (False, True):
        for flip_b in (False, True):
            a = rng.random((7, 3) if flip_a else (3, 7)).astype(np.float32)
            b = rng.random((5, 7) if flip_b else (7, 5)).astype(np.float32)
            a, b = (a.T if flip_a else a), (b.T if flip_b else b)
            out = np.ones((3, 5), np.float32)
            accumulate(a, b, out, scale=0.5)
            # Seven float32 products of numbers below 1.
            np.testing.assert_allclose(out, 1 + 0.5 * (a @ b), rtol=1e-6)


def test_a_contestant_trains_in_its_own_process(images: npt.NDArray[np.uint8]) -> None:
    pytest.importorskip("scipy")
    settings = CDTask(n_visible=130, n_hidden=65, batch_size=50, threads=1)
    here = load_loop("numpy_cd", settings, images)
    here.train(0, 500)
    with Contestant("numpy_cd", settings, images) as there:
        assert there.label == "NumPy"
        assert there.train(0, 500) > 0.0
        params = there.params()
    expected = here.params()
    assert params is not None
    assert expected is not None
    # The same draws; OpenBLAS may add in another order with another number of threads.
    np.testing.assert_allclose(params.visible_bias, expected.visible_bias, atol=1e-3)


def test_peers_prints_a_table_reports_every_round_and_draws(
    images: npt.NDArray[np.uint8], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("matplotlib")
    names, plot = ("numpy_cd", "sgemm_floor"), tmp_path / "peers.svg"
    report = run_peers(images[:2000], steps=(1,), names=names, rounds=2, threads=1, plot=plot)
    assert "rows/s" in plot.read_text()
    printed = capsys.readouterr().out
    assert "CD-1, 130-500, batch 100, 2,000 rows" in printed
    assert "bare sgemm calls" in printed
    assert [row["name"] for row in report.rows] == ["numpy_cd", "sgemm_floor"]
    for row in report.rows:
        rounds = row["rounds_seconds"]
        assert isinstance(rounds, list)
        assert len(rounds) == 2
