"""Rows as pictures."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from rbmx.report.images import columns_for, diverging, ink, mosaic, save_tiles, stacked, visible_shape


def test_squares_are_found_and_other_widths_are_one_line():
    assert visible_shape(784) == (28, 28)
    assert visible_shape(1) == (1, 1)
    assert visible_shape(12) == (1, 12)
    assert visible_shape(12, (3, 4)) == (3, 4)
    with pytest.raises(ValueError, match="shape: 3x5 has 15 pixels, expected 12"):
        visible_shape(12, (3, 5))


def test_ink_is_black_where_a_unit_is_on():
    assert ink(np.array([0.0, 1.0]))[:, 0].tolist() == [255, 0]


def test_diverging_colours_are_red_above_zero_blue_below_and_saturate():
    low, zero, high, beyond = diverging(np.array([-1.0, 0.0, 1.0, 9.0]), 1.0)
    assert high[0] > high[2] and low[2] > low[0] and min(zero[:3]) > 240
    assert np.array_equal(high, beyond)


def test_a_mosaic_holds_each_tile_at_its_place():
    tiles = ink(np.eye(4))  # four 2x2 tiles, one dark pixel each
    picture = mosaic(tiles, (2, 2), 2, magnify=False)
    assert picture.shape == (5, 5, 4)
    dark = {(y, x) for y, x in np.argwhere((picture[..., 0] == 0) & (picture[..., 3] == 255)).tolist()}
    assert dark == {(0, 0), (0, 4), (4, 0), (4, 4)}
    assert (picture[2, :, 3] == 0).all() and (picture[:, 2, 3] == 0).all()


def test_missing_tiles_of_the_last_line_are_clear():
    picture = mosaic(ink(np.zeros((3, 4))), (2, 2), 2, magnify=False)
    assert (picture[3:, 3:, 3] == 0).all()


def test_frames_stand_below_each_other_at_even_distances():
    frame = mosaic(ink(np.zeros((2, 4))), (2, 2), 2, magnify=False)
    sheet, height = stacked([frame, frame, frame])
    assert sheet.shape[0] == 3 * height


@pytest.mark.parametrize(("n", "shape"), [(1, (28, 28)), (400, (28, 28)), (7, (1, 300)), (13, (1, 5)), (24, (3, 4))])
def test_columns_fit_the_tiles(n, shape):
    assert 1 <= columns_for(n, shape) <= n or shape[0] == 1


@pytest.mark.parametrize("n_visible", [1, 2, 63, 64, 65, 130, 784])
def test_any_width_becomes_a_png(tmp_path, n_visible):
    path = tmp_path / "tiles.png"
    save_tiles(path, np.random.default_rng(0).random((5, n_visible)))
    assert imread(path).ndim == 3
