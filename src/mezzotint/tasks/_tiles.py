"""Large pictures in parts that overlap, so that memory stays small and no seam is seen."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WHOLE = 1024 * 1024
"""Pixels up to which a picture is taken whole."""
TILE, OVERLAP = 768, 128


def by_tiles(
    work: Callable[[Tensor], Tensor], picture: Tensor, tile: int = TILE, overlap: int = OVERLAP, whole: int = WHOLE
) -> Tensor:
    """`work` of a picture [1, C, H, W], whole or in tiles, whose overlaps fade into each other.

    Args:
        work: a picture of any size -> one of the same size.
        tile: pixels a side.
        overlap: pixels that neighbouring tiles share.
        whole: a picture of no more pixels is not cut.

    Example:
        >>> x = torch.rand(1, 3, 50, 70)
        >>> bool(torch.allclose(by_tiles(lambda part: part * 2, x, tile=32, overlap=8, whole=0), x * 2))
        True
    """
    _, _, height, width = picture.shape
    if height * width <= whole or max(height, width) <= tile:
        return work(picture)
    total: Tensor | None = None
    weights = torch.zeros(1, 1, height, width, device=picture.device)
    for top in _starts(height, tile, overlap):
        for left in _starts(width, tile, overlap):
            part = picture[:, :, top : top + tile, left : left + tile]
            made = work(part).float()
            if total is None:
                total = torch.zeros(1, made.shape[1], height, width, device=picture.device)
            fade = _fade(made.shape[2], overlap)[:, None] * _fade(made.shape[3], overlap)
            fade = fade.to(picture.device)
            total[:, :, top : top + tile, left : left + tile] += made * fade
            weights[:, :, top : top + tile, left : left + tile] += fade
    assert total is not None
    return total / weights


def _starts(size: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin, so that they cover `size` evenly and share `overlap` at least."""
    if size <= tile:
        return [0]
    count = -(-(size - overlap) // (tile - overlap))
    return [round(k * (size - tile) / (count - 1)) for k in range(count)]


def _fade(size: int, overlap: int) -> Tensor:
    """Weights [size] that rise at both ends; never 0."""
    ramp = (torch.arange(size) + 1.0).clamp(max=overlap + 1) / (overlap + 1)
    return ramp * ramp.flip(0)
