"""How far apart two sets of vectors are: the maximum mean discrepancy, as a loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Kernel = Literal["rbf", "imq"]

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Widths, as multiples of the squared distance that two draws of the prior have (Tolstikhin et al. 2018)."""


def kernel(squares: Tensor, size: int, kind: Kernel) -> Tensor:
    """k(x, y) of squared distances [N, M] between vectors of `size` numbers, in [0, 1].

    With C = 2 size, the mean squared distance of two draws of N(0, I), and s over the scales 0.1 to 10:

        rbf: the mean over s of exp(-d^2 / (s C))         imq: the mean over s of s C / (s C + d^2)
    """
    widths = squares.new_tensor(_SCALES) * (2 * size)
    ratio = squares[..., None] / widths
    values = torch.exp(-ratio) if kind == "rbf" else 1 / (1 + ratio)
    return values.mean(-1)


def mmd(x: Tensor, y: Tensor, kind: Kernel = "imq") -> Tensor:
    """The squared maximum mean discrepancy [] of x and y: 0 on average where both are drawn alike, and may be negative.

        MMD^2 = E k(x, x') - 2 E k(x, y) + E k(y, y')

    by the unbiased estimate (Gretton et al. 2012, "A Kernel Two-Sample Test", lemma 6).

    Args:
        x: [N, D], N at least 2.
        y: [M, D], M at least 2.
        kind: inverse multiquadratic, whose tails are heavy, or Gaussian; see `kernel`.

    Example:
        >>> a = torch.tensor([[0.0], [1.0]])
        >>> mmd(a, a + 100).item() > 0.5
        True
    """
    size = x.shape[1]
    with torch.autocast(x.device.type, enabled=False):  # small distances of long vectors need all digits
        same = torch.stack([_off_diagonal(kernel(_squares(z, z), size, kind)) for z in (x, y)]).sum()
        return same - 2 * kernel(_squares(x, y), size, kind).mean()


def _squares(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances [N, M], by products: no tensor [N, M, D] is made."""
    found = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.t()
    return found.clamp(min=0)


def _off_diagonal(values: Tensor) -> Tensor:
    n = len(values)
    return (values.sum() - values.diagonal().sum()) / (n * (n - 1))
