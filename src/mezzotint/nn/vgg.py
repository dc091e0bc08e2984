"""VGG-19 as far as style is read from it (Simonyan and Zisserman 2015, arXiv:1409.1556), of any width, and its mirror.

Edges are continued by reflection, as in style transfer, so that no frame is seen in what is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.nn.translators import Reflected

CONVOLUTIONS = (1, 2, 2, 4)
"""Convolutions that lead to relu1_1, relu2_1, relu3_1 and relu4_1, each from the one before, with a pool after all but
the last of them: conv1_1; conv1_2, pool, conv2_1; and so on."""


class Reach(NamedTuple):
    """How far a value of the result sees.

    Attributes:
        step: pixels that one feature stands for.
        encode: pixels around its own that a feature depends on.
        decode: features around its own that a decoded pixel depends on.
    """

    step: int
    encode: int
    decode: int


def widths_of(width: int, levels: int) -> tuple[int, ...]:
    """Channels of each level.

    Example:
        >>> widths_of(64, 4)
        (64, 128, 256, 512)
    """
    return tuple(width * 2**k for k in range(levels))


class StyleEncoder(nn.Module):
    """Pictures [N, 3, H, W] in [-1, 1] -> features of relu1_1 to relu{levels}_1.

    Level k is [N, width * 2^k, ceil(H / 2^k), ceil(W / 2^k)]. VGG-19 itself has a width of 64.

    Args:
        width: channels of the first level.
        levels: 1 to 4.

    Example:
        >>> import torch
        >>> [tuple(x.shape[1:]) for x in StyleEncoder(4, 3)(torch.zeros(1, 3, 16, 24))]
        [(4, 16, 24), (8, 8, 12), (16, 4, 6)]
    """

    def __init__(self, width: int, levels: int) -> None:
        super().__init__()
        wide = widths_of(width, levels)
        self.further = nn.ModuleList()  # a level's further convolutions, which lead to the pool
        for w, count in zip(wide, CONVOLUTIONS[1:levels], strict=False):
            self.further.append(nn.Sequential(*_rectified(Reflected(w, w, 3, bias=True) for _ in range(count - 1))))
        self.leading = nn.ModuleList(Reflected(a, b, 3, bias=True) for a, b in pairwise((3, *wide)))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = F.relu(self.leading[0](x))
        found = [x]
        for same, to in zip(self.further, list(self.leading)[1:], strict=True):
            x = F.relu(to(F.max_pool2d(same(x), 2, ceil_mode=True)))
            found.append(x)
        return tuple(found)

    def convolutions(self) -> list[nn.Conv2d]:
        """conv1_1, conv1_2, conv2_1 and so on: what weights of others are put into."""
        further = [[layer for layer in same.modules() if isinstance(layer, nn.Conv2d)] for same in self.further]
        to = [module.get_submodule("conv") for module in self.leading]
        return [conv for k, last in enumerate(to) for conv in (*(further[k - 1] if k else ()), last)]


class StyleDecoder(nn.Module):
    """Features of the last level [N, features, h, w] -> pictures [N, 3, 2^(levels-1) h, 2^(levels-1) w], about [-1, 1].

    The encoder's mirror image, with doubling of pixels for pools and no normalisation, which would take the style away
    (Huang and Belongie 2017, section 6.1).

    Args:
        features: channels of what is decoded.
        width: channels of the largest stage.
        levels: of the encoder.

    Example:
        >>> import torch
        >>> tuple(StyleDecoder(16, 4, 3)(torch.zeros(1, 16, 4, 6)).shape)
        (1, 3, 16, 24)
    """

    def __init__(self, features: int, width: int, levels: int) -> None:
        super().__init__()
        wide = widths_of(width, levels)
        stages: list[nn.Module] = []
        inside = features
        for k in reversed(range(1, levels)):
            w = wide[k - 1]
            same = (Reflected(w, w, 3, bias=True) for _ in range(CONVOLUTIONS[k] - 1))
            stages += [Reflected(inside, w, 3, bias=True), nn.ReLU(), nn.UpsamplingNearest2d(scale_factor=2)]
            stages += _rectified(same)
            inside = w
        self.stages = nn.Sequential(*stages)
        self.last = Reflected(inside, 3, 3, bias=True)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.xavier_normal_(self.last.conv.weight)

    def forward(self, features: Tensor) -> Tensor:
        made: Tensor = self.last(self.stages(features))
        return made.float()


def _rectified(layers: Iterable[nn.Module]) -> list[nn.Module]:
    return [each for layer in layers for each in (layer, nn.ReLU())]


def reach(levels: int) -> Reach:
    """How far encoder and decoder of so many levels see.

    Example:
        >>> reach(4)
        Reach(step=8, encode=30, decode=4)
    """
    pixels = 1  # conv1_1
    for k, count in enumerate(CONVOLUTIONS[1:levels], 1):
        pixels += (count - 1) * 2 ** (k - 1) + 2**k  # a pool sees its own cell only
    cells = 1  # the decoder's last convolution; then back through its stages, in cells of each
    for count in CONVOLUTIONS[1:levels]:
        cells = -(-(cells + count - 1) // 2) + 1
    return Reach(2 ** (levels - 1), pixels, cells)
