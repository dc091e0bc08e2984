"""Pictures inside a page: sheets with transparent gaps, encoded small, as data URIs."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data.output import grid, to_pil
from mezzotint.tasks.report._html import Html, tag

Pictures = NDArray[np.uint8]

_SIDE = 128
"""Longest side of a single picture in the page."""
_LOSSLESS = 40_000
"""Bytes up to which a sheet is kept exactly, as PNG."""
_PIXELS_SEEN = 64
"""Pictures below this size are shown with hard pixels, as they are."""


@dataclass(frozen=True)
class Figure:
    """A picture of the page.

    Attributes:
        src: a data URI.
        width, height: in CSS pixels, at most; the page makes it narrower where there is less room.
        alt: what it shows, in words.
        hard: whether its pixels are shown as squares.
    """

    src: str
    width: int
    height: int
    alt: str
    hard: bool

    def img(self) -> Html:
        """The element."""
        return tag(
            "img",
            src=self.src,
            width=self.width,
            height=self.height,
            alt=self.alt,
            class_="hard" if self.hard else None,
        )


def figure(pictures: Pictures, alt: str, columns: int, room: int = 720, lead: int = 0) -> Figure:
    """Pictures side by side.

    Args:
        pictures: [N, H, W, C] uint8.
        alt: what it shows, in words.
        columns: pictures a row.
        room: CSS pixels that it may be wide.
        lead: so many columns at the left stand a little apart from the others.
    """
    small = reduced(pictures)
    sheet = _sheet(small, columns, lead)
    height, width = sheet.shape[:2]
    hard = max(small.shape[1:3]) < _PIXELS_SEEN
    # Hard pixels are magnified by whole numbers, or some would be wider than others.
    factor = max(1, room // width) if hard else min(2.0, max(1.0, room / width))
    return Figure(data_uri(sheet), round(width * factor), round(height * factor), alt, hard)


def whole(picture: Pictures, alt: str, most: int = 480) -> Figure:
    """One picture [H, W, C] of any size as it is, brought down to `most` pixels."""
    image = to_pil(picture)
    image.thumbnail((most, most), Image.Resampling.LANCZOS)
    return Figure(data_uri(np.atleast_3d(np.asarray(image))), image.width, image.height, alt, False)


def reduced(pictures: Pictures) -> Pictures:
    """Pictures [N, H, W, C] whose longer side is brought down to 128 pixels."""
    height, width = pictures.shape[1:3]
    if max(height, width) <= _SIDE:
        return pictures
    scale = _SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = [np.asarray(to_pil(picture).resize(size, Image.Resampling.LANCZOS)) for picture in pictures]
    return np.stack(small).reshape(len(pictures), size[1], size[0], pictures.shape[3])


def ungrid(sheet: Pictures, size: tuple[int, int], count: int, columns: int | None = None) -> Pictures | None:
    """The pictures [N, H, W, C] that `mezzotint.data.output.grid` made a sheet of; None if it is not such a sheet.

    Example:
        >>> pictures = np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8, 1)
        >>> bool((ungrid(grid(pictures), (8, 8), 5) == pictures).all())
        True
    """
    channels = sheet.shape[2]
    # Only the shape of the sheet is wanted, so the pictures may be empty.
    blank = np.zeros((count, *size, channels), np.uint8)
    if grid(blank, columns).shape != sheet.shape:
        return None
    columns = min(count, columns or math.ceil(math.sqrt(count)))
    gap = 2
    factor = ((sheet.shape[1] - gap) // columns - gap) // size[1]
    found = []
    for place in range(count):
        row, column = divmod(place, columns)
        top, left = gap + row * (size[0] * factor + gap), gap + column * (size[1] * factor + gap)
        found.append(sheet[top : top + size[0] * factor : factor, left : left + size[1] * factor : factor])
    return np.stack(found)


def read_picture(path: Any) -> Pictures | None:
    """A picture file as [H, W, C] uint8, or None if it cannot be read."""
    try:
        with Image.open(path) as opened:
            opened.load()
            image = opened if opened.mode in ("L", "LA", "RGB", "RGBA") else opened.convert("RGB")
            return np.array(image).reshape(image.height, image.width, -1)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def data_uri(picture: Pictures) -> str:
    """A picture [H, W, C] as a data URI: exact where that is small, else WebP."""
    image = to_pil(picture)
    kind, body = "png", _encoded(image, "PNG", optimize=True)
    if len(body) > _LOSSLESS:
        kind, body = "webp", _encoded(image, "WEBP", quality=82, method=4)
    return f"data:image/{kind};base64,{base64.b64encode(body).decode()}"


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _sheet(pictures: Pictures, columns: int, lead: int) -> Pictures:
    """[H', W', 2 or 4] uint8, transparent between the pictures: it lies well on light and on dark."""
    count, height, width, channels = pictures.shape
    columns = min(columns, count)
    lines = math.ceil(count / columns)
    gap = max(1, round(max(height, width) / 24))
    apart = 2 * gap if lead else 0
    shape = (lines * (height + gap) - gap, columns * (width + gap) - gap + apart)
    colours = channels - 1 if channels in (2, 4) else channels
    sheet = np.zeros((*shape, colours + 1), np.uint8)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        top, left = row * (height + gap), column * (width + gap) + (apart if column >= lead else 0)
        part = sheet[top : top + height, left : left + width]
        part[..., :colours] = picture[..., :colours]
        part[..., -1] = picture[..., -1] if channels != colours else 255
    return sheet
