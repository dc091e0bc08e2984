"""What variational autoencoders share: coders, likelihoods, the class as a code, and what a trained one is good for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from mezzotint.core import rng
from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.codes import Code, whole_latent
from mezzotint.engine.model import PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._latent import GaussianLatent
from mezzotint.nn.bounds import gaussian_kl, importance_bound
from mezzotint.nn.coders import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from mezzotint.nn.importance import log_marginal
from mezzotint.nn.likelihoods import (
    LEVELS,
    bernoulli,
    binarised,
    bounded_log_variance,
    discretised_logistic,
    gaussian,
    least_scale,
)

_SEEN, _VALUES = 10_000, 2**26
"""Pictures that the mean picture is of, at most; and how many values they have together: a quarter of a GiB."""
_ENCODED = 256
"""Pictures that are encoded at once, and latents that are decoded at once where a likelihood is estimated."""


class VariationalConfig(Config):
    """Settings of every variational autoencoder; a model may have other defaults."""

    conditional: bool = option(False, "Give encoder and decoder the class, as one more code.")
    latent: int = option(32, "Size of the latent vector; of a map, its channels.", ge=1, le=4096)
    layout: Literal["vector", "map"] = option(
        "vector", "Whether the latent is a vector, or a map that keeps the places of things; conv only."
    )
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
    def _check(self) -> VariationalConfig:
        if self.binarise and self.likelihood != "bernoulli":
            raise ValueError(
                f"binarise makes pictures black and white, and the {self.likelihood} likelihood is of grey ones; set "
                "model.likelihood=bernoulli too"
            )
        if self.layout == "map" and self.network == "mlp":
            raise ValueError("a fully connected network has no map; set model.layout=vector or model.network=conv")
        return self


class Variational(GaussianLatent):
    """An encoder that gives q(z|x) = N(mean, diag(variance)), and a decoder that gives p(x|z); p(z) = N(0, I).

    A subclass says in `loss` what they are trained on. In a conditional model both see the class, and a latent is
    [z | one-hot class]; the class is the code "class".
    """

    averaged = ("encoder", "decoder", "scale")
    config: VariationalConfig

    def __init__(self, config: VariationalConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        if config.network == "conv" and min(spec.height, spec.width) < 8:
            raise ConfigError(
                f"The convolutional {self.name} needs pictures of at least 8 pixels; got {spec.height} x {spec.width}. "
                "Use --size 8 or --set model.network=mlp."
            )
        if config.conditional and not spec.classes:
            raise ConfigError("model.conditional needs classes, and these pictures have none; sort them in folders.")
        self.conditional = config.conditional
        self.classes = len(spec.classes) if config.conditional else 0
        # the logistic has a scale of its own for every pixel
        outputs = (spec.channels * (2 if config.likelihood == "logistic" else 1), spec.height, spec.width)
        self.encoder: Any
        self.decoder: Any
        if config.network == "conv":
            sizes = (config.width, config.most, config.latent, self.classes, config.layout == "map")
            self.encoder, self.decoder = ConvEncoder(spec.shape, *sizes), ConvDecoder(outputs, *sizes)
        else:
            layers = (config.hidden, config.latent, config.activation, self.classes)
            self.encoder, self.decoder = MLPEncoder(spec.shape, *layers), MLPDecoder(outputs, *layers)
        self.units: int = self.encoder.units
        """How many numbers z has."""
        self.latent_size = self.units + self.classes
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
        return (Phase(self.name, (self.encoder, self.decoder, self.scale), self.loss, adam),)

    def loss(self, turn: Turn) -> Terms:
        """What training makes smaller, by its terms, in nats for each picture."""
        raise NotImplementedError

    def seen(self, turn: Turn) -> Tensor:
        """The turn's pictures [N, C, H, W], black and white where that is asked for."""
        if not self.config.binarise:
            return turn.pictures
        return binarised(turn.pictures, turn.draw.uniform(*turn.pictures.shape))

    def one_hot(self, labels: Tensor | None) -> Tensor | None:
        """Classes [N, classes] of labels [N]; None in a model without classes."""
        if not self.classes:
            return None
        assert labels is not None
        return F.one_hot(labels, self.classes).float()

    def posterior(self, pictures: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """q(z|x): its mean and log variance, [N, units] each; `classes` are one-hot [N, classes]."""
        mean, log_variance = self.encoder(pictures, classes)
        return mean, bounded_log_variance(log_variance)

    def output(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """What the decoder says of z [N, units], and of one-hot classes [N, classes]: [N, outputs, H, W]."""
        output: Tensor = self.decoder(z if classes is None else torch.cat((z, classes), 1))
        return output

    def elbo_terms(self, pictures: Tensor, noise: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The two parts of the ELBO for one draw of z: log p(x|z) and the KL divergence, nats [N] each.

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            noise: the standard normal draw [N, units].
            classes: one-hot [N, classes], of a conditional model.
        """
        mean, log_variance = self.posterior(pictures, classes)
        z = mean + torch.exp(0.5 * log_variance) * noise
        return self.log_p(pictures, self.output(z, classes)), gaussian_kl(mean, log_variance)

    def log_p(self, pictures: Tensor, output: Tensor) -> Tensor:
        """log p(x|z) in nats [...], of pictures [..., C, H, W] and the decoder's output [..., outputs, H, W]."""
        if self.config.likelihood == "bernoulli":
            return bernoulli(output, pictures)
        if self.config.likelihood == "gaussian":
            return gaussian(output, least_scale(self.scale[0]), pictures)
        mean, log_scale = output.chunk(2, -3)
        return discretised_logistic(mean, log_scale.clamp(min=-7), pictures)

    def validation_loss(self, turn: Turn) -> Tensor:
        """-ELBO in nats for each picture, whatever the loss is."""
        pictures = self.seen(turn)
        noise = turn.draw.normal(len(pictures), self.units)
        reconstruction, kl = self.elbo_terms(pictures, noise, self.one_hot(turn.labels))
        return (kl - reconstruction).mean()

    # What it can do -------------------------------------------------------------------------------------------------

    def codes(self) -> tuple[Code, ...]:
        """The codes z0, z1 ..., and "class" where the model is conditional."""
        named = whole_latent(self.units)
        return (*named, Code("class", "categorical", self.units, self.classes)) if self.classes else named

    def latent(self, n: int, seed: int = 0, truncation: float = 1.0) -> Tensor:
        """Latents [n, latent] from the standard normal, with classes drawn evenly; row k does not depend on n.

        Args:
            n: how many.
            seed: the same seed gives the same latents.
            truncation: t < 1 cuts the normal off at 2t.

        Raises:
            ConfigError: truncation is not in (0, 1].
        """
        latents = super().latent(n, seed, truncation)
        if self.classes:
            drawn = torch.from_numpy(rng.stream(seed, "classes").integers(0, self.classes, n)).to(self.device)
            latents[:, self.units :] = F.one_hot(drawn, self.classes)
        return latents

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W] in [-1, 1]: the mean of q(z|x).

        Of a conditional model the class is that under which the picture is likeliest, by the bound at the mean.
        """
        pictures = self.check_pictures(pictures)
        if not self.classes:
            return self.posterior(pictures)[0]
        found = [self._as_class(pictures, label) for label in range(self.classes)]
        best = torch.stack([bound for _, bound in found]).argmax(0)
        latents = torch.stack([latents for latents, _ in found])
        return latents[best, torch.arange(len(pictures), device=self.device)]

    def _as_class(self, pictures: Tensor, label: int) -> tuple[Tensor, Tensor]:
        """Latents [N, latent] of pictures taken for this class, and log p(x|z, y) - KL at the mean, nats [N]."""
        classes = self._all_of(label, len(pictures))
        mean, log_variance = self.posterior(pictures, classes)
        bound = self.log_p(pictures, self.output(mean, classes)) - gaussian_kl(mean, log_variance)
        return torch.cat((mean, classes), 1), bound

    def _all_of(self, label: int, n: int) -> Tensor:
        classes = torch.zeros(n, self.classes, device=self.device)
        classes[:, label] = 1
        return classes

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The mean of p(x|z): pictures [N, C, H, W] in [-1, 1] of latents [N, latent]."""
        if latents.dim() != 2 or latents.shape[1] != self.latent_size:
            raise ConfigError(
                f"This model's latents have the shape [N, {self.latent_size}]; got {list(latents.shape)}."
            )
        return self.generate(latents)

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """As `decode`, but with gradients; labels [N] stand for the class in the latents of a conditional model."""
        latents = latents.to(self.device)
        classes = self.one_hot(labels) if labels is not None else None
        if classes is not None:
            latents = torch.cat((latents[:, : self.units], classes), 1)
        output: Tensor = self.decoder(latents)
        if self.config.likelihood == "bernoulli":
            return torch.sigmoid(output) * 2 - 1
        return output[:, : self.spec.channels].clamp(-1, 1)

    def reconstruct(self, pictures: Tensor) -> Tensor:
        """The pictures [N, C, H, W] in [-1, 1] as the model sees them."""
        return self.decode(self.encode(pictures))

    # Likelihood -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def log_likelihood(self, pictures: Tensor, seed: int = 0) -> Tensor:
        """The ELBO, a lower bound of log p(x), in nats [N], with one draw of z; that of row k does not depend on N.

        With `binarise` it is that of black and white pictures, drawn by the seed. A conditional model's classes are
        taken as equally likely and summed out: log p(x) >= log 1/K sum_y exp ELBO(x|y).
        """
        pictures = self._as_scored(pictures, seed)
        noise = torch.from_numpy(rng.normal((len(pictures), self.units), seed, "likelihood")).to(self.device)

        def elbo(classes: Tensor | None) -> Tensor:
            reconstruction, kl = self.elbo_terms(pictures, noise, classes)
            return reconstruction - kl

        return self._over_classes(elbo, len(pictures))

    @torch.no_grad()
    def importance_log_likelihood(self, pictures: Tensor, samples: int = 5000, seed: int = 0) -> Tensor:
        """log p(x) in nats [N] by importance sampling (Burda et al. 2016, eq. 8); that of row k does not depend on N.

        On average it is a lower bound too, far closer than the ELBO: see `mezzotint.nn.importance.log_marginal`. With
        `binarise` it is that of the same black and white pictures as in `log_likelihood`; classes are summed out.

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            samples: latents that are drawn and decoded for each picture (and class).
            seed: of everything drawn.

        Raises:
            ConfigError: there are no samples, or the pictures are not of this model's shape.
        """
        if samples < 1:
            raise ConfigError(f"Importance sampling needs at least 1 sample of each picture; got samples={samples}.")
        pictures = self._as_scored(pictures, seed)

        def marginal(classes: Tensor | None) -> Tensor:
            parts = [
                self.posterior(part, None if classes is None else classes[: len(part)])
                for part in pictures.split(_ENCODED)
            ]
            mean, log_variance = (torch.cat(each) for each in zip(*parts, strict=True))

            def log_p(rows: slice, z: Tensor) -> Tensor:
                flat = z.flatten(0, 1)
                mark = None if classes is None else classes[:1].expand(len(flat), -1)
                return self.log_p(pictures[rows, None], self.output(flat, mark).unflatten(0, z.shape[:2]))

            return log_marginal(mean, log_variance, log_p, samples, seed, block=_ENCODED)

        return self._over_classes(marginal, len(pictures))

    def _over_classes(self, log_p: Callable[[Tensor | None], Tensor], n: int) -> Tensor:
        """log 1/K sum_y p(x|y) [N], of a function of one-hot classes [N, K]; of None where there are no classes."""
        if not self.classes:
            return log_p(None)
        return importance_bound(torch.stack([log_p(self._all_of(label, n)) for label in range(self.classes)], 1))

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
