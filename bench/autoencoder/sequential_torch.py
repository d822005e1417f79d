"""The sequential program that rbmx is timed against: a deep autoencoder in plain PyTorch, greedy CD-1, then backprop.

Written to be fast: in place, `out=`, inference mode, one call a step for all random numbers, data and model phase
stacked so that the gradient is one product (bench/peers/torch_cd.py). It uses nothing of rbmx.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


class Machine:
    """A Bernoulli RBM."""

    def __init__(self, data: Tensor, n_hidden: int, batch: int) -> None:
        n_visible = data.shape[1]
        self.weight = 0.01 * torch.randn(n_hidden, n_visible)
        p = data.mean(0).clamp(1 / (2 * len(data)), 1 - 1 / (2 * len(data)))
        self.visible_bias = torch.log(p / (1 - p))
        self.hidden_bias = torch.zeros(n_hidden)
        self.means = torch.empty(2 * batch, n_hidden)
        self.units = torch.empty(2 * batch, n_visible)
        self.hidden = torch.empty(batch, n_hidden)
        self.noise = torch.empty(batch * (n_hidden + n_visible))
        self.batch = batch

    def step(self, data: Tensor, rate: float) -> None:
        batch, upward = self.batch, self.weight.t()
        data_mean, model_mean = self.means[:batch], self.means[batch:]
        visible = self.units[batch:]
        torch.addmm(self.hidden_bias, data, upward, out=data_mean).sigmoid_()
        self.noise.uniform_()
        torch.lt(self.noise[: data_mean.numel()].view_as(data_mean), data_mean, out=self.hidden)
        torch.addmm(self.visible_bias, self.hidden, self.weight, out=visible).sigmoid_()
        torch.lt(self.noise[data_mean.numel() :].view_as(visible), visible, out=visible)
        torch.addmm(self.hidden_bias, visible, upward, out=model_mean).sigmoid_()
        model_mean.neg_()
        self.units[:batch].copy_(data)
        self.weight.addmm_(self.means.t(), self.units, alpha=rate / batch)
        self.hidden_bias.add_(self.means.sum(0), alpha=rate / batch)
        self.visible_bias.add_(data.sum(0), alpha=rate / batch).sub_(visible.sum(0), alpha=rate / batch)

    def fit(self, data: Tensor, epochs: int, rate: float) -> None:
        for _ in range(epochs):
            order = torch.randperm(len(data))
            for start in range(0, len(data) - self.batch + 1, self.batch):
                self.step(data[order[start : start + self.batch]], rate)

    def up(self, data: Tensor) -> Tensor:
        return torch.addmm(self.hidden_bias, data, self.weight.t()).sigmoid_()


def unrolled(machines: list[Machine]) -> nn.Sequential:
    """Encoder and decoder, logistic everywhere."""
    steps = [(m.weight, m.hidden_bias) for m in machines]
    steps += [(m.weight.t(), m.visible_bias) for m in reversed(machines)]
    layers: list[nn.Module] = []
    for weight, bias in steps:
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
        layers += [linear, nn.Sigmoid()]
    return nn.Sequential(*layers)


def fine_tune(network: nn.Sequential, data: Tensor, epochs: int, batch: int, rate: float) -> None:
    """Adam on the cross-entropy of the reconstruction."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
    logits = network[:-1]
    for _ in range(epochs):
        order = torch.randperm(len(data))
        for start in range(0, len(data), batch):
            rows = data[order[start : start + batch]]
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(logits(rows), rows, reduction="sum") / len(rows)
            loss.backward()
            optimizer.step()


@torch.inference_mode()
def squared_error(network: nn.Sequential, data: Tensor) -> float:
    """Per image, summed over pixels."""
    return float((network(data) - data).square().sum(1).double().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path, help=".npy of bits")
    parser.add_argument("test", type=Path, help=".npy of bits")
    parser.add_argument("result", type=Path, help="JSON to write")
    parser.add_argument("--sizes", type=int, nargs="+", required=True)
    parser.add_argument("--epochs", type=int, required=True, help="of each layer")
    parser.add_argument("--backprop", type=int, required=True, help="epochs")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--tuning-rate", type=float, required=True)
    parser.add_argument("--tuning-batch", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--started", type=float, required=True, help="time.time() before this process was started")
    words = parser.parse_args()
    torch.set_num_threads(words.threads)
    torch.manual_seed(words.seed)
    data = torch.from_numpy(np.load(words.train).astype(np.float32))
    test = torch.from_numpy(np.load(words.test).astype(np.float32))
    machines: list[Machine] = []
    with torch.inference_mode():
        rows = data
        for n_hidden in words.sizes[1:]:
            machine = Machine(rows, n_hidden, words.batch)
            machine.fit(rows, words.epochs, words.rate)
            rows = machine.up(rows)
            machines.append(machine)
    network = unrolled(machines)
    greedy = time.time() - words.started
    greedy_error = squared_error(network, test)
    before = time.time()
    fine_tune(network, data, words.backprop, words.tuning_batch, words.tuning_rate)
    backprop = time.time() - before
    facts = {
        "greedy_seconds": greedy,
        "greedy_error": greedy_error,
        "backprop_seconds": backprop,
        "tuned_error": squared_error(network, test),
    }
    words.result.write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
