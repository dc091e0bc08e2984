"""Plain upright JPEGs by simplejpeg, where it is installed: a little faster than Pillow, and to the same bytes."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mezzotint.data._fit import Plan
from mezzotint.data._headers import Header, quick_header

_SHRINK = (8, 4, 2)
_HEAD = 8192


def shrink_of(width: int, height: int, size: tuple[int, int]) -> int:
    """How much smaller a JPEG may be decoded so that at least twice `size` (width, height) is left."""
    least = min(width / size[0], height / size[1]) / 2
    return next((s for s in _SHRINK if s <= least), 1)


def quick_jpeg(data: bytes, plan: Plan) -> tuple[NDArray[np.uint8], Header] | None:
    """Pixels [H', W', C] of a plain JPEG, decoded no larger than needed; None where Pillow must judge the file."""
    decoder = _simplejpeg()
    header = quick_header(data) if decoder is not None else None
    if decoder is None or header is None or data.find(b"\xff\xc2", 0, _HEAD) >= 0:  # not if progressive
        return None
    times = shrink_of(header.width, header.height, (plan.width, plan.height))
    width, height = -(-header.width // times), -(-header.height // times)
    try:
        pixels = decoder(data, "RGB" if header.colour else "GRAY", min_height=height, min_width=width)
    except ValueError:
        return None
    return (pixels, header) if pixels.shape[:2] == (height, width) else None


@functools.cache
def _simplejpeg() -> Callable[..., NDArray[np.uint8]] | None:
    try:
        import simplejpeg
    except ImportError:
        return None
    decoder: Callable[..., NDArray[np.uint8]] = simplejpeg.decode_jpeg
    return decoder
