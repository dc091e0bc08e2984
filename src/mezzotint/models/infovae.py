"""InfoVAE: a variational autoencoder that may not ignore its latent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from mezzotint.core.config import option
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._variational import Variational, VariationalConfig
from mezzotint.nn.bounds import gaussian_kl
from mezzotint.nn.discrepancy import mmd
from mezzotint.nn.processes import together

_HIDDEN = 256


class InfoVAEConfig(VariationalConfig):
    """Settings of `infovae`."""

    alpha: float = option(1.0, "Of what the latent tells of a picture 1 - alpha is paid for; 0 is a VAE's price.", le=1)
    lam: float = option(
        100.0, "Lambda: with alpha - 1 the weight of the divergence of all latents from the prior.", ge=0
    )
    divergence: Literal["mmd", "adversarial"] = option(
        "mmd", "Of all latents from the prior: by kernels, or by a discriminator's log ratio of densities."
    )
    kernel: Literal["imq", "rbf"] = option("imq", "Of mmd: inverse multiquadratic or Gaussian, of seven widths each.")
    discriminator_lr: float = option(1e-3, "Learning rate of the discriminator of latents.", gt=0)

    @model_validator(mode="after")
    def _check_weights(self) -> InfoVAEConfig:
        if self.alpha + self.lam < 1:
            raise ValueError(
                f"alpha + lam must be at least 1, or the latents are driven away from the prior; got {self.alpha:g} + "
                f"{self.lam:g}"
            )
        return self


class LatentDiscriminator(nn.Module):
    """Latents [N, units] -> logits [N], high for those of pictures, low for those of the prior."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(units, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.SiLU(), nn.Linear(_HIDDEN, 1)
        )

    def forward(self, z: Tensor) -> Tensor:
        logits: Tensor = self.body(z).flatten().float()
        return logits


@register
class InfoVAE(Variational):
    """Information maximising variational autoencoder.

        minimise  -E_q[log p(x|z)] + (1 - alpha) E KL(q(z|x) || p(z)) + (alpha + lambda - 1) D(q(z) || p(z))

    (eq. 6 of the paper), where q(z) are the latents of all pictures. The first divergence keeps each picture's latents
    near the prior and so is paid for all they tell; the second asks it only of all together. With alpha = 1 nothing is
    paid, and a rich decoder has no reason to ignore the latent.

    - alpha = 0, lambda = 1: the VAE.
    - alpha = 0, lambda = beta: a beta-VAE, were D the KL divergence.
    - alpha = 1, `mmd`: the Wasserstein autoencoder WAE-MMD with weight lambda (Tolstikhin et al. 2018,
      arXiv:1711.01558), whose encoder may be random, as here.
    - alpha = 1, `adversarial`: an adversarial autoencoder (Makhzani et al. 2015), trained on the KL divergence: with a
      discriminator that tells latents from the prior, its logit is log q(z) / p(z) (Mescheder et al. 2017).

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are too small for convolutions, or `conditional` without classes.

    Example:
        >>> model = InfoVAE(InfoVAEConfig(width=8, latent=4), PictureSpec(1, 16, 16)).eval()
        >>> tuple(model.encode(model.sample(2)).shape)
        (2, 4)
    """

    name = "infovae"
    summary = "A VAE that asks all latents together, not each picture's, to follow the prior: the latent is used."
    paper = Paper(
        "Zhao, Song, Ermon", 2017, "InfoVAE: Balancing Learning and Inference in Variational Autoencoders",
        "1706.02262",
    )  # fmt: skip
    Config = InfoVAEConfig
    tiny = {"latent": 4, "width": 8, "hidden": (16,)}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"divergence": "adversarial", "network": "mlp"},
        {"kernel": "rbf", "alpha": 0.0, "lam": 10.0, "likelihood": "bernoulli", "conditional": True},
    )
    config: InfoVAEConfig

    def __init__(self, config: InfoVAEConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.discriminator = LatentDiscriminator(self.units) if config.divergence == "adversarial" else None

    def phases(self) -> tuple[Phase, ...]:
        """That of every VAE; before it the discriminator's, where there is one, on the same latents."""
        (autoencoder,) = super().phases()
        if self.discriminator is None:
            return (autoencoder,)
        adam = OptimizerSpec("adam", self.config.discriminator_lr, (0.5, 0.9))
        return (Phase("discriminator", self.discriminator, self.discriminator_loss, adam), autoencoder)

    def _drawn(self, turn: Turn, mean: Tensor, log_variance: Tensor) -> Tensor:
        return mean + torch.exp(0.5 * log_variance) * turn.draw.normal(len(mean), self.units)

    def discriminator_loss(self, turn: Turn) -> Terms:
        """How badly latents of pictures are told from draws of the prior."""
        assert self.discriminator is not None
        with torch.no_grad():
            z = self._drawn(turn, *self.posterior(self.seen(turn), self.one_hot(turn.labels)))
        prior = turn.draw.normal(len(z), self.units)
        ours, theirs = self.discriminator(torch.cat((z, prior))).chunk(2)
        turn.note("accuracy", ((ours > 0).float().mean() + (theirs < 0).float().mean()) / 2)
        return {"pictures": F.softplus(-ours).mean(), "prior": F.softplus(theirs).mean()}

    def loss(self, turn: Turn) -> Terms:
        """Eq. 6 by its terms, the means over the batch in nats."""
        config, pictures, classes = self.config, self.seen(turn), self.one_hot(turn.labels)
        mean, log_variance = self.posterior(pictures, classes)
        z = self._drawn(turn, mean, log_variance)
        terms = {"reconstruction": -self.log_p(pictures, self.output(z, classes)).mean()}
        kl = gaussian_kl(mean, log_variance).mean()
        turn.note("kl", kl)
        if config.alpha < 1:
            terms["weighted_kl"] = (1 - config.alpha) * kl
        divergence = self._divergence(turn, z)
        turn.note("from_prior", divergence)
        if config.alpha + config.lam > 1:
            terms["divergence"] = (config.alpha + config.lam - 1) * divergence
        return terms

    def _divergence(self, turn: Turn, z: Tensor) -> Tensor:
        """D(q(z) || p(z)) [] of a batch of latents [N, units]."""
        if self.discriminator is not None:
            return self.discriminator(z).mean()
        # of all processes' latents, for it is no mean over pictures
        ours, prior = together(z), together(turn.draw.normal(len(z), self.units))
        return mmd(ours, prior, self.config.kernel) if len(ours) > 1 else z.new_zeros(())
