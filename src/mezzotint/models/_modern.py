"""Residual networks without normalisation, after R3GAN, sized by the picture and by what a CPU can do."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.core.config import option
from mezzotint.engine.model import PictureSpec
from mezzotint.models._game import GameConfig
from mezzotint.nn.activations import leaky_relu
from mezzotint.nn.fastconv import FastConv2d
from mezzotint.nn.norm import BatchNorm2d
from mezzotint.nn.resample import DoublingConv2d, HalvingConv2d
from mezzotint.nn.sizes import cut, even, resolutions
from mezzotint.nn.twice import TwiceConv2d

_SLOPE = 0.2
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))


class ModernConfig(GameConfig):
    """Settings of a game with these networks."""

    latent: int = option(64, "Size of the latent vector.", ge=1, le=4096)
    width: int = option(32, "Channels of the generator's largest stage; each one before has twice as many.", ge=4)
    discriminator_width: int = option(24, "Channels of the discriminator's largest stage.", ge=4)
    most: int = option(8, "No stage has more channels than this many times the width.", ge=1)
    blocks: int = option(1, "Residual blocks in a stage; the paper's has 2.", ge=1, le=16)
    block: Literal["plain", "grouped"] = option(
        "plain", "What a block does: two 3x3 convolutions, or the paper's 1x1, grouped 3x3 and 1x1."
    )
    expansion: int = option(2, "How many times wider a grouped block is inside.", ge=1, le=8)
    group: int = option(16, "Channels in a group of a grouped block; 1 is depth-wise.", ge=1)
    norm: Literal["none", "batch"] = option(
        "none", "Batch normalisation before each block of the generator: a short run learns faster. The paper has none."
    )
    first: Literal["maps", "dense"] = option(
        "maps",
        "The generator's first layer: learned maps, each weighted by the latent, as in the paper; or any linear one.",
    )
    patch: Literal[1, 2] = option(
        2, "What the first and last layers halve and double the picture by; 1, the paper's, has a stage of full size."
    )


class Block(nn.Module):
    """x [N, C, h, w] -> the same shape: x plus a branch of convolutions with LeakyReLU between; no normalisation.

    Args:
        width: C.
        config: of the model.
        count: residual blocks in the network, by which the branch's first weights are scaled.
        normalised: whether the branch begins with batch normalisation.
    """

    def __init__(self, width: int, config: ModernConfig, count: int, normalised: bool = False) -> None:
        super().__init__()
        self.norm = BatchNorm2d(width) if normalised else nn.Identity()
        if config.block == "plain":
            layers = [TwiceConv2d(width, width, 3, padding=1), TwiceConv2d(width, width, 3, padding=1, bias=False)]
        else:
            inner = width * config.expansion
            groups = inner // math.gcd(inner, config.group)
            layers = [
                TwiceConv2d(width, inner, 1),
                TwiceConv2d(inner, inner, 3, padding=1, groups=groups),
                TwiceConv2d(inner, width, 1, bias=False),
            ]
        for layer in layers[:-1]:  # Zhang et al. (2019), "Fixup Initialization", arXiv:1901.09321, section 3
            start(layer, _GAIN * count ** (-1 / (2 * len(layers) - 2)))
        start(layers[-1], 0.0)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        *inner, last = self.layers
        y = self.norm(x)
        for layer in inner:
            y = leaky_relu(layer(y), _SLOPE)
        return x + last(y)


def start(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """He's normal weights with `gain`, and no bias."""
    nn.init.normal_(layer.weight, 0.0, gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def stage(width: int, config: ModernConfig, count: int, normalised: bool = False) -> nn.Sequential:
    """The blocks of one stage."""
    return nn.Sequential(*(Block(width, config, count, normalised) for _ in range(config.blocks)))


def step(a: int, b: int) -> nn.Module:
    """From one stage's channels to the next one's."""
    if a == b:
        return nn.Identity()
    layer = TwiceConv2d(a, b, 1, bias=False)
    start(layer)
    return layer


class ModernGenerator(nn.Module):
    """z [N, latent] (and labels [N]) -> pictures [N, C, H, W], around [-1, 1].

    Learned maps of the smallest size, each weighted by a linear function of z, or any linear function of z; then stages
    of residual blocks with bilinear doubling between them. Where doubling gives a row or column too many, it is cut.
    """

    def __init__(self, config: ModernConfig, spec: PictureSpec) -> None:
        super().__init__()
        sizes = resolutions(spec.height, spec.width)
        self.size, self.sizes = sizes[-1], sizes if config.patch == 1 else sizes[:-1]
        depth = len(self.sizes)
        widths = [config.width * min(2 ** (depth - 1 - k), config.most) for k in range(depth)]
        classes = len(spec.classes) if config.conditional else 0
        self.embed = nn.Embedding(classes, config.latent) if classes else None
        self.first = nn.Linear(
            config.latent * (2 if classes else 1),
            widths[0] * (math.prod(self.sizes[0]) if config.first == "dense" else 1),
            bias=False,
        )
        self.maps = nn.Parameter(torch.randn(widths[0], *self.sizes[0])) if config.first == "maps" else None
        normalised = config.norm == "batch"
        self.stages = nn.ModuleList(stage(width, config, depth * config.blocks, normalised) for width in widths)
        self.steps = nn.ModuleList(step(a, b) for a, b in pairwise(widths))
        kind = partial(FastConv2d, kernel_size=1) if config.patch == 1 else DoublingConv2d
        self.last = kind(widths[-1], spec.channels)
        start(self.first)
        start(self.last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat((z, self.embed(labels)), 1)
        x = self.first(z)
        x = x.unflatten(1, (-1, *self.sizes[0])) if self.maps is None else x[:, :, None, None] * self.maps
        x = self.stages[0](x)
        for blocks, narrow, size in zip(list(self.stages)[1:], self.steps, self.sizes[1:], strict=True):
            x = F.interpolate(narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False)
            x = blocks(cut(x, size))
        return cut(self.last(x), self.size).float()


class ModernDiscriminator(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] (and labels [N]) -> scores [N]; high means real.

    The generator's mirror image. At the end each channel is weighted by a learned map, then comes a linear layer. A
    class is seen by projection: the score is the scalar product of the features and the class's vector.
    """

    def __init__(self, config: ModernConfig, spec: PictureSpec) -> None:
        super().__init__()
        sizes = resolutions(spec.height, spec.width)
        depth = len(sizes) if config.patch == 1 else len(sizes) - 1
        widths = [config.discriminator_width * min(2**k, config.most) for k in range(depth)]
        classes = len(spec.classes) if config.conditional else 0
        self.patch = config.patch
        kind = partial(FastConv2d, kernel_size=1) if config.patch == 1 else HalvingConv2d
        self.first = kind(spec.channels, widths[0])
        self.stages = nn.ModuleList(stage(width, config, depth * config.blocks) for width in widths)
        self.steps = nn.ModuleList(step(a, b) for a, b in pairwise(widths))
        height, width = sizes[0]
        self.maps = nn.Parameter(torch.randn(widths[-1], height, width) / math.sqrt(height * width))
        self.last = nn.Linear(widths[-1], config.latent if classes else 1, bias=False)
        self.embed = nn.Embedding(classes, config.latent) if classes else None
        start(self.first, float(config.patch))  # the mean of a cell halves what is uncorrelated
        start(self.last)

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.stages[0](self.first(even(pictures) if self.patch == 2 else pictures))
        for blocks, widen in zip(list(self.stages)[1:], self.steps, strict=True):
            # Halving is bilinear; at an odd edge it is the mean of the pixels that are there.
            x = blocks(widen(F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)))
        scores = self.last((x * self.maps).sum((2, 3))).float()
        if self.embed is not None:
            return (scores * self.embed(labels)).sum(1) / math.sqrt(scores.shape[1])
        return scores.flatten()
