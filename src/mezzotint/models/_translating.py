"""What models share that turn pictures of one domain into pictures of another."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import Model, PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Turn
from mezzotint.nn.augment import DIFF_COLUMNS, diff_augment
from mezzotint.nn.translators import least_side


class TranslationConfig(Config):
    """Settings of every translating model; a model may have other defaults."""

    width: int = option(64, "Channels of the generator's first layer.", ge=4, le=512)
    critic_width: int = option(64, "Channels of the discriminator's first layer.", ge=4, le=512)
    critic_layers: int = option(
        3, "Layers of the discriminator that halve, at most; 3 judge patches of 70 pixels.", ge=1, le=6
    )
    crop: int = option(0, "Train on random parts of so many pixels a side; 0 trains on whole pictures.", ge=0, le=4096)
    augment: Literal["none", "diffaugment"] = option(
        "none",
        "Change pictures before the discriminator sees them, so that it cannot learn few by heart: DiffAugment.",
    )
    lr: float = option(2e-4, "Learning rate of all networks.", gt=0)
    beta1: float = option(0.5, "First moment of Adam.", ge=0, lt=1)


class Translating(Model):
    """A model that is shown pictures of domains, which are the classes of its set."""

    config: TranslationConfig

    def __init__(self, config: TranslationConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        side = min(spec.height, spec.width)
        if config.crop > side:
            raise ConfigError(
                f"Parts of {config.crop} pixels are larger than pictures of {spec.height} x {spec.width}; set "
                "model.crop lower, or --size higher."
            )
        self.shown = (config.crop or spec.height, config.crop or spec.width)
        """Height and width of what is trained on."""
        fitting = [n for n in range(1, config.critic_layers + 1) if least_side(n) <= min(self.shown)]
        if not fitting:
            raise ConfigError(
                f"{self.name} is for pictures of at least {least_side(1)} pixels; got {min(self.shown)}; give larger."
            )
        self.critic_layers = fitting[-1]

    def optimizer(self) -> OptimizerSpec:
        """Adam, as in all these papers."""
        return OptimizerSpec("adam", self.config.lr, (self.config.beta1, 0.999))

    def seen(self, turn: Turn) -> Tensor:
        """The turn's pictures [N, C, h, w], or a random part of each."""
        if not self.config.crop:
            return turn.pictures
        x, (height, width) = turn.pictures, self.shown
        corner = turn.draw.uniform(len(x), 2)
        top = (corner[:, 0] * (x.shape[2] - height + 1)).long().tolist()
        left = (corner[:, 1] * (x.shape[3] - width + 1)).long().tolist()
        parts = [x[n, :, t : t + height, s : s + width] for n, (t, s) in enumerate(zip(top, left, strict=True))]
        return torch.stack(parts)

    def augmented(self, turn: Turn, *pictures: Tensor) -> tuple[Tensor, ...]:
        """What a discriminator is shown of several pictures [N, C, H, W], which are changed alike if at all."""
        if self.config.augment == "none":
            return pictures
        uniform = turn.draw.uniform(len(pictures[0]), DIFF_COLUMNS)
        return tuple(diff_augment(each, uniform) for each in pictures)

    def at_shown(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] of any size, checked, at the size that is trained on."""
        x = self.check_pictures(pictures, any_size=True)
        if tuple(x.shape[2:]) == self.shown:
            return x
        return F.interpolate(x, self.shown, mode="bilinear", antialias=True, align_corners=False)

    def domains(self) -> tuple[str, ...]:
        """Names of what it can translate to."""
        return self.spec.classes


def mean_difference(a: Tensor, b: Tensor) -> Tensor:
    """The mean of |a - b| [] of pictures of one shape."""
    return F.l1_loss(a.float(), b.float())
