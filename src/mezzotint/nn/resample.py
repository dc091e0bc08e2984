"""A 3x3 convolution before halving or after doubling a picture, at the price of a strided one.

A strided convolution treats the pixels of a 2x2 cell differently, and its transpose draws them differently: the
chequered pattern of many GANs (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts", Distill). Bilinear
doubling and a 3x3 convolution do not begin with such a pattern, and neither do the gradients of a 3x3 convolution and
the mean of each cell. Both pairs are linear, so each is one convolution with a kernel made of the 3x3 one, and no
feature map of the large size is ever made.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.nn._convforms import Geometry
from mezzotint.nn.fastconv import eager_down

_HALVING = Geometry(4, 2, 1)


def spread(weight: Tensor) -> Tensor:
    """[D, C, 3, 3] -> [D, C, 4, 4]: the sum of the kernel in the four places that it takes within a 2x2 cell."""
    wide = F.pad(weight, (1, 1, 1, 1))
    rows = wide[:, :, 1:] + wide[:, :, :-1]
    return rows[..., 1:] + rows[..., :-1]


class HalvingConv2d(nn.Conv2d):
    """x [N, C, H, W] -> [N, D, H // 2, W // 2]: a 3x3 convolution, and the mean of each 2x2 cell; H and W are even.

    Example:
        >>> import torch
        >>> layer, x = HalvingConv2d(3, 8), torch.randn(2, 3, 6, 4)
        >>> slowly = F.avg_pool2d(F.conv2d(x, layer.weight, layer.bias, padding=1), 2)
        >>> torch.allclose(layer(x), slowly, atol=1e-5)
        True
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        kernel = spread(self.weight) / 4
        done = eager_down(input, kernel, _HALVING, self.bias)
        return F.conv2d(input, kernel, self.bias, stride=2, padding=1) if done is None else done


class DoublingConv2d(nn.Conv2d):
    """x [N, C, H, W] -> [N, D, 2H, 2W]: bilinear doubling, and a 3x3 convolution; beyond its edge x goes on as it ends.

    Computed at the small size: each of the four pixels of a 2x2 cell sees 3x3 small ones, by a kernel of its own.

    Example:
        >>> import torch
        >>> layer, x = DoublingConv2d(8, 3), torch.randn(2, 8, 3, 2)
        >>> wide = F.interpolate(F.pad(x, (1, 1, 1, 1), "replicate"), scale_factor=2.0, mode="bilinear")
        >>> slowly = F.conv2d(wide[:, :, 1:-1, 1:-1], layer.weight, layer.bias)
        >>> torch.allclose(layer(x), slowly, atol=1e-5)
        True
    """

    bilinear: Tensor

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        # [pixel of the cell, small pixel, pixel of the kernel]: what doubling gives the kernel's pixel of the small one
        first = [[0.75, 0.25, 0.0], [0.25, 0.75, 0.75], [0.0, 0.0, 0.25]]
        self.register_buffer("bilinear", torch.tensor([first, [row[::-1] for row in first[::-1]]]), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        kernels = torch.einsum("rat,dctu,sbu->drscab", self.bilinear, self.weight, self.bilinear)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        cells = F.conv2d(_continued(input), kernels.flatten(0, 2), bias)
        return F.pixel_shuffle(cells, 2)


def _continued(x: Tensor) -> Tensor:
    """x [N, C, H, W] with its edges repeated once; torch 2.13 compiles its own operator for that wrongly."""
    tall = torch.cat((x[:, :, :1], x, x[:, :, -1:]), 2)
    return torch.cat((tall[..., :1], tall, tall[..., -1:]), 3)
