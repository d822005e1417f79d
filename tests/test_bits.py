from __future__ import annotations

import numpy as np
import pytest

from rbmx.bits import PackedBits

SIZES = [1, 3, 63, 64, 65, 130]


@pytest.mark.parametrize("n_units", SIZES)
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32, np.float64])
def test_unpack_gives_back_what_was_packed(n_units: int, dtype: type) -> None:
    bits = np.random.default_rng(n_units).integers(0, 2, (7, n_units))
    packed = PackedBits.pack(bits.astype(dtype))
    assert packed.words.shape == (7, -(-n_units // 64))
    assert packed.words.flags.c_contiguous
    np.testing.assert_array_equal(packed.unpack(), bits)


def test_unit_i_is_bit_i_of_the_row() -> None:
    values = np.zeros((1, 130), np.uint8)
    values[0, [0, 63, 64, 129]] = 1
    assert PackedBits.pack(values).words.tolist() == [[1 | 1 << 63, 1, 2]]


def test_strided_and_empty_input_packs() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (10, 140)).astype(np.uint8)
    np.testing.assert_array_equal(PackedBits.pack(bits[::2, ::-2]).unpack(), bits[::2, ::-2])
    assert len(PackedBits.pack(np.zeros((0, 5)))) == 0


def test_rows_are_chosen_by_slice_by_index_and_by_mask() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (9, 70)).astype(np.uint8)
    packed = PackedBits.pack(bits)
    np.testing.assert_array_equal(packed[2:5].unpack(), bits[2:5])
    np.testing.assert_array_equal(packed[np.array([8, 0, 0])].unpack(), bits[[8, 0, 0]])
    mask = bits[:, 0] == 1
    np.testing.assert_array_equal(packed[mask].unpack(), bits[mask])
    assert np.shares_memory(packed[2:5].words, packed.words)


def test_concatenate_joins_rows_in_order() -> None:
    bits = np.random.default_rng(2).integers(0, 2, (9, 70)).astype(np.uint8)
    packed = PackedBits.pack(bits)
    np.testing.assert_array_equal(PackedBits.concatenate([packed[:4], packed[4:]]).unpack(), bits)
    with pytest.raises(ValueError, match="one number of units"):
        PackedBits.concatenate([packed, PackedBits.pack(bits[:, :3])])


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_pack_refuses_what_is_no_bit(value: float) -> None:
    with pytest.raises(ValueError, match="only 0 and 1"):
        PackedBits.pack(np.array([[0.0, value]]))


def test_words_must_have_the_right_dtype_width_and_an_empty_tail() -> None:
    with pytest.raises(ValueError, match="words: expected uint64"):
        PackedBits(np.zeros((2, 1), np.int64), 3)
    with pytest.raises(ValueError, match="words: expected uint64"):
        PackedBits(np.zeros((2, 1), np.uint64), 65)
    with pytest.raises(ValueError, match="zeros behind the 3 units"):
        PackedBits(np.full((2, 1), 8, np.uint64), 3)
    with pytest.raises(ValueError, match="n_units"):
        PackedBits(np.zeros((2, 0), np.uint64), 0)
