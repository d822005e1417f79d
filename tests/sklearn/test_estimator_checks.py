"""scikit-learn's estimator checks, all of them: none skipped, none marked as expected to fail.

`python -m pytest -s tests/sklearn/test_estimator_checks.py` prints how many each estimator passed.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")  # checks that take a DataFrame

import rbmx.sklearn

# SCIPY_ARRAY_API, without which one check is skipped, counts only before scipy is imported: hence a process
CHECKS = """
import sys, warnings
from collections import Counter
from sklearn.utils.estimator_checks import check_estimator
import rbmx.sklearn

# the checks feed normal numbers to Bernoulli units
warnings.filterwarnings("ignore", "X: values from", UserWarning)
results = check_estimator(getattr(rbmx.sklearn, sys.argv[1])(), on_skip=None, on_fail=None)
for result in results:
    if result["status"] != "passed":
        print(result["check_name"], result["status"], result["exception"])
print(f"{sys.argv[1]}: {len(results)} checks: {dict(Counter(result['status'] for result in results))}")
"""


@pytest.mark.parametrize("estimator", rbmx.sklearn.__all__)
def test_every_check_passes(estimator: str, run_python: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    printed = run_python(CHECKS, estimator, SCIPY_ARRAY_API="1", timeout=120).strip()
    with capsys.disabled():
        print(f"\n{printed}")
    words = printed.split()
    assert words[-2:] == ["{'passed':", f"{words[1]}}}"], printed
    assert int(words[1]) > 40
