"""From any Pillow mode to the few that are packed: grey or RGB, with or without alpha, 8 or 16 bits.

Policy for deep pictures: 16-bit values stay as they are; 32-bit integers that lie within 0 to 65535 are taken
for 16-bit values; floats within 0 to 1 or 0 to 255 are scaled by that range; anything else is scaled by the
range of the picture itself, and remarked upon. Nothing is clipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F"})
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
OWN_RANGE = "held values beyond 16 bits, and each was scaled by its own range"
TOP16 = 65535.0


class Unreadable(Exception):
    """One picture cannot be used; the text completes the sentence "this file ..."."""


def is_deep(mode: str) -> bool:
    """Whether a Pillow mode holds more than 8 bits a channel."""
    return mode == "F" or mode.startswith("I")


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
