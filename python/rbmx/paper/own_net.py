"""Nets of the user's own in tasks: their class is read from the file it stands in, and trained by torch."""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rbmx.backends.native import permutation
from rbmx.errors import DivergedError, JobError
from rbmx.jobs.stack_work import Notice
from rbmx.rng import Key
from rbmx.tensors import Tensors

if TYPE_CHECKING:
    from rbmx.paper.nnc import Net
    from rbmx.paper.split_work import SplitTask

__all__ = ["OWN_MODULE", "file_of", "tune_own_net"]

OWN_MODULE = "rbmx_own_net"  # the name under which a task imports the user's file


def file_of(kind: type) -> str:
    """The file of a class of nets, which ships with the job.

    Raises:
        JobError: it has none, as in an interactive session.
    """
    try:
        return str(Path(inspect.getfile(kind)).resolve())
    except (OSError, TypeError):
        raise JobError(f"net: {kind.__name__} stands in no file that tasks could read; put it in a module") from None


def tune_own_net(task: SplitTask, arrays: Tensors, key: Key, own_file: str | None) -> Tensors:
    """The whole net by torch.optim.SGD on its own forward, which gives log-probabilities.

    What torch draws meanwhile (dropout) comes from `key`, so a task that runs again gives the same weights.

    Raises:
        DivergedError: the loss of an epoch is not finite; names the split.
        JobError: this node has no torch, or the class cannot be read or built from its node_seq.
    """
    name = task.job.settings.own_class or ""
    _require_torch(name)
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key.seed)
        net = _built(name, task.job.settings.node_seq, own_file)
        _tune(net, task, arrays, key)
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


def _tune(net: Net, task: SplitTask, arrays: Tensors, key: Key) -> None:
    import torch

    settings = task.job.settings
    named = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    net.load_state_dict(named)
    optimizer = torch.optim.SGD(net.parameters(), lr=settings.learn_rate, momentum=settings.momentum)
    notice = Notice(task.watch, task.where, settings.tuning_epochs)
    notice.on_train_start(net)
    rows, targets = torch.from_numpy(task.values), torch.from_numpy(task.labels)
    for epoch in range(settings.tuning_epochs):
        order, total = permutation(len(rows), key.fold_in(epoch)), 0.0
        for start in range(0, len(order), settings.batch_size):
            chosen = torch.from_numpy(order[start : start + settings.batch_size])
            optimizer.zero_grad()
            loss = torch.nn.functional.nll_loss(net(rows[chosen]), targets[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(chosen)
        if not math.isfinite(total):
            raise DivergedError(
                f"{task.where}: the net: loss {total / len(order)} in epoch {epoch + 1} at learning rate "
                f"{settings.learn_rate:g}; lower it"
            )
        notice.on_epoch_end(net, None)


def _require_torch(name: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise JobError(
            f"net: {name} is a class of its own, whose forward needs torch, and this node ({sys.executable}) has none "
            f"({error}): pip install torch there, or name a Python that has it by --python-bin"
        ) from None


def _built(name: str, node_seq: tuple[int, ...], own_file: str | None) -> Net:
    if own_file is None:
        raise JobError(f"net: the file of {name} did not come with the job")
    spec = importlib.util.spec_from_file_location(OWN_MODULE, own_file)
    if spec is None or spec.loader is None:
        raise JobError(f"net: {own_file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[OWN_MODULE] = module
    try:
        spec.loader.exec_module(module)
        kind: Any = getattr(module, name)
        net: Net = kind(node_seq)
    except JobError:
        raise
    except Exception as error:
        raise JobError(f"net: {name} of {own_file} cannot be built in a task: {error!r}") from error
    finally:
        del sys.modules[OWN_MODULE]
    return net
