"""VAE: the variational autoencoder."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.core import rng
from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._latent import GaussianLatent
from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d
from mezzotint.nn.likelihoods import (
    LEVELS,
    bernoulli,
    bounded_log_variance,
    discretised_logistic,
    gaussian,
    gaussian_kl,
    least_scale,
)
from mezzotint.nn.sizes import cut, even, resolutions


class VAEConfig(Config):
    """Settings of `vae`."""

    latent: int = option(32, "Size of the latent vector.", ge=1, le=4096)
    network: Literal["conv", "mlp"] = option("conv", "Convolutional or fully connected networks.")
    width: int = option(64, "Channels of the first convolution; each layer after it has twice as many.", ge=4)
    most: int = option(4, "No convolution has more channels than this many times the width.", ge=1)
    hidden: tuple[int, ...] = option((512,), "Units of the hidden layers of the mlp, from the picture inwards.")
    likelihood: Literal["bernoulli", "gaussian", "logistic"] = option(
        "gaussian",
        "What the decoder's output means: bernoulli for black and white, gaussian with one learned scale, or the "
        "discretised logistic, whose likelihood is in true bits.",
    )
    lr: float = option(1e-3, "Learning rate of Adam.", gt=0)


def _mlp(sizes: list[int]) -> nn.Sequential:
    return nn.Sequential(*[layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())])


class MLPEncoder(nn.Module):
    """Pictures [N, C, H, W] -> mean and log variance of q(z|x), each [N, latent]."""

    def __init__(self, config: VAEConfig, spec: PictureSpec) -> None:
        super().__init__()
        self.body = _mlp([spec.values, *config.hidden])
        self.head = nn.Linear((spec.values, *config.hidden)[-1], 2 * config.latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.head(self.body(x.flatten(1))).float().chunk(2, 1)
        return mean, log_variance


class MLPDecoder(nn.Module):
    """Latents [N, latent] -> `outputs` values for every pixel, [N, outputs, H, W]."""

    def __init__(self, config: VAEConfig, spec: PictureSpec, outputs: int) -> None:
        super().__init__()
        self.shape = (outputs, spec.height, spec.width)
        self.body = _mlp([config.latent, *config.hidden[::-1]])
        self.head = nn.Linear((config.latent, *config.hidden[::-1])[-1], math.prod(self.shape))

    def forward(self, z: Tensor) -> Tensor:
        return self.head(self.body(z)).unflatten(1, self.shape).float()


class ConvEncoder(nn.Module):
    """Pictures [N, C, H, W] -> mean and log variance of q(z|x), each [N, latent]; stride-2 convolutions."""

    def __init__(self, config: VAEConfig, spec: PictureSpec) -> None:
        super().__init__()
        sizes = resolutions(spec.height, spec.width)
        widths = _widths(config, len(sizes) - 1)
        self.downs = nn.ModuleList(FastConv2d(a, b, 4, 2, 1) for a, b in pairwise([spec.channels, *widths]))
        self.head = nn.Linear(widths[-1] * math.prod(sizes[0]), 2 * config.latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for down in self.downs:
            x = F.silu(down(even(x)))
        mean, log_variance = self.head(x.flatten(1)).float().chunk(2, 1)
        return mean, log_variance


class ConvDecoder(nn.Module):
    """Latents [N, latent] -> `outputs` values for every pixel, [N, outputs, H, W]; the encoder's mirror."""

    def __init__(self, config: VAEConfig, spec: PictureSpec, outputs: int) -> None:
        super().__init__()
        self.sizes = resolutions(spec.height, spec.width)
        widths = _widths(config, len(self.sizes) - 1)[::-1]
        self.first = nn.Linear(config.latent, widths[0] * math.prod(self.sizes[0]))
        self.ups = nn.ModuleList(FastConvTranspose2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.last = FastConvTranspose2d(widths[-1], outputs, 4, 2, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = F.silu(self.first(z)).unflatten(1, (-1, *self.sizes[0]))
        for up, size in zip(self.ups, self.sizes[1:-1], strict=True):
            x = F.silu(cut(up(x), size))
        return cut(self.last(x), self.sizes[-1]).float()


def _widths(config: VAEConfig, depth: int) -> list[int]:
    return [config.width * min(2**k, config.most) for k in range(depth)]


@register
class VAE(GaussianLatent):
    """Variational autoencoder.

    An encoder gives q(z|x) = N(mean, diag(variance)), a decoder gives p(x|z), and both are trained on the evidence
    lower bound (eq. 3 of the paper), in nats for each picture:

        ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || N(0, I))  <=  log p(x)

    with one draw z = mean + std * eps (the reparameterisation trick, section 2.4).

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are too small for convolutions.

    Example:
        >>> from mezzotint.engine.model import PictureSpec
        >>> model = VAE(VAEConfig(width=8, latent=4), PictureSpec(3, 16, 16)).eval()
        >>> tuple(model.reconstruct(model.sample(2)).shape)
        (2, 3, 16, 16)
    """

    name = "vae"
    summary = "Variational autoencoder: encodes, reconstructs, interpolates, samples, and bounds the likelihood."
    paper = Paper("Kingma, Welling", 2014, "Auto-Encoding Variational Bayes", "1312.6114")
    Config = VAEConfig
    tiny = {"latent": 4, "width": 8, "hidden": (16,)}
    variants = ({"network": "mlp"}, {"likelihood": "bernoulli"}, {"likelihood": "logistic"})
    averaged = ("encoder", "decoder", "scale")
    config: VAEConfig

    def __init__(self, config: VAEConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        if config.network == "conv" and min(spec.height, spec.width) < 8:
            raise ConfigError(
                f"The convolutional vae needs pictures of at least 8 pixels; got {spec.height} x {spec.width}. "
                "Use --size 8 or --set model.network=mlp."
            )
        self.latent_size = config.latent
        outputs = spec.channels * (2 if config.likelihood == "logistic" else 1)
        conv = config.network == "conv"
        self.encoder: nn.Module = (ConvEncoder if conv else MLPEncoder)(config, spec)
        self.decoder: nn.Module = (ConvDecoder if conv else MLPDecoder)(config, spec, outputs)
        self.scale = nn.ParameterList([torch.zeros(())] if config.likelihood == "gaussian" else [])

    def phases(self) -> tuple[Phase, ...]:
        """One phase, in which encoder, decoder and the learned scale move together.

        While the scale falls the gradients of the others rise. Adam's usual memory of 1,000 steps lags behind them, and
        training ran away after some 2,000 steps; one of 100 follows.
        """
        adam = OptimizerSpec("adam", self.config.lr, (0.9, 0.99))
        return (Phase("vae", (self.encoder, self.decoder, self.scale), self.loss, adam),)

    def loss(self, turn: Turn) -> Terms:
        """-ELBO as its two terms, the means over the batch in nats (eq. 10 of the paper)."""
        reconstruction, kl = self.elbo_terms(turn.pictures, turn.draw.normal(len(turn.pictures), self.latent_size))
        return {"reconstruction": -reconstruction.mean(), "kl": kl.mean()}

    def elbo_terms(self, pictures: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The two parts of the ELBO for one draw of z: log p(x|z) and the KL divergence, nats [N] each.

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            noise: the standard normal draw [N, latent].
        """
        mean, log_variance = self.encoder(pictures)
        log_variance = bounded_log_variance(log_variance)
        z = mean + torch.exp(0.5 * log_variance) * noise
        return self.log_p(pictures, self.decoder(z)), gaussian_kl(mean, log_variance)

    def log_p(self, pictures: Tensor, output: Tensor) -> Tensor:
        """log p(x|z) in nats [N], for the decoder's output."""
        if self.config.likelihood == "bernoulli":
            return bernoulli(output, pictures)
        if self.config.likelihood == "gaussian":
            return gaussian(output, least_scale(self.scale[0]), pictures)
        mean, log_scale = output.chunk(2, 1)
        return discretised_logistic(mean, log_scale.clamp(min=-7), pictures)

    def validation_loss(self, turn: Turn) -> Tensor:
        """-ELBO in nats for each picture."""
        reconstruction, kl = self.elbo_terms(turn.pictures, turn.draw.normal(len(turn.pictures), self.latent_size))
        return (kl - reconstruction).mean()

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """The mean of q(z|x) [N, latent] of pictures [N, C, H, W] in [-1, 1]."""
        mean: Tensor = self.encoder(self.check_pictures(pictures))[0]
        return mean

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The mean of p(x|z): pictures [N, C, H, W] in [-1, 1] of latents [N, latent]."""
        if latents.dim() != 2 or latents.shape[1] != self.latent_size:
            raise ConfigError(
                f"This model's latents have the shape [N, {self.latent_size}]; got {list(latents.shape)}."
            )
        return self.generate(latents)

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """As `decode`, but with gradients; labels are not used."""
        output: Tensor = self.decoder(latents.to(self.device))
        if self.config.likelihood == "bernoulli":
            return torch.sigmoid(output) * 2 - 1
        return output[:, : self.spec.channels].clamp(-1, 1)

    def reconstruct(self, pictures: Tensor) -> Tensor:
        """The pictures [N, C, H, W] in [-1, 1] as the model sees them."""
        return self.decode(self.encode(pictures))

    @torch.no_grad()
    def log_likelihood(self, pictures: Tensor, seed: int = 0) -> Tensor:
        """The ELBO, a lower bound of log p(x), in nats [N], with one draw of z; that of row k does not depend on N."""
        pictures = self.check_pictures(pictures)
        noise = torch.from_numpy(rng.normal((len(pictures), self.latent_size), seed, "likelihood")).to(self.device)
        reconstruction, kl = self.elbo_terms(pictures, noise)
        return reconstruction - kl

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """Bits for each pixel value [N], from log-likelihoods in nats [N].

        A density (gaussian) is turned into the probability of a grey level by the level's width, 2 / 255. For
        bernoulli these are bits of a black-and-white picture and compare with nothing else.
        """
        bits = -nats / (self.spec.values * math.log(2))
        return bits + math.log2((LEVELS - 1) / 2) if self.config.likelihood == "gaussian" else bits
