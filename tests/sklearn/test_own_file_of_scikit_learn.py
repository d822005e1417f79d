"""scikit-learn's own tests of its BernoulliRBM, as installed, run against ours by replacing the import."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

IMPORT = "from sklearn.neural_network import BernoulliRBM"
# pins the draws of another generator: weights to four digits, and gibbs(X) equal to X by a lucky seed. What it is
# after is tested in test_bernoulli.py (test_gibbs_returns_what_was_learned, test_sparse_and_dense_learn_the_same).
PINNED = "test_fit_gibbs"


def installed_tests() -> str:
    spec = find_spec("sklearn.neural_network")
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / "tests" / "test_rbm.py").read_text()


def test_all_pass_but_the_one_that_pins_another_generators_draws(tmp_path: Path) -> None:
    source = installed_tests()
    assert source.count(IMPORT) == 1
    (tmp_path / "test_rbm.py").write_text(source.replace(IMPORT, "from rbmx.sklearn import BernoulliRBM"))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    thread_unsafe\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"not {PINNED}", "test_rbm.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 20, done.stdout
    assert not re.search(r"skipped|xfailed|warning", done.stdout), done.stdout
