"""DCGAN: a convolutional generator against a convolutional discriminator."""

from __future__ import annotations

from mezzotint.engine.model import Paper, register
from mezzotint.models._convolutional import Convolutional, ConvolutionalConfig


class DCGANConfig(ConvolutionalConfig):
    """Settings of `dcgan`; the defaults are the paper's."""


@register
class DCGAN(Convolutional):
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
    variants = (
        {"conditional": True},
        {"conditional": True, "condition": "projection", "loss": "hinge", "spectral_norm": True},
        {"loss": "relativistic", "r1": 1.0, "r2": 1.0, "penalty_every": 2},
        {"loss": "least_squares", "discriminator_lr": 4e-4, "turns": 2},
        {"label_smoothing": 0.1, "pack": 2, "augment": "diffaugment"},
        {"augment": "adaptive", "balance": True},
    )
