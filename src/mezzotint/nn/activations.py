"""Piecewise linear activations for networks whose gradient is differentiated again.

Their second derivative is zero wherever there is one. PyTorch's own operators compute it all the same, as tensors of
zeros, which are then carried backward through the whole network: a sixth of the work of a gradient penalty. Here the
slope at each value is a constant, so that the second backward pass never enters the forward one.
"""

from __future__ import annotations

import torch
from torch import Tensor


def leaky_relu(x: Tensor, slope: float = 0.2) -> Tensor:
    """x where it is positive, slope * x elsewhere; x: any shape.

    Example:
        >>> leaky_relu(torch.tensor([-1.0, 2.0]))
        tensor([-0.2000,  2.0000])
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return torch.nn.functional.leaky_relu(x, slope)
    with torch.no_grad():
        slopes = torch.where(x > 0, 1.0, slope).to(x.dtype)
    return x * slopes


def relu(x: Tensor) -> Tensor:
    """x where it is positive, zero elsewhere; x: any shape.

    Example:
        >>> relu(torch.tensor([0.5, 2.0]))
        tensor([0.5000, 2.0000])
    """
    return leaky_relu(x, 0.0)
