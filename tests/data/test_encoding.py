from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rbmx.data import Block, Encoding, PackedBits
from rbmx.errors import DataError


def encode(encoding: Encoding, values: Any, first_row: int = 0, **options: Any) -> Any:
    return encoding.encode(Block(first_row, np.asarray(values)), "x", **options)


DTYPES = [np.uint8, np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threshold", [-1e9, -1, -0.5, 0, 0.5, 99, 100, 127, 127.5, 1e9, 1e300])
def test_threshold_is_a_strict_comparison_of_raw_values(dtype: type, threshold: float) -> None:
    values: Any = np.arange(0, 128).reshape(8, 16).astype(dtype)
    bits = encode(Encoding(binarize=threshold), values).unpack()
    np.testing.assert_array_equal(bits, values.astype(np.float64) > threshold)


def test_threshold_of_booleans_and_of_the_last_byte_value() -> None:
    assert encode(Encoding(binarize=0), [[True, False]]).unpack().tolist() == [[1, 0]]
    values = np.array([[254, 255]], np.uint8)
    assert encode(Encoding(binarize=254), values).unpack().tolist() == [[0, 1]]
    assert encode(Encoding(binarize=255), values).unpack().tolist() == [[0, 0]]


def test_a_float32_value_written_as_the_threshold_is_not_above_it() -> None:
    assert encode(Encoding(binarize=0.1), np.array([[0.1]], np.float32)).unpack().tolist() == [[0]]


@given(st.lists(st.integers(0, 255), min_size=1, max_size=200))
def test_scaled_values_are_real_and_end_at_one(values: list[int]) -> None:
    rows = np.array([values], np.uint8)
    real = encode(Encoding(scale=255), rows)
    assert real.dtype == np.float32
    np.testing.assert_array_equal(real, (rows.astype(np.float32) / np.float32(255)))
    assert real.max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_values_of_only_0_and_1_become_bits_without_a_scale(dtype: type) -> None:
    values: Any = np.array([[0, 1, 1]], dtype)
    assert isinstance(encode(Encoding(), values), PackedBits)
    assert encode(Encoding(scale=1), values).dtype == np.float32


def test_a_float32_block_that_needs_no_change_is_not_copied() -> None:
    values = np.array([[0.25, 1.0]], np.float32)
    assert encode(Encoding(), values) is values


def test_samples_are_bernoulli_draws_that_belong_to_row_and_unit() -> None:
    values = np.tile(np.array([0, 51, 128, 255], np.uint8), (4000, 1))
    encoding = Encoding(binarize="sample", scale=255, seed=3)
    whole = encode(encoding, values, 1000).unpack()
    np.testing.assert_array_equal(encode(encoding, values, 1000).unpack(), whole)
    for start, stop in ((0, 1), (1, 700), (700, 4000)):
        part = encode(encoding, values[start:stop], 1000 + start).unpack()
        np.testing.assert_array_equal(part, whole[start:stop])
    # 0.035 is over four standard deviations of the mean of 4000 draws
    np.testing.assert_allclose(whole.mean(axis=0), [0, 0.2, 128 / 255, 1], atol=0.035)
    assert whole[:, 0].max() == 0
    assert whole[:, 3].min() == 1
    other = encode(Encoding(binarize="sample", scale=255, seed=4), values, 1000).unpack()
    assert (other != whole).any()


@pytest.mark.parametrize("encoding", [Encoding(), Encoding(scale=1), Encoding(binarize="sample")])
@pytest.mark.parametrize("value", [1.5, -0.25, 127.0])
def test_a_value_out_of_range_is_named_with_the_remedy(encoding: Encoding, value: float) -> None:
    values = np.zeros((5, 3))
    values[3, 2] = value
    with pytest.raises(DataError) as caught:
        encode(encoding, values, 100)
    message = str(caught.value)
    assert message.startswith(f"x: row 103, column 2 (counted from 0): value {value} lies outside")
    assert "--scale and --binarize (scale=, binarize=)" in message


@pytest.mark.parametrize(
    "encoding",
    [Encoding(), Encoding(scale=9), Encoding(binarize=0.5), Encoding(binarize="sample")],
)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named(encoding: Encoding, value: float) -> None:
    values = np.zeros((5, 3), np.float32)
    values[1, 0] = value
    with pytest.raises(DataError, match=r"x: row 1, column 0 .*: value -?(nan|inf) is not a finite"):
        encode(encoding, values)


def test_a_real_value_that_float32_cannot_hold_is_named() -> None:
    values = np.full((3, 2), 1e30)
    assert np.isfinite(Encoding(unbounded=True).encode(Block(0, values))).all()
    values[1, 1] = -1e300
    with pytest.raises(DataError, match=r"row 11, column 1 .*: value -1e\+300 is not a finite float32"):
        Encoding(unbounded=True).encode(Block(10, values))


def test_grey_levels_without_an_encoding_are_refused() -> None:
    with pytest.raises(DataError, match=r"row 0, column 1 .*: value 255 lies outside \[0, 1\]"):
        encode(Encoding(), np.array([[0, 255]], np.uint8))


def test_a_real_value_among_bits_is_refused_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"value 0.5 is neither 0 nor 1 .* --scale 1 \(scale=1\)"):
        encode(Encoding(), np.array([[0, 0.5]]), kind="bits")


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding(),
        Encoding(binarize=127),
        Encoding(binarize="sample", scale=255, seed=7),
        Encoding(scale=255),
    ],
)
def test_json_gives_back_the_same_encoding(encoding: Encoding) -> None:
    assert Encoding.from_json(encoding.to_json()) == encoding


def test_the_seed_counts_only_where_something_is_drawn() -> None:
    assert Encoding(binarize=127, seed=1) == Encoding(binarize=127, seed=2)
    assert Encoding(binarize="sample", seed=1) != Encoding(binarize="sample", seed=2)


def test_an_encoding_describes_itself() -> None:
    assert Encoding(binarize=127).describe() == "binarised at value > 127"
    assert Encoding(scale=255).describe() == "real values, value / 255"
    assert Encoding().describe() == "values as they are"
    sampled = Encoding(binarize="sample", scale=255, seed=2).describe()
    assert sampled == "sampled with probability value / 255, seed 2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"binarize": "round"}, "binarize: expected a finite number"),
        ({"binarize": True}, "binarize: expected a finite number"),
        ({"binarize": np.nan}, "binarize: expected a finite number"),
        ({"scale": 0}, "scale: expected a finite number above 0"),
        ({"scale": -1.0}, "scale: expected a finite number above 0"),
        ({"scale": np.inf}, "scale: expected a finite number above 0"),
        ({"scale": "255"}, "scale: expected a finite number above 0"),
        ({"scale": 255, "binarize": 0.5}, "scale=255 would not be used"),
        ({"seed": 1.5}, "seed: expected an int"),
        ({"seed": -1, "binarize": "sample"}, "seed: expected an integer from 0"),
    ],
)
def test_bad_settings_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Encoding(**options)


def test_packed_bits_pass_through_and_take_no_encoding() -> None:
    bits = PackedBits.pack(np.array([[0, 1]]))
    assert Encoding().encode(Block(0, bits)) is bits
    with pytest.raises(ValueError, match="packed bits take neither"):
        Encoding(binarize=0.5).encode(Block(0, bits))


def test_foreign_json_is_refused() -> None:
    for text in ("[]", '{"gamma": 2}'):
        with pytest.raises(ValueError, match="encoding"):
            Encoding.from_json(text)
