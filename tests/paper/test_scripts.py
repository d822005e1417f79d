"""The paper's scripts, run as they are printed after one import line: one outcome inline and in processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.paper.data import CLASSES, SIDE
from tests.paper.scripts import FIGURE_4, FIGURE_5, digits, for_nodes, run

pytest.importorskip("torch")

SMALL = (SIDE * SIDE, 20, 10, CLASSES)
TOLD = [
    "round 1/2: 3 splits, 400 rows; epochs: 1 of contrastive divergence a layer, 9 of backprop",
    "round 2/2: 3 splits, 400 rows; epochs: 9 of backprop",
]
FLAGS = ["--rounds", "2", "--splits", "3", "--tuning-epochs", "9"]


@pytest.mark.parametrize("script", [FIGURE_5, FIGURE_4], ids=["Fig. 5", "Fig. 4"])
def test_inline_and_local_say_and_give_the_same(data_folder: Path, script: str) -> None:
    script = for_nodes(script, *SMALL)
    inline = run(data_folder, script, "train.csv", *FLAGS)
    local = run(data_folder, script, "-r", "local", "train.csv", *FLAGS)
    for outcome in (inline, local):
        assert outcome.status == 0, outcome.err
        assert outcome.out.startswith("Accuracy: ") and outcome.out.endswith(" %\n") and outcome.out.count("\n") == 1
        assert outcome.err.splitlines() == TOLD
    assert inline.out == local.out
    assert inline.weights == local.weights != b""
    assert float(inline.out.split()[1]) > 90  # a bright quarter is easy; guessing gives 25


def test_the_printed_net_takes_labels_below_101(tmp_path: Path) -> None:
    """[784, 500, 100, 101] as printed, on a few digits: it runs, and says what it reached."""
    digits(tmp_path / "train.csv", "train", 160)
    digits(tmp_path / "test.csv", "test", 50)
    outcome = run(tmp_path, FIGURE_5, "train.csv", "--rounds", "1", "--tuning-epochs", "1", "--splits", "2")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("Accuracy: ")


def test_rows_may_come_in_any_order_and_in_any_number_of_files(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row's split and place are decided by what it holds."""
    from rbmx.paper import MRDL, rbm

    lines = (data_folder / "train.csv").read_text().splitlines(keepends=True)
    (tmp_path / "b.csv").write_text("".join(reversed(lines[:150])))
    (tmp_path / "a.csv").write_text("".join(lines[150:]).replace("\n", "\r\n"))
    newnet = rbm(0.015, 0.8, 64)
    monkeypatch.setattr(MRDL, "newnet", newnet)
    monkeypatch.setattr(MRDL, "net", newnet.create_net(node_seq=SMALL))
    found = []
    for files in ([data_folder / "train.csv"], [tmp_path / "a.csv", tmp_path / "b.csv"]):
        monkeypatch.setattr("sys.argv", ["script.py", *map(str, files), *FLAGS])
        MRDL.run()
        arrays = newnet.combine_weights(MRDL.weights).arrays
        found.append(b"".join(array.tobytes() for array in arrays.values()))
    assert found[0] == found[1]
