"""The DCGAN paper's networks, for every adversarial model that plays with them; at 64 pixels they are the paper's."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.core.config import option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import PictureSpec
from mezzotint.models._adversarial import Adversarial
from mezzotint.models._game import GameConfig
from mezzotint.nn.activations import leaky_relu
from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d
from mezzotint.nn.norm import BatchNorm2d
from mezzotint.nn.sizes import cut, even, resolutions


class ConvolutionalConfig(GameConfig):
    """Settings of models with these networks."""

    latent: int = option(100, "Size of the latent vector.", ge=1, le=4096)
    width: int = option(64, "Channels of the generator's last hidden layer; each one before has twice as many.", ge=4)
    discriminator_width: int = option(64, "Channels of the discriminator's first layer.", ge=4)
    most: int = option(8, "No layer has more channels than this many times the width.", ge=1)
    smallest: int = option(4, "Pixels, about, of the smallest layer's shorter side.", ge=2, le=16)
    dense: int = option(
        0, "Units of a fully connected layer between vectors and convolutions, in both networks; 0: none.", ge=0
    )
    slope: float = option(0.2, "What the discriminator's LeakyReLU multiplies negative values by.", ge=0, lt=1)
    condition: Literal["concatenation", "projection"] = option(
        "concatenation",
        "How a conditional discriminator sees the label: as one more channel, or as the projection of its features "
        "onto the class.",
    )
    spectral_norm: bool = option(False, "Divide each weight of the discriminator by its largest singular value.")


def _dense_up(inputs: int, units: int) -> nn.Sequential:
    """[N, inputs, 1, 1] -> [N, units, 1, 1]: fully connected, batch normalisation, ReLU."""
    return nn.Sequential(FastConvTranspose2d(inputs, units, 1, bias=False), BatchNorm2d(units), nn.ReLU(inplace=True))


def _dense_down(channels: int, units: int, size: tuple[int, int], normalised: bool) -> nn.ModuleList:
    """A fully connected layer [N, channels, *size] -> [N, units, 1, 1], and its normalisation."""
    layer = FastConv2d(channels, units, size, bias=not normalised)
    return nn.ModuleList((layer, BatchNorm2d(units) if normalised else nn.Identity()))


class Generator(nn.Module):
    """z [N, inputs] (and labels [N]) -> pictures [N, C, H, W] in [-1, 1].

    A 1x1 picture of z, or of `dense` units made of it, is blown up by stride-2 transposed convolutions, each with batch
    normalisation and ReLU; tanh ends it. Where doubling gives a row or column too many for the wanted size, it is cut.
    """

    def __init__(self, config: ConvolutionalConfig, spec: PictureSpec, codes: int = 0) -> None:
        super().__init__()
        self.sizes = resolutions(spec.height, spec.width, config.smallest)
        depth = len(self.sizes) - 1
        widths = [config.width * min(2 ** (depth - 1 - k), config.most) for k in range(depth)]
        classes = len(spec.classes) if config.conditional else 0
        self.embed = nn.Embedding(classes, config.latent) if classes else None
        inputs = config.latent * (2 if classes else 1) + codes
        self.dense = _dense_up(inputs, config.dense) if config.dense else nn.Identity()
        self.first = FastConvTranspose2d(config.dense or inputs, widths[0], self.sizes[0], bias=False)
        self.norms = nn.ModuleList(BatchNorm2d(w) for w in widths)
        self.ups = nn.ModuleList(FastConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(widths))
        self.last = FastConvTranspose2d(widths[-1], spec.channels, 4, 2, 1, bias=False)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat((z, self.embed(labels)), 1)
        x = F.relu_(self.norms[0](self.first(self.dense(z[:, :, None, None]))))
        for up, norm, size in zip(self.ups, list(self.norms)[1:], self.sizes[1:-1], strict=True):
            x = F.relu_(norm(cut(up(x), size)))
        return torch.tanh(cut(self.last(x), self.sizes[-1]).float())


class Discriminator(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] (and labels [N]) -> scores [N]; high means real.

    Stride-2 convolutions with LeakyReLU, batch normalisation on all but the first; no pooling, and no hidden fully
    connected layer unless `dense` asks for one.

    Args:
        config, spec: of the model.
        normalised: False leaves batch normalisation out, for a gradient penalty holds for each picture alone.
    """

    def __init__(self, config: ConvolutionalConfig, spec: PictureSpec, normalised: bool = True) -> None:
        super().__init__()
        sizes = resolutions(spec.height, spec.width, config.smallest)[::-1]
        widths = [config.discriminator_width * min(2**k, config.most) for k in range(len(sizes) - 1)]
        classes = len(spec.classes) if config.conditional else 0
        projected = config.condition == "projection"
        # in place, which saves memory, or fit to be differentiated again
        self.activation, self.slope = F.leaky_relu_ if normalised else leaky_relu, config.slope
        self.shape = (spec.height, spec.width)
        self.embed = nn.Embedding(classes, spec.height * spec.width) if classes and not projected else None
        self.project = nn.Embedding(classes, config.dense or widths[-1]) if classes and projected else None
        inputs = spec.channels + (self.embed is not None)
        self.first = FastConv2d(inputs, widths[0], 4, 2, 1, bias=False)
        self.downs = nn.ModuleList(FastConv2d(a, b, 4, 2, 1, bias=not normalised) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(BatchNorm2d(w) if normalised else nn.Identity() for w in widths[1:])
        self.dense = _dense_down(widths[-1], config.dense, sizes[-1], normalised) if config.dense else nn.ModuleList()
        self.features_shape = (config.dense, 1, 1) if config.dense else (widths[-1], *sizes[-1])
        """Of what the last layer sees: [C, h, w]."""
        self.last = FastConv2d(self.features_shape[0], 1, self.features_shape[1:], bias=False)

    def features(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, C, H, W] -> what the last layer sees, [N, *features_shape]."""
        x = pictures
        if self.embed is not None:
            x = torch.cat((x, self.embed(labels).view(-1, 1, *self.shape)), 1)
        x = self.activation(self.first(even(x)), self.slope)
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = self.activation(norm(down(even(x))), self.slope)
        if self.dense:
            layer, norm = self.dense
            x = self.activation(norm(layer(x)), self.slope)
        return x

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.judged(self.features(pictures, labels), labels)

    def judged(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores [N] of `features`."""
        scores = self.last(features).flatten().float()
        if self.project is not None:  # Miyato and Koyama (2018), arXiv:1802.05637, eq. 3
            scores = scores + (self.project(labels) * features.float().sum((2, 3))).sum(1)
        return scores


def initialise(net: nn.Module) -> None:
    """The paper's initial weights: N(0, 0.02) everywhere, N(1, 0.02) for the scale of batch normalisation."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Embedding | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            bias = getattr(module, "bias", None)
            if bias is not None:
                nn.init.zeros_(bias)


def check_size(name: str, spec: PictureSpec) -> None:
    """These networks halve a picture down to four or so pixels.

    Raises:
        ConfigError: the pictures are smaller than 8 or larger than 256 pixels, or points of the plane.
    """
    if min(spec.height, spec.width) == 1:
        what = spec.meaning.word if spec.meaning.planar else "rows of numbers"
        raise ConfigError(f"{name} makes pictures, and these are {what}; train gan or wgan_gp with model.network=mlp.")
    if not (min(spec.height, spec.width) >= 8 and max(spec.height, spec.width) <= 256):
        raise ConfigError(f"{name} makes pictures of 8 to 256 pixels; got {spec.height} x {spec.width}. Set --size.")


class Convolutional(Adversarial):
    """An adversarial model with these networks.

    Attributes:
        normalised: whether the discriminator has batch normalisation.
        discriminator_type: a subclass may tell more than scores.
    """

    normalised = True
    discriminator_type: type[Discriminator] = Discriminator
    config: ConvolutionalConfig

    def __init__(self, config: ConvolutionalConfig, spec: PictureSpec, codes: int = 0) -> None:
        super().__init__(config, spec)
        self.latent_size = config.latent
        self.generator, self.discriminator = self.networks(codes)
        if config.spectral_norm:
            constrain(self.discriminator)

    def networks(self, codes: int) -> tuple[nn.Module, nn.Module]:
        """The generator, with `codes` further inputs, and the discriminator, both with their first weights."""
        check_size(self.name, self.spec)
        discriminator = self.discriminator_type(self.config, self.judged, self.normalised)
        nets = Generator(self.config, self.spec, codes), discriminator
        nn.ModuleList(nets).apply(initialise)
        return nets


def constrain(net: nn.Module) -> None:
    """Spectral normalisation of all layers of `net`, in place: Miyato et al. (2018), arXiv:1802.05957, algorithm 1."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.utils.parametrizations.spectral_norm(module)
