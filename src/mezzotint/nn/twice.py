"""Convolutions whose derivative is cheap to differentiate again, as gradient penalties do.

PyTorch's own second derivative of a convolution takes the groups one by one, and computes the weight's share as a
convolution with a kernel as large as the picture: several times the work of a first derivative. A convolution is linear
in both of its factors, so each derivative is one of three products, whose derivatives are the same three again.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.nn._eager import plain_eager
from mezzotint.nn.fastconv import FastConv2d, _dtype, _gains, bias_grad, cast_bias, weights_too
from mezzotint.nn.fastconv import _geometry as _known

Geometry = tuple[int, int]
"""Padding and groups."""


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _backward(grad: Tensor, x: Tensor, w: Tensor, geometry: Geometry, which: int) -> Tensor:
    """The gradient of x (0) or of w (1); of the other only its shape is used."""
    padding, groups = geometry
    mask = [which == 0, which == 1, False]
    found = torch.ops.aten.convolution_backward(
        _last(grad), x, w, None, [1, 1], [padding, padding], [1, 1], False, [0, 0], groups, mask
    )
    return found[which]


class _Forth(torch.autograd.Function):
    """x [N, C, H, W], w [D, C / groups, k, k] -> [N, D, h, w]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, geometry: Geometry, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.geometry = geometry
        return F.conv2d(x, w, bias, 1, geometry[0], 1, geometry[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        need_x, need_w, _, need_bias = ctx.needs_input_grad
        need_w &= weights_too()
        grad_x = back(grad, w, ctx.geometry, x) if need_x else None
        return grad_x, weigh(x, grad, ctx.geometry, w) if need_w else None, None, bias_grad(grad, need_bias)


class _Back(torch.autograd.Function):
    """y [N, D, h, w], w -> [N, C, H, W], the transposed product; `like` has its shape."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, w: Tensor, geometry: Geometry, like: Tensor) -> Tensor:
        ctx.save_for_backward(y, w)
        ctx.geometry = geometry
        return _backward(y, like, w, geometry, 0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, w = ctx.saved_tensors
        need_y, need_w, _, _ = ctx.needs_input_grad
        grad_y = forth(_last(grad), w, ctx.geometry) if need_y else None
        return grad_y, weigh(grad, y, ctx.geometry, w) if need_w else None, None, None


class _Weigh(torch.autograd.Function):
    """x, y -> [D, C / groups, k, k], the weight's gradient; `like` has its shape."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, geometry: Geometry, like: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.geometry = geometry
        return _backward(y, _last(x), like, geometry, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        need_x, need_y, _, _ = ctx.needs_input_grad
        grad_x = back(y, grad, ctx.geometry, x) if need_x else None
        return grad_x, forth(x, grad, ctx.geometry) if need_y else None, None, None


def forth(x: Tensor, w: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """The convolution of x [N, C, H, W] with w [D, C / groups, k, k], and bias [D], with any derivative."""
    return _Forth.apply(x, w, geometry, bias)  # type: ignore[no-untyped-call]


def back(y: Tensor, w: Tensor, geometry: Geometry, like: Tensor) -> Tensor:
    """What x would receive for y [N, D, h, w]: the shape of `like`, with any derivative by y and w."""
    return _Back.apply(y, w, geometry, like.detach())  # type: ignore[no-untyped-call]


def weigh(x: Tensor, y: Tensor, geometry: Geometry, like: Tensor) -> Tensor:
    """What w would receive for y: the shape of `like`, with any derivative by x and y."""
    return _Weigh.apply(x, y, geometry, like.detach())  # type: ignore[no-untyped-call]


class TwiceConv2d(FastConv2d):
    """``nn.Conv2d`` of stride 1, in groups or not, with the derivatives above; same weights, same values.

    Where `FastConv2d` has faster forms for a small layer, which have such derivatives too, they are taken.

    Example:
        >>> layer = TwiceConv2d(8, 8, 3, padding=1, groups=4)
        >>> tuple(layer(torch.zeros(2, 8, 5, 5)).shape)
        (2, 8, 5, 5)
    """

    def forward(self, input: Tensor) -> Tensor:
        x, w, padding = input, self.weight, self.padding
        ours = self.stride == (1, 1) and self.dilation == (1, 1) and self.padding_mode == "zeros"
        ours = ours and isinstance(padding, tuple) and padding[0] == padding[1] and plain_eager() and x.numel() > 0
        if not ours or self._faster(x):
            return super().forward(input)
        kind = x.device.type
        if torch.is_autocast_enabled(kind):  # the casts are recorded, so that each gradient has its own dtype
            dtype = torch.get_autocast_dtype(kind)
            x, w = x.to(dtype), w.to(dtype)
        return forth(x, w, (int(padding[0]), self.groups), cast_bias(self.bias, w.dtype))

    def _faster(self, x: Tensor) -> bool:
        geometry = _known(self) if _dtype(x) is not None else None
        if geometry is None:
            return False
        large = (x.shape[2], x.shape[3])
        return _gains(geometry, geometry.small(large), large, self.in_channels * self.out_channels)
