"""Faster equal forms of the convolutions that image GANs are made of: kernel 4, stride 2, padding 1, on a CPU.

Three products make up such a layer, and each is the other two's derivative (they are one trilinear form):

    ``down(x, w)``          [B, C, H, W], [D, C, 4, 4] -> [B, D, H//2, W//2]      a convolution
    ``up(y, w)``            [B, D, h, w], [D, C, 4, 4] -> [B, C, 2h(+1), 2w(+1)]  a transposed convolution
    ``weight_grad(x, y)``   [B, C, H, W], [B, D, H//2, W//2] -> [D, C, 4, 4]

So the backward of each is written with the other two, and derivatives of any order (gradient penalties) use the
same code. oneDNN runs ``down`` and ``up`` near its peak in bfloat16; two cases are slow, and have a second form:

* ``weight_grad`` where the output is small (8x8 and below): at half the peak or less. Here: patches copied out
  (im2col, in channels-last order, a block that fits the cache at a time) and one matrix product.
* ``up`` to a few channels (pictures): one fifteenth of the peak. Here: an ordinary 3x3 convolution to the
  2x2 pixels of each output cell, then interleaved. It multiplies by zeros 5 times in 9, and takes half the time.

Convolutions whose output (or transposed, whose input) is one pixel are matrix products, and are written so.
The rule is :func:`_pays`: CPU and bfloat16 (alone or through autocast). Everything else, among it float32, CUDA,
tracing, compiling, exporting and ``torch.func``, is the native operator of the parent class. Weights have the
parent's names and shapes: a checkpoint made with one loads into the other.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

_PATCH_BYTES = 16 << 20
"""Patches held at once: a block that the last-level cache keeps between being written and being multiplied."""
_SMALL_AREA = 64
"""Output pixels per picture up to which the matrix product beats the native weight gradient."""
_WIDE = 64 * 128
"""Channel pairs below which the weight gradient is too little work to matter."""
_FEW = 4
"""Output channels up to which the sub-pixel form of ``up`` wins."""

Size = tuple[int, int]
bf16 = torch.bfloat16


# --- the three products, each in its forms -------------------------------------------------------------------


def _rows(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B*H*W, C]; no copy for a channels-last tensor."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def patches(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B * H//2 * W//2, 16*C]: what each 4x4 window sees, stride 2, zero padding 1, channels last."""
    b, c, h, w = x.shape
    padded = x.new_zeros(b, h + 2, w + 2, c)
    padded[:, 1:-1, 1:-1] = x.permute(0, 2, 3, 1)
    image, row, column, _ = padded.stride()
    windows = padded.as_strided((b, h // 2, w // 2, 4, 4, c), (image, 2 * row, 2 * column, row, column, 1))
    return windows.reshape(-1, 16 * c)


def weight_grad_by_patches(x: Tensor, y: Tensor) -> Tensor:
    """x: [B, C, H, W], y: [B, D, H//2, W//2] -> [D, C, 4, 4]: matrix products of patches, a block at a time."""
    (b, c), d = x.shape[:2], y.shape[1]
    per_picture = 16 * c * y.shape[2] * y.shape[3] * x.element_size()
    blocks = min(b, -(-b * per_picture // _PATCH_BYTES))
    total: Tensor | None = None
    for x_block, y_block in zip(x.tensor_split(blocks), y.tensor_split(blocks), strict=True):
        part = _rows(y_block).t() @ patches(x_block)
        if blocks > 1 and part.dtype is bf16:  # so that adding up blocks loses nothing
            part = part.float()
        total = part if total is None else total.add_(part)
    assert total is not None
    return total.to(x.dtype).view(d, 4, 4, c).permute(0, 3, 1, 2)


def weight_grad_native(x: Tensor, y: Tensor) -> Tensor:
    """x: [B, C, H, W], y: [B, D, H//2, W//2] -> [D, C, 4, 4]: the library's own."""
    weight = x.new_empty(1).expand(y.shape[1], x.shape[1], 4, 4)  # only its shape is read
    grads = torch.ops.aten.convolution_backward(
        y, x, weight, None, [2, 2], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False]
    )
    return grads[1]


def up_by_pixels(y: Tensor, w: Tensor) -> Tensor:
    """y: [B, D, h, w], w: [D, C, 4, 4] -> [B, C, 2h, 2w]: a 3x3 convolution to 4*C channels, then interleaving.

    Output row ``2i + r`` takes input row ``i - 1 + t`` times kernel row ``3 + r - 2t`` where there is one.
    """
    (b, d, h, width), c = y.shape, w.shape[1]
    flipped = F.pad(w, (1, 1, 1, 1)).flip(2, 3)  # kernel row k lies at 4 - k, and the rows -1 and 4 are zero
    cell = torch.stack([flipped[:, :, 1 - r : 6 - r : 2, 1 - s : 6 - s : 2] for r in (0, 1) for s in (0, 1)])
    kernel = cell.transpose(1, 2).reshape(4 * c, d, 3, 3).contiguous(memory_format=torch.channels_last)
    cells = F.conv2d(y, kernel, padding=1).permute(0, 2, 3, 1).reshape(b, h, width, 2, 2, c)
    return cells.permute(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * width, c).permute(0, 3, 1, 2)


def _down(x: Tensor, w: Tensor) -> Tensor:
    return F.conv2d(x, w, stride=2, padding=1)


def _up(y: Tensor, w: Tensor, size: Size) -> Tensor:
    extra = (size[0] - 2 * y.shape[2], size[1] - 2 * y.shape[3])
    if w.shape[1] <= _FEW and extra == (0, 0) and y.dtype is bf16:
        return up_by_pixels(y, w)
    return F.conv_transpose2d(y, w, stride=2, padding=1, output_padding=extra)


def _weight_grad(x: Tensor, y: Tensor) -> Tensor:
    small = y.shape[2] * y.shape[3] <= _SMALL_AREA
    if small and x.shape[1] * y.shape[1] >= _WIDE and x.dtype is bf16:
        return weight_grad_by_patches(x, y)
    return weight_grad_native(x, y)


# --- their derivatives ---------------------------------------------------------------------------------------


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return _down(x, w)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        need_x, need_w = ctx.needs_input_grad
        return up(grad, w, (x.shape[2], x.shape[3])) if need_x else None, weight_grad(x, grad) if need_w else None


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, w: Tensor, size: Size) -> Tensor:
        ctx.save_for_backward(y, w)
        return _up(y, w, size)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, w = ctx.saved_tensors
        need_y, need_w, _ = ctx.needs_input_grad
        return down(grad, w) if need_y else None, weight_grad(grad, y) if need_w else None, None


class _WeightGrad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        return _weight_grad(x, y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y = ctx.saved_tensors
        need_x, need_y = ctx.needs_input_grad
        return up(y, grad, (x.shape[2], x.shape[3])) if need_x else None, down(x, grad) if need_y else None


def down(x: Tensor, w: Tensor) -> Tensor:
    """x: [B, C, H, W], w: [D, C, 4, 4] -> [B, D, H//2, W//2]: convolution, stride 2, padding 1, any derivative."""
    return _Down.apply(x, w)  # type: ignore[no-untyped-call]


def up(y: Tensor, w: Tensor, size: Size) -> Tensor:
    """y: [B, D, h, w], w: [D, C, 4, 4], size 2h or 2h+1, 2w or 2w+1 -> [B, C, *size]: the transposed convolution."""
    return _Up.apply(y, w, size)  # type: ignore[no-untyped-call]


def weight_grad(x: Tensor, y: Tensor) -> Tensor:
    """x: [B, C, H, W], y: [B, D, H//2, W//2] -> [D, C, 4, 4]: what ``down``'s weight would receive for ``y``."""
    return _WeightGrad.apply(x, y)  # type: ignore[no-untyped-call]


# --- modules -------------------------------------------------------------------------------------------------


def _plain_eager() -> bool:
    """Whether operators really run now, with ordinary reverse-mode derivatives, and nobody is recording them."""
    return not (
        torch.compiler.is_compiling()
        or torch.compiler.is_exporting()
        or torch._C._get_tracing_state() is not None
        or torch.onnx.is_in_onnx_export()
        or torch._C._are_functorch_transforms_active()
        or getattr(forward_ad, "_current_level", -1) >= 0
    )


def _pays(x: Tensor) -> bool:
    """x: [B, C, H, W]: whether a second form may be used: CPU, and bfloat16 as it is or by autocast."""
    if not _plain_eager() or x.device.type != "cpu" or x.dim() != 4 or x.numel() == 0:
        return False
    if torch.is_autocast_enabled("cpu"):
        return x.dtype in (torch.float32, bf16) and torch.get_autocast_dtype("cpu") is bf16
    return x.dtype is bf16


def _ordinary(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    return layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"


def _halving(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    return layer.kernel_size == (4, 4) and layer.stride == (2, 2) and layer.padding == (1, 1)


def _lowered(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Both in bfloat16 and channels last. The cast is recorded, so that the weight's gradient has its own dtype."""
    return (
        x.to(bf16, memory_format=torch.channels_last),
        weight.to(bf16, memory_format=torch.channels_last),
    )


def _biased(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias.to(y.dtype).view(-1, 1, 1)


class FastConv2d(nn.Conv2d):
    """``nn.Conv2d`` with the forms above; x: [B, C, H, W] -> [B, D, H', W'], as its parent."""

    def forward(self, input: Tensor) -> Tensor:
        if not _pays(input) or not _ordinary(self):
            return super().forward(input)
        whole = tuple(input.shape[2:]) == self.kernel_size and self.padding == (0, 0)
        if not whole and not (_halving(self) and min(input.shape[2:]) > 1):
            return super().forward(input)
        x, w = _lowered(input, self.weight)
        if whole:  # every weight meets every input once: a matrix product
            y = x.permute(0, 2, 3, 1).flatten(1) @ w.permute(0, 2, 3, 1).flatten(1).t()
            return _biased(y[:, :, None, None], self.bias)
        return _biased(down(x, w), self.bias)


class FastConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` with the forms above; x: [B, D, h, w] -> [B, C, H, W], as its parent."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if not _pays(input) or not _ordinary(self) or output_size is not None:
            return super().forward(input, output_size)
        dot = tuple(input.shape[2:]) == (1, 1) and self.padding == self.output_padding == (0, 0)
        if not dot and not _halving(self):
            return super().forward(input, output_size)
        x, w = _lowered(input, self.weight)
        if dot:
            y = x.flatten(1) @ w.permute(0, 2, 3, 1).flatten(1)
            return _biased(y.view(len(x), *self.kernel_size, self.out_channels).permute(0, 3, 1, 2), self.bias)
        (h, width), (more_h, more_w) = input.shape[2:], self.output_padding
        return _biased(up(x, w, (2 * h + int(more_h), 2 * width + int(more_w))), self.bias)
