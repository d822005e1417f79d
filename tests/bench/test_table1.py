from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rbmx.backends.native import get_num_threads, set_num_threads
from rbmx.bench import table1
from rbmx.bench.harness import WrongAnswerError
from rbmx.bench.plain_program import FLAGS, PlainProgram
from rbmx.bench.table1 import Cell, check_answers, published_times, run_table1


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> PlainProgram:
    return PlainProgram.compile(FLAGS["O2"], tmp_path_factory.mktemp("plain"))


def test_there_are_81_cells() -> None:
    assert len({cell.levels for cell in table1.all_cells()}) == 81


def test_published_times_are_of_cells_and_none_is_invented() -> None:
    """Only what is known of the printed table: see bench/table1/README.md."""
    known = published_times()
    assert set(known) <= {cell.levels for cell in table1.all_cells()}
    assert known[5, 2000, 12, 12] == 29.17


def test_the_plain_program_without_rows_returns_its_weights(program: PlainProgram) -> None:
    """And in the order of RBMParams: weights are 9 digits, which a float32 survives."""
    cell = Cell(1, 0, 6, 3)
    seconds, params = program.train(cell.start(), cell.rows(), k=1, learning_rate=0.1, seed=1)
    assert 0 <= seconds < 0.1
    assert params.weight.tobytes() == cell.start().weight.tobytes()
    assert not params.visible_bias.any() and not params.hidden_bias.any()


def test_the_plain_program_moves_biases_as_one_row_must(program: PlainProgram) -> None:
    """One row of ones with a sample v: every visible bias is 0 (v = 1) or the rate (v = 0)."""
    start = Cell(1, 1, 24, 3).start()
    _, params = program.train(start, np.ones((1, 24), bool), k=1, learning_rate=0.5, seed=3)
    assert set(params.visible_bias.tolist()) == {0.0, 0.5}


def test_answers_are_checked(program: PlainProgram) -> None:
    check_answers(program, passes=12)


def test_a_program_that_learns_less_is_refused(program: PlainProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check bites: half the learning rate gives another reconstruction error."""
    train = PlainProgram.train

    def slower(self: PlainProgram, start, rows, *, k, learning_rate, seed):  # type: ignore[no-untyped-def]
        return train(self, start, rows, k=k, learning_rate=learning_rate / 2, seed=seed)

    monkeypatch.setattr(PlainProgram, "train", slower)
    with pytest.raises(WrongAnswerError, match="plain program: reconstruction error"):
        check_answers(program, passes=12)


def test_a_trial_prints_its_cells_and_writes_nulls_where_nothing_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = get_num_threads()
    report = run_table1(rounds=1, cells=[Cell(5, 2000, 12, 12), Cell(1, 1000, 6, 3)])
    set_num_threads(threads)
    report.write(tmp_path / "t.json")
    first, second = json.loads((tmp_path / "t.json").read_text())["cells"]
    assert list(first) == ["k", "N", "v", "h", "ms", "published_ms", "plain_O2_ms", "plain_fast_ms"]
    assert (first["published_ms"], second["published_ms"]) == (29.17, None)
    assert all(row[name] > 0 for row in (first, second) for name in ("ms", "plain_O2_ms", "plain_fast_ms"))
    printed = capsys.readouterr().out
    assert "29.17" in printed and "The printed times of 1 of 2 cells are not at hand" in printed


def test_the_whole_table_has_effects_of_every_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Times that are a product of the factors, in place of the clock: the shares are then known."""
    pytest.importorskip("matplotlib")
    from rbmx.report.effects import draw_effects

    monkeypatch.setattr(table1, "check_answers", lambda program: None)
    monkeypatch.setattr(
        table1, "_measure", lambda cell, programs, rounds: dict.fromkeys(table1.PROGRAMS, float(np.prod(cell.levels)))
    )
    threads = get_num_threads()
    report = run_table1(rounds=1)
    set_num_threads(threads)
    assert set(report.effects) == set(table1.PROGRAMS)
    shares = {name: effect.of_total for name, effect in report.effects["rbmx"].items()}
    assert sum(shares.values()) == pytest.approx(100)
    assert shares["v"] == pytest.approx(shares["h"])  # both double twice
    printed = capsys.readouterr().out
    assert "41.65  25.83  17.60  15.07  100.15" in printed
    levels = {name: {f: e.levels for f, e in effects.items()} for name, effects in report.effects.items()}
    draw_effects(tmp_path / "effects.png", levels)
    assert (tmp_path / "effects.png").read_bytes().startswith(b"\x89PNG")
