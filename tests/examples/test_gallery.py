"""Every script of the gallery prints what its page says: the words, and each decimal number within a share of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rbmx

for package in ("torch", "sklearn", "pandas", "mrjob"):
    pytest.importorskip(package)

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
NUMBER, DECIMAL = re.compile(r"-?\d+(?:\.\d+)?"), re.compile(r"-?\d+\.\d+")
# BLAS sums in an order of the machine's own, so training by backprop ends elsewhere: within this share of each number.
# Machines of bits give the same bytes everywhere, but what is read off them by BLAS does not.
SHARE = 0.1


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_its_page_says(name: str, tmp_path: Path) -> None:
    words = []
    if name == "paper_script":
        for part, rows in (("train", 3000), ("test", 1000)):
            images, labels = rbmx.data.mnist(part)
            np.savetxt(tmp_path / f"{part}.csv", np.c_[labels, images][:rows], fmt="%d", delimiter=",")
        words = ["train.csv"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    expected = (EXAMPLES / "expected" / f"{name}.txt").read_text()
    assert NUMBER.sub("#", done.stdout) == NUMBER.sub("#", expected)
    found, wanted = ([float(number) for number in DECIMAL.findall(text)] for text in (done.stdout, expected))
    np.testing.assert_allclose(found, wanted, rtol=SHARE)


def test_every_script_stands_in_the_gallery() -> None:
    page = (EXAMPLES.parent / "docs" / "gallery.md").read_text()
    for name in SCRIPTS:
        assert f"../examples/{name}.py" in page
        assert f"../examples/expected/{name}.txt" in page
