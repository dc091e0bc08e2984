"""Networks for many styles of one domain (Choi et al. 2020, arXiv:1912.01865, section 3.1 and its appendix).

A style is a code [N, S]: a mapping network draws it from noise, a style encoder reads it from a picture, and the
generator makes a picture in it. Domains are given as [N, K], 1 for the one that is meant and else 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.nn.activations import leaky_relu
from mezzotint.nn.norm import AdaIN, InstanceNorm2d
from mezzotint.nn.sizes import cut
from mezzotint.nn.translators import reflect
from mezzotint.nn.twice import TwiceConv2d

_SLOPE = 0.2
_MOST = 8
"""No layer has more channels than this many times the first one's."""
_LAYERS = 4
"""Of the mapping network, once shared by all domains and once of each."""
Conv = Callable[..., nn.Conv2d]


class PlainBlock(nn.Module):
    """[N, a, h, w] -> [N, b, h, w], or half as high and wide (rounded up): residual, activation first.

    Args:
        a, b: channels.
        halve: by the mean of each 2x2 cell.
        norm: whether each activation is normalised, per picture and channel.
        conv: the kind of convolution.
    """

    def __init__(self, a: int, b: int, halve: bool, norm: bool, conv: Conv = nn.Conv2d) -> None:
        super().__init__()
        self.norms = nn.ModuleList(InstanceNorm2d(a, affine=True) if norm else nn.Identity() for _ in range(2))
        self.first, self.second = conv(a, a, 3, padding=1), conv(a, b, 3, padding=1)
        self.shortcut = conv(a, b, 1, bias=False) if a != b else nn.Identity()
        self.halves = halve

    def forward(self, x: Tensor) -> Tensor:
        def half(y: Tensor) -> Tensor:
            return F.avg_pool2d(y, 2, ceil_mode=True, count_include_pad=False) if self.halves else y

        y = half(self.first(leaky_relu(self.norms[0](x), _SLOPE)))
        y = self.second(leaky_relu(self.norms[1](y), _SLOPE))
        return (half(self.shortcut(x)) + y) / math.sqrt(2)


class StyledBlock(nn.Module):
    """x [N, a, h, w] and a style [N, S] -> [N, b, h, w], or twice as high and wide: residual, with `AdaIN`."""

    def __init__(self, a: int, b: int, style: int, double: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(AdaIN(channels, style) for channels in (a, b))
        self.first, self.second = nn.Conv2d(a, b, 3, padding=1), nn.Conv2d(b, b, 3, padding=1)
        self.shortcut = nn.Conv2d(a, b, 1, bias=False) if a != b else nn.Identity()
        self.doubles = double

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        def doubled(y: Tensor) -> Tensor:
            return F.interpolate(y, scale_factor=2.0, mode="nearest") if self.doubles else y

        y = self.first(doubled(F.leaky_relu(self.norms[0](x, style), _SLOPE)))
        y = self.second(F.leaky_relu(self.norms[1](y, style), _SLOPE))
        return (doubled(self.shortcut(x)) + y) / math.sqrt(2)


class StyledTranslator(nn.Module):
    """Pictures [N, C, H, W] of any size and styles [N, S] -> pictures of the same size, around [-1, 1].

    Halves, then has `blocks` residual blocks, the second half of them styled, and doubles in styled ones. Nothing bends
    the values at the end: where styles are far apart at first, they would stay where a bend is flat.

    Args:
        channels: of the picture.
        width: channels of the first layer.
        blocks: residual blocks at the smallest size.
        halvings: how often it halves; sizes are filled up to multiples of 2^halvings.
        style: S.
    """

    def __init__(self, channels: int, width: int, blocks: int, halvings: int, style: int) -> None:
        super().__init__()
        wide = [width * min(2**k, _MOST) for k in range(halvings + 1)]
        top, plain = wide[-1], blocks // 2
        self.step = 2**halvings
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        down = [PlainBlock(a, b, halve=True, norm=True) for a, b in pairwise(wide)]
        self.plain = nn.Sequential(*down, *(PlainBlock(top, top, halve=False, norm=True) for _ in range(plain)))
        up = [StyledBlock(a, b, style, double=True) for a, b in pairwise(wide[::-1])]
        self.styled = nn.ModuleList(StyledBlock(top, top, style, double=False) for _ in range(blocks - plain))
        self.styled.extend(up)
        self.norm = InstanceNorm2d(width, affine=True)
        self.last = nn.Conv2d(width, channels, 1)
        start(self)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        size = height, width = (x.shape[2], x.shape[3])
        # Two pixels at least are left, since one has no deviation.
        more = [max(2 * self.step, math.ceil(side / self.step) * self.step) - side for side in (height, width)]
        y = self.plain(self.first(reflect(x, (0, more[1], 0, more[0])) if any(more) else x))
        for block in self.styled:
            y = block(y, style)
        y = self.last(F.leaky_relu(self.norm(y), _SLOPE))
        return cut(y.float(), size)


class SlowLinear(nn.Linear):
    """A linear layer that an optimiser such as Adam, whose steps have a length of their own, moves `rate` times as far.

    It holds its weights 1 / rate times as large as they work (Karras et al. 2019, arXiv:1812.04948, appendix C).

    Example:
        >>> layer = SlowLinear(3, 2, rate=0.01)
        >>> used = layer(torch.eye(3)).detach() - layer(torch.zeros(1, 3)).detach()
        >>> bool(torch.allclose(used.T, layer.weight * 0.01))
        True
    """

    def __init__(self, a: int, b: int, rate: float) -> None:
        super().__init__(a, b)
        self.rate = rate
        with torch.no_grad():
            self.weight.normal_(0.0, math.sqrt(2 / a) / rate)
            self.bias.zero_()

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight * self.rate, self.bias * self.rate)


class MappingNetwork(nn.Module):
    """Noise [N, Z] and domains [N, K] -> styles [N, S]: layers that all domains share, then layers of each (F).

    Args:
        noise: Z.
        width: of the hidden layers.
        domains: K.
        style: S.
        rate: how fast it learns, as a share of the learning rate.
    """

    def __init__(self, noise: int, width: int, domains: int, style: int, rate: float) -> None:
        super().__init__()
        self.shared = _layers([noise, *[width] * _LAYERS], rate)
        self.own = nn.ModuleList(
            nn.Sequential(_layers([width] * _LAYERS, rate), SlowLinear(width, style, rate)) for _ in range(domains)
        )

    def forward(self, noise: Tensor, domains: Tensor) -> Tensor:
        y = self.shared(noise)
        return of_domains(torch.stack([layers(y).float() for layers in self.own], 1), domains)


class DomainNetwork(nn.Module):
    """Pictures [N, C, H, W] and domains [N, K] -> [N, out]: a body that all domains share, and a last layer of each.

    With the size of a style as `out` it is the style encoder (E), with 1 the discriminator of many tasks (D).

    Args:
        channels: of the picture.
        width: channels of the first layer.
        layers: blocks that halve.
        size: (H, W).
        domains: K.
        out: numbers for each picture.
    """

    def __init__(
        self, channels: int, width: int, layers: int, size: tuple[int, int], domains: int, out: int = 1
    ) -> None:
        super().__init__()
        wide = [width * min(2**k, _MOST) for k in range(layers + 1)]
        left = tuple(math.ceil(side / 2**layers) for side in size)
        self.out = out
        self.first = TwiceConv2d(channels, width, 3, padding=1)
        self.body = nn.Sequential(
            *(PlainBlock(a, b, halve=True, norm=False, conv=TwiceConv2d) for a, b in pairwise(wide))
        )
        self.whole = nn.Conv2d(wide[-1], wide[-1], left)
        self.last = nn.Linear(wide[-1], domains * out)
        start(self)

    def forward(self, x: Tensor, domains: Tensor) -> Tensor:
        y = self.whole(leaky_relu(self.body(self.first(x)), _SLOPE))
        every = self.last(leaky_relu(y, _SLOPE).flatten(1)).float()
        return of_domains(every.unflatten(1, (-1, self.out)), domains)


def of_domains(every: Tensor, domains: Tensor) -> Tensor:
    """What is of the domains [N, K] of what there is for each, [N, K, S] -> [N, S].

    Example:
        >>> of_domains(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[0.0, 1.0]]))
        tensor([[3., 4.]])
    """
    return (every * domains[:, :, None].to(every.dtype)).sum(1)


def halvings(size: tuple[int, int]) -> int:
    """How often a `StyledTranslator` for pictures of this size halves: to 16 pixels, once at least, four times at most.

    Example:
        >>> halvings((256, 256)), halvings((64, 96)), halvings((8, 8))
        (4, 2, 1)
    """
    return max(1, min(4, int(math.log2(min(size))) - 4))


def start(net: nn.Module) -> None:
    """He's normal weights, and no biases."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _layers(wide: list[int], rate: float) -> nn.Sequential:
    """Linear layers, each with a ReLU behind it."""
    return nn.Sequential(*(part for a, b in pairwise(wide) for part in (SlowLinear(a, b, rate), nn.ReLU())))
