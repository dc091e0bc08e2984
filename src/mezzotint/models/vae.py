"""VAE: the variational autoencoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor, nn

from mezzotint.core import rng
from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._latent import GaussianLatent
from mezzotint.nn.coders import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from mezzotint.nn.importance import log_marginal
from mezzotint.nn.likelihoods import (
    LEVELS,
    bernoulli,
    binarised,
    bounded_log_variance,
    discretised_logistic,
    gaussian,
    gaussian_kl,
    least_scale,
)

_SEEN, _VALUES = 10_000, 2**26
"""Pictures that the mean picture is of, at most; and how many values they have together: a quarter of a GiB."""
_ENCODED = 256
"""Pictures that are encoded at once, and latents that are decoded at once where a likelihood is estimated."""


class VAEConfig(Config):
    """Settings of `vae`."""

    latent: int = option(32, "Size of the latent vector.", ge=1, le=4096)
    network: Literal["conv", "mlp"] = option("conv", "Convolutional or fully connected networks.")
    width: int = option(64, "Channels of the first convolution; each layer after it has twice as many.", ge=4)
    most: int = option(4, "No convolution has more channels than this many times the width.", ge=1)
    hidden: tuple[int, ...] = option((512,), "Units of the hidden layers of the mlp, from the picture inwards.")
    activation: Literal["relu", "tanh", "silu"] = option("relu", "What follows each hidden layer of the mlp.")
    likelihood: Literal["bernoulli", "gaussian", "logistic"] = option(
        "gaussian",
        "What the decoder's output means: bernoulli for black and white, gaussian with one learned scale, or the "
        "discretised logistic, whose likelihood is in true bits.",
    )
    binarise: bool = option(
        False,
        "Draw black or white anew each time a picture is trained on, with its grey level as the probability; bernoulli "
        "only.",
    )
    lr: float = option(1e-3, "Learning rate of Adam.", gt=0)
    beta2: float = option(0.99, "Second moment of Adam.", ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> VAEConfig:
        if self.binarise and self.likelihood != "bernoulli":
            raise ValueError(
                f"binarise makes pictures black and white, and the {self.likelihood} likelihood is of grey ones; set "
                "model.likelihood=bernoulli too"
            )
        return self


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
    variants = (
        {"network": "mlp"},
        {"likelihood": "bernoulli"},
        {"likelihood": "logistic"},
        {"network": "mlp", "activation": "tanh", "likelihood": "bernoulli", "binarise": True},
    )
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
        # the logistic has a scale of its own for every pixel
        outputs = (spec.channels * (2 if config.likelihood == "logistic" else 1), spec.height, spec.width)
        self.encoder: Any
        self.decoder: Any
        if config.network == "conv":
            self.encoder = ConvEncoder(spec.shape, config.width, config.most, config.latent)
            self.decoder = ConvDecoder(outputs, config.width, config.most, config.latent)
        else:
            self.encoder = MLPEncoder(spec.shape, config.hidden, config.latent, config.activation)
            self.decoder = MLPDecoder(outputs, config.hidden, config.latent, config.activation)
        self.scale = nn.ParameterList([torch.zeros(())] if config.likelihood == "gaussian" else [])

    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Fully connected networks begin at the mean picture, as in the program of Burda et al. 2016.

        The encoder sees how a picture differs from it, and the decoder says it, whatever z is. Otherwise the edges that
        are always black take the first epochs, and z is not used meanwhile.
        """
        if self.config.network == "mlp":
            mean = training(min(_SEEN, max(1, _VALUES // self.spec.values)))[0].mean(0)
            self.encoder.begin_at(mean)
            self.decoder.begin_at(self._saying(mean))

    def _saying(self, picture: Tensor) -> Tensor:
        """The decoder's output [outputs, H, W] whose mean is this picture [C, H, W]."""
        if self.config.likelihood == "bernoulli":
            return torch.logit((picture + 1) / 2, eps=1e-3)
        if self.config.likelihood == "gaussian":
            return picture
        return torch.cat((picture, torch.zeros_like(picture)))

    def phases(self) -> tuple[Phase, ...]:
        """One phase, in which encoder, decoder and the learned scale move together.

        While the scale falls the gradients of the others rise. Adam's usual memory of 1,000 steps lags behind them, and
        training ran away after some 2,000 steps; one of 100 (beta2 = 0.99) follows.
        """
        adam = OptimizerSpec("adam", self.config.lr, (0.9, self.config.beta2))
        return (Phase("vae", (self.encoder, self.decoder, self.scale), self.loss, adam),)

    def loss(self, turn: Turn) -> Terms:
        """-ELBO as its two terms, the means over the batch in nats (eq. 10 of the paper)."""
        reconstruction, kl = self._terms_of(turn)
        return {"reconstruction": -reconstruction.mean(), "kl": kl.mean()}

    def _terms_of(self, turn: Turn) -> tuple[Tensor, Tensor]:
        pictures = turn.pictures
        if self.config.binarise:
            pictures = binarised(pictures, turn.draw.uniform(*pictures.shape))
        return self.elbo_terms(pictures, turn.draw.normal(len(pictures), self.latent_size))

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
        """log p(x|z) in nats [...], of pictures [..., C, H, W] and the decoder's output [..., outputs, H, W]."""
        if self.config.likelihood == "bernoulli":
            return bernoulli(output, pictures)
        if self.config.likelihood == "gaussian":
            return gaussian(output, least_scale(self.scale[0]), pictures)
        mean, log_scale = output.chunk(2, -3)
        return discretised_logistic(mean, log_scale.clamp(min=-7), pictures)

    def validation_loss(self, turn: Turn) -> Tensor:
        """-ELBO in nats for each picture."""
        reconstruction, kl = self._terms_of(turn)
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
        """The ELBO, a lower bound of log p(x), in nats [N], with one draw of z; that of row k does not depend on N.

        With `binarise` it is that of black and white pictures, drawn by the seed.
        """
        pictures = self._as_scored(pictures, seed)
        noise = torch.from_numpy(rng.normal((len(pictures), self.latent_size), seed, "likelihood")).to(self.device)
        reconstruction, kl = self.elbo_terms(pictures, noise)
        return reconstruction - kl

    @torch.no_grad()
    def importance_log_likelihood(self, pictures: Tensor, samples: int = 5000, seed: int = 0) -> Tensor:
        """log p(x) in nats [N] by importance sampling (Burda et al. 2016, eq. 8); that of row k does not depend on N.

        On average it is a lower bound too, far closer than the ELBO: see `mezzotint.nn.importance.log_marginal`. With
        `binarise` it is that of the same black and white pictures as in `log_likelihood`.

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            samples: latents that are drawn and decoded for each picture.
            seed: of everything drawn.

        Raises:
            ConfigError: there are no samples, or the pictures are not of this model's shape.
        """
        if samples < 1:
            raise ConfigError(f"Importance sampling needs at least 1 sample of each picture; got samples={samples}.")
        pictures = self._as_scored(pictures, seed)
        codes = [self.encoder(part) for part in pictures.split(_ENCODED)]
        mean, log_variance = (torch.cat(each) for each in zip(*codes, strict=True))

        def log_p(rows: slice, z: Tensor) -> Tensor:
            return self.log_p(pictures[rows, None], self.decoder(z.flatten(0, 1)).unflatten(0, z.shape[:2]))

        return log_marginal(mean, bounded_log_variance(log_variance), log_p, samples, seed, block=_ENCODED)

    def _as_scored(self, pictures: Tensor, seed: int) -> Tensor:
        """Checked, and for a model of black and white pictures made such: always the same by one seed."""
        pictures = self.check_pictures(pictures)
        if not self.config.binarise:
            return pictures
        coins = rng.stream(seed, "binarise").random(tuple(pictures.shape), dtype=np.float32)
        return binarised(pictures, torch.from_numpy(coins).to(pictures))

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """Bits for each pixel value [N], from log-likelihoods in nats [N].

        A density (gaussian) is turned into the probability of a grey level by the level's width, 2 / 255. For
        bernoulli these are bits of a black-and-white picture and compare with nothing else.
        """
        bits = -nats / (self.spec.values * math.log(2))
        return bits + math.log2((LEVELS - 1) / 2) if self.config.likelihood == "gaussian" else bits
