"""How far apart two pictures are, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from mezzotint.core.errors import DataError


def psnr(a: Tensor, b: Tensor, top: float = 2.0) -> Tensor:
    """Peak signal-to-noise ratio of each pair of pictures, in decibels:

        PSNR(a, b) = 10 log10(top^2 / mean((a - b)^2))

    Args:
        a, b: [N, C, H, W], of any dtype; the mean is taken in float64.
        top: the range of the values, from the darkest to the lightest: 2 for pictures in [-1, 1], 255 for bytes.

    Returns:
        [N] float64; infinity for equal pictures, NaN where a value is NaN.

    Raises:
        DataError: the shapes differ or are not [N, C, H, W] with at least one pixel, or top is not positive.

    Example:
        >>> a = torch.zeros(2, 1, 4, 4)
        >>> [round(value, 3) for value in psnr(a, a + 0.2).tolist()]
        [20.0, 20.0]
    """
    if a.shape != b.shape or a.dim() != 4 or (not a[:1].numel() and len(a)):
        raise DataError(f"PSNR compares two sets [N, C, H, W] of one shape; got {list(a.shape)} and {list(b.shape)}.")
    if not top > 0:
        raise DataError(f"PSNR needs a range of values above 0; got {top}.")
    # MPS has no float64, and the work is small: it is done on the CPU there.
    place = torch.device("cpu") if a.device.type == "mps" else a.device
    difference = a.to(place).double() - b.to(place).double()
    return 10 * torch.log10(top**2 / difference.square().mean((1, 2, 3)))
