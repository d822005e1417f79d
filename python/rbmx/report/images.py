"""Rows of units as pictures: tiles in a mosaic, ink or diverging colours, PNG."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.image import imsave
from numpy.typing import NDArray

__all__ = ["data_uri", "diverging", "ink", "mosaic", "save_tiles", "stacked", "visible_shape"]

Pixels = NDArray[np.uint8]

GAP = 1  # transparent pixels between tiles
MAGNIFY_BELOW = 700  # narrower mosaics are enlarged, so that screens do not blur their pixels
RIBBON = 40  # a row that is no image is drawn as a ribbon, that many times as wide as high


def visible_shape(n_visible: int, given: tuple[int, int] | None = None) -> tuple[int, int]:
    """(height, width) of a visible row: as given, a square where it is one, else one long row."""
    if given is not None:
        if given[0] * given[1] != n_visible:
            raise ValueError(
                f"shape: {given[0]}x{given[1]} has {given[0] * given[1]} pixels, "
                f"expected {n_visible}, one for each visible unit"
            )
        return given
    side = math.isqrt(n_visible)
    return (side, side) if side * side == n_visible else (1, n_visible)


def ink(values: NDArray[Any]) -> Pixels:
    """Probabilities as ink on paper: 0 white, 1 black; RGBA, one axis more."""
    paper = np.rint(255 * (1 - np.clip(values.astype(np.float64), 0, 1))).astype(np.uint8)
    alpha = np.full_like(paper, 255)
    return np.stack([paper, paper, paper, alpha], axis=-1)


def diverging(values: NDArray[Any], limit: float) -> Pixels:
    """Signed values as blue (negative) over white (0) to red (positive), saturated at +-limit."""
    unit = np.clip(0.5 + values.astype(np.float64) / (2 * limit), 0, 1)
    return np.asarray(colormaps["RdBu_r"](unit, bytes=True), np.uint8)


def mosaic(tiles: Pixels, shape: tuple[int, int], columns: int, *, magnify: bool = True) -> Pixels:
    """Tiles (n, n_visible, 4) in reading order as one RGBA picture with clear gaps between them."""
    height, width = shape
    if height == 1:
        height = -(-width // RIBBON)
        tiles = np.repeat(tiles[:, None], height, axis=1)
    tiles = tiles.reshape(-1, height, width, 4)
    columns = min(columns, tiles.shape[0])
    rows = -(-tiles.shape[0] // columns)
    sheet = np.zeros((rows * columns, height + GAP, width + GAP, 4), np.uint8)
    sheet[: tiles.shape[0], :height, :width] = tiles
    grid = sheet.reshape(rows, columns, height + GAP, width + GAP, 4).swapaxes(1, 2)
    whole = grid.reshape(rows * (height + GAP), columns * (width + GAP), 4)[:-GAP, :-GAP]
    factor = max(1, min(4, MAGNIFY_BELOW // whole.shape[1])) if magnify else 1
    return np.ascontiguousarray(whole.repeat(factor, axis=0).repeat(factor, axis=1))


def stacked(frames: Sequence[Pixels]) -> tuple[Pixels, int]:
    """Frames of one size below each other with a gap behind each, and the height of one."""
    padded = [np.pad(frame, ((0, GAP), (0, 0), (0, 0))) for frame in frames]
    return np.concatenate(padded), padded[0].shape[0]


def png(pixels: Pixels) -> bytes:
    """The RGBA picture as PNG; the same pixels give the same bytes."""
    stream = io.BytesIO()
    imsave(stream, pixels, format="png", metadata={"Software": "rbmx"})
    return stream.getvalue()


def data_uri(pixels: Pixels) -> str:
    """The RGBA picture as a data: address that a page carries in itself."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode("ascii")


def columns_for(n_tiles: int, shape: tuple[int, int]) -> int:
    """Columns that make a mosaic a little wider than high; ribbons stand one below the other."""
    height, width = shape
    if height == 1:
        return 1 if width > 64 else max(1, min(8, 256 // width))
    target = max(1, min(n_tiles, round(math.sqrt(1.4 * n_tiles * height / width))))
    near = range(target - target // 4, target + target // 4 + 1)
    full = [columns for columns in near if n_tiles % columns == 0]
    return min(full, key=lambda columns: abs(columns - target)) if full else target


def save_tiles(path: str | os.PathLike[str], values: NDArray[Any], *, shape: tuple[int, int] | None = None) -> None:
    """Rows of bits or probabilities (rows, n_visible) as one PNG picture, a tile a row."""
    shape = visible_shape(values.shape[1], shape)
    picture = mosaic(ink(values), shape, columns_for(values.shape[0], shape))
    with open(path, "wb") as stream:
        stream.write(png(picture))
