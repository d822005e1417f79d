from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from rbmx.backends.native import build_info, get_num_threads
from rbmx.bench import kernel
from rbmx.bench.building_blocks import DENSITIES, Block, Case, Products, blocks
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.kernel import Setting, check_blocks, run_kernel

BEST = str(build_info()["instruction_set"])


@pytest.fixture(scope="module")
def images() -> npt.NDArray[np.uint8]:
    return (np.random.default_rng(0).random((300, 66)) < 0.13).astype(np.uint8)


def test_densities_are_those_of_their_names(images: npt.NDArray[np.uint8]) -> None:
    share = images.mean()
    assert DENSITIES["13 %"](images).mean() == share
    assert DENSITIES["87 %"](images).mean() == pytest.approx(1 - share)
    flipped = DENSITIES["50 %"](images)
    assert np.array_equal(flipped[:, ::2], images[:, ::2]) and np.array_equal(flipped[:, 1::2], 1 - images[:, 1::2])


def test_cd1_counts_five_products_and_cd10_twenty_three() -> None:
    """As rbmx.bench.task.CDTask does."""
    assert Products(up=2, down=1, gradient=1).flops_per_row(784, 500) == 5 * 2 * 784 * 500
    assert Products(up=11, down=10, gradient=1).flops_per_row(784, 500) == 23 * 2 * 784 * 500


def test_the_time_by_sgemm_is_that_of_all_products() -> None:
    assert Products(up=2, down=1, gradient=1).total({"up": 1.0, "down": 10.0, "gradient": 100.0}) == 112.0


def test_every_block_has_the_bytes_of_ref(images: npt.NDArray[np.uint8]) -> None:
    found = blocks(Case(images, 17), rows=(70,), training_rows=250, steps=(1, 2))
    assert [block.name for block in found][:7] == [
        "mean of h",
        "mean of v",
        "sample h",
        "sample v",
        "Gibbs step",
        "free energy",
        "CD-1 statistics",
    ]
    assert [block.name for block in found][7:] == [
        "train, CD-1",
        "train, CD-2",
        "train, PCD-1",
        "train, CD-1, momentum",
        "train, CD-2, momentum",
        "train, PCD-1, momentum",
    ]
    threads = get_num_threads()
    with kernel._as_before() as best:
        check_blocks(found, [Setting("13 %", isa, n) for isa in build_info()["instruction_sets"] for n in (1, 2)])  # type: ignore[attr-defined]
    assert (build_info()["instruction_set"], get_num_threads()) == (best, threads)


def test_outputs_of_different_blocks_differ(images: npt.NDArray[np.uint8]) -> None:
    """A block that returned what it was given, or nothing, would pass any comparison."""
    found = blocks(Case(images, 17), rows=(70,), training_rows=250, steps=(1, 2))
    outputs = {block.name: tuple(block.output(reference=False)) for block in found}
    gibbs = outputs.pop("Gibbs step")
    assert gibbs == outputs["sample v"]  # given the hidden sample of the same key
    assert len(set(outputs.values())) == len(outputs)
    lengths = {name: len(output) for name, output in outputs.items()}
    assert (lengths["train, CD-1"], lengths["train, CD-1, momentum"], lengths["train, PCD-1, momentum"]) == (3, 6, 7)


def test_a_block_changes_nothing_that_the_next_call_sees(images: npt.NDArray[np.uint8]) -> None:
    for block in blocks(Case(images, 17), rows=(70,), training_rows=250):
        first = block.output(reference=False)
        assert block.seconds() > 0
        assert block.output(reference=False) == first, block.name


def test_a_wrong_byte_ends_the_run() -> None:
    def fresh() -> kernel.Block:  # type: ignore[name-defined]
        return lambda reference: (np.array([1.0 if reference else np.nextafter(1.0, 2.0)]),)  # type: ignore[return-value]

    block = Block("mean of h", 100, 100, Products(up=1), fresh)  # type: ignore[arg-type]
    with (
        kernel._as_before(),
        pytest.raises(WrongAnswerError, match=f"mean of h, 100 rows, 1 thread, {BEST}, data 13 % ones"),
    ):
        check_blocks([block], [Setting("13 %", BEST, 1)])


def test_a_small_run_prints_reports_and_draws(
    images: npt.NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(kernel, "run_in_process", lambda threads, function: 1e9)
    monkeypatch.setattr(kernel, "SETTLE", 0.0)
    monkeypatch.setattr(kernel, "CHECKED_TRAINING_ROWS", 100)
    report = run_kernel(
        images, n_hidden=17, rows=(100,), training_rows=200, steps=(1,), rounds=1, threads=1, plot=tmp_path / "k.png"
    )
    assert (tmp_path / "k.png").read_bytes().startswith(b"\x89PNG")
    sets = build_info()["instruction_sets"]
    n_settings = 3 + len(sets) - 1  # type: ignore[arg-type]
    assert len(report.rows) == n_settings * 11
    assert {(row["density"], row["instruction_set"]) for row in report.rows if row["name"] == "train, CD-1"} == {
        *((density, BEST) for density in DENSITIES),
        *(("13 %", isa) for isa in sets),  # type: ignore[attr-defined]
    }
    row = next(row for row in report.rows if row["name"] == "train, CD-1, momentum")
    assert row["dense_equivalent_gflops"] == pytest.approx(200 * 5 * 2 * 66 * 17 / row["median_seconds"] / 1e9)  # type: ignore[operator]
    printed = capsys.readouterr().out
    assert f"1 thread, {BEST}, data 87 % ones; peak: sgemm of 1024^3, 1 GFLOP/s" in printed
    assert "66-17, batch 100" in printed
