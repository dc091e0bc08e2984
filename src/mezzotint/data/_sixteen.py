"""Colour of 16 bits a channel: by Pillow, whose pictures hold 8.

Pillow decodes such files in full and then keeps the upper byte of each value, by the byte order that the file has.
Asked a second time, with the other order, it keeps the lower one (docs/decisions/0005-sixteen-bits.md).
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from mezzotint.data._convert import TOP16, Unreadable, is_planar, mode16
from mezzotint.data._fit import Plan, fit
from mezzotint.data._headers import open_picture, orientation, turned

_OTHER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 2**12  # of packed bytes, which unpack to 4 million at most
_LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)


def load16(image: ImageFile.ImageFile, data: bytes) -> NDArray[np.uint16]:
    """The pixels of a picture of which `mode16` says that it is read here, upright.

    Args:
        image: `data` opened, at the frame that is wanted.

    Returns:
        [H, W, C] uint16: C is 2 for grey and alpha, 3 for RGB, 4 for RGBA.

    Raises:
        Unreadable: a PNG is damaged. Of other damage the errors of Pillow and zlib come, for `plain_reasons`.
    """
    if image.format == "PNG":
        _check_png(data)
    if mode16(image, data) == "LA":
        return _grey_and_alpha(data)
    premultiplied = _set_order(image, other=False)
    image.load()
    upright = _upright(image)
    found = np.empty((upright.height, upright.width, len(upright.getbands()), 2), np.uint8)
    found[..., 1] = np.asarray(upright)
    other = open_picture(io.BytesIO(data))
    other.seek(image.tell())
    _set_order(other, other=True)
    other.load()
    found[..., 0] = np.asarray(_upright(other))
    values = found.view("<u2")[..., 0].astype(np.uint16, copy=False)
    if premultiplied:
        return _divided(values)
    key = image.info.get("transparency")  # the one colour of a PNG that is transparent
    if values.shape[2] == 3 and isinstance(key, tuple):
        clear = (values == np.array(key, np.uint16)).all(axis=2, keepdims=True)
        return np.concatenate((values, np.where(clear, np.uint16(0), np.uint16(65535))), axis=2)
    return values


def fit16(picture: NDArray[np.uint16], plan: Plan) -> NDArray[np.uint16] | NDArray[np.uint8]:
    """Bring a picture of 16 bits a channel to the plan: channels, size, depth; [H, W, C].

    Args:
        picture: [H', W', C'], C' = 1 grey, 2 grey and alpha, 3 RGB or 4 RGBA.
    """
    bands = _to_bands(picture, plan.channels or (1 if picture.shape[2] < 3 else 3), plan.alpha)
    if bands.shape[:2] != (plan.height, plan.width):
        bands = _resized(bands, plan)
    return bands if plan.deep else ((bands.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    return image if image.format == "TIFF" else turned(image, orientation(image))  # Pillow itself turns a TIFF


def _set_order(image: ImageFile.ImageFile, other: bool) -> bool:
    """Have Pillow keep the upper bytes of a picture that it has opened, or the `other` ones.

    Returns:
        Whether the colours are multiplied by alpha, which Pillow would divide out at 8 bits, and now does not.
    """
    tiles, premultiplied = [], False
    order = "L" if getattr(getattr(image, "tag_v2", None), "prefix", b"") == b"II" else "B"
    for tile in image.tile:
        args = tile.args if isinstance(tile.args, tuple) else (str(tile.args),)
        raw = str(args[0])
        if is_planar(image):  # as Pillow has it, this is the name of one plane, for 8 bits
            if raw not in tuple("RGBAa") or raw.upper() not in image.getbands():
                continue
            raw = f"{raw};16{order}"
        premultiplied = premultiplied or "a" in raw
        raw = raw.replace("a", "A")
        tiles.append(tile._replace(args=(raw[:-1] + (_OTHER[raw[-1]] if other else raw[-1]), *args[1:])))
    image.tile = tiles
    return premultiplied


def _grey_and_alpha(data: bytes) -> NDArray[np.uint16]:
    """A PNG of grey and alpha of 16 bits is, but for its header, one of RGBA of 8."""
    head = data[12:24] + b"\x08\x06" + data[26:29]
    patched = data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]
    image = open_picture(io.BytesIO(patched))
    image.load()
    return np.ascontiguousarray(_upright(image)).view(">u2").astype(np.uint16)


def _divided(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Colours [H, W, 4] that were multiplied by alpha, as they were before."""
    alpha = values[..., 3:].astype(np.uint32)
    whole = (values[..., :3] * np.uint32(65535) + alpha // 2) // np.maximum(alpha, 1)  # at most 2**32 - 1
    colours = np.where(alpha > 0, np.minimum(whole, 65535), 0)
    return np.concatenate((colours.astype(np.uint16), values[..., 3:]), axis=2)


def _check_png(data: bytes) -> None:
    """Refuse a PNG whose pixels do not match their checksum, or are not as many as its header says.

    Pillow looks at neither: where the pixels end early it leaves the rest black.
    """
    left, unpack = _png_bytes(data), zlib.decompressobj()
    for piece in _png_pixels(data):
        left -= len(unpack.decompress(piece))
        if left < 0:
            raise Unreadable("is damaged (more is packed in it than the pixels it claims)")
        if unpack.eof:
            break
    if left or not unpack.eof:
        raise Unreadable("is cut short")


def _png_pixels(data: bytes) -> Iterator[memoryview]:
    """The packed pixels, piece by piece, their checksums proved."""
    at, whole = 8, memoryview(data)
    while at + 8 <= len(data):
        kind, end = data[at + 4 : at + 8], at + 8 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IHDR" and at > 8:
            raise Unreadable("is damaged (it has two headers)")
        if kind == b"IDAT":
            if end + 4 > len(data):
                raise Unreadable("is cut short")
            if zlib.crc32(whole[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
                raise Unreadable("is damaged (its pixels do not match their checksum)")
            for start in range(at + 8, end, _PIECE):
                yield whole[start : min(start + _PIECE, end)]
        at = end + 4


def _png_bytes(data: bytes) -> int:
    """How many bytes the header of a PNG of 16 bits a channel promises, filters included."""
    width, height = struct.unpack(">II", data[16:24])
    pixel = 2 * {2: 3, 4: 2, 6: 4}[data[25]]
    passes = _ADAM7 if data[28] else ((0, 0, 1, 1),)
    sizes = ((-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes)
    return sum(rows * (1 + columns * pixel) for columns, rows in sizes if columns > 0 and rows > 0)


def _to_bands(picture: NDArray[np.uint16], channels: int, alpha: str) -> NDArray[np.uint16]:
    """[H, W, C] with so many channels; transparency for which there is none is laid on `alpha`, or dropped."""
    if picture.shape[2] == channels:
        return picture
    colours, clear = picture, None
    if picture.shape[2] in (2, 4):
        colours, clear = picture[..., :-1], picture[..., -1:]
        if channels in (1, 3) and alpha in ("white", "black"):
            share, ground = clear.astype(np.uint32), np.uint32(65535 if alpha == "white" else 0)
            mixed = colours * share + ground * (65535 - share)  # at most 65535 ** 2, which has room
            colours = ((mixed + 32767) // 65535).astype(np.uint16)
    if channels < 3 and colours.shape[2] == 3:
        colours = np.rint(colours.astype(np.float32) @ _LUMA).astype(np.uint16)
    elif channels > 2 and colours.shape[2] == 1:
        colours = np.repeat(colours, 3, axis=2)
    if channels in (1, 3):
        return colours
    opaque = np.full((*picture.shape[:2], 1), 65535, np.uint16) if clear is None else clear
    return np.concatenate((colours, opaque), axis=2)


def _resized(bands: NDArray[np.uint16], plan: Plan) -> NDArray[np.uint16]:
    """Each channel by itself, colours by the share that is seen of them."""
    clear = bands.shape[2] in (2, 4)
    values = bands.astype(np.float32)
    if clear:
        values[..., :-1] *= values[..., -1:] / TOP16
    plans = [plan] * bands.shape[2]
    if clear:
        plans[-1] = replace(plan, pad_value=255)
    size = (plan.width, plan.height)
    fitted = np.stack(
        [np.asarray(fit(Image.fromarray(values[..., k]), size, one)) for k, one in enumerate(plans)], axis=2
    )
    if clear:
        share = np.clip(fitted[..., -1:] / TOP16, 0, 1)
        fitted[..., :-1] = np.divide(fitted[..., :-1], share, out=np.zeros_like(fitted[..., :-1]), where=share > 0)
    return np.rint(np.clip(fitted, 0, TOP16)).astype(np.uint16)
