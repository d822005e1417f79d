"""What is installed is what is in the checkout: `make test-avx512` runs this on a package that is not editable."""

from __future__ import annotations

from pathlib import Path

import rbmx

CHECKOUT = Path(__file__).parents[1] / "python" / "rbmx"
SUFFIXES, NAMES = {".py", ".pyi", ".css"}, {"py.typed"}


def files_of(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in SUFFIXES or path.name in NAMES
    }


def test_every_module_stub_and_style_sheet_is_installed() -> None:
    expected = files_of(CHECKOUT)
    assert {"data/csv.py", "_core.pyi", "py.typed", "report/page.css"} <= expected
    assert expected <= files_of(Path(rbmx.__file__).parent)
