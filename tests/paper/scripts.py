"""The scripts of the paper as they are printed, and a way to run them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import rbmx

FIGURE_5 = """\
if __name__ == '__main__':
    newnet=rbm(0.015, 0.8, 64)
    MRDL.newnet=newnet
    net=newnet.create_net(layer_count=4, node_seq=[784,500,100,101])
    MRDL.net=net
    MRDL.run()
    iter1=newnet.combine_weights(MRDL.weights)
    net=newnet.create_net(layer_count=4, node_seq=[784,500,100,101])
    newnet.set_w(iter1, net)
    testdata=newnet.load_data(data_path='test.csv')
    newnet.test(loaded_data=testdata, nNet=net)
"""
FIGURE_4 = textwrap.dedent(FIGURE_5.partition("\n")[2])
IMPORT = "from rbmx.paper import rbm, MRDL\n"


@dataclass(frozen=True)
class Outcome:
    """What a script said, and the weights that it kept."""

    status: int
    out: str
    err: str
    weights: bytes


def for_nodes(script: str, *node_seq: int) -> str:
    """The script for a net of other levels."""
    return script.replace("[784,500,100,101]", str(list(node_seq)).replace(" ", ""))


def run(folder: Path, script: str, *words: str, timeout: float = 300, **environment: str) -> Outcome:
    """Run a script by name in the folder of its data; its weights are kept for the comparison."""
    indent = "    " if "__main__" in script else ""
    keep = "import rbmx.tensors, safetensors.numpy; safetensors.numpy.save_file(iter1.arrays, 'weights')"
    path, kept = folder / f"script_{abs(hash((script, words)))}.py", folder / "weights"
    path.write_text(f"{IMPORT}{script}{indent}{keep}\n")
    kept.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, path.name, *words],
        cwd=folder,
        env=os.environ | {"RBMX_NUM_THREADS": "1"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr, _content(kept))


def digits(path: Path, split: str, rows: int | None = None) -> None:
    """MNIST as the paper has it: the label, then 784 grey levels."""
    images, labels = rbmx.data.mnist(split)
    with open(path, "w", newline="") as stream:
        csv.writer(stream).writerows(np.column_stack([labels, images])[:rows].tolist())


def _content(kept: Path) -> bytes:
    """The arrays in a file, in the order of their names: the file itself has them in any order."""
    import safetensors.numpy

    if not kept.exists():
        return b""
    arrays = safetensors.numpy.load_file(kept)
    return b"".join(arrays[name].tobytes() for name in sorted(arrays))
