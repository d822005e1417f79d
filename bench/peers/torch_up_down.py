"""Up-down in eager torch: in place where torch allows it, products of whole batches, `bernoulli` for noise."""

from __future__ import annotations

import torch
from torch import Tensor

from rbmx.backends import Update
from rbmx.backends.up_down import Directions

__all__ = ["TorchUpDown"]


class TorchUpDown:
    """The algorithm of Hinton, Osindero and Teh (2006), appendix B, on a stack whose arrays it changes.

    Args:
        stack: labels behind the visible units of its top.
        update: rate, momentum and weight decay.
        seed: of the noise.
    """

    def __init__(self, stack: Directions, update: Update, *, threads: int, seed: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.update, self.n_labels = update, stack.n_labels
        self.up = [_Way(layer.weight, layer.hidden_bias) for layer in stack.recognition]
        self.down = [_Way(layer.weight.T, layer.visible_bias) for layer in stack.generative]
        self.top = _Way(stack.top.weight, stack.top.hidden_bias)
        self.visible_bias = torch.from_numpy(stack.top.visible_bias)
        self.visible_velocity = torch.zeros_like(self.visible_bias)

    @torch.inference_mode()
    def minibatch(self, rows: Tensor, labels: Tensor, k: int) -> None:
        """Wake, dream, sleep, learn; rows (rows, units) and labels (rows, classes) of zeros and ones."""
        top, update = self.top, self.update
        wake = [rows]
        for way in self.up:
            wake.append(torch.bernoulli(way.mean(wake[-1])))
        seen = torch.cat([wake[-1], labels], 1)
        positive = top.mean(seen)
        hidden = torch.bernoulli(positive)
        for step in range(k):
            dreamt = self.draw_visible(hidden)
            negative = top.mean(dreamt)
            if step + 1 < k:
                hidden = torch.bernoulli(negative)
        sleep = [dreamt[:, : -self.n_labels]]
        for way in reversed(self.down):
            sleep.insert(0, torch.bernoulli(way.mean(sleep[0])))
        steps = [(way, sleep[i], sleep[i + 1] - way.mean(sleep[i])) for i, way in enumerate(self.up)]
        steps += [(way, wake[i + 1], wake[i] - way.mean(wake[i + 1])) for i, way in enumerate(self.down)]
        for way, inputs, short in steps:
            way.learn(inputs, short, update)
        phases = torch.cat([seen, dreamt]), torch.cat([positive, negative.neg_()])
        top.learn(*phases, update, rows=len(rows))
        change = (seen.sum(0) - dreamt.sum(0)) * (update.learning_rate / len(rows))
        self.visible_bias += self.visible_velocity.mul_(update.first).add_(change)

    def draw_visible(self, hidden: Tensor) -> Tensor:
        """States of the top's visible units: bits, and one of the labels."""
        x = torch.addmm(self.visible_bias, hidden, self.top.weight)
        units, labels = x[:, : -self.n_labels], x[:, -self.n_labels :]
        chosen = torch.multinomial(labels.softmax(1), 1).squeeze(1)
        return torch.cat([torch.bernoulli(units.sigmoid_()), torch.nn.functional.one_hot(chosen, self.n_labels)], 1)


class _Way:
    """weight (outputs, inputs) and bias of the outputs, with their velocities."""

    def __init__(self, weight: object, bias: object) -> None:
        self.weight, self.bias = torch.from_numpy(weight), torch.from_numpy(bias)
        self.velocity, self.bias_velocity = torch.zeros_like(self.weight), torch.zeros_like(self.bias)

    def mean(self, inputs: Tensor) -> Tensor:
        return torch.addmm(self.bias, inputs, self.weight.t()).sigmoid_()

    def learn(self, inputs: Tensor, short: Tensor, update: Update, rows: int | None = None) -> None:
        rate = update.learning_rate / (rows or len(inputs))
        self.velocity.mul_(update.first).addmm_(short.t(), inputs, alpha=rate)
        self.velocity.add_(self.weight, alpha=-update.learning_rate * update.weight_decay)
        self.weight += self.velocity
        self.bias += self.bias_velocity.mul_(update.first).add_(short.sum(0), alpha=rate)
