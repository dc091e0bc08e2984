"""Pictures cut into patches, and patches joined into pictures."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cut(pictures: Tensor, side: int) -> Tensor:
    """Pictures [N, C, H, W] -> patches [N, P, C * side * side], row by row; the last ones repeat the edge."""
    height, width = pictures.shape[2:]
    extra = (0, -width % side, 0, -height % side)
    x = F.pad(pictures, extra, mode="replicate") if any(extra) else pictures
    cells = x.unflatten(2, (-1, side)).unflatten(4, (-1, side))  # [N, C, down, side, across, side]
    return cells.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def joined(patches: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The inverse of `cut`: patches [N, P, C * side * side] -> pictures [N, C, H, W] of this shape (C, H, W).

    Example:
        >>> import torch
        >>> x = torch.rand(2, 3, 7, 8)
        >>> torch.equal(joined(cut(x, 3), (3, 7, 8)), x)
        True
    """
    channels, height, width = shape
    side = round((patches.shape[2] / channels) ** 0.5)
    cells = patches.unflatten(2, (channels, side, side)).unflatten(1, (-(-height // side), -(-width // side)))
    whole = cells.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
    return whole[:, :, :height, :width]
