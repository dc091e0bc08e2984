"""WGAN: a critic whose loss estimates the earth mover's distance, kept smooth by clipping its weights."""

from __future__ import annotations

from typing import Literal

import torch

from mezzotint.core.config import option
from mezzotint.engine.model import Paper, register
from mezzotint.engine.phase import OptimizerSpec
from mezzotint.models._convolutional import Convolutional, ConvolutionalConfig


class WGANConfig(ConvolutionalConfig):
    """Settings of `wgan`; the defaults are those of the paper's algorithm 1."""

    loss: Literal["wasserstein"] = option("wasserstein", "The critic's mean score of real less that of generated.")
    lr: float = option(5e-5, "Learning rate of both networks.", gt=0)
    turns: int = option(5, "Turns of the critic for one of the generator, each on fresh pictures.", ge=1, le=100)
    clip: float = option(0.01, "After each of the critic's turns its weights are cut off at plus and minus this.", gt=0)


@register
class WGAN(Convolutional):
    """Wasserstein GAN with weight clipping.

    The critic f gives scores without a sigmoid and the generator follows them:

        critic:     maximise  E[f(x)] - E[f(G(z))]     (eq. 3), its weights in [-clip, clip]
        generator:  maximise  E[f(G(z))]

    What the critic maximises is logged as `discriminator/gap`: up to a constant factor it estimates the earth mover's
    distance of real and generated pictures, so it falls as samples get better (the paper's section 4.2). RMSprop, five
    turns of the critic on fresh pictures for one of the generator (algorithm 1).

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are smaller than 8 or larger than 256 pixels, or `conditional` without classes.

    Example:
        >>> from mezzotint.engine.model import PictureSpec
        >>> model = WGAN(WGANConfig(width=8, discriminator_width=8), PictureSpec(1, 16, 16)).eval()
        >>> tuple(model.critic(model.sample(2)).shape)
        (2,)
    """

    name = "wgan"
    summary = "Wasserstein GAN: a loss that falls as samples get better; weights clipped."
    paper = Paper("Arjovsky, Chintala, Bottou", 2017, "Wasserstein GAN", "1701.07875")
    Config = WGANConfig
    tiny = {"latent": 8, "width": 8, "discriminator_width": 8, "turns": 2}
    variants = ({"conditional": True},)
    config: WGANConfig

    def optimizer(self, lr: float) -> OptimizerSpec:
        """RMSprop: the paper found momentum to make training unstable (section 4)."""
        return OptimizerSpec("rmsprop", lr, (0.0, 0.99))

    @torch.no_grad()
    def after_discriminator(self) -> None:
        """w <- clip(w, -c, c) (algorithm 1, line 7)."""
        for weight in self.discriminator.parameters():
            weight.clamp_(-self.config.clip, self.config.clip)
