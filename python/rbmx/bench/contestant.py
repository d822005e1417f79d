"""A contestant in a process of its own, so that its threads never meet those of another library."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import ParamSpec, TypeVar

from rbmx.bench.task import CDTask, Images, Loop
from rbmx.params import RBMParams

__all__ = ["Contestant", "load_loop", "load_peer", "peers_folder", "process", "run_in_process"]

P = ParamSpec("P")
R = TypeVar("R")

_THREAD_SETTINGS = (
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RBMX_NUM_THREADS"
)  # fmt: skip
_loop: Loop | None = None  # the one loop that lives in a contestant's process


def peers_folder() -> Path:
    """The folder bench/ of the checkout, whose package `peers` holds the contestants."""
    for start in (Path(__file__).resolve(), Path.cwd() / "here"):
        for folder in start.parents:
            if (folder / "bench" / "peers" / "numpy_cd.py").is_file():
                return folder / "bench"
    raise FileNotFoundError(
        f"bench/peers: found neither above the package ({Path(__file__).parent}) nor above "
        f"{Path.cwd()}; the contestants are part of the checkout, not of the wheel: "
        "clone the repository and run this inside it"
    )


def load_peer(name: str) -> ModuleType:
    """The module bench/peers/<name>.py."""
    folder = str(peers_folder())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if not Path(folder, "peers", f"{name}.py").is_file():
        known = sorted(path.stem for path in Path(folder, "peers").glob("[!_]*.py"))
        raise ValueError(f"peer: expected one of {', '.join(known)}, got {name!r}")
    return importlib.import_module(f"peers.{name}")


def load_loop(name: str, task: CDTask, images: Images) -> Loop:
    """Import bench/peers/<name>.py and build its loop."""
    build: Callable[[CDTask, Images], Loop] = load_peer(name).build
    return build(task, images)


def _answer(name: str, task: CDTask, images: Images) -> RBMParams | None:
    loop = load_loop(name, task, images)
    loop.train(0, len(images))
    return loop.params()


def _build(name: str, task: CDTask, images: Images) -> tuple[str, bool]:
    global _loop
    _loop = load_loop(name, task, images)
    return _loop.label, _loop.persistent


def _train(first: int, last: int) -> float:
    assert _loop is not None
    start = time.perf_counter()
    _loop.train(first, last)
    return time.perf_counter() - start


def _params() -> RBMParams | None:
    assert _loop is not None
    return _loop.params()


@contextmanager
def process(threads: int) -> Iterator[ProcessPoolExecutor]:
    """One fresh process in which every BLAS and OpenMP starts with this many threads."""
    before = {name: os.environ.get(name) for name in _THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, str(threads)))
    executor = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    try:
        executor.submit(int).result()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        yield executor
    finally:
        executor.shutdown()


def run_in_process(threads: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of a module's function, called in a fresh process with this many threads."""
    with process(threads) as executor:
        return executor.submit(function, *args, **kwargs).result()


class Contestant:
    """A loop of bench/peers in its own process; between its rounds that process sleeps."""

    def __init__(self, name: str, task: CDTask, images: Images) -> None:
        self.name = name
        self._context = process(task.threads)
        self._process = self._context.__enter__()
        try:
            building = self._process.submit(_build, name, task, images)
            self.label, self.persistent = building.result()
        except BaseException:
            self.close()
            raise

    def answer(self, task: CDTask, images: Images) -> RBMParams | None:
        """The weights after one pass over other images with other settings; None for a floor."""
        return self._process.submit(_answer, self.name, task, images).result()

    def train(self, first: int, last: int) -> float:
        """Train on the rows first to last - 1; the seconds it took, measured over there."""
        return self._process.submit(_train, first, last).result()

    def params(self) -> RBMParams | None:
        """The weights it has now; None for a floor."""
        return self._process.submit(_params).result()

    def close(self) -> None:
        """End the process."""
        self._context.__exit__(None, None, None)

    def __enter__(self) -> Contestant:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
