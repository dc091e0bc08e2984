"""What a picture is, before it is decoded: its format by content, its size against the limits, its mode."""

from __future__ import annotations

import functools
import io
import struct
from dataclasses import dataclass
from typing import IO

from PIL import Image, ImageFile, UnidentifiedImageError, features

from mezzotint.data._convert import Unreadable, has_alpha, is_colour, is_deep, is_narrowed, mode16

MAX_PIXELS = 100_000_000
MAX_FRAMES = 10_000
KINDS = "JPEG, PNG, GIF, BMP, WebP, TIFF, PPM, AVIF"
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a file says, after EXIF orientation: size in pixels and what its mode can hold.

    `deep` is for more than 8 bits a channel that are read, `narrowed` for 16 of which only 8 are.
    """

    width: int
    height: int
    mode: str
    colour: bool
    alpha: bool
    deep: bool
    frames: int = 1
    narrowed: bool = False


def pixel_limit() -> int:
    """The most pixels a picture may have: 100 million, or Pillow's own limit where that is lower."""
    return min(MAX_PIXELS, Image.MAX_IMAGE_PIXELS or MAX_PIXELS)


@functools.cache
def formats() -> tuple[str, ...]:
    """The Pillow formats that are read at all."""
    Image.init()
    known = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
    return tuple(f for f in known if f in Image.OPEN and (f != "AVIF" or features.check("avif")))


def looks_like_picture(head: bytes) -> bool:
    """Whether the first 16 bytes are those of a picture format that is read."""
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace())
        or head[4:12] in (b"ftypavif", b"ftypavis")
    )


def open_picture(handle: IO[bytes]) -> ImageFile.ImageFile:
    """Open a picture lazily by content, and refuse it when it would be too large.

    Raises:
        Unreadable: it is of no readable kind, or has more pixels than `pixel_limit()`.
    """
    try:
        image = Image.open(handle, formats=formats())
    except UnidentifiedImageError:
        handle.seek(0)
        if looks_like_picture(handle.read(16)):
            raise Unreadable("begins like a picture, but its head is damaged or of a kind that is not read") from None
        raise Unreadable(f"is not a picture of a kind that is read ({KINDS})") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"claims more than {pixel_limit() // 10**6} million pixels, which is refused") from None
    check_size(image)
    return image


def probe(data: bytes, every_frame: bool = False) -> Header:
    """Read the header of one picture; nothing is decoded (but an animated GIF is walked through).

    Raises:
        Unreadable: with the reason.
    """
    with plain_reasons():
        quick = quick_header(data)
        if quick is not None:
            return quick
        if not data:
            raise Unreadable("is empty")
        image = open_picture(io.BytesIO(data))
        frames = int(getattr(image, "n_frames", 1)) if every_frame else 1
        if frames > MAX_FRAMES:
            raise Unreadable(f"has {frames:,} frames, more than the {MAX_FRAMES:,} that are read from one file")
        if image.format == "PNG" and b"eXIf" in data:
            image.getexif()
        header = header_of(image, data, frames)
        if frames > 1 and image.format == "TIFF":
            for number in range(1, frames):
                image.seek(number)
                check_size(image)
                header = _widest(header, header_of(image, data, frames))
        return header


def quick_header(head: bytes) -> Header | None:
    """The header of a plain JPEG from its first bytes, without Pillow; None where it takes a closer look."""
    if head[:3] != b"\xff\xd8\xff":
        return None
    at, end = 2, len(head) - 9
    while at < end and head[at] == 0xFF:
        kind, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if kind in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            bands = head[at + 9]
            if head[at + 4] != 8 or bands not in (1, 3) or not 0 < height * width <= pixel_limit():
                return None
            return Header(width, height, "L" if bands == 1 else "RGB", bands == 3, alpha=False, deep=False)
        if kind == 0xE1 or length < 2:  # EXIF or XMP: may turn the picture
            return None
        at += 2 + length
    return None


def orientation(image: Image.Image) -> int:
    if not image.info.keys() & {"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"}:
        return 1
    turn = image.getexif().get(_ORIENTATION, 1)
    return turn if turn in range(1, 9) else 1


def turned(image: Image.Image, turn: int) -> Image.Image:
    """`image` upright, where EXIF orientation is `turn`."""
    return image.transpose(_TURNS[turn]) if turn in _TURNS else image


def header_of(image: ImageFile.ImageFile, data: bytes, frames: int) -> Header:
    width, height = image.size
    if image.format != "TIFF" and orientation(image) >= 5:  # Pillow itself turns a TIFF
        width, height = height, width
    deep = mode16(image, data)
    return Header(
        width=width,
        height=height,
        mode=deep or image.mode,
        colour=deep != "LA" and (is_colour(image) or (frames > 1 and image.format == "GIF")),
        alpha=has_alpha(image),
        deep=bool(deep) or is_deep(image.mode),
        frames=frames,
        narrowed=is_narrowed(image, data),
    )


def _widest(one: Header, other: Header) -> Header:
    return Header(
        one.width,
        one.height,
        one.mode,
        one.colour or other.colour,
        one.alpha or other.alpha,
        one.deep or other.deep,
        one.frames,
        one.narrowed or other.narrowed,
    )


def check_size(image: Image.Image) -> None:
    if image.width * image.height > pixel_limit():
        raise Unreadable(
            f"has {image.width:,} x {image.height:,} pixels, more than the {pixel_limit() // 10**6} million allowed"
        )
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        tile = tags.get(322, 1), tags.get(323, 1)
        if all(isinstance(side, int) for side in tile) and tile[0] * tile[1] > pixel_limit():
            raise Unreadable("is a TIFF whose tiles are larger than any picture that is read")


class plain_reasons:
    """Turns whatever Pillow raises over a damaged file into `Unreadable` with a plain reason."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, Unreadable) or not isinstance(error, Exception):
            return
        text = str(error)
        if isinstance(error, MemoryError):
            raise Unreadable("does not fit into memory") from error
        if isinstance(error, EOFError) or "truncated" in text.lower():
            raise Unreadable("is cut short") from error
        raise Unreadable(f"is damaged ({text or type(error).__name__})") from error
