"""How a stack of stride-2 layers gets from a picture to a few pixels and back, for any size."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def resolutions(height: int, width: int, smallest: int = 4) -> list[tuple[int, int]]:
    """Heights and widths from the smallest layer to the picture: halved, rounding up, to about `smallest` pixels.

    Example:
        >>> resolutions(28, 28)
        [(4, 4), (7, 7), (14, 14), (28, 28)]
    """
    halvings = max(1, round(math.log2(max(min(height, width) / smallest, 1))))
    return [(math.ceil(height / 2**k), math.ceil(width / 2**k)) for k in range(halvings, -1, -1)]


def even(x: Tensor) -> Tensor:
    """Pad odd sides of x [N, C, H, W] by one at the end, so that halving rounds up as in `resolutions`."""
    height, width = x.shape[-2:]
    return F.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x


def cut(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The first rows and columns of x [N, C, H, W]; after doubling an odd size there is one too many."""
    height, width = size
    return x if x.shape[-2:] == (height, width) else x[:, :, :height, :width]
