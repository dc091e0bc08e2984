"""One encoded picture, as bytes, to rows of the packed array; whatever the bytes are, nothing else happens.

A picture is known by its content, never by its suffix, and only by formats on a short list. Its size is
checked against a limit before anything is decoded. A JPEG is first decoded at a half, quarter or eighth of its size
where that leaves at least twice the size that is wanted; `_fit` does the rest.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from mezzotint.data._convert import TOP16, Unreadable, deep_values, is_colour, is_deep, key_alpha, mode16, to_bands
from mezzotint.data._fit import Plan, fit, shrink_stacked, stack_box
from mezzotint.data._headers import (
    Header,
    check_size,
    header_of,
    open_picture,
    orientation,
    plain_reasons,
    probe,
    quick_header,
    turned,
)
from mezzotint.data._jpeg import quick_jpeg, shrink_of
from mezzotint.data._sixteen import fit16, load16

__all__ = ["Header", "Plan", "Unreadable", "decode", "decode_cut", "probe", "quick_header", "render", "shrink_stacked"]

MAX_SCANS = 500
_BANDS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def decode(data: bytes, plan: Plan, frames: int = 1) -> tuple[list[NDArray[Any] | str], Header, set[str]]:
    """Decode `frames` frames of one picture.

    Returns:
        For each frame its row [H, W, C], or the reason why there is none; the header; and remarks on the whole.

    Raises:
        Unreadable: not even the first frame can be had.
    """
    rows, header, remarks = decode_cut(data, plan, frames)
    good = iter(shrink_stacked([row for row in rows if not isinstance(row, str)], plan))
    return [row if isinstance(row, str) else next(good) for row in rows], header, remarks


def decode_cut(data: bytes, plan: Plan, frames: int = 1) -> tuple[list[NDArray[Any] | str], Header, set[str]]:
    """As `decode`, but rows may still be larger than the plan says; `shrink_stacked` brings many to size at once."""
    remarks: set[str] = set()
    rows: list[NDArray[Any] | str] = []
    with plain_reasons():
        if not data:
            raise Unreadable("is empty")
        if frames == 1 and (quick := quick_jpeg(data, plan)) is not None:
            pixels, header = quick
            height, width, channels = pixels.shape
            box = stack_box(width, height, plan) if plan.channels in (0, channels) else None
            if box is not None:
                return [pixels[box]], header, remarks
            whole = Image.frombuffer(header.mode, (width, height), pixels, "raw", header.mode, 0, 1)
            return [_cut(whole, plan, remarks)], header, remarks
        image = open_picture(io.BytesIO(data))
        if "progressive" in image.info and data.count(b"\xff\xda") > MAX_SCANS:
            raise Unreadable("is a JPEG of so many scans that it can only be meant to waste time")
        header = header_of(image, data, frames)
        rows.append(_row(image, data, plan, remarks))
    for number in range(1, frames):
        try:
            with plain_reasons():
                image.seek(number)
                check_size(image)
                rows.append(_row(image, data, plan, remarks))
        except Unreadable as error:
            rows.append(str(error))
    return rows, header, remarks


def render(image: Image.Image, plan: Plan, remarks: set[str], turn: int = 1) -> NDArray[Any]:
    """Bring a loaded picture to the plan: mode, fit, orientation `turn` (EXIF 1 to 8), depth. [H, W, C]."""
    size = (plan.width, plan.height) if turn < 5 else (plan.height, plan.width)
    if is_deep(image.mode):
        return _deep_row(image, plan, size, turn, remarks)
    channels = plan.channels or (3 if is_colour(image) else 1)
    bands = to_bands(image, _BANDS[channels], plan.alpha)
    fitted = turned(fit(bands, size, plan), turn)
    row = np.asarray(fitted).reshape(plan.height, plan.width, channels)
    return row.astype(np.uint16) * np.uint16(257) if plan.deep else row


def _row(image: ImageFile.ImageFile, data: bytes, plan: Plan, remarks: set[str]) -> NDArray[Any]:
    if mode16(image, data):
        return fit16(load16(image, data), plan)
    turn = 1
    if image.format == "JPEG":
        turn = orientation(image)
        size = (plan.width, plan.height) if turn < 5 else (plan.height, plan.width)
        shrink = shrink_of(image.width, image.height, size)
        if shrink > 1:
            image.draft(None, (image.width // shrink, image.height // shrink))
    image.load()
    if image.format not in ("JPEG", "TIFF"):  # Pillow itself turns a TIFF
        turn = orientation(image)
    return render(image, plan, remarks, turn) if turn > 1 else _cut(image, plan, remarks)


def _cut(image: Image.Image, plan: Plan, remarks: set[str]) -> NDArray[Any]:
    """The row of an upright picture, or what `shrink_stacked` makes it of."""
    wanted = _BANDS[plan.channels or (3 if is_colour(image) else 1)]
    box = stack_box(image.width, image.height, plan)
    if box is None or is_deep(image.mode) or wanted not in ("L", "RGB"):
        return render(image, plan, remarks)
    return np.asarray(to_bands(image, wanted, plan.alpha)).reshape(image.height, image.width, -1)[box]


def _deep_row(image: Image.Image, plan: Plan, size: tuple[int, int], turn: int, remarks: set[str]) -> NDArray[Any]:
    values, remark = deep_values(image)
    if remark:
        remarks.add(remark)
    clear = key_alpha(image)
    if clear is not None and plan.alpha != "drop" and plan.channels in (0, 1, 3):
        values[clear] = TOP16 if plan.alpha == "white" else 0.0
    fitted = np.asarray(turned(fit(Image.fromarray(values), size, plan), turn))
    grey = np.rint(np.clip(fitted, 0, TOP16) / (1 if plan.deep else 257)).astype(plan.dtype)
    row = np.repeat(grey[:, :, None], plan.channels or 1, axis=2)
    if plan.channels in (2, 4):
        row[..., -1] = 65535 if plan.deep else 255
        if clear is not None:
            mask = Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))
            opaque = np.asarray(turned(fit(mask, size, plan), turn)).astype(plan.dtype)
            row[..., -1] = opaque * 257 if plan.deep else opaque
    return row
