"""What rows look like, and how a picture is brought to that size.

Every picture is shrunk by the same antialiased filter, a triangle as wide as the step (bilinear), so that pictures of
one set differ in what they show and not in how they were shrunk. Pillow does it for one picture; PyTorch, to the same
byte, for a stack of them at once with vector instructions, in a sixth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_GAP = 3.0
"""Pillow first shrinks by a whole number where more than twice this much is to go; its result is then another."""


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


def fit(image: Image.Image, size: tuple[int, int], plan: Plan) -> Image.Image:
    """`image` brought to `size` (width, height) in the manner of the plan."""
    if image.size == size:
        return image
    if plan.fit == "pad":
        return _padded(image, size, plan.pad_value)
    if plan.fit == "crop":
        box = _crop_box(image.width, image.height, size)
        if any(edge % 1 for edge in box):
            return _resize(image, size, box)
        # Cut first: Pillow's filter would look beyond the edge of the box, and that of `shrink_stacked` cannot.
        image = image.crop((int(box[0]), int(box[1]), int(box[2]), int(box[3])))
    return _resize(image, size, (0.0, 0.0, float(image.width), float(image.height)))


def stack_box(width: int, height: int, plan: Plan) -> tuple[slice, slice] | None:
    """The part of a grey or RGB picture [height, width, C] for `shrink_stacked`; None where Pillow must do it."""
    left, top, right, bottom = _crop_box(width, height, (plan.width, plan.height))
    scale = (right - left) / plan.width
    if plan.fit != "crop" or plan.deep or not 1 <= scale < 2 * _GAP or any(e % 1 for e in (left, top, right, bottom)):
        return None
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def shrink_stacked(pictures: Sequence[NDArray[np.uint8]], plan: Plan) -> list[NDArray[Any]]:
    """Parts [H', W', C] cut out by `stack_box`, of any sizes, as rows [H, W, C] in the same order."""
    import torch  # the only use of it in this layer, and only where there is something to decode
    from torch.nn.functional import interpolate

    rows: list[NDArray[Any]] = list(pictures)
    alike: dict[tuple[int, ...], list[int]] = {}
    for number, picture in enumerate(pictures):
        if picture.shape[:2] != (plan.height, plan.width):
            alike.setdefault(picture.shape, []).append(number)
    for numbers in alike.values():
        stack = torch.from_numpy(np.stack([pictures[k] for k in numbers])).permute(0, 3, 1, 2)
        small = interpolate(stack, (plan.height, plan.width), mode="bilinear", antialias=True)
        for number, row in zip(numbers, np.ascontiguousarray(small.permute(0, 2, 3, 1).numpy()), strict=True):
            rows[number] = row
    return rows


def _crop_box(width: int, height: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest part of the shape of `size` in the middle of a picture: left, top, right, bottom."""
    scale = min(width / size[0], height / size[1])
    across, down = min(size[0] * scale, width), min(size[1] * scale, height)
    left, top = (width - across) / 2, (height - down) / 2
    if not across % 1 and not down % 1:  # from a whole pixel on, so that a mere crop stays exact
        left, top = left // 1, top // 1
    return left, top, left + across, top + down


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
    kernel = Image.Resampling.BILINEAR if shrinks else Image.Resampling.BICUBIC
    return image.resize(size, kernel, box=box, reducing_gap=_GAP)
