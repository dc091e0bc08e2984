"""One encoded picture, as bytes, to rows of the packed array; whatever the bytes are, nothing else happens.

A picture is known by its content, never by its suffix, and only by formats on a short list. Its size is
checked against a limit before anything is decoded. Every format is shrunk by the same antialiased filter, so that
pictures of one set differ in what they show and not in how they were shrunk. It is Hamming's: about as sharp as
bicubic, without ringing, and a third faster. A JPEG is first decoded at a half, quarter or eighth of its size
where that leaves at least twice the size that is wanted; simplejpeg, where it is installed, does this a little
faster than Pillow and to the same bytes.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mezzotint.data._convert import TOP16, Unreadable, deep_values, is_colour, is_deep, key_alpha, to_bands
from mezzotint.data._headers import (
    Header,
    check_size,
    header_of,
    open_picture,
    orientation,
    plain_reasons,
    probe,
    quick_header,
)

__all__ = ["Header", "Plan", "Unreadable", "decode", "probe", "quick_header", "render"]

MAX_SCANS = 500
_HEAD = 8192
_SHRINK = (8, 4, 2)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BANDS = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class Plan:
    """What every row of the packed array looks like: [height, width, channels], uint16 when `deep`.

    `channels` of 0 leaves it to each picture: 1 when its mode is grey, or else 3.
    """

    height: int
    width: int
    channels: int
    deep: bool = False
    fit: str = "crop"
    alpha: str = "white"
    pad_value: int = 0

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        return np.uint16 if self.deep else np.uint8

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


def decode(data: bytes, plan: Plan, frames: int = 1) -> tuple[list[NDArray[Any] | str], Header, set[str]]:
    """Decode `frames` frames of one picture.

    Returns:
        For each frame its row [H, W, C], or the reason why there is none; the header; and remarks on the whole.

    Raises:
        Unreadable: not even the first frame can be had.
    """
    remarks: set[str] = set()
    rows: list[NDArray[Any] | str] = []
    with plain_reasons():
        if not data:
            raise Unreadable("is empty")
        if frames == 1 and (quick := _quick_jpeg(data, plan)) is not None:
            image, header = quick
            return [render(image, plan, remarks)], header, remarks
        image = open_picture(io.BytesIO(data))
        if "progressive" in image.info and data.count(b"\xff\xda") > MAX_SCANS:
            raise Unreadable("is a JPEG of so many scans that it can only be meant to waste time")
        header = header_of(image, data, frames)
        rows.append(_row(image, plan, remarks))
    for number in range(1, frames):
        try:
            with plain_reasons():
                image.seek(number)
                check_size(image)
                rows.append(_row(image, plan, remarks))
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
    fitted = _turn(_fit(bands, size, plan), turn)
    row = np.asarray(fitted).reshape(plan.height, plan.width, channels)
    return row.astype(np.uint16) * np.uint16(257) if plan.deep else row


def _row(image: Image.Image, plan: Plan, remarks: set[str]) -> NDArray[Any]:
    turn = 1
    if image.format == "JPEG":
        turn = orientation(image)
        size = (plan.width, plan.height) if turn < 5 else (plan.height, plan.width)
        shrink = _shrink(image.width, image.height, size)
        if shrink > 1:
            image.draft(None, (image.width // shrink, image.height // shrink))
    image.load()
    if image.format not in ("JPEG", "TIFF"):  # Pillow itself turns a TIFF
        turn = orientation(image)
    return render(image, plan, remarks, turn)


def _shrink(width: int, height: int, size: tuple[int, int]) -> int:
    """How much smaller a JPEG may be decoded so that at least twice `size` is left."""
    least = min(width / size[0], height / size[1]) / 2
    return next((s for s in _SHRINK if s <= least), 1)


@functools.cache
def _simplejpeg() -> Callable[..., NDArray[np.uint8]] | None:
    try:
        import simplejpeg
    except ImportError:
        return None
    decoder: Callable[..., NDArray[np.uint8]] = simplejpeg.decode_jpeg
    return decoder


def _quick_jpeg(data: bytes, plan: Plan) -> tuple[Image.Image, Header] | None:
    """A plain upright JPEG by simplejpeg; None where that is not to be had, or where Pillow must judge the file."""
    decoder = _simplejpeg()
    header = quick_header(data) if decoder is not None else None
    if decoder is None or header is None or data.find(b"\xff\xc2", 0, _HEAD) >= 0:  # not if progressive
        return None
    shrink = _shrink(header.width, header.height, (plan.width, plan.height))
    width, height = -(-header.width // shrink), -(-header.height // shrink)
    try:
        pixels = decoder(data, "RGB" if header.colour else "GRAY", min_height=height, min_width=width)
    except ValueError:
        return None
    if pixels.shape[:2] != (height, width):
        return None
    return Image.frombuffer(header.mode, (width, height), pixels, "raw", header.mode, 0, 1), header


def _deep_row(image: Image.Image, plan: Plan, size: tuple[int, int], turn: int, remarks: set[str]) -> NDArray[Any]:
    values, remark = deep_values(image)
    if remark:
        remarks.add(remark)
    clear = key_alpha(image)
    if clear is not None and plan.alpha != "drop" and plan.channels in (0, 1, 3):
        values[clear] = TOP16 if plan.alpha == "white" else 0.0
    fitted = np.asarray(_turn(_fit(Image.fromarray(values), size, plan), turn))
    grey = np.rint(np.clip(fitted, 0, TOP16) / (1 if plan.deep else 257)).astype(plan.dtype)
    row = np.repeat(grey[:, :, None], plan.channels or 1, axis=2)
    if plan.channels in (2, 4):
        row[..., -1] = 65535 if plan.deep else 255
        if clear is not None:
            mask = Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))
            opaque = np.asarray(_turn(_fit(mask, size, plan), turn)).astype(plan.dtype)
            row[..., -1] = opaque * 257 if plan.deep else opaque
    return row


def _fit(image: Image.Image, size: tuple[int, int], plan: Plan) -> Image.Image:
    if image.size == size:
        return image
    if plan.fit == "pad":
        return _padded(image, size, plan.pad_value)
    box = (0.0, 0.0, float(image.width), float(image.height))
    if plan.fit == "crop":
        scale = min(image.width / size[0], image.height / size[1])
        left = max(0.0, (image.width - size[0] * scale) / 2)
        top = max(0.0, (image.height - size[1] * scale) / 2)
        if scale == 1:  # whole pixels, so that a mere crop stays exact
            left, top = float(int(left)), float(int(top))
        box = (left, top, min(image.width, left + size[0] * scale), min(image.height, top + size[1] * scale))
    return _resize(image, size, box)


def _padded(image: Image.Image, size: tuple[int, int], value: int) -> Image.Image:
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if inner != image.size:
        image = _resize(image, inner, (0.0, 0.0, float(image.width), float(image.height)))
    fills: dict[str, float | tuple[int, ...]] = {"F": value * 257.0, "L": value, "LA": (value, 255)}
    fills |= {"RGB": (value,) * 3, "RGBA": (value, value, value, 255)}
    whole = Image.new(image.mode, size, fills[image.mode])
    whole.paste(image, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return whole


def _resize(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    shrinks = box[2] - box[0] >= size[0] and box[3] - box[1] >= size[1]
    kernel = Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC
    return image.resize(size, kernel, box=box, reducing_gap=3.0)


def _turn(image: Image.Image, turn: int) -> Image.Image:
    return image.transpose(_TURNS[turn]) if turn in _TURNS else image
