"""Networks that turn a picture into another one of the same size, and the critics of their patches.

Generators are fully convolutional: pictures [N, C, H, W] of any size in, of the same size out. Convolutions that are
normalised have no bias, which normalisation takes away again.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.nn.norm import AdaIN, InstanceNorm2d

_BINOMIAL = (1.0, 2.0, 1.0)


class Reflected(nn.Module):
    """A convolution of an odd kernel whose picture goes on beyond its edges as its own reflection."""

    def __init__(self, a: int, b: int, kernel: int, bias: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(a, b, kernel, bias=bias)
        self.edge = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(reflect(x, (self.edge,) * 4))


def reflect(x: Tensor, edges: tuple[int, int, int, int]) -> Tensor:
    """x [N, C, H, W] with so many pixels more at the left, right, top and bottom, by reflection; of a picture that is
    too small for it, by its edge."""
    most = max(edges[:2]) < x.shape[3] and max(edges[2:]) < x.shape[2]
    with torch.autocast(x.device.type, enabled=False):  # which turns what it pads into float32 on a CPU
        return F.pad(x, edges, mode="reflect" if most else "replicate")


class Blurred(nn.Module):
    """Halves a picture after a blur, so that what is finer than the new pixels is no pattern (Zhang 2019,
    arXiv:1904.11486)."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor(_BINOMIAL) / sum(_BINOMIAL)
        self.register_buffer("kernel", (line[:, None] * line).expand(channels, 1, 3, 3).clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(reflect(x, (1, 1, 1, 1)), self.kernel.to(x.dtype), stride=2, groups=len(self.kernel))


class ResidualBlock(nn.Module):
    """[N, C, H, W] -> the same, by two 3x3 convolutions (Johnson et al. 2016); normalised as is wished, where `wish` is
    the length of what is given beside."""

    def __init__(self, channels: int, wish: int = 0) -> None:
        super().__init__()
        self.first, self.second = Reflected(channels, channels, 3), Reflected(channels, channels, 3)
        self.norms = nn.ModuleList(_norm(channels, wish) for _ in range(2))

    def forward(self, x: Tensor, *wish: Tensor) -> Tensor:
        y = F.relu(self.norms[0](self.first(x), *wish))
        return x + self.norms[1](self.second(y), *wish)


class ResnetTranslator(nn.Module):
    """Halves twice, `blocks` residual blocks, doubles twice (Zhu et al. 2017, appendix 7.2): c7s1-w, d2w, d4w, R4w ...,
    u2w, uw, c7s1-C.

    Args:
        channels: of the picture.
        width: w, channels of the first layer.
        blocks: 6 for pictures of 128 pixels, 9 for larger ones, in the paper.
        smooth: blur before halving and double by interpolation, so that nothing is chequered.
        wish: K, the length of what is asked for, such as attributes [N, K], which is then given twice: as maps beside
            the picture, to a first layer that is not normalised, and to the normalisations of the blocks and of what
            doubles (`AdaIN`), which would else take away what is the same at all pixels.
        mask: draw beside the new picture y a mask a of one channel in [0, 1], and give a y + (1 - a) x: what is not to
            change need not be drawn again (Pumarola et al. 2018, arXiv:1807.09251, eq. 1).
        skips: give what is halved to what is doubled to the same size, beside it, as a U-Net does.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        blocks: int,
        smooth: bool = False,
        wish: int = 0,
        mask: bool = False,
        skips: bool = False,
    ) -> None:
        super().__init__()
        self.mask, self.skips = mask, skips
        self.first = Reflected(channels + wish, width, 7, bias=wish > 0)
        wide = (width, 2 * width, 4 * width)
        self.down = nn.ModuleList(_halving(a, b, smooth) for a, b in pairwise(wide))
        self.blocks = nn.Sequential(*(ResidualBlock(wide[-1], wish) for _ in range(blocks)))
        beside = 2 if skips else 1
        self.up = nn.ModuleList(
            _doubling(a * (beside if k else 1), b, smooth) for k, (a, b) in enumerate(pairwise(wide[::-1]))
        )
        self.norms = nn.ModuleList(InstanceNorm2d(c) for c in wide)
        self.norms.extend(_norm(c, wish) for c in wide[-2::-1])
        if wish:
            self.norms[0] = nn.Identity()
        self.last = Reflected(beside * width, channels + mask, 7, bias=True)
        start(self)

    def stages(self) -> list[Callable[[Tensor], Tensor]]:
        """The encoder, layer by layer: what features of a picture are taken from (see `patch_features`)."""
        layers, half = self._halvings(), len(self.blocks) // 2
        layers += [self.blocks[:half], self.blocks[half:]] if half else [self.blocks]
        return layers

    def _halvings(self) -> list[Callable[[Tensor], Tensor]]:
        norms = list(self.norms)
        layers: list[Callable[[Tensor], Tensor]] = [lambda x: F.relu(norms[0](self.first(x)))]
        for k, layer in enumerate(self.down):
            layers.append(lambda x, k=k, layer=layer: F.relu(norms[k + 1](layer(x))))  # type: ignore[misc]
        return layers

    def forward(self, x: Tensor, *wish: Tensor) -> Tensor:
        height, width = x.shape[2:]
        y = reflect(x, (0, -width % 4, 0, -height % 4)) if width % 4 or height % 4 else x
        if wish:
            y = torch.cat((y, wish[0].to(y.dtype)[:, :, None, None].expand(-1, -1, *y.shape[2:])), 1)
        kept = []
        for stage in self._halvings():
            y = stage(y)
            kept.append(y)
        for block in self.blocks:
            y = block(y, *wish)
        for layer, norm in zip(self.up, list(self.norms)[3:], strict=True):
            y = F.relu(norm(layer(y), *wish))
            kept.pop()
            if self.skips:
                y = torch.cat((y, kept[-1]), 1)
        y = self.last(y).float()[:, :, :height, :width]
        if not self.mask:
            return torch.tanh(y)
        return torch.lerp(x.float(), torch.tanh(y[:, :-1]), torch.sigmoid(y[:, -1:]))


def _norm(channels: int, wish: int) -> nn.Module:
    return AdaIN(channels, wish) if wish else InstanceNorm2d(channels)


def _halving(a: int, b: int, smooth: bool) -> nn.Module:
    if smooth:
        return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), Blurred(b))
    return nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False)


def _doubling(a: int, b: int, smooth: bool) -> nn.Module:
    if smooth:
        doubled = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        return nn.Sequential(doubled, nn.Conv2d(a, b, 3, padding=1, bias=False))
    return nn.ConvTranspose2d(a, b, 3, stride=2, padding=1, output_padding=1, bias=False)


class UNet(nn.Module):
    """Halves `depth` times and doubles as often, each time beside what was halved (Isola et al. 2017, appendix 6.1).

    Args:
        channels: of the picture that is given.
        out: of the picture that is made.
        width: channels of the first layer; at most eight times as many further in.
        depth: halvings; sizes are filled up to multiples of 2^depth.
        dropout: of the first three layers of the way back, in training; the paper's noise.
    """

    def __init__(self, channels: int, out: int, width: int, depth: int, dropout: float = 0.0) -> None:
        super().__init__()
        wide = [width * min(2**k, 8) for k in range(depth)]
        self.depth = depth
        plain = (0, depth - 1)  # layers without normalisation
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1, bias=k in plain)
            for k, (a, b) in enumerate(pairwise((channels, *wide)))
        )
        back = [(wide[k] * (1 if k == depth - 1 else 2), wide[k - 1] if k else out) for k in reversed(range(depth))]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1, bias=k == depth - 1) for k, (a, b) in enumerate(back)
        )
        self.down_norms = nn.ModuleList(nn.Identity() if k in plain else InstanceNorm2d(c) for k, c in enumerate(wide))
        self.up_norms = nn.ModuleList(InstanceNorm2d(b) for _, b in back[:-1])
        self.dropout = nn.Dropout(dropout)
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        step = 2**self.depth
        y = reflect(x, (0, -width % step, 0, -height % step)) if width % step or height % step else x
        kept = []
        for k, (layer, norm) in enumerate(zip(self.down, self.down_norms, strict=True)):
            y = norm(layer(F.leaky_relu(y, 0.2) if k else y))
            kept.append(y)
        for k, layer in enumerate(self.up):
            y = layer(F.relu(y if k == 0 else torch.cat((y, kept[-1 - k]), 1)))
            if k < len(self.up_norms):
                y = self.up_norms[k](y)
                y = self.dropout(y) if k < 3 else y
        return torch.tanh(y.float())[:, :, :height, :width]


class PatchCritic(nn.Module):
    """Pictures [N, C, H, W] -> scores [N, 1, h, w], each of a patch (Isola et al. 2017); three layers: 70 x 70 pixels.

    Args:
        channels: of what it judges.
        width: channels of the first layer.
        layers: that halve.
    """

    def __init__(self, channels: int, width: int, layers: int = 3) -> None:
        super().__init__()
        wide = [width * min(2**k, 8) for k in range(layers + 1)]
        steps = [*[2] * layers, 1]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=step, padding=1, bias=k == 0)
            for k, ((a, b), step) in enumerate(zip(pairwise((channels, *wide)), steps, strict=True))
        )
        self.norms = nn.ModuleList(nn.Identity() if k == 0 else InstanceNorm2d(c) for k, c in enumerate(wide))
        self.last = nn.Conv2d(wide[-1], 1, 4, padding=1)
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.leaky_relu(norm(conv(x)), 0.2)
        return self.last(x).float()


def start(net: nn.Module) -> None:
    """Normal weights of standard deviation 0.02, as these papers have them."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def least_side(layers: int) -> int:
    """The smallest picture of which a `PatchCritic` judges a patch, normalised over more than one value.

    Example:
        >>> least_side(3), least_side(1)
        (32, 8)
    """
    return 4 * 2**layers
