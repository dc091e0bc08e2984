"""From any Pillow mode to the few that are packed: grey or RGB, with or without alpha, 8 or 16 bits.

Policy for deep pictures: 16-bit values stay as they are; 32-bit integers that lie within 0 to 65535 are taken
for 16-bit values; floats within 0 to 1 or 0 to 255 are scaled by that range; anything else is scaled by the
range of the picture itself, and remarked upon. Nothing is clipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
OWN_RANGE = "held values beyond 16 bits, and each was scaled by its own range"
TOP16 = 65535.0
_PNG_COLOUR = {2: "RGB", 4: "LA", 6: "RGBA"}
_BITS, _PLANES = 258, 284  # tags of TIFF


class Unreadable(Exception):
    """One picture cannot be used; the text completes the sentence "this file ..."."""


def is_deep(mode: str) -> bool:
    """Whether a Pillow mode holds more than 8 bits a channel."""
    return mode == "F" or mode.startswith("I")


def mode16(image: ImageFile.ImageFile, data: bytes) -> str:
    """Which of LA, RGB and RGBA a picture is that `_sixteen.load16` reads, 16 bits a channel; "" for any other.

    Args:
        image: `data` opened; a TIFF, not yet loaded.
    """
    if image.format == "PNG":
        still = data[12:16] == b"IHDR" and data[24:25] == b"\x10" and not getattr(image, "is_animated", False)
        return _PNG_COLOUR.get(data[25], "") if still else ""
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA") and _holds16(image):
        # Compressed planes are read by libtiff, of which Pillow takes the upper bytes and nothing else.
        return "" if is_planar(image) and image.tile[0].codec_name == "libtiff" else image.mode
    return ""


def is_narrowed(image: ImageFile.ImageFile, data: bytes) -> bool:
    """Whether a picture, opened as for `mode16`, holds 16 bits a channel of which 8 are read."""
    if is_deep(image.mode) or mode16(image, data):
        return False
    if image.format == "PPM":
        levels = image.tile[0].args if image.tile else None
        return isinstance(levels, tuple) and int(levels[-1]) > 255
    return data[24:25] == b"\x10" if image.format == "PNG" else image.format == "TIFF" and _holds16(image)


def is_planar(image: Image.Image) -> bool:
    """Whether a TIFF keeps each channel by itself."""
    tags = getattr(image, "tag_v2", {})
    return bool(tags.get(_PLANES, 1) == 2)


def _holds16(image: ImageFile.ImageFile) -> bool:
    tiles = image.tile
    if is_planar(image) and tiles and tiles[0].codec_name != "libtiff":  # of planes the tiles do not say it
        return bool(getattr(image, "tag_v2", {}).get(_BITS, ())[:3] == (16, 16, 16))
    return bool(tiles) and ";16" in str(tiles[0].args)


def is_colour(image: Image.Image) -> bool:
    """Whether a picture can hold a colour, as far as its header and palette say."""
    if image.mode in ("P", "PA"):
        palette = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        return bool((palette != palette[:, :1]).any())
    return image.mode not in GREY_MODES and not is_deep(image.mode)


def has_alpha(image: Image.Image) -> bool:
    """Whether a picture carries transparency: a channel, a palette entry or a key colour."""
    return image.mode in ALPHA_MODES or "transparency" in image.info


def to_bands(image: Image.Image, want: str, alpha: str) -> Image.Image:
    """Convert an 8-bit picture of any mode to `want`: "L", "LA", "RGB" or "RGBA".

    Args:
        alpha: what becomes of transparency when `want` has no alpha channel: "white", "black" or "drop".
    """
    if image.mode == want and "transparency" not in image.info:
        return image
    if has_alpha(image):
        return _from_transparent(image, want, alpha)
    if image.mode in ("1", "L"):
        return image.convert("L").convert(want)
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return rgb if want == "RGB" else rgb.convert(want)


def _from_transparent(image: Image.Image, want: str, alpha: str) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    whole = image if image.mode == "RGBA" else image.convert("RGBA")
    if want in ("LA", "RGBA"):
        return whole if want == "RGBA" else whole.convert("LA")
    if alpha in ("white", "black"):
        ground = Image.new("RGBA", whole.size, (255, 255, 255, 255) if alpha == "white" else (0, 0, 0, 255))
        whole = Image.alpha_composite(ground, whole)
    rgb = whole.convert("RGB")
    return rgb if want == "RGB" else rgb.convert(want)


def deep_values(image: Image.Image) -> tuple[NDArray[np.float32], str | None]:
    """The values of an "I", "I;16*" or "F" picture as [H, W] float32 in [0, 65535], and a remark if any.

    Raises:
        Unreadable: the picture holds values that are not finite numbers.
    """
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return values.astype(np.float32), None
    return scale_to_16(values)


def scale_to_16(values: NDArray[Any]) -> tuple[NDArray[np.float32], str | None]:
    """Bring numbers of unknown range to [0, 65535] float32, by the policy above."""
    wide = values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise Unreadable("holds values that are not finite numbers")
    floating = np.issubdtype(values.dtype, np.floating)
    if low >= 0 and floating and high <= 255:
        return (wide * (TOP16 if high <= 1 else 257.0)).astype(np.float32), None
    if low >= 0 and not floating and high <= TOP16:
        return wide.astype(np.float32), None
    return ((wide - low) * (TOP16 / max(high - low, 1e-300))).astype(np.float32), OWN_RANGE


def key_alpha(image: Image.Image) -> NDArray[np.bool_] | None:
    """[H, W] True where a deep picture is transparent (a PNG may name one grey value so); None if nowhere."""
    key = image.info.get("transparency")
    return np.asarray(image) == key if isinstance(key, int) else None
