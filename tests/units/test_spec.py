"""How layers are named: the grammar, its canonical spelling, and what is said of names that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.units import mixed, unit_type
from rbmx.units.mixed import Mixed

BLOCKS = ["bernoulli", "spin", "gaussian", "gaussian(learned)", "relu", "exponential", "softmax(2)", "softmax(17)"]
DRELU = st.tuples(*[st.floats(0.01, 1e4)] * 2, *[st.floats(-1e5, 1e5)] * 2).map(
    lambda p: f"drelu({','.join(map(repr, p))})"
)


@given(st.lists(st.tuples(st.sampled_from(BLOCKS) | DRELU, st.integers(1, 300)), min_size=1, max_size=5))
def test_blocks_make_a_spec_that_is_read_back(blocks: list[tuple[str, int]]) -> None:
    spec = mixed(blocks)
    unit = unit_type(spec)
    assert isinstance(unit, Mixed) and unit.name == spec
    assert [count for _, count in unit.blocks] == [count for _, count in blocks]
    assert [block.name for block, _ in unit.blocks] == [unit_type(name).name for name, _ in blocks]
    assert unit.width == sum(count * unit_type(name).group for name, count in blocks)
    unit.require_width(unit.width)


@pytest.mark.parametrize(
    ("spec", "canonical", "units"),
    [
        ("gaussian*3 + softmax(4) + softmax(7) + bernoulli*2", None, 16),
        ("gaussian*3+softmax( 4 )*2  +bernoulli", "gaussian*3 + softmax(4)*2 + bernoulli", 12),
        ("gaussian*1 + spin*01", "gaussian + spin", 2),
        ("softmax(5)", None, 15),
        ("gaussian*3", None, 3),
        ("softmax(3)*2", None, 6),
        ("drelu(1.0, 1e+0, 0, -0.5)", "drelu(1,1,0,-0.5)", 7),
        ("drelu(1e+3,1,0,0)*2 + relu", "drelu(1000,1,0,0)*2 + relu", 3),
    ],
)
def test_a_spec_has_one_canonical_spelling(spec: str, canonical: str | None, units: int) -> None:
    found = unit_type(spec, units)
    assert found.name == (canonical or spec)
    assert unit_type(found.name, units).name == found.name


def test_mixed_joins_names_and_counts() -> None:
    assert mixed([("gaussian", 3), ("softmax(4)", 1)]) == "gaussian*3 + softmax(4)"
    assert mixed([("gaussian", 3)]) == "gaussian*3"


@pytest.mark.parametrize(
    ("spec", "units", "message"),
    [
        ("potts", 3, "unit type: expected one of bernoulli, spin, .* got 'potts'"),
        ("", 3, "unit type: expected one of .* got ''"),
        ("gaussian + ", 3, "unit type: expected one of"),
        ("gaussian*-1", 3, "unit type: expected one of"),
        ("gaussian * x", 3, "unit type: expected one of"),
        ("gaussian*0", 3, "gaussian: expected a count of 1 or more, got 0"),
        ("bernoulli(2)", 3, r"expected bernoulli, got bernoulli\(2\)"),
        ("gaussian(fixed)", 3, r"expected gaussian or gaussian\(learned\), got gaussian\(fixed\)"),
        ("softmax", 3, r"expected softmax\(categories\), got softmax\(\)"),
        ("softmax(1)", 3, "softmax: expected 2 categories or more, got 1"),
        ("softmax(2.5)", 3, r"expected softmax\(categories\), got softmax\(2.5\)"),
        ("drelu(1,1)", 3, r"expected drelu\(curvature\+,curvature-,slope\+,slope-\), got drelu\(1,1\)"),
        ("drelu(1,0,0,0)", 3, r"positive curvatures and finite slopes, got drelu\(1,0,0,0\)"),
        ("drelu(1,1,inf,0)", 3, "positive curvatures and finite slopes"),
        ("softmax(4)", 10, r"softmax\(4\): expected a multiple of 4 units, got 10"),
        ("gaussian*3 + softmax(4)", 8, r"the blocks have 3 \+ 4 = 7 units, the layer has 8"),
        ("counts*2 + spin", 3, "counts: stands alone in a layer"),
    ],
)
def test_what_is_no_layer_is_refused(spec: str, units: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unit_type(spec, units)


@pytest.mark.parametrize("blocks", [[], [("gaussian*2", 3)], [("gaussian + spin", 1)]])
def test_mixed_takes_single_blocks(blocks: list[tuple[str, int]]) -> None:
    with pytest.raises(ValueError, match="blocks: expected one or more pairs"):
        mixed(blocks)
