"""How different two pictures look to a network: a distance between its feature maps.

The form is that of LPIPS, Zhang et al. (2018), "The unreasonable effectiveness of deep features as a perceptual
metric", arXiv:1801.03924, equation 1, with equal weights instead of fitted ones (their "uncalibrated" variant). It is
not called LPIPS here: that name belongs to their networks and weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mezzotint.core.errors import DataError

_EPSILON = 1e-10


def perceptual_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """The distance of each pair of pictures:

        d(a, b) = sum over layers of mean over space of |u(a) - u(b)|^2,    u(x) = x / (|x| + 1e-10) over channels

    Args:
        a, b: feature maps of N pictures each: `Output.maps` of one extractor, [N, C_i, H_i, W_i] each.

    Returns:
        [N] float64, >= 0; 0 for equal pictures. Each layer adds at most 4 (2 where features are never negative).

    Raises:
        DataError: there are no maps, or their shapes differ.

    Example:
        >>> a, b = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1), torch.tensor([0.0, 3.0]).view(1, 2, 1, 1)
        >>> round(perceptual_distance([a], [b]).item(), 6)
        2.0
    """
    if not a or [x.shape for x in a] != [x.shape for x in b]:
        raise DataError(
            "A perceptual distance needs the feature maps of two equal numbers of pictures; got "
            f"{[list(x.shape) for x in a]} and {[list(x.shape) for x in b]}."
        )
    total = torch.zeros(len(a[0]), dtype=torch.float64)
    for one, other in zip(a, b, strict=True):
        apart = _unit(one) - _unit(other)
        total += apart.square().sum(1).mean((1, 2)).cpu()
    return total


def _unit(x: Tensor) -> Tensor:
    x = x.double()
    return x / (x.norm(dim=1, keepdim=True) + _EPSILON)
