"""WGAN-GP: a critic whose slope is held at one by a penalty."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator
from torch import nn

from mezzotint.core.config import option
from mezzotint.engine.model import Paper, register
from mezzotint.models._convolutional import Convolutional, ConvolutionalConfig, check_size
from mezzotint.models._fully_connected import FullyConnectedCritic, FullyConnectedGenerator
from mezzotint.models._residual import ResidualCritic, ResidualGenerator


class WGANGPConfig(ConvolutionalConfig):
    """Settings of `wgan_gp`; the defaults are those of the paper's algorithm 1."""

    loss: Literal["wasserstein"] = option("wasserstein", "The critic's mean score of real less that of generated.")
    network: Literal["conv", "residual", "mlp"] = option(
        "conv", "DCGAN's networks, the paper's residual ones, or fully connected ones for points and tiny pictures."
    )
    hidden: tuple[int, ...] = option((256, 256, 256), "Units of the hidden layers of the mlp.")
    lr: float = option(1e-4, "Learning rate of both networks.", gt=0)
    beta1: float = option(0.0, "First moment of Adam.", ge=0, lt=1)
    beta2: float = option(0.9, "Second moment of Adam.", ge=0, lt=1)
    turns: int = option(5, "Turns of the critic for one of the generator, each on fresh pictures.", ge=1, le=100)
    gradient_penalty: float = option(10.0, "Weight of the slope's distance from 1 between real and generated.", ge=0)
    discriminator_width: int = option(64, "Channels of the critic's first layer.", ge=4)

    @model_validator(mode="after")
    def _check_network(self) -> WGANGPConfig:
        if self.network != "conv" and (self.dense or self.smallest != 4 or self.slope != 0.2):
            raise ValueError(
                f"dense, smallest and slope are of network=conv, and this is {self.network}; leave them out"
            )
        return self


@register
class WGANGP(Convolutional):
    """Wasserstein GAN with gradient penalty.

        critic:     minimise  E[D(G(z))] - E[D(x)] + lambda E[(|grad D(x^)| - 1)^2]     (eq. 3)
        generator:  minimise  -E[D(G(z))]

    with x^ drawn evenly between a real and a generated picture. The critic has no batch normalisation, since the
    penalty holds for each picture alone (section 4). `discriminator/gap` is the estimate of the earth mover's
    distance. Networks: DCGAN's, or with `network=residual` those of the paper's appendix, sized by the picture.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are smaller than 8 or larger than 256 pixels, or `conditional` without classes.

    Example:
        >>> from mezzotint.engine.model import PictureSpec
        >>> model = WGANGP(WGANGPConfig(width=8, discriminator_width=8), PictureSpec(1, 16, 16)).eval()
        >>> tuple(model.sample(2).shape), tuple(model.critic(model.sample(2)).shape)
        ((2, 1, 16, 16), (2,))
    """

    name = "wgan_gp"
    summary = "Wasserstein GAN with gradient penalty: steady training, modes are seldom lost."
    paper = Paper(
        "Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville", 2017, "Improved Training of Wasserstein GANs", "1704.00028"
    )
    Config = WGANGPConfig
    tiny = {"latent": 8, "width": 8, "discriminator_width": 8, "turns": 2}
    variants = (
        {"conditional": True},
        {"network": "residual", "conditional": True, "condition": "projection"},
        {"network": "residual", "pack": 2, "penalty_every": 2},
        {"network": "mlp", "hidden": (16, 16), "conditional": True},
    )
    normalised = False
    config: WGANGPConfig

    def networks(self, codes: int) -> tuple[nn.Module, nn.Module]:
        """Those of `network`."""
        config, spec = self.config, self.spec
        if config.network == "conv":
            return super().networks(codes)
        if config.network == "residual":
            check_size(self.name, spec)
            return ResidualGenerator(config, spec), ResidualCritic(config, self.judged)
        classes = len(spec.classes) if config.conditional else 0
        return (
            FullyConnectedGenerator(config.latent, config.hidden, spec, classes),
            FullyConnectedCritic(config.hidden, self.judged, classes),
        )
