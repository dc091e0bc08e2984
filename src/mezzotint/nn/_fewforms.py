"""A large kernel to few channels, as the last layer of a translator is: its columns as channels of their own.

oneDNN computes 16 output channels at a time, so 3 of them cost as much as 16. Here a kernel of k x k to C channels is
one of k x 1 to k C channels, with as many products, and each pixel is the sum of k neighbours, a channel of each.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class ColumnSum(torch.autograd.Function):
    """y [B, k C, H, W + k - 1] -> [B, C, H, W], of float32 at least: sum_t y[:, t C + c, :, j + t]."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, kernel: int) -> Tensor:
        ctx.kernel, ctx.dtype = kernel, y.dtype
        rows = y.permute(0, 2, 3, 1)
        channels, width = rows.shape[3] // kernel, rows.shape[2] - kernel + 1
        total = rows[:, :, :width, :channels].to(torch.promote_types(y.dtype, torch.float32), copy=True)
        for t in range(1, kernel):
            total += rows[:, :, t : t + width, t * channels : (t + 1) * channels]
        return total.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Spread.apply(grad, ctx.kernel, ctx.dtype), None  # type: ignore[no-untyped-call]


class _Spread(torch.autograd.Function):
    """What `ColumnSum` adds up, in reverse and in y's format: [B, C, H, W] -> [B, k C, H, W + k - 1]."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, kernel: int, dtype: torch.dtype) -> Tensor:
        ctx.kernel = kernel
        (batch, channels, height, width), rows = grad.shape, grad.permute(0, 2, 3, 1)
        spread = rows.new_zeros(batch, height, width + kernel - 1, kernel * channels, dtype=dtype)
        for t in range(kernel):
            spread[:, :, t : t + width, t * channels : (t + 1) * channels] = rows
        return spread.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, again: Tensor) -> tuple[Tensor, None, None]:
        return ColumnSum.apply(again, ctx.kernel), None, None  # type: ignore[no-untyped-call]


def down_to_few(x: Tensor, w: Tensor, padding: int, bias: Tensor | None) -> Tensor:
    """x: [B, C, H, W], w: [D, C, k, k], bias: [D] -> [B, D, H + 2p - k + 1, W + 2p - k + 1]: a convolution."""
    few, _, k, _ = w.shape
    tall = w.permute(3, 0, 1, 2).reshape(k * few, w.shape[1], k, 1).contiguous(memory_format=torch.channels_last)
    found: Tensor = ColumnSum.apply(F.conv2d(x, tall, padding=padding), k)  # type: ignore[no-untyped-call]
    return (found if bias is None else found + bias.view(-1, 1, 1)).to(x.dtype)
