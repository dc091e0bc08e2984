"""Dirichlet distributions: shares that add up to 1."""

from __future__ import annotations

import torch
from torch import Tensor

_NEWTON, _EULER = 6, 0.5772156649015329


def expected_log(parameters: Tensor, dims: tuple[int, ...] = (-1,)) -> Tensor:
    """E log of each share, where those along `dims` are of one distribution with these parameters.

    Example:
        >>> expected_log(torch.ones(2)).round(decimals=4).tolist()
        [-1.0, -1.0]
    """
    return torch.digamma(parameters) - torch.digamma(parameters.sum(dims, keepdim=True))


def likeliest_parameters(mean_log: Tensor, start: Tensor, steps: int = 100) -> Tensor:
    """The parameters [K] under which shares with these means of their logarithms [K] are likeliest.

        digamma(a_k) = digamma(sum a) + mean log share_k               (Minka 2000, "Estimating a Dirichlet", eq. 9)

    Args:
        mean_log: [K].
        start: parameters to begin with [K].
        steps: of the iteration, of which each makes them likelier.

    Example:
        >>> a = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
        >>> found = likeliest_parameters(expected_log(a), torch.ones_like(a), steps=2000)
        >>> torch.allclose(found, a, atol=1e-4)
        True
    """
    found = start
    for _ in range(steps):
        found = _inverse_digamma(torch.digamma(found.sum()) + mean_log)
    return found


def _inverse_digamma(y: Tensor) -> Tensor:
    x = torch.where(y >= -2.22, y.exp() + 0.5, -1 / (y + _EULER))  # ibid., appendix C
    for _ in range(_NEWTON):
        x = x - (torch.digamma(x) - y) / torch.polygamma(1, x)
    return x
