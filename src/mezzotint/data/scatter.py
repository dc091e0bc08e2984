"""Scatter plots of points of the plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mezzotint.core.errors import DataError

_SIDE = 512
_FINE = 2  # drawn so many times larger, so that discs have smooth edges
_REAL, _MADE, _MODE = (205, 205, 205), (200, 40, 90), (90, 130, 200)


def scatter(
    places: NDArray[np.float64],
    real: NDArray[np.float64] | None = None,
    *,
    low: float,
    high: float,
    modes: Sequence[tuple[float, float]] = (),
    sigma: float = 0.0,
) -> NDArray[np.uint8]:
    """Generated points over real ones, with a circle of three sigma around every true mode.

    Args:
        places: [N, 2] generated points (x, y), dark red.
        real: [M, 2] real ones, pale grey.
        low, high: both axes go from one to the other, y upwards; a point beyond lies on the edge.
        modes, sigma: (x, y) of the true modes, and their standard deviation.

    Returns:
        [512, 512, 3] uint8.

    Raises:
        DataError: the points are not [N, 2].

    Example:
        >>> scatter(np.zeros((1, 2)), low=-1, high=1, modes=[(0.0, 0.0)], sigma=0.1).shape
        (512, 512, 3)
    """
    for given in (places, real):
        if given is not None and (given.ndim != 2 or given.shape[1] != 2):
            raise DataError(f"A scatter plot takes points [N, 2]; got {list(given.shape)}.")
    side = _SIDE * _FINE
    image = Image.new("RGB", (side, side), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    if real is not None:
        _discs(draw, _pixels(real, low, high), 1.5, _REAL)
    reach = 3 * sigma / (high - low) * side
    for x, y in _pixels(np.array(modes).reshape(-1, 2), low, high):
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=_MODE, width=_FINE)
    _discs(draw, _pixels(places, low, high), 1.5, _MADE)
    draw.rectangle((0, 0, side - 1, side - 1), outline=_REAL, width=_FINE)
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX)).copy()


def _pixels(places: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Coordinates as pixels of the fine picture, y downwards."""
    share = np.clip((places - low) / (high - low), 0, 1)
    return np.stack([share[:, 0], 1 - share[:, 1]], 1) * (_SIDE * _FINE - 1)


def _discs(draw: ImageDraw.ImageDraw, pixels: NDArray[np.float64], radius: float, colour: tuple[int, int, int]) -> None:
    reach = radius * _FINE
    for x, y in pixels:
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
