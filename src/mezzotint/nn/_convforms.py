"""The three products of a convolution layer, each in a native form and in one made of matrix products.

They are one trilinear form, so that each is the other two's derivative. With kernel k, stride s, padding p:

    ``down(x, w)``          [B, C, H, W], [D, C, k, k] -> [B, D, h, w]     a convolution, h = (H + 2p - k) // s + 1
    ``up(y, w, size)``      [B, D, h, w], [D, C, k, k] -> [B, C, H, W]     a transposed convolution
    ``weight_grad(x, y)``   [B, C, H, W], [B, D, h, w] -> [D, C, k, k]

The second forms copy patches out (im2col) or add them up (col2im), in channels-last order, with one matrix product.
They pay where h x w is small. To few channels there is a third, for kernel 4, stride 2, padding 1: an ordinary 3x3
convolution to the 2x2 pixels of each output cell, then interleaved; it multiplies by zeros 5 times in 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.nn._products import times, times_transposed

PATCH_BYTES = 16 << 20
"""Patches held at once: a block that the last-level cache keeps between being written and being multiplied."""

Size = tuple[int, int]


class Geometry(NamedTuple):
    """A square kernel, its stride and padding."""

    kernel: int
    stride: int
    padding: int

    def small(self, large: Size) -> Size:
        """The size [h, w] to which a convolution brings `large`."""
        k, s, p = self
        return (large[0] + 2 * p - k) // s + 1, (large[1] + 2 * p - k) // s + 1

    def least(self, small: Size) -> Size:
        """The smallest size [H, W] that a convolution brings to `small`."""
        k, s, p = self
        return (small[0] - 1) * s - 2 * p + k, (small[1] - 1) * s - 2 * p + k

    def blind(self, small: Size, large: Size) -> bool:
        """Whether a row or column of the kernel meets only padding; torch 2.13 leaves its gradient unset."""
        k, s, p = self
        return any(h + p < k or (n - 1) * s < p for n, h in zip(small, large, strict=True))

    def seeing(self, small: Size, large: Size) -> tuple[Geometry, slice]:
        """Without the outer rows and columns of the kernel that meet only padding, and which are left."""
        k, s, p = self
        first = min(max(0, p - (n - 1) * s) for n in small)
        last = max(min(k, h + p) for h in large)
        return Geometry(last - first, s, p - first), slice(first, last)


def _rows(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B*H*W, C]; no copy for a channels-last tensor."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _lasting(like: Tensor, *shape: int) -> tuple[Tensor, Tensor]:
    """A new channels-last tensor [B, C, H, W] and a view of it as [B, H, W, C].

    The forms return such a tensor and not a view, since autograd lets nobody change a view in place that was made
    inside a function of its own, as the activation after a layer may do.
    """
    _, c, h, w = shape
    lasting = torch.empty_strided(shape, (h * w * c, 1, w * c, c), dtype=like.dtype, device=like.device)
    return lasting, lasting.permute(0, 2, 3, 1)


def _flat(w: Tensor) -> Tensor:
    """[D, C, k, k] -> [D, k*k*C]; no copy for channels-last weights."""
    return w.permute(0, 2, 3, 1).reshape(len(w), -1)


def patches(x: Tensor, geometry: Geometry, small: Size) -> Tensor:
    """[B, C, H, W] -> [B*h*w, k*k*C]: what each window sees, channels last."""
    (b, c, height, width), (k, s, p), (h, w) = x.shape, geometry, small
    tall, wide = max((h - 1) * s + k, height + p), max((w - 1) * s + k, width + p)
    padded = x.new_zeros(b, tall, wide, c)
    padded[:, p : p + height, p : p + width] = x.permute(0, 2, 3, 1)
    image, row, column, _ = padded.stride()
    windows = padded.as_strided((b, h, w, k, k, c), (image, s * row, s * column, row, column, 1))
    return windows.reshape(-1, k * k * c)


# --- down ----------------------------------------------------------------------------------------------------


def down_native(x: Tensor, w: Tensor, geometry: Geometry, bias: Tensor | None = None) -> Tensor:
    """The library's convolution."""
    return F.conv2d(x, w, bias, stride=geometry.stride, padding=geometry.padding)


def down_by_patches(x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    """Patches times weights."""
    small = geometry.small((x.shape[2], x.shape[3]))
    seeing, seen = geometry.seeing(small, (x.shape[2], x.shape[3]))
    y, rows = _lasting(x, len(x), len(w), *small)
    times_transposed(patches(x, seeing, small), _flat(w[:, :, seen, seen]), out=rows.view(-1, len(w)))
    return y


def down_by_parity(x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    """Each class of large pixels (see `up_by_parity`) times all its taps, and what each tap gives added up."""
    h, width = geometry.small((x.shape[2], x.shape[3]))
    y, small = _lasting(x, len(x), len(w), h, width)
    small.zero_()
    for place, taps in _classes(x.permute(0, 2, 3, 1), geometry):
        if not taps:
            continue
        b, tall, wide, c = place.shape
        parts = times_transposed(place.reshape(-1, c), _kernel(w, taps)).view(b, tall, wide, len(taps), len(w))
        for number, (_, _, top, left) in enumerate(taps):
            rows = slice(max(top, 0), min(top + tall, h))
            columns = slice(max(left, 0), min(left + wide, width))
            inside = parts[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, number]
            small[:, rows, columns] += inside
    return y


# --- up ------------------------------------------------------------------------------------------------------


def up_native(y: Tensor, w: Tensor, geometry: Geometry, size: Size, bias: Tensor | None = None) -> Tensor:
    """The library's transposed convolution."""
    least = geometry.least((y.shape[2], y.shape[3]))
    extra = (size[0] - least[0], size[1] - least[1])
    return F.conv_transpose2d(y, w, bias, stride=geometry.stride, padding=geometry.padding, output_padding=extra)


def up_by_patches(y: Tensor, w: Tensor, geometry: Geometry, size: Size) -> Tensor:
    """Every small pixel times the weights, and what falls onto one large pixel added up."""
    (b, _, h, width), c = y.shape, w.shape[1]
    (k, s, p), seen = geometry.seeing((h, width), size)
    parts = times(_rows(y), _flat(w[:, :, seen, seen])).view(b, h, width, k, k, c)
    x, pixels = _lasting(y, b, c, *size)
    pixels.zero_()
    for i in range(k):
        for j in range(k):
            (top, to_top), (left, to_left) = _meeting(i - p, s, h, size[0]), _meeting(j - p, s, width, size[1])
            pixels[:, to_top, to_left] += parts[:, top, left, i, j]
    return x


def up_by_parity(y: Tensor, w: Tensor, geometry: Geometry, size: Size) -> Tensor:
    """Large pixels in s x s classes by their place modulo the stride, each class one product of patches of its own.

    Every large pixel is written once, and products that would fall outside the picture are never made: with kernel 3,
    stride 2, padding 1 from 4x4 to 7x7 pixels, 100 of 144.
    """
    x, pixels = _lasting(y, len(y), w.shape[1], *size)
    small = y.permute(0, 2, 3, 1)
    for place, taps in _classes(pixels, geometry):
        if not taps:  # the kernel is smaller than the stride
            place.zero_()
            continue
        met = torch.cat([_part(small, tap, place.shape) for tap in taps], -1)
        place.copy_(times(met.view(-1, met.shape[-1]), _kernel(w, taps)).view(place.shape))
    return x


class _Tap(NamedTuple):
    """A kernel pixel, and the small pixel that it joins to the first large pixel of a class."""

    row: int
    column: int
    top: int
    left: int


def _classes(pixels: Tensor, geometry: Geometry) -> Iterator[tuple[Tensor, list[_Tap]]]:
    """pixels: [B, H, W, C] -> for each place modulo the stride, a view [B, tall, wide, C] and the taps it meets."""
    k, s, p = geometry
    for top in range(min(s, pixels.shape[1])):
        for left in range(min(s, pixels.shape[2])):
            rows = [(row, (top + p - row) // s) for row in range((top + p) % s, k, s)]
            columns = [(column, (left + p - column) // s) for column in range((left + p) % s, k, s)]
            yield pixels[:, top::s, left::s], [_Tap(row, column, i, j) for row, i in rows for column, j in columns]


def _kernel(w: Tensor, taps: list[_Tap]) -> Tensor:
    """[D, C, k, k] -> [taps*D, C]."""
    return torch.cat([w[:, :, tap.row, tap.column] for tap in taps])


def _part(small: Tensor, tap: _Tap, shape: tuple[int, ...]) -> Tensor:
    """[B, h, w, D] -> [B, tall, wide, D] from the tap's small pixel on, zero outside."""
    (_, h, width, _), (_, tall, wide, _), (_, _, top, left) = small.shape, shape, tap
    inside = small[:, max(top, 0) : min(top + tall, h), max(left, 0) : min(left + wide, width)]
    around = (max(-left, 0), max(left + wide - width, 0), max(-top, 0), max(top + tall - h, 0))
    return F.pad(inside, (0, 0, *around)) if any(around) else inside


def _meeting(shift: int, stride: int, small: int, large: int) -> tuple[slice, slice]:
    """Which of `small` pixels n lie at shift + stride * n within `large` ones, and where."""
    first = max(0, -(shift // stride))
    count = max(0, min(small, (large - 1 - shift) // stride + 1) - first)
    start = shift + stride * first
    return slice(first, first + count), slice(start, start + stride * count, stride)


def up_by_pixels(y: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """y: [B, D, h, w], w: [D, C, 4, 4] -> [B, C, 2h, 2w]: a 3x3 convolution to 4*C channels, then interleaving.

    Output row ``2i + r`` takes input row ``i - 1 + t`` times kernel row ``3 + r - 2t`` where there is one.
    """
    (b, d, h, width), c = y.shape, w.shape[1]
    flipped = F.pad(w, (1, 1, 1, 1)).flip(2, 3)  # kernel row k lies at 4 - k, and the rows -1 and 4 are zero
    cell = torch.stack([flipped[:, :, 1 - r : 6 - r : 2, 1 - s : 6 - s : 2] for r in (0, 1) for s in (0, 1)])
    kernel = cell.transpose(1, 2).reshape(4 * c, d, 3, 3).contiguous(memory_format=torch.channels_last)
    cells = (
        F.conv2d(y, kernel, None if bias is None else bias.repeat(4), padding=1)
        .permute(0, 2, 3, 1)
        .reshape(b, h, width, 2, 2, c)
    )
    x, pixels = _lasting(y, b, c, 2 * h, 2 * width)
    pixels.view(b, h, 2, width, 2, c).copy_(cells.reshape(b, h, width, 2, 2, c).permute(0, 1, 3, 2, 4, 5))
    return x


# --- weight_grad ---------------------------------------------------------------------------------------------


def weight_grad_native(x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    """The library's weight gradient."""
    k, s, p = geometry
    weight = x.new_empty(1).expand(y.shape[1], x.shape[1], k, k)  # only its shape is read
    grads = torch.ops.aten.convolution_backward(
        y, x, weight, None, [s, s], [p, p], [1, 1], False, [0, 0], 1, [False, True, False]
    )
    return grads[1]


def weight_grad_by_patches(x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    """Matrix products of patches, a block at a time."""
    (b, c), (_, d, h, w) = x.shape[:2], y.shape
    seeing, seen = geometry.seeing((h, w), (x.shape[2], x.shape[3]))
    k = seeing.kernel
    blocks = min(b, -(-b * k * k * c * h * w * x.element_size() // PATCH_BYTES))
    grad, rows = _lasting(x, d, c, geometry.kernel, geometry.kernel)
    if blocks <= 1 and k == geometry.kernel:  # large weights of small pictures: a copy would take as long
        times(_rows(y).t(), patches(x, seeing, (h, w)), out=rows.view(d, -1))
        return grad
    total: Tensor | None = None
    for x_block, y_block in zip(x.tensor_split(blocks), y.tensor_split(blocks), strict=True):
        part = times(_rows(y_block).t(), patches(x_block, seeing, (h, w)))
        if blocks > 1 and part.dtype is torch.bfloat16:  # so that adding up blocks loses nothing
            part = part.float()
        total = part if total is None else total.add_(part)
    assert total is not None
    if k < geometry.kernel:  # what meets only padding
        for blind in (slice(seen.start), slice(seen.stop, None)):
            rows[:, blind] = 0
            rows[:, seen, blind] = 0
    rows[:, seen, seen] = total.view(d, k, k, c)
    return grad


def weight_grad_by_parity(x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    """One product for each tap: a class of large pixels (see `up_by_parity`) and the small pixels that it meets."""
    d, c, k = y.shape[1], x.shape[1], geometry.kernel
    grad, rows = _lasting(x, d, c, k, k)
    if min(x.shape[2:]) < geometry.stride:  # a class without pixels: its taps meet only padding
        rows.zero_()
    small = y.permute(0, 2, 3, 1)
    for place, taps in _classes(x.permute(0, 2, 3, 1), geometry):
        large = place.reshape(-1, c)
        for tap in taps:
            met = _part(small, tap, place.shape).reshape(-1, d)
            torch.mm(met.t(), large, out=rows[:, tap.row, tap.column])
    return grad
