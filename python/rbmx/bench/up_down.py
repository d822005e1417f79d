"""Up-down minibatches of 784-500-500-2000 with labels: the native loop beside the same algorithm in torch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

import rbmx
from rbmx.backends import Batches, Update
from rbmx.backends.up_down import Directions, UpDownState, train_directions
from rbmx.bench.contestant import load_peer, process
from rbmx.bench.harness import Report, WrongAnswerError, facts, interleave, table
from rbmx.bits import PackedBits
from rbmx.rng import Key
from rbmx.training import TrainConfig
from rbmx.training.greedy import initial_stack, train_stack

__all__ = ["UP_DOWN_PEER", "Loop", "UpDownTask", "check", "run_up_down"]

SETTLE = 0.4  # seconds; twice what the OpenMP runtimes spin by default
N_CLASSES = 10
UP_DOWN_PEER = "torch_up_down"


@dataclass(frozen=True, eq=False)
class UpDownTask:
    """The same work for both.

    Attributes:
        bits, labels: the rows, uint8 (rows, units) and int64 (rows,).
        sizes: of the stack.
        batch_size, update: of the minibatches.
        threads: of each.
    """

    bits: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    sizes: tuple[int, ...] = (784, 500, 500, 2000)
    batch_size: int = 100
    update: Update = field(default_factory=partial(Update, 0.01, first=0.5, weight_decay=2e-4))
    threads: int = 2

    def start(self) -> Directions:
        """A stack that two greedy epochs have made sparse, as those are that up-down goes on from."""
        rbmx.set_num_threads(self.threads)
        layers = initial_stack(self.sizes, n_classes=N_CLASSES, seed=0)
        config = TrainConfig.of(epochs=2, lr=0.1)
        train_stack(layers, self.bits, [config] * len(layers), labels=self.labels)
        return Directions([layer.copy() for layer in layers[:-1]], layers[:-1], layers[-1])

    def one_hot(self) -> npt.NDArray[np.uint8]:
        """The labels' states."""
        return np.eye(N_CLASSES, dtype=np.uint8)[self.labels]


class Loop(Protocol):
    """A contestant, built of a task, k and a seed."""

    stack: Directions

    def train(self, rows: int, batch_size: int) -> None:
        """Up-down on the first rows of the task."""
        ...


class Native:
    """rbmx."""

    def __init__(self, task: UpDownTask, stack: Directions, k: int, seed: int) -> None:
        self.task, self.stack, self.k, self.key = task, stack, k, Key(seed)
        self.state = UpDownState(self.stack.zeros())
        self.rows = PackedBits.pack(np.hstack([task.bits, task.one_hot()]))

    def train(self, rows: int, batch_size: int) -> None:
        """One call."""
        batches = Batches(np.arange(rows), batch_size, self.k, self.task.update, self.key, 0)
        train_directions(self.stack, self.rows, batches, self.state)


class Torch:
    """bench/peers/torch_up_down.py."""

    def __init__(self, task: UpDownTask, stack: Directions, k: int, seed: int) -> None:
        import torch

        self.k, self.stack = k, stack
        self.loop = load_peer(UP_DOWN_PEER).TorchUpDown(stack, task.update, threads=task.threads, seed=seed)
        self.rows, self.labels = torch.from_numpy(task.bits).float(), torch.from_numpy(task.one_hot()).float()

    def train(self, rows: int, batch_size: int) -> None:
        """Minibatch after minibatch."""
        for start in range(0, rows, batch_size):
            chosen = slice(start, min(start + batch_size, rows))
            self.loop.minibatch(self.rows[chosen], self.labels[chosen], self.k)


CONTESTANTS: dict[str, Callable[[UpDownTask, Directions, int, int], Loop]] = {"rbmx": Native, "torch": Torch}
_loop: Loop | None = None  # the one that lives in a contestant's process


def _build(name: str, task: UpDownTask, k: int) -> None:
    global _loop
    _loop = CONTESTANTS[name](task, task.start(), k, 1)


def _train(rows: int, batch_size: int) -> float:
    assert _loop is not None
    started = time.perf_counter()
    _loop.train(rows, batch_size)
    return time.perf_counter() - started


def _change(name: str, task: UpDownTask, k: int, seed: int) -> list[npt.NDArray[np.float32]]:
    """What one minibatch of all rows does to the weights of each way and of the top.

    The ways up and the top are halved first, so that no way expects what the other one draws.
    """
    stack = task.start()
    for layer in (*stack.recognition, stack.top):
        layer.weight[...] /= 2
    before = [layer.weight.copy() for layer in stack.layers]
    CONTESTANTS[name](task, stack, k, seed).train(len(task.bits), len(task.bits))
    return [layer.weight - weight for layer, weight in zip(stack.layers, before, strict=True)]


def check(
    ours: list[npt.NDArray[np.float32]], again: list[npt.NDArray[np.float32]], theirs: list[npt.NDArray[np.float32]]
) -> None:
    """WrongAnswerError where torch's change of a layer is a quarter further from ours than ours by another seed.

    The distance of two seeds is a sum over 200,000 weights or more, and hardly varies; at 0.9 it would hide all else.
    """
    for i, (one, other, peer) in enumerate(zip(ours, again, theirs, strict=True)):
        size = np.linalg.norm(one)
        noise, distance = np.linalg.norm(other - one) / size, np.linalg.norm(peer - one) / size
        if noise > 0.9 or not distance <= 1.25 * noise:
            raise WrongAnswerError(
                f"layer {i}: torch's update is {distance:.3f} away, relative to its size; another seed's is {noise:.3f}"
            )
    print("  updates agree within their noise", file=sys.stderr)


def run_up_down(task: UpDownTask, *, ks: tuple[int, ...] = (1, 3, 10), rounds: int = 7, rows: int = 6_000) -> Report:
    """Check and time minibatches with chains of k steps; prints a line for each k."""
    rows = min(rows, len(task.bits))
    report = Report("up-down", {"rows": rows, "rounds": rounds, "k": list(ks)}, facts(threads=task.threads))
    print(report.origin(), "\n")
    lines = []
    for k in ks:
        with ExitStack() as stack:
            running = {name: stack.enter_context(process(task.threads)) for name in CONTESTANTS}
            ours, again = (running["rbmx"].submit(_change, "rbmx", task, k, seed).result() for seed in (1, 2))
            check(ours, again, running["torch"].submit(_change, "torch", task, k, 1).result())
            for name, executor in running.items():
                executor.submit(_build, name, task, k).result()
            turns = {
                name: partial(lambda executor: executor.submit(_train, rows, task.batch_size).result(), executor)
                for name, executor in running.items()
            }
            timings = interleave(turns, rounds=rounds, settle=SETTLE)
        rates = {name: timing.rates(rows) for name, timing in timings.items()}
        ratio = rates["rbmx"][0] / rates["torch"][0]
        lines.append([str(k), *(f"{rates[name][0]:,.0f}" for name in CONTESTANTS), f"{ratio:.1f}x"])
        report.rows += [
            {"k": k, "name": name, "rows_per_second": rates[name][0], **timings[name].to_json()} for name in rates
        ]
    print(table(["k; rows/s", *CONTESTANTS, "over torch"], lines), flush=True)
    return report
