"""What the paper's API refuses: one clear error each, and no training before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rbmx.errors import DataError, DivergedError
from tests.paper.data import CLASSES, SIDE, table, write
from tests.paper.scripts import FIGURE_5, for_nodes, run

pytest.importorskip("torch")

from rbmx.paper import MRDL, Weights, rbm

SMALL = (SIDE * SIDE, 8, CLASSES)
SCRIPT = for_nodes(FIGURE_5, *SMALL).replace("layer_count=4", "layer_count=3")


def last_line(folder: Path, script: str, *words: str) -> str:
    outcome = run(folder, script, *words)
    assert outcome.status != 0
    assert outcome.out == ""
    return outcome.err.splitlines()[-1]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a job on train.csv in this process, as a script would."""

    def run_job(*words: str, rate: float = 0.015) -> None:
        newnet = rbm(rate, 0.8, 64)
        monkeypatch.setattr(MRDL, "newnet", newnet)
        monkeypatch.setattr(MRDL, "net", newnet.create_net(node_seq=SMALL))
        monkeypatch.setattr("sys.argv", ["script.py", str(tmp_path / "train.csv"), *words])
        MRDL.run()

    return run_job


def test_node_seq_and_layer_count_must_agree() -> None:
    newnet = rbm(0.015, 0.8, 64)
    with pytest.raises(ValueError, match=r"node_seq: expected 4 numbers, one for each level .*, got \[784, 500\]"):
        newnet.create_net(layer_count=4, node_seq=[784, 500])
    with pytest.raises(ValueError, match="node_seq: expected the units of each level, got none"):
        newnet.create_net(layer_count=4)
    with pytest.raises(ValueError, match="node_seq: expected the units of two levels or more"):
        newnet.create_net(node_seq=[784])


def test_weights_of_another_net_are_refused() -> None:
    newnet = rbm(0.015, 0.8, 64)
    small, large = newnet.create_net(node_seq=[6, 3]), newnet.create_net(node_seq=[6, 4])
    with pytest.raises(ValueError, match=r"weights: expected those of layers.0.weight 4x6, .*, got .* 3x6"):
        newnet.set_w(newnet.fetch_weights(small), large)
    with pytest.raises(ValueError, match=r"weights: expected arrays .* in every split"):
        newnet.combine_weights([newnet.fetch_weights(small), newnet.fetch_weights(large)])
    with pytest.raises(ValueError, match="weights: expected those of one split or more, got none"):
        newnet.combine_weights([])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 0.8, 64), "lr"), ((0.1, 1.0, 64), "momentum"), ((0.1, 0.5, 0), "batch_size"), ((0.1, 0.5, 1, -1), "seed")],
)
def test_settings_that_are_none_are_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rbm(*arguments)  # type: ignore[arg-type]


def test_a_job_without_a_net_or_data_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="MRDL: set newnet and net before run"):
        MRDL.run()
    monkeypatch.setattr(MRDL, "newnet", rbm(0.015, 0.8, 64))
    monkeypatch.setattr(MRDL, "net", rbm(0.015, 0.8, 64).create_net(node_seq=[6, 3]))
    monkeypatch.setattr("sys.argv", ["script.py"])
    with pytest.raises(ValueError, match=r"data: name the CSV files of the training data: python3 script\.py"):
        MRDL.run()


def test_a_csv_without_labels_is_one_line_from_any_runner(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", table(60, 0)[:, 1:])
    told = last_line(tmp_path, SCRIPT, "-r", "local", "train.csv")
    assert told.startswith("rbmx.errors.DataError: file://train.csv from byte 0, line ")
    assert told.endswith(": 36 fields, expected a label and 36 values; has the file its labels, in its first column?")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1," + ",".join(["x"] * 36), r"line \d+, column 2: 'x' is not a number$"),
        ("1.5," + ",".join(["3"] * 36), r"line \d+, column 1: label '1.5' is not an integer$"),
        ("1,2,3", r"line \d+: 3 fields, expected a label and 36 values"),
        ("1," + ",".join(["256"] * 36), r"line \d+: expected grey levels from 0 to 255, got 256 to 256"),
        ("7," + ",".join(["3"] * 36), r"split \d of 4: labels: row \d+: 7 is none of the classes 0 to 3"),
    ],
)
def test_a_bad_line_is_named(here: Callable[..., None], tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path / "train.csv", table(60, 0))
    lines = (tmp_path / "train.csv").read_text().splitlines()
    lines.insert(30, line)
    (tmp_path / "train.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        here()


def test_an_empty_split_is_told(here: Callable[..., None], tmp_path: Path) -> None:
    write(tmp_path / "train.csv", table(3, 0))
    with pytest.raises(DataError, match=r"^split .* of 6 is empty: 3 rows in all; take fewer by --splits$"):
        here("--splits", "6")


def test_a_rate_that_diverges_names_the_split(here: Callable[..., None], tmp_path: Path) -> None:
    write(tmp_path / "train.csv", table(60, 0))
    with pytest.raises(DivergedError, match="split 0 of 4: layer 1 of 2: weights diverged"):
        here(rate=1e30)


def test_test_data_of_another_width_or_none_are_refused(tmp_path: Path) -> None:
    newnet = rbm(0.015, 0.8, 64)
    net = newnet.create_net(node_seq=[6, 3])
    write(tmp_path / "test.csv", table(5, 0))
    with pytest.raises(ValueError, match=r"loaded_data: expected rows of 6 values, got \(5, 36\)"):
        newnet.test(newnet.load_data(tmp_path / "test.csv"), net)
    with pytest.raises(ValueError, match="loaded_data: expected one row or more, got none"):
        newnet.test([], net)
    with pytest.raises(DataError, match="line 1, column 1: 'x' is not a number"):
        (tmp_path / "test.csv").write_text("x,1,2\n")
        newnet.load_data(tmp_path / "test.csv")


MADE = f"newnet.create_net(layer_count=3, node_seq={str(list(SMALL)).replace(' ', '')})"
MADE_BY_ONESELF = f"Mine({list(SMALL)}, seed=0)"
OWN = """
from rbmx.paper import Net
class Mine(Net):
    def forward(self, x):
        return super().forward(x)
"""


def test_a_net_of_ones_own_needs_torch_where_it_is_trained(tmp_path: Path) -> None:
    """The tasks' Python is told that there is no torch."""
    write(tmp_path / "train.csv", table(60, 0))
    (tmp_path / "mine.py").write_text(OWN)
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "torch.py").write_text("raise ImportError('no torch here')\n")
    script = "from mine import Mine\n" + SCRIPT.replace(MADE, MADE_BY_ONESELF)
    told = last_line(tmp_path, script, "-r", "local", "train.csv", "--cmdenv", f"PYTHONPATH={blocked}")
    assert "net: Mine is a class of its own, whose forward needs torch, and this node" in told
    assert "(no torch here)" in told


def test_a_net_of_ones_own_in_an_unguarded_script_is_told(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", table(60, 0))
    body = SCRIPT.partition("\n")[2].replace("\n    ", "\n").lstrip()
    script = OWN + body.replace(MADE, MADE_BY_ONESELF)
    assert "put the class in a module of its own" in last_line(tmp_path, script, "train.csv")


def test_weights_are_averaged_by_rows() -> None:
    one, two = Weights({"w": np.zeros(2, np.float32)}, 1), Weights({"w": np.full(2, 4, np.float32)}, 3)
    mean = rbm(0.015, 0.8, 64).combine_weights([one, two])
    assert mean.arrays["w"].tolist() == [3, 3] and mean.rows == 4
