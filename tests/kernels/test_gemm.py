"""The canonical product: one chain of fused multiply-adds per output, the same bytes everywhere."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from rbmx import _core

SIZES = [1, 3, 63, 64, 65, 130]


def operands(m: int, n: int, k: int) -> tuple[Any, Any]:
    rng = np.random.default_rng([m, n, k])
    return rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)


@pytest.mark.parametrize(("m", "n"), [*itertools.product(SIZES, SIZES)])
def test_gemm_gives_the_bytes_of_ref_on_every_instruction_set(m: int, n: int, each_setting: Any) -> None:
    for k in (1, 64, 65):
        a, b = operands(m, n, k)
        expected = _core.gemm(a, b, reference=True)
        for setting in each_setting((1, 3)):
            assert _core.gemm(a, b).tobytes() == expected.tobytes(), (setting, k)


def test_gemm_of_a_training_step_gives_the_bytes_of_ref(each_setting: Any) -> None:
    a, b = operands(20, 500, 784)
    expected = _core.gemm(a, b, reference=True)
    # one rounding for each of 784 terms of size about 1: 784 * 2^-24 * 3 at most, less in practice
    np.testing.assert_allclose(expected, a.astype(np.float64) @ b, atol=2e-4)
    for setting in each_setting():
        assert _core.gemm(a, b).tobytes() == expected.tobytes(), setting


@pytest.mark.parametrize("turn_a", [False, True])
@pytest.mark.parametrize("turn_b", [False, True])
def test_products_of_more_than_one_block_give_the_same_bytes(turn_a: bool, turn_b: bool, each_setting: Any) -> None:
    a, b = operands(151, 520, 513)  # blocks are at most 144 rows, 512 columns, 256 terms
    expected = _core.gemm(a, b, reference=True)
    x, y = (np.asfortranarray(v) if turn else v for v, turn in ((a, turn_a), (b, turn_b)))
    for setting in each_setting((1, 3)):
        assert _core.gemm(x, y).tobytes() == expected.tobytes(), setting


@pytest.mark.parametrize("turn_a", [False, True])
@pytest.mark.parametrize("turn_b", [False, True])
def test_transposed_and_strided_operands_give_the_same_bytes(turn_a: bool, turn_b: bool, each_setting: Any) -> None:
    a, b = operands(33, 47, 21)
    expected = _core.gemm(a, b, reference=True)
    x = np.asfortranarray(a) if turn_a else np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3]
    y = np.asfortranarray(b) if turn_b else b[::-1].copy()[::-1]
    for setting in each_setting((1, 3)):
        assert _core.gemm(x, y).tobytes() == expected.tobytes(), setting
        assert _core.gemm(x, y, reference=True).tobytes() == expected.tobytes()


def test_each_output_is_one_chain_of_fused_multiply_adds() -> None:
    """2^12 + 1 squared has 25 bits: a product rounded before it is added would lose the last one."""
    a = np.array([[4097.0, -1.0]], np.float32)
    b = np.array([[4097.0], [4097.0**2 - 1]], np.float32)
    first = np.float32(4097.0**2)
    assert float(first) != 4097.0**2  # rounding to float32 happens after the first term here
    assert _core.gemm(a, b)[0, 0] == np.float32(float(first) - float(b[1, 0]))
    a, b = a[:, ::-1].copy(), b[::-1].copy()
    exact = 4097.0**2 - float(b[0, 0])
    assert _core.gemm(a, b)[0, 0] == exact
    assert np.float32(first) - b[0, 0] != exact  # what separate rounding would give


def test_no_terms_and_no_rows_give_zeros_and_nothing() -> None:
    assert _core.gemm(np.zeros((0, 3), np.float32), np.zeros((3, 4), np.float32)).shape == (0, 4)
    np.testing.assert_array_equal(
        _core.gemm(np.zeros((2, 0), np.float32), np.zeros((0, 4), np.float32)), np.zeros((2, 4))
    )


def test_other_dtypes_are_refused_rather_than_copied() -> None:
    with pytest.raises((TypeError, ValueError), match=r"a, b|incompatible|float32"):
        _core.gemm(np.ones((2, 2)), np.ones((2, 2)))


def test_strides_that_are_no_whole_number_of_floats_are_refused_or_read_right() -> None:
    packed = np.zeros(6, dtype=[("tag", "u1"), ("value", "f4")])
    packed["value"] = np.arange(6)
    a = packed["value"].reshape(2, 3)
    try:
        found = _core.gemm(a, np.eye(3, dtype=np.float32))
    except ValueError as error:
        assert "a" in str(error)
    else:
        np.testing.assert_array_equal(found, np.arange(6).reshape(2, 3))


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2,), (2, 2)), ((2, 2), (2, 2, 2))])
def test_shapes_that_do_not_fit_are_named(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError, match=r"(a, b|a|b): expected"):
        _core.gemm(a, b)
