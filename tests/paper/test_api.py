"""The names of the paper's API: what each is, and what it gives."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rbmx.training.backprop import Affine, Network
from tests.paper.data import CLASSES, SIDE, table, write

torch = pytest.importorskip("torch")

from rbmx import paper  # noqa: E402 - its names need torch
from rbmx.paper import MRDL, RBM, Data_load, MR_Dist, MR_dist, Net, ToTensor, data_load, data_loader, rbm  # noqa: E402

SIZES = [SIDE * SIDE, 20, 10, CLASSES]


def test_the_papers_other_spellings_are_the_same_things() -> None:
    assert MR_dist is MR_Dist is MRDL
    assert RBM is rbm and paper.net is Net and data_load is data_loader is Data_load
    assert rbm.data_load is rbm.load_data
    assert {*paper.__all__} <= {*dir(paper)}
    newnet = rbm(0.015, 0.8, 64)
    assert newnet.create_net(num_layers=2, nodes=[6, 3]).node_seq == newnet.create_net(2, [6, 3]).node_seq


def test_a_net_gives_log_probabilities_by_relu_layers() -> None:
    """Against the same net in NumPy, which is what tasks train: float32 sums of 36 terms, so 1e-5."""
    net = rbm(0.015, 0.8, 64).create_net(node_seq=SIZES)
    x = torch.from_numpy(table(50, 3)[:, 1:].astype(np.float32) / 255)
    found = net(x)
    assert torch.allclose(found.exp().sum(dim=1), torch.ones(50), atol=1e-6)
    layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in net.linear]
    kinds = ["relu", "relu", "log_softmax"]
    same = Network([Affine(weight, bias, kind) for (weight, bias), kind in zip(layers, kinds, strict=True)])
    assert np.abs(same.forward(x.numpy()) - found.detach().numpy()).max() < 1e-5


@pytest.mark.parametrize("seed", [0, None])
def test_weights_are_xavier_uniform_with_the_gain_of_a_relu(seed: int | None) -> None:
    """U(-a, a) has the variance a^2 / 3; its estimate from 40,000 weights is within 2 per cent (five deviations)."""
    torch.manual_seed(0)
    (layer,) = Net([200, 200], seed).linear
    bound = math.sqrt(2) * math.sqrt(6 / 400)
    weights = layer.weight.detach()
    assert weights.abs().max() <= bound
    assert weights.var().item() == pytest.approx(bound**2 / 3, rel=0.02)
    assert abs(weights.mean().item()) < 5 * bound / math.sqrt(3 * 40_000)
    assert not layer.bias.any()


def test_a_script_makes_the_same_net_each_time() -> None:
    one, two = (rbm(0.015, 0.8, 64).create_net(node_seq=SIZES) for _ in range(2))
    other = rbm(0.015, 0.8, 64, seed=1).create_net(node_seq=SIZES)
    assert torch.equal(one.linear[0].weight, two.linear[0].weight)
    assert not torch.equal(one.linear[0].weight, other.linear[0].weight)


def test_data_are_rows_with_their_labels(tmp_path: Path) -> None:
    values = table(7, 0)
    write(tmp_path / "rows.csv", values)
    data = Data_load("rows.csv", tmp_path, ToTensor())
    assert len(data) == 7
    row, label = data[3]
    assert label == values[3, 0] and row.dtype == torch.float32
    assert torch.equal(row, torch.from_numpy((values[3, 1:] / np.float32(255)).astype(np.float32)))
    assert np.array_equal(Data_load(tmp_path / "rows.csv")[3][0], values[3, 1:])
    ((batch, labels),) = rbm(0.015, 0.8, 64).load_data(tmp_path / "rows.csv")
    assert batch.shape == (7, 36) and labels.tolist() == values[:, 0].tolist()


def test_weights_go_out_of_a_net_and_into_another() -> None:
    newnet = rbm(0.015, 0.8, 64)
    source, target = Net(SIZES, seed=5), newnet.create_net(node_seq=SIZES)
    weights = newnet.fetch_weights(source)
    newnet.set_w(weights, target)
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
    target.linear[0].weight.data.zero_()
    assert weights.arrays["layers.0.weight"].any()


def test_accuracy_is_printed_and_returned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Always(Net):
        """Says the first class."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.eye(CLASSES)[:1].expand(len(x), -1)

    values = table(8, 0)
    values[:, 0] = [0, 0, 0, 1, 2, 3, 1, 2]
    write(tmp_path / "test.csv", values)
    newnet = rbm(0.015, 0.8, 64)
    assert newnet.test(newnet.load_data(tmp_path / "test.csv"), Always(SIZES)) == 3 / 8
    assert capsys.readouterr().out == "Accuracy: 37.50 %\n"


def test_a_net_is_tested_without_its_dropout_and_left_as_it_was(tmp_path: Path) -> None:
    class Dropping(Net):
        """Half of its input is missing in training; its first layer never trains."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.nn.functional.dropout(x, 0.5, self.training))

    write(tmp_path / "test.csv", table(200, 0))
    newnet = rbm(0.015, 0.8, 64)
    net = Dropping(SIZES, seed=0)
    net.linear[0].eval()
    found = {newnet.test(newnet.load_data(tmp_path / "test.csv"), net) for _ in range(5)}
    assert len(found) == 1
    assert net.training and not net.linear[0].training


def test_tasks_import_no_torch(run_python: Callable[..., str]) -> None:
    script = "import rbmx.paper.mrc, sys; print('torch' in sys.modules)"
    assert run_python(f"import warnings; warnings.simplefilter('ignore'); {script}") == "False\n"


OWN = """
import torch
from rbmx.paper import Net

class Steep(Net):
    def __init__(self, node_seq):
        super().__init__(node_seq, seed=0)
        self.scale = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return torch.log_softmax(self.scale * super().forward(x), dim=1)
"""


def test_a_net_of_ones_own_is_trained_by_torch(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its class is read from the module it stands in, and a parameter beyond the layers learns too."""
    (tmp_path / "steep_net.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    import steep_net

    newnet = rbm(0.05, 0.8, 20)
    monkeypatch.setattr(MRDL, "newnet", newnet)
    monkeypatch.setattr(MRDL, "net", steep_net.Steep(SIZES))
    monkeypatch.setattr("sys.argv", ["script.py", str(data_folder / "train.csv"), "--splits", "2", "--rounds", "2"])
    MRDL.run()
    net = steep_net.Steep(SIZES)
    newnet.set_w(newnet.combine_weights(MRDL.weights), net)
    assert net.scale.item() != 0.5
    assert newnet.test(newnet.load_data(data_folder / "test.csv"), net) > 0.9
    assert capsys.readouterr().out.startswith("Accuracy: ")
    del sys.modules["steep_net"]
