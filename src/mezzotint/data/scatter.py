"""What stored pictures look like: side by side, or, where they stand for points of the plane, a scatter plot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mezzotint.core.errors import DataError
from mezzotint.data.output import grid, to_uint8
from mezzotint.data.points import from_levels, values_to_levels
from mezzotint.data.types import Points

SHOWN = 1000
"""Points in a preview: so many that a mode with a fair share of them is seen."""

_SIDE = 512
_FINE = 2  # drawn so many times larger, so that discs have smooth edges
_REAL, _MADE, _MODE = (205, 205, 205), (200, 40, 90), (90, 130, 200)


def stored(values: NDArray[Any], points: Points | None) -> NDArray[Any]:
    """Model values [N, C, H, W] in [-1, 1] as pictures are stored, [N, H, W, C]: bytes, or 16 bits for points.

    Raises:
        DataError: a value is not a finite number.
    """
    return to_uint8(values) if points is None else values_to_levels(values)


def sheet(
    pictures: NDArray[Any],
    points: Points | None,
    columns: int | None = None,
    real: NDArray[Any] | None = None,
) -> NDArray[np.uint8]:
    """Stored pictures to look at: a `grid` of them, or one `scatter` of all if they are points.

    Args:
        pictures: [N, H, W, C] as `stored` gives them.
        points: what their values mean, where they are points.
        columns: of a grid.
        real: further points, drawn pale beneath.

    Returns:
        [H', W', C] uint8.
    """
    if points is None:
        return grid(pictures, columns)
    below = None if real is None else from_levels(real, points)
    return scatter(from_levels(pictures, points), points, below)


def scatter(places: NDArray[np.float64], points: Points, real: NDArray[np.float64] | None = None) -> NDArray[np.uint8]:
    """Generated points over real ones, with a circle of three sigma around every true mode.

    The picture shows the whole range of `points`, y upwards; a point beyond it lies on the edge.

    Args:
        places: [N, 2] generated points (x, y), dark red.
        real: [M, 2] real ones, pale grey.

    Returns:
        [512, 512, 3] uint8.

    Raises:
        DataError: the points are not [N, 2].

    Example:
        >>> scatter(np.zeros((1, 2)), Points(-1.0, 1.0, ((0.0, 0.0),), 0.1)).shape
        (512, 512, 3)
    """
    for given in (places, real):
        if given is not None and (given.ndim != 2 or given.shape[1] != 2):
            raise DataError(f"A scatter plot takes points [N, 2]; got {list(given.shape)}.")
    side = _SIDE * _FINE
    image = Image.new("RGB", (side, side), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    if real is not None:
        _discs(draw, _pixels(real, points), 1.5, _REAL)
    reach = 3 * points.sigma / (points.high - points.low) * side
    for x, y in _pixels(np.array(points.modes).reshape(-1, 2), points):
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=_MODE, width=_FINE)
    _discs(draw, _pixels(places, points), 1.5, _MADE)
    draw.rectangle((0, 0, side - 1, side - 1), outline=_REAL, width=_FINE)
    return np.asarray(image.resize((_SIDE, _SIDE), Image.Resampling.BOX)).copy()


def _pixels(places: NDArray[np.float64], points: Points) -> NDArray[np.float64]:
    """Coordinates as pixels of the fine picture, y downwards."""
    share = np.clip((places - points.low) / (points.high - points.low), 0, 1)
    return np.stack([share[:, 0], 1 - share[:, 1]], 1) * (_SIDE * _FINE - 1)


def _discs(draw: ImageDraw.ImageDraw, pixels: NDArray[np.float64], radius: float, colour: tuple[int, int, int]) -> None:
    reach = radius * _FINE
    for x, y in pixels:
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)
