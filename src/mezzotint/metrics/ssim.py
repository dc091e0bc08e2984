"""Structural similarity of pairs of pictures, and how alike the pictures of a set are.

SSIM by Wang et al. (2004), "Image quality assessment: from error visibility to structural similarity", equation 13,
with its Gaussian window of 11 x 11 (standard deviation 1.5), K1 = 0.01 and K2 = 0.03; MS-SSIM by Wang, Simoncelli and
Bovik (2003), "Multiscale structural similarity for image quality assessment", equation 7.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mezzotint.core.errors import DataError

_SIDE, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, the finest first."""
SMALLEST = _SIDE
"""Pictures need at least so many pixels on each side."""


def ssim(a: Tensor, b: Tensor, top: float = 255.0) -> Tensor:
    """SSIM of each pair of pictures: the mean over the places where the window lies wholly inside, and over channels.

    Args:
        a, b: [N, C, H, W], of any dtype, with at least 11 pixels on each side; computed in float64.
        top: the range of the values: 255 for bytes, 2 for pictures in [-1, 1].

    Returns:
        [N] float64 in [-1, 1]; 1 for equal pictures.

    Raises:
        DataError: the shapes differ, are too small or are not [N, C, H, W], or top is not positive.

    Example:
        >>> a = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
        >>> round(ssim(a, a).item(), 6), ssim(a, 255 - a).item() < 0
        (1.0, True)
    """
    x, y = _checked(a, b, top)
    return _parts(x, y, top)[0].mean(1)


def ms_ssim(a: Tensor, b: Tensor, top: float = 255.0) -> Tensor:
    """MS-SSIM of each pair of pictures, on as many of the five scales as they are large enough for.

    Contrast and structure are compared on every scale, halved by 2 x 2 means each time, and luminance on the coarsest.
    Five scales need 176 pixels on the shorter side; smaller pictures have fewer (see `scales`), whose weights are
    brought to sum to 1. **So values of pictures of different size are of different things.** A scale on which the
    structure is opposite (below zero) counts as 0.

    Args:
        a, b, top: as for `ssim`.

    Returns:
        [N] float64 in [0, 1].

    Example:
        >>> a = torch.arange(1024).view(1, 1, 32, 32) % 256
        >>> round(ms_ssim(a, a).item(), 6)
        1.0
    """
    x, y = _checked(a, b, top)
    count = scales(*x.shape[2:])
    weights = torch.tensor(WEIGHTS[:count], dtype=torch.float64)
    weights = weights / weights.sum()
    found = torch.ones(x.shape[:1], dtype=torch.float64)
    for scale in range(count):
        both, structure = _parts(x, y, top)
        value = both if scale == count - 1 else structure
        found = found * value.mean(1).clamp(min=0) ** weights[scale]
        x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
    return found


def scales(height: int, width: int) -> int:
    """On how many scales the window still fits: 5 from 176 pixels on, 4 from 88, 3 from 44, 2 from 22, 1 from 11.

    Example:
        >>> scales(28, 28), scales(256, 256), scales(8, 8)
        (2, 5, 0)
    """
    side = min(height, width)
    return sum(side >> scale >= _SIDE for scale in range(len(WEIGHTS)))


def scale_note(height: int, width: int) -> str:
    """A sentence to say where fewer than the five scales are used; "" where all are."""
    count = scales(height, width)
    if count == len(WEIGHTS):
        return ""
    return (
        f"MS-SSIM uses {count} of its 5 scales on pictures of {height} x {width} pixels (all 5 need 176): "
        "compare it only with values at the same size."
    )


def pair_up(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Disjoint pairs of a set in random order, for its diversity: the first with the second, and so on.

    The mean MS-SSIM of pairs of generated pictures (Odena et al. (2017), arXiv:1610.09585, section 4.2) is high where
    they are all alike. Disjoint pairs are independent, so that the spread of their values gives an honest interval.

    Example:
        >>> a, b = pair_up(torch.arange(5).view(5, 1, 1, 1))
        >>> a.flatten().tolist(), b.flatten().tolist()
        ([0, 2], [1, 3])
    """
    even = len(pictures) // 2 * 2
    return pictures[0:even:2], pictures[1:even:2]


def _parts(x: Tensor, y: Tensor, top: float) -> tuple[Tensor, Tensor]:
    """SSIM and its contrast-structure term, the mean over space of each channel: [N, C] both."""
    n, channels = x.shape[:2]
    c1, c2 = (_K1 * top) ** 2, (_K2 * top) ** 2
    stack = torch.cat([x, y, x * x, y * y, x * y]).flatten(0, 1).unsqueeze(1)
    window = _window()
    smooth = functional.conv2d(functional.conv2d(stack, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    mx, my, xx, yy, xy = smooth.view(5, n, channels, *smooth.shape[2:])
    structure = (2 * (xy - mx * my) + c2) / ((xx - mx * mx) + (yy - my * my) + c2)
    luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    return (structure * luminance).mean((2, 3)), structure.mean((2, 3))


def _window() -> Tensor:
    at = torch.arange(_SIDE, dtype=torch.float64) - _SIDE // 2
    weights = torch.exp(-at.square() / (2 * _SIGMA**2))
    return weights / weights.sum()


def _checked(a: Tensor, b: Tensor, top: float) -> tuple[Tensor, Tensor]:
    if a.shape != b.shape or a.dim() != 4 or not a.shape[1]:
        raise DataError(f"SSIM compares two sets [N, C, H, W] of one shape; got {list(a.shape)} and {list(b.shape)}.")
    if min(a.shape[2:]) < _SIDE:
        raise DataError(
            f"SSIM needs pictures of at least {_SIDE} x {_SIDE} pixels, the size of its window; got "
            f"{a.shape[2]} x {a.shape[3]}. Use PSNR, or larger pictures."
        )
    if not top > 0:
        raise DataError(f"SSIM needs a range of values above 0; got {top}.")
    return a.cpu().double(), b.cpu().double()
