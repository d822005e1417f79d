"""rbm, the paper's handle on a net: it makes nets, reads data, combines weights and tests."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rbmx.paper.nd import Data_load, ToTensor
from rbmx.paper.nnc import Net
from rbmx.paper.split_job import SplitSettings
from rbmx.paper.weights import Weights, average
from rbmx.training import SGD, TrainConfig

__all__ = ["rbm"]

TEST_ROWS = 1000  # of a batch


class rbm:  # noqa: N801 - as the paper spells it
    """How nets are trained, and what is done with them before and after.

    Args:
        learn_rate: of contrastive divergence and of backprop.
        momentum: of both, 0 <= momentum < 1.
        batch_size: rows of a minibatch of a split.
        seed: of the nets' first weights, of orders and of noise: the same script gives the same weights.

    Raises:
        ValueError: a rate, momentum, batch size or seed that is none.
    """

    def __init__(self, learn_rate: float, momentum: float, batch_size: int, seed: int = 0) -> None:
        TrainConfig(batch_size=batch_size, optimizer=SGD(learn_rate, momentum), seed=seed)  # refuses what is none
        self.learn_rate, self.momentum, self.batch_size, self.seed = learn_rate, momentum, batch_size, seed

    def create_net(
        self,
        layer_count: int | None = None,
        node_seq: Sequence[int] | None = None,
        *,
        num_layers: int | None = None,
        nodes: Sequence[int] | None = None,
    ) -> Net:
        """A net with these units in its levels, always with the same weights.

        Args:
            layer_count: levels, input and output among them; num_layers is another name.
            node_seq: units of each; nodes is another name.

        Raises:
            ValueError: as many units as levels are needed.
        """
        count = num_layers if layer_count is None else layer_count
        sizes = nodes if node_seq is None else node_seq
        if sizes is None:
            raise ValueError("node_seq: expected the units of each level, got none")
        if count is not None and count != len(sizes):
            raise ValueError(f"node_seq: expected {count} numbers, one for each level (layer_count), got {list(sizes)}")
        return Net(sizes, seed=self.seed)

    def load_data(self, data_path: str | os.PathLike[str]) -> torch.utils.data.DataLoader[tuple[Tensor, int]]:
        """Batches of (grey levels from 0 to 1, labels) of a CSV file, the label first.

        Raises:
            DataError: names the file, the line and the column of what is wrong.
        """
        return torch.utils.data.DataLoader(Data_load(data_path, transform=ToTensor()), batch_size=TEST_ROWS)

    data_load = load_data

    def combine_weights(self, weights: Sequence[Weights]) -> Weights:
        """The average over splits, each counted by its rows: `MRDL.weights` as one.

        Raises:
            ValueError: none, or weights of different nets.
        """
        return average(weights)

    def fetch_weights(self, net: Net) -> Weights:
        """The weights of a net, copied."""
        return Weights({name: tensor.cpu().numpy().copy() for name, tensor in net.state_dict().items()})

    def set_w(self, weights: Weights, net: Net) -> None:
        """Put weights into a net.

        Raises:
            ValueError: they are another net's.
        """
        shapes = self.fetch_weights(net).shapes
        if weights.shapes != shapes:
            raise ValueError(f"weights: expected those of {_described(shapes)}, got {_described(weights.shapes)}")
        net.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.arrays.items()})

    @torch.no_grad()
    def test(self, loaded_data: Iterable[Any], nNet: Net) -> float:  # noqa: N803 - as the paper spells it
        """The share of rows whose likeliest class is their label, printed in per cent and returned.

        The net is in eval mode meanwhile.

        Raises:
            ValueError: rows of another width than the net's input, or none.
        """
        right, rows = 0, 0
        with _evaluating(nNet):
            for values, labels in loaded_data:
                if values.flatten(1).shape[1] != nNet.node_seq[0]:
                    raise ValueError(
                        f"loaded_data: expected rows of {nNet.node_seq[0]} values, got {tuple(values.shape)}"
                    )
                right += int((nNet(values).argmax(dim=1) == labels).sum())
                rows += len(labels)
        if rows == 0:
            raise ValueError("loaded_data: expected one row or more, got none")
        print(f"Accuracy: {100 * right / rows:.2f} %")
        return right / rows

    def split_settings(self, net: Net, *, epochs: int, tuning_epochs: int, splits: int) -> SplitSettings:
        """What the tasks of MRDL are told beside the weights."""
        own_class = None if type(net) is Net else type(net).__qualname__
        return SplitSettings(
            tuple(net.node_seq),
            self.learn_rate,
            self.momentum,
            self.batch_size,
            epochs,
            tuning_epochs,
            splits,
            self.seed,
            own_class,
        )


@contextmanager
def _evaluating(net: Net) -> Iterator[None]:
    """A block in which dropout and its like are at rest; each module is then in its own mode again."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _described(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
