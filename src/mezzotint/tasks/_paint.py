"""A picture in several styles, by masks, in parts that fit together without a seam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.nn.transfer import moments

TILE = 512
"""Pixels a side of a part, without what it sees around it."""
WHOLE = 1024 * 1024
"""Pixels up to which a picture is taken whole."""


@dataclass(frozen=True)
class Style:
    """One style of several.

    Attributes:
        moments: of its features, [1, 2, F].
        weight: its share where no mask is.
        mask: [1, 1, H, W] in [0, 1], where it is drawn; None: where no mask is.
    """

    moments: Tensor
    weight: float = 1.0
    mask: Tensor | None = None


def paint(
    model: Any,
    picture: Tensor,
    styles: Sequence[Style],
    alpha: float = 1.0,
    *,
    whole: int = WHOLE,
    tile: int = TILE,
    steady: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """A picture [1, C, H, W] in [-1, 1] in these styles.

    Features of the whole picture are put together from parts, each of which has been given all that it sees, so that
    they are those of the picture at once; then they get means and deviations of the styles, and are drawn in parts.

    Args:
        model: one that stylizes.
        picture: of any size.
        styles: masked ones take their places, the others share what is left by their weights; if all are masked, the
            rest of the picture keeps its own style.
        alpha: 0 leaves the picture its own style, 1 takes it all away.
        whole: pixels up to which it is done at once.
        tile: pixels a side of a part; a multiple of the model's step.
        steady: the picture's `moments` [1, 2, F] -> those to go by, which in a film change slowly.
    """
    height, width = picture.shape[2:]
    tile = max(height, width) if height * width <= whole else tile
    features = encode(model, picture, tile)
    maps = _maps(styles, features.shape[2:], alpha)
    own = moments(features) if steady is None else steady(moments(features))
    scale_shift = [_affine(features, style, own, place) for style, place in zip(styles, maps, strict=True)]
    step, _, around = model.reach()
    made = picture.new_empty(1, model.spec.channels, height, width, dtype=torch.float32)
    cells = max(1, tile // step)
    for top in range(0, features.shape[2], cells):
        for left in range(0, features.shape[3], cells):
            rows = slice(max(0, top - around), top + cells + around)
            columns = slice(max(0, left - around), left + cells + around)
            part = _mixed(features[:, :, rows, columns], scale_shift, [m[:, :, rows, columns] for m in maps])
            drawn = model.draw(part)[:, :, (top - rows.start) * step :, (left - columns.start) * step :]
            y, x = top * step, left * step
            here = made[:, :, y : y + cells * step, x : x + cells * step]
            here.copy_(drawn[:, :, : here.shape[2], : here.shape[3]])
    return made


def encode(model: Any, picture: Tensor, tile: int) -> Tensor:
    """Features [1, F, h, w] of a picture [1, C, H, W], from parts of `tile` pixels."""
    step, sees, _ = model.reach()
    around = -(-sees // step) * step
    height, width = picture.shape[2:]
    tile = -(-tile // step) * step
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            y, x = max(0, top - around), max(0, left - around)
            part = model.content(picture[:, :, y : top + tile + around, x : left + tile + around])
            down, right = (top - y) // step, (left - x) // step
            row.append(part[:, :, down : down + tile // step, right : right + tile // step].clone())
        rows.append(row[0] if len(row) == 1 else torch.cat(row, 3))
    return rows[0] if len(rows) == 1 else torch.cat(rows, 2)


def _maps(styles: Sequence[Style], size: Sequence[int], alpha: float) -> list[Tensor]:
    """How much of each style is drawn where, [1, 1, h, w] each; together at most alpha."""
    device = styles[0].moments.device
    masks = [
        None if s.mask is None else F.interpolate(s.mask.to(device), tuple(size), mode="area").clamp(0, 1)
        for s in styles
    ]
    taken = torch.stack([m for m in masks if m is not None]).sum(0) if any(m is not None for m in masks) else None
    over = torch.ones(1, 1, *size, device=device) if taken is None else taken.clamp(min=1)
    left = torch.ones(1, 1, *size, device=device) if taken is None else (1 - taken).clamp(min=0)
    whole = sum(s.weight for s in styles if s.mask is None) or 1.0
    return [
        alpha * (left * (s.weight / whole) if mask is None else mask / over)
        for s, mask in zip(styles, masks, strict=True)
    ]


def _affine(features: Tensor, style: Style, own: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """AdaIN as x * scale + shift, [1, F, 1, 1] each, by the moments `own`, or those of what the style's mask shows."""
    if style.mask is not None and bool(place.any()):
        own = moments(features, place)
    (mean, deviation), (to_mean, to_deviation) = (m[0, :, :, None, None] for m in (own, style.moments))
    scale = to_deviation / deviation
    return scale[None], (to_mean - mean * scale)[None]


def _mixed(part: Tensor, affine: Sequence[tuple[Tensor, Tensor]], maps: Sequence[Tensor]) -> Tensor:
    """Features of a part in the styles, each as much as its map says, and else as they are."""
    kept = 1 - torch.stack(list(maps)).sum(0)
    made = part * kept
    for (scale, shift), place in zip(affine, maps, strict=True):
        made = made + (part * scale + shift) * place
    return made
