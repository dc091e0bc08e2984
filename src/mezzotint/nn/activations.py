"""Piecewise linear activations for networks whose gradient is differentiated again.

Their second derivative is zero wherever there is one. PyTorch's own operators compute it all the same, as tensors of
zeros, which are then carried backward through the whole network: a sixth of the work of a gradient penalty. Here the
slope at each value is a constant, so that the second backward pass never enters the forward one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mezzotint.nn._eager import plain_eager


class _Bent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.nn.functional.leaky_relu(x, slope)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return _Sloped.apply(grad, x.detach(), ctx.slope), None  # type: ignore[no-untyped-call]


class _Sloped(torch.autograd.Function):
    """`grad` times the slope at x, which is constant."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.ops.aten.leaky_relu_backward(grad, x, slope, False)

    @staticmethod
    def backward(ctx: Any, again: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return _Sloped.apply(again, x, ctx.slope), None, None  # type: ignore[no-untyped-call]


def leaky_relu(x: Tensor, slope: float = 0.2) -> Tensor:
    """x where it is positive, slope * x elsewhere; x: any shape.

    Example:
        >>> leaky_relu(torch.tensor([-1.0, 2.0]))
        tensor([-0.2000,  2.0000])
    """
    if not (torch.is_grad_enabled() and x.requires_grad and plain_eager()):
        return torch.nn.functional.leaky_relu(x, slope)
    return _Bent.apply(x, slope)  # type: ignore[no-untyped-call]


def relu(x: Tensor) -> Tensor:
    """x where it is positive, zero elsewhere; x: any shape.

    Example:
        >>> relu(torch.tensor([0.5, 2.0]))
        tensor([0.5000, 2.0000])
    """
    return leaky_relu(x, 0.0)
