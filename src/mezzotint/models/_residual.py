"""Residual networks for adversarial models, after the appendix of Gulrajani et al. (2017), sized by the picture.

With `width=128, discriminator_width=128, most=1` at 32 pixels they are the paper's for CIFAR-10.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.engine.model import PictureSpec
from mezzotint.models._convolutional import ConvolutionalConfig
from mezzotint.nn.activations import relu
from mezzotint.nn.fastconv import FastConv2d
from mezzotint.nn.norm import BatchNorm2d
from mezzotint.nn.sizes import cut, even, resolutions


class UpBlock(nn.Module):
    """[N, a, h, w] -> [N, b, *size]: batch normalisation, ReLU, doubling, two 3x3 convolutions, and a shortcut."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = BatchNorm2d(a), BatchNorm2d(b)
        self.conv1, self.conv2 = FastConv2d(a, b, 3, padding=1, bias=False), FastConv2d(b, b, 3, padding=1)
        self.shortcut = FastConv2d(a, b, 1)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        def double(y: Tensor) -> Tensor:
            return cut(F.interpolate(y, scale_factor=2.0, mode="nearest"), size)

        y = self.conv1(double(F.relu(self.norm1(x))))
        return double(self.shortcut(x)) + self.conv2(F.relu(self.norm2(y)))


class DownBlock(nn.Module):
    """[N, a, h, w] -> [N, b, h/2, w/2] (rounded up), or [N, b, h, w] with `halve=False`; no normalisation."""

    def __init__(self, a: int, b: int, halve: bool = True, first: bool = False) -> None:
        super().__init__()
        self.conv1, self.conv2 = FastConv2d(a, b, 3, padding=1), FastConv2d(b, b, 3, padding=1)
        self.shortcut: nn.Module = FastConv2d(a, b, 1) if halve or a != b else nn.Identity()
        self.halve, self.first = halve, first

    def forward(self, x: Tensor) -> Tensor:
        def half(y: Tensor) -> Tensor:
            return F.avg_pool2d(even(y), 2) if self.halve else y

        y = self.conv1(x if self.first else relu(x))
        return self.shortcut(half(x)) + half(self.conv2(relu(y)))


class ResidualGenerator(nn.Module):
    """z [N, latent] (and labels [N]) -> pictures [N, C, H, W] in [-1, 1]."""

    def __init__(self, config: ConvolutionalConfig, spec: PictureSpec) -> None:
        super().__init__()
        self.sizes = resolutions(spec.height, spec.width)
        depth = len(self.sizes) - 1
        widths = [config.width * min(2 ** (depth - k), config.most) for k in range(depth + 1)]
        classes = len(spec.classes) if config.conditional else 0
        self.embed = nn.Embedding(classes, config.latent) if classes else None
        height, width = self.sizes[0]
        self.first = nn.Linear(config.latent * (2 if classes else 1), widths[0] * height * width)
        self.blocks = nn.ModuleList(UpBlock(a, b) for a, b in pairwise(widths))
        self.norm = BatchNorm2d(widths[-1])
        self.last = FastConv2d(widths[-1], spec.channels, 3, padding=1)
        start(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat((z, self.embed(labels)), 1)
        x = self.first(z).unflatten(1, (-1, *self.sizes[0]))
        for block, size in zip(self.blocks, self.sizes[1:], strict=True):
            x = block(x, size)
        return torch.tanh(self.last(F.relu(self.norm(x))).float())


class ResidualCritic(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] (and labels [N]) -> scores [N]."""

    def __init__(self, config: ConvolutionalConfig, spec: PictureSpec) -> None:
        super().__init__()
        depth = len(resolutions(spec.height, spec.width)) - 1
        widths = [config.discriminator_width * min(2**k, config.most) for k in range(depth)]
        classes = len(spec.classes) if config.conditional else 0
        projected = config.condition == "projection"
        self.shape = (spec.height, spec.width)
        self.embed = nn.Embedding(classes, spec.height * spec.width) if classes and not projected else None
        self.project = nn.Embedding(classes, widths[-1]) if classes and projected else None
        self.first = DownBlock(spec.channels + (self.embed is not None), widths[0], first=True)
        self.blocks = nn.ModuleList(DownBlock(a, b) for a, b in pairwise(widths))
        self.plain = DownBlock(widths[-1], widths[-1], halve=False)
        self.last = nn.Linear(widths[-1], 1)
        start(self)

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        x = pictures
        if self.embed is not None:
            x = torch.cat((x, self.embed(labels).view(-1, 1, *self.shape)), 1)
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        features = relu(self.plain(x)).mean((2, 3))
        scores = self.last(features).flatten().float()
        if self.project is not None:
            scores = scores + (self.project(labels) * features.float()).sum(1)
        return scores


def start(net: nn.Module) -> None:
    """He's initial weights, with gain 1 in shortcuts and last layers."""
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            plain = name.endswith(("shortcut", "last", "first"))
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if plain else "relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 1.0)
