"""Fully connected networks for adversarial models, for points of the plane and very small pictures."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from mezzotint.engine.model import PictureSpec
from mezzotint.nn.activations import leaky_relu

_SLOPE = 0.2
_WAVES = 16
"""Frequencies that a critic sees."""


def _layers(sizes: list[int], slope: float) -> nn.ModuleList:
    """Linear layers with He's weights for LeakyReLU of this slope.

    The kinks of the first layer's units lie up to 1 from the origin. With biases of zero all kinks would meet in the
    origin, and a network of few inputs takes long to bend elsewhere.
    """
    layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, slope)
        nn.init.zeros_(layer.bias)
    with torch.no_grad():
        layers[0].bias.uniform_(-1, 1).mul_(layers[0].weight.norm(dim=1))
    return nn.ModuleList(layers)


class FullyConnectedGenerator(nn.Module):
    """z [N, latent] (and labels [N]) -> pictures [N, C, H, W], in [-1, 1] by tanh.

    With ReLU, so that whole regions of z can lead to one place: it finds separate modes sooner than with LeakyReLU.

    Args:
        latent: size of z.
        hidden: units of the hidden layers.
        spec: the shape of the pictures.
        classes: how many there are; 0 for none.
    """

    def __init__(self, latent: int, hidden: tuple[int, ...], spec: PictureSpec, classes: int) -> None:
        super().__init__()
        self.shape = spec.shape
        self.embed = nn.Embedding(classes, latent) if classes else None
        self.layers = _layers([latent * (2 if classes else 1), *hidden, spec.values], 0.0)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat((z, self.embed(labels)), 1)
        *inner, last = self.layers
        for layer in inner:
            z = torch.relu(layer(z))
        return torch.tanh(last(z).float()).unflatten(1, self.shape)


class FullyConnectedCritic(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] (and labels [N]) -> scores [N]; high means real. Classes are projected.

    A network of few inputs learns what changes slowly first, and what changes within a hundredth of the plane very late
    (Rahaman et al. 2019). With `waves` it also sees sin and cos of random frequencies (Tancik et al. 2020,
    arXiv:2006.10739, eq. 5), so that it tells sharp modes from blurred ones in a tenth of the time.

    Args:
        hidden: units of the hidden layers.
        spec: the shape of what is judged.
        classes: how many there are; 0 for none.
        waves: standard deviation of the frequencies along each value, in turns for each unit; 0: none.
    """

    frequencies: Tensor

    def __init__(self, hidden: tuple[int, ...], spec: PictureSpec, classes: int, waves: float = 0.0) -> None:
        super().__init__()
        features = hidden[-1] if hidden else spec.values
        inputs = spec.values
        if waves:
            self.register_buffer("frequencies", 2 * math.pi * waves * torch.randn(spec.values, _WAVES))
            inputs += 2 * _WAVES
        self.waves = bool(waves)
        self.layers = _layers([inputs, *hidden], _SLOPE)
        self.last = nn.Linear(features, 1)
        self.project = nn.Embedding(classes, features) if classes else None
        nn.init.normal_(self.last.weight, 0.0, 1 / math.sqrt(features))
        nn.init.zeros_(self.last.bias)

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        x = pictures.flatten(1)
        if self.waves:
            angles = x @ self.frequencies
            x = torch.cat((x, angles.sin(), angles.cos()), 1)
        for layer in self.layers:
            x = leaky_relu(layer(x), _SLOPE)
        scores: Tensor = self.last(x).flatten().float()
        if self.project is not None:
            scores = scores + (self.project(labels) * x.float()).sum(1) / math.sqrt(x.shape[1])
        return scores
