"""DCGAN: a convolutional generator against a convolutional discriminator."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._latent import GaussianLatent
from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d
from mezzotint.nn.norm import BatchNorm2d, grouped
from mezzotint.nn.sizes import cut, even, resolutions

_CHUNK = 64


class DCGANConfig(Config):
    """Settings of `dcgan`; the defaults are the paper's."""

    latent: int = option(100, "Size of the latent vector.", ge=1, le=4096)
    width: int = option(64, "Channels of the generator's last hidden layer; each one before has twice as many.", ge=4)
    discriminator_width: int = option(64, "Channels of the discriminator's first layer.", ge=4)
    most: int = option(8, "No layer has more channels than this many times the width.", ge=1)
    conditional: bool = option(False, "Give generator and discriminator the class label.")
    lr: float = option(2e-4, "Learning rate of both networks.", gt=0)
    beta1: float = option(0.5, "First moment of Adam.", ge=0, lt=1)


class Generator(nn.Module):
    """z [N, latent] (and labels [N]) -> pictures [N, C, H, W] in [-1, 1].

    A 1x1 picture of z is blown up by stride-2 transposed convolutions, each with batch normalisation and ReLU; tanh
    ends it. Where doubling gives a row or column too many for the wanted size, it is cut.
    """

    def __init__(self, config: DCGANConfig, spec: PictureSpec) -> None:
        super().__init__()
        self.sizes = resolutions(spec.height, spec.width)
        depth = len(self.sizes) - 1
        widths = [config.width * min(2 ** (depth - 1 - k), config.most) for k in range(depth)]
        classes = len(spec.classes) if config.conditional else 0
        self.embed = nn.Embedding(classes, config.latent) if classes else None
        inputs = config.latent * (2 if classes else 1)
        self.first = FastConvTranspose2d(inputs, widths[0], self.sizes[0], bias=False)
        self.norms = nn.ModuleList(BatchNorm2d(w) for w in widths)
        self.ups = nn.ModuleList(FastConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(widths))
        self.last = FastConvTranspose2d(widths[-1], spec.channels, 4, 2, 1, bias=False)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            z = torch.cat((z, self.embed(labels)), 1)
        x = F.relu_(self.norms[0](self.first(z[:, :, None, None])))
        for up, norm, size in zip(self.ups, list(self.norms)[1:], self.sizes[1:-1], strict=True):
            x = F.relu_(norm(cut(up(x), size)))
        return torch.tanh(cut(self.last(x), self.sizes[-1]).float())


class Discriminator(nn.Module):
    """Pictures [N, C, H, W] in [-1, 1] (and labels [N]) -> logits [N]; high means real.

    Stride-2 convolutions with LeakyReLU(0.2), batch normalisation on all but the first; no pooling, no hidden fully
    connected layer.
    """

    def __init__(self, config: DCGANConfig, spec: PictureSpec) -> None:
        super().__init__()
        sizes = resolutions(spec.height, spec.width)[::-1]
        widths = [config.discriminator_width * min(2**k, config.most) for k in range(len(sizes) - 1)]
        classes = len(spec.classes) if config.conditional else 0
        self.shape = (spec.height, spec.width)
        self.embed = nn.Embedding(classes, spec.height * spec.width) if classes else None
        inputs = spec.channels + bool(classes)
        self.first = FastConv2d(inputs, widths[0], 4, 2, 1, bias=False)
        self.downs = nn.ModuleList(FastConv2d(a, b, 4, 2, 1, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(BatchNorm2d(w) for w in widths[1:])
        self.last = FastConv2d(widths[-1], 1, sizes[-1], bias=False)

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        x = pictures
        if self.embed is not None:
            x = torch.cat((x, self.embed(labels).view(-1, 1, *self.shape)), 1)
        x = F.leaky_relu_(self.first(even(x)), 0.2)
        for down, norm in zip(self.downs, self.norms, strict=True):
            x = F.leaky_relu_(norm(down(even(x))), 0.2)
        return self.last(x).flatten().float()


def initialise(net: nn.Module) -> None:
    """The paper's initial weights: N(0, 0.02) everywhere, N(1, 0.02) for the scale of batch normalisation."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 0.02)


@register
class DCGAN(GaussianLatent):
    """Deep convolutional generative adversarial network.

    The game of Goodfellow et al. (2014), with the generator's non-saturating loss:

        discriminator:  minimise  E[softplus(-D(x))] + E[softplus(D(G(z)))]
        generator:      minimise  E[softplus(-D(G(z)))],     z ~ N(0, I)

    The paper draws z uniformly; the normal is what everyone has used since. Any size from 8 to 256, square or not, with
    1 to 4 channels: the number of layers follows from the size (`resolutions`); at 64 pixels it is the paper's network.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are smaller than 8 or larger than 256 pixels, or `conditional` without classes.

    Example:
        >>> from mezzotint.engine.model import PictureSpec
        >>> model = DCGAN(DCGANConfig(width=8, discriminator_width=8), PictureSpec(1, 16, 16))
        >>> tuple(model.eval().sample(2).shape)
        (2, 1, 16, 16)
    """

    name = "dcgan"
    summary = "Convolutional GAN: sharp samples, a discriminator that tells real from generated."
    paper = Paper(
        "Radford, Metz, Chintala",
        2016,
        "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
        "1511.06434",
    )
    Config = DCGANConfig
    tiny = {"latent": 8, "width": 8, "discriminator_width": 8}
    variants = ({"conditional": True},)
    averaged = ("generator",)
    config: DCGANConfig
    calibration: Tensor

    def __init__(self, config: DCGANConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        if not (min(spec.height, spec.width) >= 8 and max(spec.height, spec.width) <= 256):
            raise ConfigError(f"dcgan makes pictures of 8 to 256 pixels; got {spec.height} x {spec.width}. Set --size.")
        if config.conditional and not spec.classes:
            raise ConfigError("model.conditional needs classes, and these pictures have none; sort them in folders.")
        self.latent_size = config.latent
        self.conditional = config.conditional
        self.generator = Generator(config, spec)
        self.discriminator = Discriminator(config, spec)
        self.apply(initialise)
        # slope and offset of P(real) = sigmoid(slope * logit + offset), fitted when training ends
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator's turn, then the generator's, on the same generated pictures."""
        adam = OptimizerSpec("adam", self.config.lr, (self.config.beta1, 0.999))
        return (
            Phase("discriminator", self.discriminator, self.discriminator_loss, adam, prepare=self.fakes),
            Phase("generator", self.generator, self.generator_loss, adam, prepare=self.fakes),
        )

    def fakes(self, turn: Turn) -> Tensor:
        """G(z): as many as there are pictures in the turn."""
        return self.generator(turn.draw.normal(len(turn.pictures), self.latent_size), self._labels(turn))

    def discriminator_loss(self, turn: Turn) -> Terms:
        """-log D(x) - log(1 - D(G(z))), the means over the batch in nats (Goodfellow et al. 2014, eq. 1)."""
        pictures, labels = torch.cat((turn.pictures, turn.prepared.detach())), self._labels(turn)
        # One pass over both is faster than two; each keeps its own batch statistics, as in the paper.
        with grouped(self.discriminator, 2):
            logits = self.discriminator(pictures, None if labels is None else torch.cat((labels, labels)))
        real, fake = logits.chunk(2)
        turn.note("accuracy", ((real > 0).float().mean() + (fake < 0).float().mean()) / 2)
        return {"real": F.softplus(-real).mean(), "fake": F.softplus(fake).mean()}

    def generator_loss(self, turn: Turn) -> Terms:
        """-log D(G(z)), the mean over the batch in nats: non-saturating (Goodfellow et al. 2014, section 3)."""
        return {"fake": F.softplus(-self.discriminator(turn.prepared, self._labels(turn))).mean()}

    def _labels(self, turn: Turn) -> Tensor | None:
        return turn.labels if self.conditional else None

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent]."""
        return self.generator(latents.to(self.device), labels if self.conditional else None)

    @torch.no_grad()
    def discriminate(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """Probability [N] that each picture is real rather than this generator's, calibrated (Platt 1999).

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            labels: class indices [N], for a conditional model.
        """
        pictures = self.check_pictures(pictures)
        logits = self.discriminator(pictures, self.check_labels(len(pictures), labels) if self.conditional else None)
        return torch.sigmoid(self.calibration[0] * logits + self.calibration[1])

    def start(self) -> None:
        """The calibration is that of a discriminator which is about to move."""
        self.calibration.copy_(torch.tensor([1.0, 0.0]))

    @torch.no_grad()
    def finish(self, held_out: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Fit the calibration on held-out pictures and as many generated ones."""
        from sklearn.linear_model import LogisticRegression  # slow to import, needed once

        pictures, labels = held_out(512)
        known = labels if self.conditional else None
        generated = self.sample(len(pictures), seed=1, labels=known)
        marks = [None] * len(pictures) if known is None else known.split(_CHUNK)
        found = [
            self.discriminator(x, mark)
            for side in (pictures, generated)
            for x, mark in zip(side.split(_CHUNK), marks, strict=False)
        ]
        logits = torch.cat(found).cpu().double().numpy()  # in this order: MPS has no float64
        if not np.isfinite(logits).all():
            return  # diverged, which saving will say
        truth = np.repeat([1, 0], len(pictures))
        fit = LogisticRegression(C=1e3).fit(logits[:, None], truth)
        slope, offset = float(fit.coef_[0, 0]), float(fit.intercept_[0])
        # A discriminator that has been fooled into ranking fakes above real pictures knows nothing: say one half.
        self.calibration.copy_(torch.tensor([slope, offset] if slope > 0 else [0.0, 0.0]))
