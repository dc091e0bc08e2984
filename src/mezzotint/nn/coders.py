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


def beside(x: Tensor, classes: Tensor | None) -> Tensor:
    """x [N, D] with one-hot classes [N, K] behind it, where there are any."""
    return x if classes is None else torch.cat((x, classes.to(x)), 1)


class MLPEncoder(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] -> mean and log variance of q(z|x), each [N, latent].

    It sees (picture - centre) / 2. The centre is 0 until `begin_at` sets it.

    Args:
        shape: (C, H, W) of the pictures.
        hidden: units of the hidden layers, from the picture inwards; none makes it linear.
        latent: size of z.
        activation: of the hidden layers.
        classes: how many there are, where it sees the class too.
        parts: how many vectors it gives: 1 is a code alone.
    """

    centre: Tensor

    def __init__(
        self,
        shape: Shape,
        hidden: Sequence[int],
        latent: int,
        activation: Activation,
        classes: int = 0,
        parts: int = 2,
    ) -> None:
        super().__init__()
        self.units, self.parts = latent, parts
        sizes = (math.prod(shape) + classes, *hidden)
        self.register_buffer("centre", torch.zeros(shape))
        self.body = _mlp(sizes, activation)
        self.head = _linear(sizes[-1], parts * latent)

    def begin_at(self, picture: Tensor) -> None:
        """Take this picture [C, H, W] as the centre: the mean picture, before training."""
        self.centre.copy_(picture)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> tuple[Tensor, ...]:
        """x [N, C, H, W], one-hot classes [N, classes]."""
        x = beside(((x - self.centre) * 0.5).flatten(1), classes)
        found: tuple[Tensor, ...] = self.head(self.body(x)).float().chunk(self.parts, 1)
        return found


class MLPDecoder(nn.Module):
    """Latents [N, latent] -> values [N, C, H, W]; the encoder's mirror.

    Args:
        shape: (C, H, W) of the values.
        hidden, latent, activation: as in `MLPEncoder`, the layers in the same order.
        classes: how many there are; the class stands behind z, one-hot.
    """

    def __init__(
        self, shape: Shape, hidden: Sequence[int], latent: int, activation: Activation, classes: int = 0
    ) -> None:
        super().__init__()
        self.shape = shape
        sizes = (latent + classes, *hidden[::-1])
        self.body = _mlp(sizes, activation)
        self.head = _linear(sizes[-1], math.prod(shape))

    @torch.no_grad()
    def begin_at(self, values: Tensor) -> None:
        """Let the values be around these [C, H, W], whatever z is: before training."""
        self.head.bias.copy_(values.flatten())

    def forward(self, z: Tensor) -> Tensor:
        return self.head(self.body(z)).unflatten(1, self.shape).float()


class ConvEncoder(nn.Module):
    """Pictures [N, C, H, W] -> mean and log variance of q(z|x), each [N, units]; stride-2 convolutions.

    Args:
        shape: (C, H, W) of the pictures, of at least 8 pixels.
        width: channels of the first convolution; each one after it has twice as many.
        most: none has more than this many times the width.
        latent: size of z, or with `spatial` its channels at each of the smallest layer's pixels.
        classes: how many there are, where it sees the class too, as one more channel of the picture.
        spatial: z is a feature map [latent, h, w], flattened; no layer is fully connected.
        parts: how many vectors it gives: 1 is a code alone.

    Attributes:
        units: numbers in z.
    """

    def __init__(
        self,
        shape: Shape,
        width: int,
        most: int,
        latent: int,
        classes: int = 0,
        spatial: bool = False,
        parts: int = 2,
    ) -> None:
        super().__init__()
        sizes = resolutions(*shape[1:])
        widths = _widths(width, most, len(sizes) - 1)
        inputs = shape[0] + (classes > 0)
        self.size = shape[1:]
        self.channel = nn.Linear(classes, math.prod(self.size), bias=False) if classes else None
        self.downs = nn.ModuleList(FastConv2d(a, b, 4, 2, 1) for a, b in pairwise([inputs, *widths]))
        self.units = latent * (math.prod(sizes[0]) if spatial else 1)
        self.head: nn.Module = (
            FastConv2d(widths[-1], parts * latent, 1)
            if spatial
            else nn.Linear(widths[-1] * math.prod(sizes[0]), parts * latent)
        )
        self.spatial, self.parts = spatial, parts

    def forward(self, x: Tensor, classes: Tensor | None = None) -> tuple[Tensor, ...]:
        """x [N, C, H, W], one-hot classes [N, classes]."""
        if self.channel is not None and classes is not None:
            x = torch.cat((x, self.channel(classes.to(x)).view(-1, 1, *self.size)), 1)
        for down in self.downs:
            x = F.silu(down(even(x)))
        found = self.head(x if self.spatial else x.flatten(1)).float().chunk(self.parts, 1)
        return tuple(part.flatten(1) for part in found)


class ConvDecoder(nn.Module):
    """Latents [N, latent] -> values [N, C, H, W]; the encoder's mirror.

    Args:
        shape: (C, H, W) of the values.
        width, most, latent, classes, spatial: as in `ConvEncoder`. The class stands behind z; a map has it everywhere.
    """

    def __init__(
        self, shape: Shape, width: int, most: int, latent: int, classes: int = 0, spatial: bool = False
    ) -> None:
        super().__init__()
        self.sizes = resolutions(*shape[1:])
        widths = _widths(width, most, len(self.sizes) - 1)[::-1]
        self.classes, self.spatial = classes, spatial
        self.first: nn.Module = (
            FastConv2d(latent + classes, widths[0], 1)
            if spatial
            else nn.Linear(latent + classes, widths[0] * math.prod(self.sizes[0]))
        )
        self.ups = nn.ModuleList(FastConvTranspose2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.last = FastConvTranspose2d(widths[-1], shape[0], 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        """z [N, units + classes]."""
        x = F.silu(self.first(self._mapped(z) if self.spatial else z))
        x = x if self.spatial else x.unflatten(1, (-1, *self.sizes[0]))
        for up, size in zip(self.ups, self.sizes[1:-1], strict=True):
            x = F.silu(cut(up(x), size))
        return cut(self.last(x), self.sizes[-1]).float()

    def _mapped(self, z: Tensor) -> Tensor:
        """[N, units + classes] -> [N, latent + classes, h, w]."""
        units = z.shape[1] - self.classes
        places = z[:, :units].unflatten(1, (-1, *self.sizes[0]))
        return torch.cat((places, z[:, units:, None, None].expand(-1, -1, *self.sizes[0])), 1)


def _widths(width: int, most: int, depth: int) -> list[int]:
    return [width * min(2**k, most) for k in range(depth)]
