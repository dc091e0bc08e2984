"""PixelVAE: a variational autoencoder whose decoder sees the values before the one it says."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from mezzotint.core.config import option
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Phase
from mezzotint.models.infovae import InfoVAE, InfoVAEConfig
from mezzotint.nn.likelihoods import least_scale, quantile
from mezzotint.nn.pixelcnn import GatedStacks


class PixelVAEConfig(InfoVAEConfig):
    """Settings of `pixelvae`."""

    alpha: float = option(0.0, "Of what the latent tells of a picture 1 - alpha is paid for; 0 is a VAE's price.", le=1)
    lam: float = option(1.0, "Lambda: with alpha - 1 the weight of the divergence of all latents from the prior.", ge=0)
    likelihood: Literal["bernoulli", "gaussian", "logistic"] = option(
        "logistic",
        "What is said of each value: bernoulli for black and white, gaussian with one learned scale, or the "
        "discretised logistic, whose likelihood is in true bits.",
    )
    context_width: int = option(32, "Channels of the layers that see the pixels before.", ge=4)
    context_layers: int = option(4, "How many such layers there are; each sees a pixel further.", ge=1, le=64)


class Context(nn.Module):
    """What the pixels before each one add to what the decoder says of it: a gated PixelCNN over a picture's values.

    It begins as nothing, so that the model begins as a VAE.

    Args:
        channels: of the pictures.
        outputs: of the decoder.
        width, layers: of the stacks.
    """

    def __init__(self, channels: int, outputs: int, width: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, 1)
        self.stacks = GatedStacks(width, layers, outputs)
        self.head = nn.Linear(width, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, pictures: Tensor, said: Tensor) -> Tensor:
        """Pictures [N, C, H, W], and what the decoder says of z [N, outputs, H, W] -> of z and the pixels before."""
        features = self.stacks(self.embed(pictures), said).permute(0, 2, 3, 1)
        added: Tensor = self.head(features).permute(0, 3, 1, 2)
        return said + added


@register
class PixelVAE(InfoVAE):
    """Variational autoencoder with a rich decoder, each of whose pixels also depends on those before it:

        log p(x|z) = sum_i log p(x_i | x_1 ... x_{i-1}, z)                                     (section 3 of the paper)

    so that z need not say what pixels tell of each other, as sharp edges and texture. With one layer of latents, where
    the paper has several too. The channels of one pixel do not see each other.

    So rich a decoder may ignore z. `alpha` and `lam` are those of InfoVAE, whose answer to that it is: alpha = 1 asks
    nothing for what z tells (see `infovae`). The default alpha = 0, lam = 1 is the VAE's bound.

    A latent is [z | class | one number u for each value of the picture], u's place Phi(u) in the value's distribution:
    drawn from the standard normal, latents give draws of p(x|z) p(z). `encode` leaves u at 0, the middle, so that
    `decode` says which value is likeliest at each place, given those chosen before. Pictures jump as z moves, so they
    have no gradient.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are too small for convolutions, or `conditional` without classes.

    Example:
        >>> config = PixelVAEConfig(width=8, latent=4, context_width=8, context_layers=2)
        >>> model = PixelVAE(config, PictureSpec(1, 16, 12)).eval()
        >>> tuple(model.sample(2).shape), model.latent_size == 4 + 16 * 12
        ((2, 1, 16, 12), True)
    """

    name = "pixelvae"
    summary = "A VAE whose decoder also sees the pixels before each one: sharp, with a likelihood to match."
    paper = Paper(
        "Gulrajani, Kumar, Ahmed, Taiga, Visin, Vazquez, Courville", 2017,
        "PixelVAE: A Latent Variable Model for Natural Images", "1611.05013",
    )  # fmt: skip
    Config = PixelVAEConfig
    tiny = {"latent": 4, "width": 8, "hidden": (16,), "context_width": 8, "context_layers": 2}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"alpha": 1.0, "lam": 100.0, "likelihood": "bernoulli", "binarise": True, "network": "mlp"},
        {"likelihood": "gaussian", "conditional": True},
    )
    unexported = dict.fromkeys(("generate", "decode"), "its pixels follow each other one by one")
    averaged: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "scale", "context")
    config: PixelVAEConfig

    def __init__(self, config: PixelVAEConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        outputs = spec.channels * (2 if config.likelihood == "logistic" else 1)
        self.context = Context(spec.channels, outputs, config.context_width, config.context_layers)
        self.latent_size += spec.values

    def phases(self) -> tuple[Phase, ...]:
        """As for every VAE; the context moves with the decoder."""
        *others, autoencoder = super().phases()
        return (*others, replace(autoencoder, nets=(*autoencoder.networks(), self.context)))

    def log_p(self, pictures: Tensor, output: Tensor) -> Tensor:
        """log p(x|z) in nats [...], of pictures [..., C, H, W] and the decoder's output [..., outputs, H, W]."""
        many = output.shape[:-3]
        seen = pictures.expand(*many, *pictures.shape[-3:]).flatten(0, -4)
        return super().log_p(pictures, self.context(seen, output.flatten(0, -4)).unflatten(0, many))

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W] in [-1, 1]: the mean of q(z|x), and 0 for each value.

        Of a conditional model the class is that under which the picture is likeliest, by the bound at the mean.
        """
        known = super().encode(pictures)
        return torch.cat((known, known.new_zeros(len(known), self.spec.values)), 1)

    @torch.no_grad()
    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent], pixel by pixel, without gradients.

        In double, so that a pixel is the same whatever the batch. Labels [N] stand in for the class in the latents.
        """
        # MPS has no float64
        exact = torch.float32 if self.device.type == "mps" else torch.float64
        said = self.said(latents, labels).to(exact)
        places = torch.special.ndtr(latents[:, -self.spec.values :].to(self.device, exact)).view(-1, *self.spec.shape)
        context = copy.deepcopy(self.context).to(exact)
        scale = least_scale(self.scale[0]).to(exact) if len(self.scale) else None
        pictures = torch.zeros_like(places)

        def place(features: Tensor, i: int, j: int) -> Tensor:
            output = said[:, :, i, j] + context.head(features)
            pictures[:, :, i, j] = quantile(self.config.likelihood, output, places[:, :, i, j], scale)
            return context.embed(pictures[:, :, i : i + 1, j : j + 1])

        context.stacks.walk((self.spec.height, self.spec.width), place, len(said), said)
        return pictures.float()
