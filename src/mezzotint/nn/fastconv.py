"""Faster equal forms of small and strided convolutions, on a CPU: in bfloat16, and in float32 on AVX2 machines.

The products of a layer and their forms are in :mod:`mezzotint.nn._convforms`; here are the rule that chooses among
them, their derivatives, and the layers. The backward of each product is written with the other two, so derivatives
of any order (gradient penalties) use the same code. oneDNN runs most products near the machine's peak; slow are

* all three where the small side has few pixels, and the weight gradient of strided layers up to 64;
* ``up`` to a few channels (pictures): one fifteenth of the peak; large kernels to a few: one fifth.

And torch 2.13 leaves the bfloat16 weight gradient unset where a kernel row or column meets nothing but padding.

The rule is a table of what was measured (``benchmarks/conv_forms.py``) and never a measurement of the moment, because
forms round differently and a resumed run must take the same ones. Convolutions whose output (or transposed, whose
input) is one pixel are matrix products, and are written so. Everything else, among it float32 on machines with
AVX512, CUDA, tracing, compiling, exporting and ``torch.func``, is the native operator of the parent class. Weights have
the parent's names and shapes: a checkpoint made with one loads into the other.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mezzotint.nn import _convforms as forms
from mezzotint.nn._convforms import Geometry, Size
from mezzotint.nn._eager import plain_eager
from mezzotint.nn._fewforms import down_to_few
from mezzotint.nn._products import avx2

bf16 = torch.bfloat16

_WIDE = 64 * 128
"""Channel pairs below which a layer is too little work to matter."""
_SMALL = {bf16: ((4, _WIDE), (16, 256 * 512)), torch.float32: ((4, _WIDE), (16, 512 * 1024))}
"""Pixels of the small side up to which matrix products beat the native operators, from how many channel pairs on."""
_SMALL_WEIGHT_AREA = 16
_SMALL_STRIDED_WEIGHT_AREA = 64
"""Pixels of the small side up to which patches win for the weight gradient, without and with a stride."""
_PARITY = 256 * 512
"""Channel pairs from which leaving out what falls outside the picture pays for its copies, in float32."""
_FEW = 4
"""Output channels up to which the sub-pixel form of ``up`` wins, and columns as channels in large kernels."""
_TALL = 5
"""Kernel from which on they do."""


@functools.cache
def _measured(dtype: torch.dtype) -> bool:
    """Whether the table holds for this number format on this machine."""
    return dtype is bf16 or (dtype is torch.float32 and avx2())


def _small(area: int, pairs: int, dtype: torch.dtype) -> bool:
    """Whether ``down`` and ``up`` are better as matrix products."""
    return any(area <= most and pairs >= least for most, least in _SMALL.get(dtype, ()))


def _by_parity(w: Size, geometry: Geometry, dtype: torch.dtype) -> bool:
    """Whether classes of pixels are better than patches: they save most where the stride does not divide the kernel."""
    k, s, _ = geometry
    return dtype is torch.float32 and w[0] * w[1] >= _PARITY and (s == 1 or k % s != 0)


def _down(x: Tensor, w: Tensor, geometry: Geometry, bias: Tensor | None) -> Tensor:
    small = geometry.small((x.shape[2], x.shape[3]))
    if not _small(small[0] * small[1], w.shape[0] * w.shape[1], x.dtype):
        return forms.down_native(x, w, geometry, bias)
    form = forms.down_by_parity if _by_parity((w.shape[0], w.shape[1]), geometry, x.dtype) else forms.down_by_patches
    return _biased(form(x, w, geometry), bias)


def _up(y: Tensor, w: Tensor, geometry: Geometry, size: Size, bias: Tensor | None) -> Tensor:
    if _small(y.shape[2] * y.shape[3], w.shape[0] * w.shape[1], y.dtype):
        by_parity = _by_parity((w.shape[0], w.shape[1]), geometry, y.dtype)
        return _biased((forms.up_by_parity if by_parity else forms.up_by_patches)(y, w, geometry, size), bias)
    even = size == (2 * y.shape[2], 2 * y.shape[3])
    if geometry == (4, 2, 1) and w.shape[1] <= _FEW and even:
        return forms.up_by_pixels(y, w, bias)
    return forms.up_native(y, w, geometry, size, bias)


def _weight_grad(x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    small, large, channels = (y.shape[2], y.shape[3]), (x.shape[2], x.shape[3]), (y.shape[1], x.shape[1])
    limit = _SMALL_STRIDED_WEIGHT_AREA if geometry.stride > 1 else _SMALL_WEIGHT_AREA
    pays = small[0] * small[1] <= limit and channels[0] * channels[1] >= _WIDE
    if pays and _by_parity(channels, geometry, x.dtype):
        return forms.weight_grad_by_parity(x, y, geometry)
    if pays or geometry.blind(small, large):
        return forms.weight_grad_by_patches(x, y, geometry)
    return forms.weight_grad_native(x, y, geometry)


def _biased(y: Tensor, bias: Tensor | None) -> Tensor:
    """y: [B, C, H, W], which nobody else holds yet. The native forms have it in the product, where it costs nothing."""
    return y if bias is None else y.add_(bias.to(y.dtype).view(-1, 1, 1))


def _last(x: Tensor) -> Tensor:
    """x: [B, C, H, W], channels last also in its strides where C is 1, by which oneDNN goes."""
    if x.shape[1] == 1:
        return x.reshape(len(x), *x.shape[2:], 1).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last)


_wanted = threading.local()


@contextmanager
def inputs_only() -> Iterator[None]:
    """Inside, backward passes of the calling thread give gradients of inputs and none of weights.

    For ``torch.autograd.grad(scores, pictures)``: a function of one's own isn't told that nobody asked for the weights'
    gradients, and computes them, which is half of its work.
    """
    _wanted.inputs = True
    try:
        yield
    finally:
        _wanted.inputs = False


def weights_too() -> bool:
    """Whether backward passes of the calling thread give gradients of weights."""
    return not getattr(_wanted, "inputs", False)


def bias_grad(grad: Tensor, needed: bool) -> Tensor | None:
    """What a bias [C] receives for the output's `grad` [B, C, H, W]."""
    return grad.sum((0, 2, 3)) if needed and weights_too() else None


# --- their derivatives ---------------------------------------------------------------------------------------


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, geometry: Geometry, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.geometry = geometry
        return _down(x, w, geometry, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        need_x, need_w, _, need_bias = ctx.needs_input_grad
        need_w &= weights_too()
        grad = _last(grad)
        grad_x = up(grad, w, ctx.geometry, (x.shape[2], x.shape[3])) if need_x else None
        return grad_x, weight_grad(x, grad, ctx.geometry) if need_w else None, None, bias_grad(grad, need_bias)


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, w: Tensor, geometry: Geometry, size: Size, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(y, w)
        ctx.geometry = geometry
        return _up(y, w, geometry, size, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, w = ctx.saved_tensors
        need_y, need_w, _, _, need_bias = ctx.needs_input_grad
        need_w &= weights_too()
        grad = _last(grad)
        grad_y = down(grad, w, ctx.geometry) if need_y else None
        grad_w = weight_grad(grad, y, ctx.geometry) if need_w else None
        return grad_y, grad_w, None, None, bias_grad(grad, need_bias)


class _WeightGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.geometry = geometry
        return _weight_grad(x, y, geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        need_x, need_y, _ = ctx.needs_input_grad
        grad_x = up(y, grad, ctx.geometry, (x.shape[2], x.shape[3])) if need_x else None
        return grad_x, down(x, grad, ctx.geometry) if need_y else None, None


def down(x: Tensor, w: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """x: [B, C, H, W], w: [D, C, k, k], bias: [D] -> [B, D, h, w]: convolution, any derivative."""
    return _Down.apply(x, w, geometry, bias)  # type: ignore[no-untyped-call]


def up(y: Tensor, w: Tensor, geometry: Geometry, size: Size, bias: Tensor | None = None) -> Tensor:
    """y: [B, D, h, w], w: [D, C, k, k], bias: [C] -> [B, C, *size]: the transposed convolution, any derivative."""
    return _Up.apply(y, w, geometry, size, bias)  # type: ignore[no-untyped-call]


def weight_grad(x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    """x: [B, C, H, W], y: [B, D, h, w] -> [D, C, k, k]: what ``down``'s weight would receive for ``y``."""
    return _WeightGrad.apply(x, y, geometry)  # type: ignore[no-untyped-call]


# --- modules -------------------------------------------------------------------------------------------------


def _dtype(x: Tensor) -> torch.dtype | None:
    """x: [B, C, H, W]: the number format in which second forms may be used, or None: only the native operator."""
    if not plain_eager() or x.device.type != "cpu" or x.dim() != 4 or x.numel() == 0:
        return None
    dtype = x.dtype
    if torch.is_autocast_enabled("cpu") and dtype in (torch.float32, bf16):
        dtype = torch.get_autocast_dtype("cpu")
    return dtype if _measured(dtype) else None


def _geometry(layer: nn.Conv2d | nn.ConvTranspose2d) -> Geometry | None:
    """The layer's geometry; None where it has none of ours."""
    if layer.groups > 1 or layer.dilation != (1, 1) or layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    (k, k_wide), (s, s_wide), (p, p_wide) = layer.kernel_size, layer.stride, layer.padding
    if (k, s, p) != (k_wide, s_wide, p_wide) or k == 1:
        return None
    return Geometry(k, s, int(p))


def _cast(dtype: torch.dtype, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Both in `dtype` and channels last. The cast is recorded, so that the weight's gradient has its own dtype."""
    return _last(x.to(dtype)), weight.to(dtype, memory_format=torch.channels_last)


def cast_bias(bias: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """A layer's bias in `dtype`, where it has one."""
    return None if bias is None else bias.to(dtype)


def _gains(geometry: Geometry, small: Size, large: Size, pairs: int) -> bool:
    """Whether some product of such a layer has a faster form, or needs another one to be right."""
    tiny = small[0] * small[1] <= _SMALL_WEIGHT_AREA and pairs >= _WIDE
    return geometry.stride > 1 or tiny or geometry.blind(small, large)


class FastConv2d(nn.Conv2d):
    """``nn.Conv2d`` with the forms above; x: [B, C, H, W] -> [B, D, H', W'], as its parent."""

    def forward(self, input: Tensor) -> Tensor:
        dtype = _dtype(input)
        geometry = _geometry(self) if dtype is not None else None
        if geometry is None or dtype is None:
            return super().forward(input)
        k, _, p = geometry
        height, width = input.shape[2:]
        if (height, width) == (k, k) and p == 0:  # every weight meets every input once: a matrix product
            x, w = _cast(dtype, input, self.weight)
            y = x.permute(0, 2, 3, 1).flatten(1) @ w.permute(0, 2, 3, 1).flatten(1).t()
            return _biased(y[:, :, None, None], self.bias)
        small = geometry.small((height, width))
        few = geometry.stride == 1 and k >= _TALL and self.out_channels <= _FEW and dtype is bf16
        if few and min(small) > 0 and not geometry.blind(small, (height, width)):
            return down_to_few(*_cast(dtype, input, self.weight), p, cast_bias(self.bias, dtype))
        if min(small) < 1 or not _gains(geometry, small, (height, width), self.in_channels * self.out_channels):
            return super().forward(input)
        return down(*_cast(dtype, input, self.weight), geometry, cast_bias(self.bias, dtype))


class FastConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` with the forms above; x: [B, D, h, w] -> [B, C, H, W], as its parent."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        dtype = _dtype(input) if output_size is None else None
        geometry = _geometry(self) if dtype is not None else None
        if geometry is None or dtype is None:
            return super().forward(input, output_size)
        small = (input.shape[2], input.shape[3])
        if small == (1, 1) and geometry.padding == 0 and self.output_padding == (0, 0):
            x, w = _cast(dtype, input, self.weight)
            y = x.flatten(1) @ w.permute(0, 2, 3, 1).flatten(1)
            return _biased(y.view(len(x), *self.kernel_size, self.out_channels).permute(0, 3, 1, 2), self.bias)
        least, (more_h, more_w) = geometry.least(small), self.output_padding
        size = (least[0] + int(more_h), least[1] + int(more_w))
        if min(size) < 1 or not _gains(geometry, small, size, self.in_channels * self.out_channels):
            return super().forward(input, output_size)
        return up(*_cast(dtype, input, self.weight), geometry, size, cast_bias(self.bias, dtype))


def eager_down(x: Tensor, w: Tensor, geometry: Geometry, bias: Tensor | None) -> Tensor | None:
    """`down` for a layer whose kernel w [D, C, k, k] is computed, under autocast too; None where only torch's own may.

    Args:
        x: [B, C, H, W], of at least the kernel's size with its padding.
    """
    dtype = _dtype(x)
    return None if dtype is None else down(*_cast(dtype, x, w), geometry, cast_bias(bias, dtype))


def quicken(model: nn.Module) -> None:
    """Give every plain convolution of `model` the forms above, in place; weights, names and hooks stay as they are.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1))
        >>> quicken(net)
        >>> type(net[0]).__name__
        'FastConv2d'
    """
    for module in model.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = FastConv2d
        elif type(module) is nn.ConvTranspose2d:
            module.__class__ = FastConvTranspose2d
