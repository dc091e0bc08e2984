"""What models of an encoder and a decoder share: the settings of the two networks, and how they are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import model_validator
from torch import Tensor

from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import PictureSpec
from mezzotint.models._latent import GaussianLatent
from mezzotint.nn.coders import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder

_SEEN, _VALUES = 10_000, 2**26
"""Pictures that the mean picture is of, at most; and how many values they have together: a quarter of a GiB."""


class CoderConfig(Config):
    """Settings of the networks of every model that encodes and decodes."""

    latent: int = option(32, "Size of the latent vector; of a map, its channels.", ge=1, le=4096)
    layout: Literal["vector", "map"] = option(
        "vector", "Whether the latent is a vector, or a map that keeps the places of things; conv only."
    )
    network: Literal["conv", "mlp"] = option("conv", "Convolutional or fully connected networks.")
    width: int = option(64, "Channels of the first convolution; each layer after it has twice as many.", ge=4)
    most: int = option(4, "No convolution has more channels than this many times the width.", ge=1)
    hidden: tuple[int, ...] = option((512,), "Units of the hidden layers of the mlp, from the picture inwards.")
    activation: Literal["relu", "tanh", "silu"] = option("relu", "What follows each hidden layer of the mlp.")
    optimizer: Literal["adam", "muon"] = option(
        "adam", "What moves the weights; muon takes some times as long for a step of an mlp, and far fewer of them."
    )
    lr: float = option(1e-3, "Learning rate.", gt=0)
    beta2: float = option(0.99, "Second moment of Adam.", ge=0, lt=1)

    @model_validator(mode="after")
    def _check_layout(self) -> CoderConfig:
        if self.layout == "map" and self.network == "mlp":
            raise ValueError("a fully connected network has no map; set model.layout=vector or model.network=conv")
        return self


def coders(
    name: str, config: CoderConfig, spec: PictureSpec, *, says: int = 1, classes: int = 0, parts: int = 2
) -> tuple[Any, Any]:
    """The encoder and the decoder, with their first weights.

    Args:
        name: of the model, for the error.
        config, spec: of the model.
        says: values that the decoder gives for each of the picture's.
        classes: how many there are, where both see the class.
        parts: what the encoder gives: 2 for mean and log variance, 1 for a code.

    Raises:
        ConfigError: the pictures are too small for convolutions.
    """
    if config.network == "conv" and min(spec.height, spec.width) == 1:
        raise ConfigError(f"The convolutional {name} is for pictures; for rows of numbers, --set model.network=mlp.")
    if config.network == "conv" and min(spec.height, spec.width) < 8:
        raise ConfigError(
            f"The convolutional {name} needs pictures of at least 8 pixels; got {spec.height} x {spec.width}. "
            "Use --size 8 or --set model.network=mlp."
        )
    outputs = (spec.channels * says, spec.height, spec.width)
    if config.network == "conv":
        sizes = (config.width, config.most, config.latent, classes, config.layout == "map")
        return ConvEncoder(spec.shape, *sizes, parts=parts), ConvDecoder(outputs, *sizes)
    layers = (config.hidden, config.latent, config.activation, classes)
    return MLPEncoder(spec.shape, *layers, parts=parts), MLPDecoder(outputs, *layers)


def mean_picture(spec: PictureSpec, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> Tensor:
    """The mean [C, H, W] of as many training pictures as are quickly looked at; see `Model.begin`."""
    return training(min(_SEEN, max(1, _VALUES // spec.values)))[0].mean(0)


class Coded(GaussianLatent):
    """A model that encodes pictures to latents, and whose `generate` is the way back."""

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents [N, latent] of pictures [N, C, H, W] in [-1, 1]."""
        raise NotImplementedError

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent]; of a distribution of pictures, its mean."""
        if latents.dim() != 2 or latents.shape[1] != self.latent_size:
            raise ConfigError(
                f"This model's latents have the shape [N, {self.latent_size}]; got {list(latents.shape)}."
            )
        return self.generate(latents)

    def reconstruct(self, pictures: Tensor) -> Tensor:
        """The pictures [N, C, H, W] in [-1, 1] as the model sees them."""
        return self.decode(self.encode(pictures))
