"""Sheets of pictures whose columns have names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mezzotint.core.errors import DataError
from mezzotint.data.output import grid

_SMALLEST, _LARGEST = 10, 20
"""Sizes of letters in pixels."""
_AIR = 8
"""Pixels between two names."""
_UNKNOWN = "\U0010ffff"
"""A character that no font has."""


def headed(pictures: NDArray[np.uint8], names: Sequence[str], across: int = 1) -> NDArray[np.uint8]:
    """Pictures side by side, as many in a row as there are names, with each column's name above it.

    Letters are as large as the longest name allows. A name that is too long for small ones too is cut, and one in
    letters that the font has not becomes the number of its column.

    Args:
        pictures: [N, H, W, C] uint8, row by row.
        names: of the columns.
        across: so many rows stand beside each other, at most.

    Returns:
        [H', W', C] uint8.

    Raises:
        DataError: there is no picture or no name, or some row is not whole.

    Example:
        >>> headed(np.zeros((6, 8, 8, 1), np.uint8), ("before", "day", "night")).shape
        (548, 776, 1)
    """
    if not len(names) or not len(pictures) or len(pictures) % len(names):
        raise DataError(f"{len(pictures):,} pictures are no whole rows of {len(names)} columns; give whole rows.")
    rows = len(pictures) // len(names)
    across = min(across, rows)
    columns = len(names) * across
    blank = np.full_like(pictures[:1], 255).repeat((-rows % across) * len(names), 0)
    sheet = grid(np.concatenate((pictures, blank)), columns)
    wide = (sheet.shape[1] - 2) / columns
    size, font = _letters(names, wide - _AIR)
    strip = Image.new("L", (sheet.shape[1], size + size // 2), 255)
    pen = ImageDraw.Draw(strip)
    for column in range(columns):
        text = _fitting(_drawable(names, column % len(names), font), wide - _AIR, font)
        pen.text((1 + (column + 0.5) * wide, strip.height - size // 4), text, fill=0, font=font, anchor="ms")
    above: NDArray[Any] = np.asarray(strip)[..., None].repeat(sheet.shape[2], 2)
    if sheet.shape[2] in (2, 4):
        above[..., -1] = 255
    return np.concatenate((above, sheet))


def _letters(names: Sequence[str], width: float) -> tuple[int, Any]:
    """The largest letters in which every name fits, or else the smallest ones: their size and the font."""
    for size in range(_LARGEST, _SMALLEST, -1):
        font = ImageFont.load_default(size=size)
        if all(font.getlength(name) <= width for name in names):
            return size, font
    return _SMALLEST, ImageFont.load_default(size=_SMALLEST)


def _drawable(names: Sequence[str], number: int, font: Any) -> str:
    unknown = bytes(font.getmask(_UNKNOWN))
    known = all(not letter.strip() or bytes(font.getmask(letter)) != unknown for letter in names[number])
    return names[number] if known else str(number)


def _fitting(text: str, width: float, font: Any) -> str:
    """The text, or as much of its beginning as fits with dots."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..." if text else ""
