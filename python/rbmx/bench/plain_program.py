"""The textbook program bench/table1/online_cd.cpp, compiled on the spot and run on one cell at a time."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rbmx.bench.contestant import peers_folder
from rbmx.params import RBMParams

__all__ = ["FLAGS", "PlainProgram", "table1_folder"]

FLAGS = {"O2": ("-O2",), "fast": ("-O3", "-march=native", "-ffast-math")}


def table1_folder() -> Path:
    """The folder bench/table1 of the checkout."""
    return peers_folder() / "table1"


@dataclass(frozen=True)
class PlainProgram:
    """One executable of it."""

    path: Path

    @classmethod
    def compile(cls, flags: tuple[str, ...], folder: Path) -> PlainProgram:
        """Build it in a folder; OSError when there is no compiler or it fails."""
        compiler = shutil.which("g++") or shutil.which("c++")
        if compiler is None:
            raise FileNotFoundError("g++: found no C++ compiler, with which table1 builds the program it compares with")
        path = folder / ("online_cd" + "".join(flags))
        command = [compiler, "-std=c++17", *flags, str(table1_folder() / "online_cd.cpp"), "-o", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(f"{' '.join(command)}: {done.stderr}")
        return cls(path)

    def train(
        self, start: RBMParams, rows: npt.NDArray[np.bool_], *, k: int, learning_rate: float, seed: int
    ) -> tuple[float, RBMParams]:
        """Seconds of one pass over the rows (processor time, by the program), and the parameters after it."""
        n_hidden, n_visible = start.weight.shape
        text = f"{len(rows)} {n_visible} {n_hidden} {k} {learning_rate} {seed}\n"
        text += " ".join(f"{weight:.9g}" for weight in start.weight.ravel()) + "\n"
        text += "\n".join("".join(row) for row in np.where(rows, "1", "0").tolist())
        done = subprocess.run([str(self.path)], input=text, capture_output=True, text=True, check=True)
        milliseconds, *numbers = (float(number) for number in done.stdout.split())
        values = np.array(numbers, np.float32)
        weight, visible_bias, hidden_bias = np.split(values, [n_hidden * n_visible, n_hidden * n_visible + n_visible])
        return milliseconds / 1e3, RBMParams(weight.reshape(n_hidden, n_visible), visible_bias, hidden_bias)
