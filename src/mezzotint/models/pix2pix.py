"""pix2pix: translation that is learned from pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mezzotint.core.config import option
from mezzotint.core.errors import ConfigError
from mezzotint.data.domains import Pairs
from mezzotint.engine.advice import Choice
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Phase, Terms, Turn
from mezzotint.models._translating import Translating, TranslationConfig, mean_difference
from mezzotint.nn.games import GAMES
from mezzotint.nn.translators import PatchCritic, ResnetTranslator, UNet


class Pix2PixConfig(TranslationConfig):
    """Settings of `pix2pix`."""

    generator: Literal["unet", "resnet"] = option("unet", "A U-Net, or residual blocks.")
    depth: int = option(8, "Halvings of the U-Net, at most.", ge=2, le=9)
    dropout: float = option(0.5, "Of the U-Net's first layers of the way back, in training.", ge=0, lt=1)
    blocks: int = option(6, "Residual blocks of the resnet.", ge=0, le=32)
    smooth: bool = option(False, "Of the resnet: halve after a blur and double by interpolation.")
    loss: Literal["non_saturating", "least_squares", "hinge"] = option(
        "non_saturating", "What the players make smaller."
    )
    likeness: float = option(100.0, "Weight of the mean difference from the true picture.", ge=0)
    to: Literal["second", "first"] = option("second", "Which of the two folders is made from the other.")


@register
class Pix2Pix(Translating):
    """A generator G against a discriminator that sees what was given and what was made of it (Isola et al. 2017).

        L_GAN(G, D; x, y) + likeness E |y - G(x)|                                                (eqs. 1, 3, 4)

    Pairs are pictures of one name in two folders; both are in one part of the set (`data.pairs`). It goes one way,
    from the first folder to the second, or with `to=first` the other way. Its noise is dropout in training; the
    discriminator judges patches of 70 pixels.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: there are not two classes, or the pictures are smaller than 8 pixels.

    Example:
        >>> spec = PictureSpec(3, 16, 16, classes=("labels", "photos"))
        >>> model = Pix2Pix(Pix2PixConfig(width=4, critic_width=4), spec).eval()
        >>> tuple(model.translate(torch.zeros(2, 3, 20, 30), torch.ones(2, 1)).shape), model.domains()
        ((2, 3, 20, 30), ('photos',))
    """

    name = "pix2pix"
    summary = "Translation learned from pairs: labels to photographs, sketches to pictures."
    paper = Paper(
        "Isola, Zhu, Zhou, Efros",
        2017,
        "Image-to-Image Translation with Conditional Adversarial Networks",
        "1611.07004",
    )
    Config = Pix2PixConfig
    tiny = {"width": 4, "critic_width": 4, "depth": 2, "dropout": 0.0}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"dropout": 0.5, "augment": "diffaugment"},
        {"generator": "resnet", "blocks": 1, "loss": "least_squares", "to": "first", "crop": 8},
    )
    averaged = ("translator",)
    order = Pairs
    config: Pix2PixConfig

    def __init__(self, config: Pix2PixConfig, spec: PictureSpec) -> None:
        if len(spec.classes) != 2:
            raise ConfigError(
                "pix2pix learns from pairs: give a folder that holds two folders with pictures of the same names, or, "
                "where each picture is a pair side by side, --set data.halves=true."
            )
        super().__init__(config, spec)
        channels = spec.channels
        if config.generator == "unet":
            depth = min(config.depth, int(math.log2(min(self.shown))))
            self.translator: torch.nn.Module = UNet(channels, channels, config.width, depth, config.dropout)
        else:
            self.translator = ResnetTranslator(channels, config.width, config.blocks, config.smooth)
        self.discriminator = PatchCritic(2 * channels, config.critic_width, self.critic_layers)

    def domains(self) -> tuple[str, ...]:
        """The one that it makes."""
        return (self.spec.classes[1 if self.config.to == "second" else 0],)

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> Sequence[Choice]:
        """The paper's batch and schedule, and pairs that stay together."""
        return (
            Choice("train", "batch_size", 2, "one pair, as in the paper"),
            Choice("train", "schedule", "late", "as in the paper: constant for one half, then falling to 0"),
        )

    # The game -------------------------------------------------------------------------------------------------------

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator's turn, then the generator's, on the same generated pictures."""
        return (
            Phase(
                "discriminator", self.discriminator, self.discriminator_loss, self.optimizer(), prepare=self.translated
            ),
            Phase("generator", self.translator, self.generator_loss, self.optimizer(), prepare=self.translated),
        )

    def translated(self, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        """What is given, what shall come of it, and what does: [N / 2, C, H, W] each."""
        both = self.seen(turn)
        x, y = both[0::2], both[1::2]
        if self.config.to == "first":
            x, y = y, x
        return x, y, self.translator(x)

    def seen(self, turn: Turn) -> Tensor:
        """The turn's pictures, or the same random part of both of a pair."""
        if not self.config.crop:
            return turn.pictures
        pairs = turn.pictures.unflatten(0, (-1, 2)).flatten(1, 2)  # [N / 2, 2 C, H, W]
        cut = super().seen(Turn(pairs, None, turn.draw, turn.step))
        return cut.unflatten(1, (2, -1)).flatten(0, 1)

    def discriminator_loss(self, turn: Turn) -> Terms:
        """Half of the game's loss, so that it learns no faster than the generator (section 3.3)."""
        x, y, made = self.augmented(turn, *turn.prepared)
        real = self.discriminator(torch.cat((x, y), 1))
        fake = self.discriminator(torch.cat((x, made.detach().to(x.dtype)), 1))
        half = 1.0 if self.config.loss == "least_squares" else 0.5  # which has it already
        return {name: half * loss for name, loss in GAMES[self.config.loss].discriminator(real, fake, 0.0).items()}

    def generator_loss(self, turn: Turn) -> Terms:
        """Be taken for the true picture, and be near to it."""
        x, y, made = turn.prepared
        fake = self.discriminator(torch.cat(self.augmented(turn, x, made.to(x.dtype)), 1))
        terms = dict(GAMES[self.config.loss].generator(fake, None))
        return {**terms, "likeness": self.config.likeness * mean_difference(made, y)}

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def translate(self, pictures: Tensor, to: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of any size, translated; `to` [N, 1] says nothing new."""
        x = self.check_pictures(pictures, any_size=True)
        made: Tensor = self.translator(x)
        return made.to(x.dtype)
