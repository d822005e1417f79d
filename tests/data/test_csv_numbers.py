"""Decimals into float32: the double nearest to the text, rounded once more, whatever path reads it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rbmx.backends.native import parse_csv


def parse(fields: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    values = np.empty((len(fields), 1), np.float32)
    found = parse_csv("".join(field + "\n" for field in fields).encode(), None, values, None)
    assert found[:3] == (len(fields), sum(map(len, fields)) + len(fields), "")
    return values[:, 0]


def assert_right(fields: list[str]) -> None:
    with np.errstate(over="ignore"):
        expected = np.array([np.float32(float(field)) for field in fields])
    np.testing.assert_array_equal(parse(fields).view(np.uint32), expected.view(np.uint32), str(fields))


@st.composite
def near_ties(draw: st.DrawFn) -> str:
    """A number within a few units of its last digit of the middle between two floats: 15 to 20 digits."""
    x = np.float32(draw(st.floats(2.0**-60, 2.0**60, width=32)))
    middle = (Decimal(float(x)) + Decimal(float(np.nextafter(x, np.float32(np.inf))))) / 2
    digits, exponent = f"{middle:.{draw(st.integers(14, 19))}e}".split("e")
    whole = int(digits.replace(".", "")) + draw(st.integers(-3, 3))
    power = int(exponent) - len(digits) + 2
    if power >= 0 or draw(st.booleans()):
        return f"{whole}e{power}"
    return f"{Decimal(whole).scaleb(power):f}"


@settings(max_examples=500)
@given(fields=st.lists(near_ties(), min_size=1, max_size=20))
def test_ties_between_floats_fall_as_the_double_does(fields: list[str]) -> None:
    """Seen to fail where fast_number did not ask whether both ends of its interval round alike."""
    assert_right(fields)


@settings(max_examples=500)
@given(
    number=st.from_regex(r"-?([0-9]{1,21}(\.[0-9]{0,21})?|\.[0-9]{1,21})", fullmatch=True),
    exponent=st.one_of(
        st.just(""), st.integers(-60, 25).map(lambda e: f"e{e}"), st.sampled_from(["E+7", "e-07", "e+000"])
    ),
)
@example(number="9007199254740993", exponent="")  # 2^53 + 1
@example(number="9999999999999999999", exponent="e18")
@example(number="0", exponent="e22")
@example(number="-0.0", exponent="")
@example(number="16777217", exponent="")  # half way between two floats
@example(number="16777217.000000001", exponent="")
@example(number="0.1234567", exponent="")
@example(number="0.12345678", exponent="")
@example(number="0.123456789", exponent="")
def test_any_number_is_pythons(number: str, exponent: str) -> None:
    if abs(float(number + exponent)) < 3.4e38:
        assert_right([number + exponent, "0", number + exponent])


def test_common_formats_of_a_thousand_numbers() -> None:
    x = np.random.default_rng(0).random(1000)
    for form in ("%.1f", "%.3f", "%.6f", "%.7f", "%.8f", "%.9g", "%.15g", "%.17g", "%.18e", "%.8e"):
        assert_right([form % value for value in x])
    assert_right([repr(value) for value in x.tolist()])
