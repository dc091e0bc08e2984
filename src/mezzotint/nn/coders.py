"""Encoders from pictures to q(z|x), and decoders from z to values for every pixel; fully connected or convolutional."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d
from mezzotint.nn.sizes import cut, even, resolutions

Shape = tuple[int, int, int]
Activation = Literal["relu", "tanh", "silu"]

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """With Glorot and Bengio's first weights (2010, eq. 16), as in Burda et al. 2016. PyTorch's own are 0.6 of them in
    a square layer; on black-and-white MNIST they cost two hidden layers of tanh 10 nats after ten epochs."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _mlp(sizes: Sequence[int], activation: Activation) -> nn.Sequential:
    kind = _ACTIVATIONS[activation]
    return nn.Sequential(*[layer for a, b in pairwise(sizes) for layer in (_linear(a, b), kind())])


class MLPEncoder(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] -> mean and log variance of q(z|x), each [N, latent].

    It sees (picture - centre) / 2. The centre is 0 until `begin_at` sets it.

    Args:
        shape: (C, H, W) of the pictures.
        hidden: units of the hidden layers, from the picture inwards; none makes it linear.
        latent: size of z.
        activation: of the hidden layers.
    """

    centre: Tensor

    def __init__(self, shape: Shape, hidden: Sequence[int], latent: int, activation: Activation) -> None:
        super().__init__()
        sizes = (math.prod(shape), *hidden)
        self.register_buffer("centre", torch.zeros(shape))
        self.body = _mlp(sizes, activation)
        self.head = _linear(sizes[-1], 2 * latent)

    def begin_at(self, picture: Tensor) -> None:
        """Take this picture [C, H, W] as the centre: the mean picture, before training."""
        self.centre.copy_(picture)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = ((x - self.centre) * 0.5).flatten(1)
        mean, log_variance = self.head(self.body(x)).float().chunk(2, 1)
        return mean, log_variance


class MLPDecoder(nn.Module):
    """Latents [N, latent] -> values [N, C, H, W]; the encoder's mirror.

    Args:
        shape: (C, H, W) of the values.
        hidden, latent, activation: as in `MLPEncoder`, the layers in the same order.
    """

    def __init__(self, shape: Shape, hidden: Sequence[int], latent: int, activation: Activation) -> None:
        super().__init__()
        self.shape = shape
        sizes = (latent, *hidden[::-1])
        self.body = _mlp(sizes, activation)
        self.head = _linear(sizes[-1], math.prod(shape))

    @torch.no_grad()
    def begin_at(self, values: Tensor) -> None:
        """Let the values be around these [C, H, W], whatever z is: before training."""
        self.head.bias.copy_(values.flatten())

    def forward(self, z: Tensor) -> Tensor:
        return self.head(self.body(z)).unflatten(1, self.shape).float()


class ConvEncoder(nn.Module):
    """Pictures [N, C, H, W] -> mean and log variance of q(z|x), each [N, latent]; stride-2 convolutions.

    Args:
        shape: (C, H, W) of the pictures, of at least 8 pixels.
        width: channels of the first convolution; each one after it has twice as many.
        most: none has more than this many times the width.
        latent: size of z.
    """

    def __init__(self, shape: Shape, width: int, most: int, latent: int) -> None:
        super().__init__()
        sizes = resolutions(*shape[1:])
        widths = _widths(width, most, len(sizes) - 1)
        self.downs = nn.ModuleList(FastConv2d(a, b, 4, 2, 1) for a, b in pairwise([shape[0], *widths]))
        self.head = nn.Linear(widths[-1] * math.prod(sizes[0]), 2 * latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for down in self.downs:
            x = F.silu(down(even(x)))
        mean, log_variance = self.head(x.flatten(1)).float().chunk(2, 1)
        return mean, log_variance


class ConvDecoder(nn.Module):
    """Latents [N, latent] -> values [N, C, H, W]; the encoder's mirror.

    Args:
        shape: (C, H, W) of the values.
        width, most, latent: as in `ConvEncoder`.
    """

    def __init__(self, shape: Shape, width: int, most: int, latent: int) -> None:
        super().__init__()
        self.sizes = resolutions(*shape[1:])
        widths = _widths(width, most, len(self.sizes) - 1)[::-1]
        self.first = nn.Linear(latent, widths[0] * math.prod(self.sizes[0]))
        self.ups = nn.ModuleList(FastConvTranspose2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.last = FastConvTranspose2d(widths[-1], shape[0], 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = F.silu(self.first(z)).unflatten(1, (-1, *self.sizes[0]))
        for up, size in zip(self.ups, self.sizes[1:-1], strict=True):
            x = F.silu(cut(up(x), size))
        return cut(self.last(x), self.sizes[-1]).float()


def _widths(width: int, most: int, depth: int) -> list[int]:
    return [width * min(2**k, most) for k in range(depth)]
