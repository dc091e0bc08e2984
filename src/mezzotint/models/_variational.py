"""What variational autoencoders share: coders, likelihoods, the class as a code, and what a trained one is good for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from mezzotint.core import rng
from mezzotint.core.config import option
from mezzotint.engine.codes import Code, whole_latent
from mezzotint.engine.model import PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._coded import CoderConfig, coders, mean_picture
from mezzotint.models._likelihood import Likelihood
from mezzotint.nn.bounds import gaussian_kl
from mezzotint.nn.likelihoods import binarised, bounded_log_variance


class VariationalConfig(CoderConfig):
    """Settings of every variational autoencoder; a model may have other defaults."""

    conditional: bool = option(False, "Give encoder and decoder the class, as one more code.")
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

    @model_validator(mode="after")
    def _check(self) -> VariationalConfig:
        if self.binarise and self.likelihood != "bernoulli":
            raise ValueError(
                f"binarise makes pictures black and white, and the {self.likelihood} likelihood is of grey ones; set "
                "model.likelihood=bernoulli too"
            )
        return self


class Variational(Likelihood):
    """An encoder that gives q(z|x) = N(mean, diag(variance)), and a decoder that gives p(x|z); p(z) = N(0, I).

    A subclass says in `loss` what they are trained on. In a conditional model both see the class, and a latent is
    [z | one-hot class]; the class is the code "class".
    """

    averaged: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "scale")
    config: VariationalConfig
    encoder: Any
    decoder: Any

    def __init__(self, config: VariationalConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.condition(config.conditional)
        self.classes = len(spec.classes) if self.conditional else 0
        self.class_code = "class" if self.classes else None
        says = 2 if config.likelihood == "logistic" else 1  # the logistic has a scale of its own for every pixel
        self.encoder, self.decoder = coders(self.name, config, spec, says=says, classes=self.classes)
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
            mean = mean_picture(self.spec, training)
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
        optimizer = OptimizerSpec(self.config.optimizer, self.config.lr, (0.9, self.config.beta2))
        return (Phase(self.name, (self.encoder, self.decoder, self.scale), self.loss, optimizer),)

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
            latents[:, self.units : self.units + self.classes] = F.one_hot(drawn, self.classes)
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

    @torch.no_grad()
    def infer(self, pictures: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), [N, units] each, of pictures [N, C, H, W] in [-1, 1].

        Of a conditional model the classes are the labels [N], or those under which the pictures are likeliest.
        """
        pictures = self.check_pictures(pictures)
        classes = None
        if self.classes:
            known = self.encode(pictures) if labels is None else None
            classes = self.one_hot(labels) if known is None else known[:, self.units : self.units + self.classes]
        return self.posterior(pictures, classes)

    def _as_class(self, pictures: Tensor, label: int) -> tuple[Tensor, Tensor]:
        """Latents [N, latent] of pictures taken for this class, and log p(x|z, y) - KL at the mean, nats [N]."""
        classes = self.all_of(label, len(pictures))
        mean, log_variance = self.posterior(pictures, classes)
        bound = self.log_p(pictures, self.output(mean, classes)) - gaussian_kl(mean, log_variance)
        return torch.cat((mean, classes), 1), bound

    def said(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """What the decoder says of latents [N, latent]; labels [N] stand in for the class in them."""
        latents = latents.to(self.device)
        classes = latents[:, self.units : self.units + self.classes] if labels is None else self.one_hot(labels)
        return self.output(latents[:, : self.units], classes)

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """The mean of p(x|z), with gradients: pictures [N, C, H, W] in [-1, 1] of latents [N, latent].

        Labels [N] stand in for the class in the latents of a conditional model.
        """
        output = self.said(latents, labels)
        if self.config.likelihood == "bernoulli":
            return torch.sigmoid(output) * 2 - 1
        return output[:, : self.spec.channels].clamp(-1, 1)
