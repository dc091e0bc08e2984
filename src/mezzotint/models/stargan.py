"""StarGAN: one generator for many domains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.core.config import option
from mezzotint.core.errors import ConfigError
from mezzotint.data.targets import exclusive
from mezzotint.engine.advice import Choice
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Phase, Terms, Turn
from mezzotint.models._styled import Styled, StyledConfig
from mezzotint.models._translating import mean_difference
from mezzotint.nn.penalties import gradient_penalty
from mezzotint.nn.processes import own, together
from mezzotint.nn.translators import ResnetTranslator


class StarGANConfig(StyledConfig):
    """Settings of `stargan`."""

    smooth: bool = option(False, "Halve after a blur and double by interpolation: no chequers. Without style codes.")
    skips: bool = option(
        False, "Give what the generator halves to what it doubles, as a U-Net does. Without style codes."
    )
    mask: bool = option(
        False,
        "Say where a picture changes and leave the rest as it is (GANimation); the paper draws all anew. Without style "
        "codes.",
    )
    classification: float = option(1.0, "Weight of being told as the domain that was asked for.", ge=0)
    robust: float = option(
        0.0,
        "How much the discriminator learns to tell generated pictures too, as what they were: a change must then "
        "be one that others see. The paper has none. Without style codes.",
        ge=0,
    )
    identity: float = option(
        0.0, "Weight of leaving alone what is what it shall be; the paper has none. Without style codes.", ge=0
    )
    triple: float = option(
        0.0,
        "Weight of coming to the same by way of another domain as straight (Sanchez and Valstar); the paper has none. "
        "Without style codes.",
        ge=0,
    )
    gradient_penalty: float = option(10.0, "Weight of the slope's distance from 1 between real and generated.", ge=0)


class DomainCritic(nn.Module):
    """Pictures [N, C, H, W] -> scores [N] of real and generated, the mean over patches, and domains [N, K] as logits.

    Appendix table 5 of the paper: layers of 4x4 that halve, without normalisation.
    """

    def __init__(self, channels: int, width: int, layers: int, size: tuple[int, int], domains: int) -> None:
        super().__init__()
        wide = [channels, *(width * 2**k for k in range(layers))]
        self.body = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(wide))
        self.real = nn.Conv2d(wide[-1], 1, 3, padding=1, bias=False)
        left = tuple(side // 2**layers for side in size)
        self.domain = nn.Conv2d(wide[-1], domains, left, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.body:
            x = F.leaky_relu(layer(x), 0.01)
        return self.real(x).float().mean((1, 2, 3)), self.domain(x).float().flatten(1)


@register
class StarGAN(Styled):
    """One generator G(x, c) that turns a picture x into one of the domain c (Choi et al. 2018).

        discriminator:  - L_adv + classification E -log D_cls(c' | x)                                  (eqs. 1, 2, 5)
        generator:        L_adv + classification E -log D_cls(c | G(x, c))
                                + reconstruction E |x - G(G(x, c), c')|                                 (eqs. 3, 4, 6)

    where c' is what x is, c what another picture of the batch is, and L_adv that of Wasserstein with a gradient penalty
    (eq. 8). Domains are the classes of the set, of which a picture has one, or the attributes that are named with
    `data.attributes`, of which it may have several; one that is unknown counts for nothing.

    What is asked for is given to the generator as maps beside the picture, as in the paper, and to its normalisations,
    as the mean and the deviation of their channels. Of maps alone an instance normalisation takes away all but the
    edges, and what changes a whole picture, such as day to night, is learned more slowly.

    A way there and back can be found that is not the one that is meant: of a red shape on white one elsewhere in blue,
    and back again. `identity` adds identity E |x - G(x, c')|, as CycleGAN has it, which says that shapes stay in place;
    `triple` says that all ways lead to the same, triple E |G(x, c2) - G(G(x, c), c2)| with c2 what a third picture is
    (Sanchez and Valstar 2018, arXiv:1811.03492). With `mask` the generator says where it draws, a y + (1 - a) x, so
    that what stays is not drawn again. And a few strokes that nobody would take for another age or gender can please
    D_cls, which knows real pictures only: `robust` has it tell generated ones too, as what they were before,
    robust E -log D_cls(c' | G(x, c)).

    Pictures of any size are translated; `read` tells the domains of those of the training's size.

    With `styles=64` a domain has many styles (StarGAN v2, Choi et al. 2020, arXiv:1912.01865). A style code s of the
    domain c is drawn by a mapping network, s = F(z, c), or read from a picture of it, s = E(r, c); the discriminator
    has an output for each domain, and a penalty R1 of its slope:

        generator:  L_adv(G(x, s), c) + style E |s - E(G(x, s), c)| - diversity E |G(x, s) - G(x, s')|
                      + reconstruction E |x - G(G(x, s), E(x, c'))|                                     (eqs. 1 to 5)

    with s' another style of c, and the weight of the difference falling to 0. Each picture is made twice, in a drawn
    style and in that of another picture; of the latter only G learns. Domains are then classes.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: there are neither two classes nor attributes, the pictures are smaller than 8 pixels, or there
            shall be styles of attributes, or with what they have no place for.

    Example:
        >>> spec = PictureSpec(3, 16, 16, classes=("calm", "happy", "angry"))
        >>> model = StarGAN(StarGANConfig(width=4, critic_width=4, blocks=1), spec).eval()
        >>> tuple(model.translate(torch.zeros(2, 3, 16, 24), torch.eye(3)[[1, 2]]).shape)
        (2, 3, 16, 24)
    """

    name = "stargan"
    summary = "One generator for many domains: classes, or attributes of which several are set at once."
    paper = Paper(
        "Choi, Choi, Kim, Ha, Kim, Choo", 2018,
        "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation", "1711.09020",
    )  # fmt: skip
    Config = StarGANConfig
    tiny = {"width": 4, "critic_width": 4, "blocks": 1, "turns": 2}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {
            "smooth": True,
            "crop": 8,
            "identity": 1.0,
            "skips": True,
            "mask": True,
            "robust": 0.5,
            "augment": "diffaugment",
        },
        {"styles": 4, "style_noise": 3, "mapping_width": 16, "diversity_rounds": 50, "augment": "diffaugment"},
    )
    optional: ClassVar[Mapping[str, str]] = {"restyles": "model.styles=64"}
    averaged = ("generator",)
    config: StarGANConfig

    def __init__(self, config: StarGANConfig, spec: PictureSpec) -> None:
        if not spec.attributes and len(spec.classes) < 2:
            raise ConfigError(
                "stargan translates between classes or attributes, and these pictures have none; give a folder with a "
                "folder for each class, or --set data.attributes=[...] with columns of a metadata file."
            )
        super().__init__(config, spec)
        self.lacking = ("reads",) if config.styles else ("restyles",)
        idle = [name for name in ("smooth", "skips", "mask", "robust", "identity", "triple") if getattr(config, name)]
        if config.styles and idle:
            raise ConfigError(f"model.{idle[0]} does nothing with style codes; leave it out, or set model.styles=0.")
        if config.styles:
            self.add_styles()
        else:
            self._add_one_style()

    def _add_one_style(self) -> None:
        config, spec, count = self.config, self.spec, len(self.domains())
        self.generator = ResnetTranslator(
            spec.channels, config.width, config.blocks, config.smooth, count, config.mask, config.skips
        )
        layers = min(config.critic_layers, int(math.log2(min(self.shown))) - 1)
        self.discriminator = DomainCritic(spec.channels, config.critic_width, layers, self.shown, count)

    def domains(self) -> tuple[str, ...]:
        """The attributes, or the classes."""
        return self.spec.attributes or self.spec.classes

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> Sequence[Choice]:
        """The paper's batch and schedule."""
        return (
            Choice("train", "batch_size", 16, "as in the paper"),
            Choice("train", "schedule", "late", "as in the paper: constant for one half, then falling to 0"),
        )

    # The game -------------------------------------------------------------------------------------------------------

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator's turns, then the generator's on the generated pictures of the last of them."""
        if self.config.styles:
            return self.style_phases()
        return (
            Phase(
                "discriminator", self.discriminator, self.discriminator_loss, self.optimizer(), self.translated,
                repeat=self.config.turns,
            ),
            Phase("generator", self.generator, self.generator_loss, self.optimizer(), self.translated),
        )  # fmt: skip

    def translated(self, turn: Turn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures, what they are, what they shall be [N, K], and what the generator makes of them.

        What they shall be is what another picture of the batch is; an unknown attribute is drawn, or of several words
        of one column one.
        """
        x = self.seen(turn)
        mine = self._domains_of(turn)
        wanted = self._as_another(turn, mine)
        return x, mine, wanted, self.changed(x, wanted)

    def _as_another(self, turn: Turn, mine: Tensor) -> Tensor:
        """What another picture of the batch is [N, K]."""
        order = together(turn.draw.uniform(len(mine))).argsort()
        wanted = together(mine)[own(order, len(mine))]
        chances = turn.draw.uniform(*mine.shape)
        coin = (chances < 0.5).float()
        for words in exclusive(self.spec.attributes):
            coin[:, words] = F.one_hot(chances[:, words].argmin(1), len(words)).float()
        return torch.where(wanted.isnan(), coin, wanted)

    def _domains_of(self, turn: Turn) -> Tensor:
        """What the turn's pictures are [N, K]: one-hot classes, or attributes with NaN where unknown."""
        if self.spec.attributes:
            assert turn.targets is not None
            return turn.targets
        assert turn.labels is not None
        return F.one_hot(turn.labels, len(self.domains())).float()

    def changed(self, x: Tensor, domains: Tensor) -> Tensor:
        """G(x, c) of pictures [N, C, H, W] and domains [N, K]."""
        made: Tensor = self.generator(x, domains.to(x.dtype))
        return made

    def told(self, logits: Tensor, domains: Tensor) -> Tensor:
        """-log D_cls(c | x), the mean in nats [], of logits and domains [N, K]; what is unknown counts for nothing."""
        if not self.spec.attributes:
            return F.cross_entropy(logits, domains.argmax(1))
        known = ~domains.isnan()
        loss = F.binary_cross_entropy_with_logits(logits, domains.nan_to_num(), reduction="none")
        return (loss * known).sum() / len(logits)

    def discriminator_loss(self, turn: Turn) -> Terms:
        """Tell real from generated, and the domains of real pictures."""
        x, mine, _, fake = turn.prepared
        x, fake = self.augmented(turn, x, fake.detach())
        scores, logits = self.discriminator(torch.cat((x, fake.to(x.dtype))))  # which normalises nothing: as if apart
        terms = {"real": -scores[: len(x)].mean(), "fake": scores[len(x) :].mean()}
        terms["domain"] = self.config.classification * self.told(logits[: len(x)], mine)
        if self.config.robust:
            weight = self.config.classification * self.config.robust
            terms["fake_domain"] = weight * self.told(logits[len(x) :], mine)
        turn.note("gap", -terms["real"] - terms["fake"])
        if self.config.gradient_penalty:
            mix = turn.draw.uniform(len(x), 1, 1, 1)
            slope = gradient_penalty(lambda between: self.discriminator(between)[0], x, fake, mix)
            terms["gradient_penalty"] = self.config.gradient_penalty * slope
        return terms

    def generator_loss(self, turn: Turn) -> Terms:
        """Be taken for real and for the domain that was asked for, lead back, and change nothing that need not."""
        x, mine, wanted, fake = turn.prepared
        config, mine = self.config, torch.where(mine.isnan(), wanted, mine)
        score, logits = self.discriminator(*self.augmented(turn, fake))
        terms = {"fake": -score.mean(), "domain": config.classification * self.told(logits, wanted)}
        # All that the generator makes here at once, by fewer and larger products.
        given, to = [fake], [mine]
        if config.identity:
            given, to = [*given, x], [*to, mine]
        if config.triple:
            third = self._as_another(turn, mine)
            given, to = [*given, fake, x], [*to, third, third]
        back, *others = self.changed(torch.cat([each.to(fake.dtype) for each in given]), torch.cat(to)).chunk(len(to))
        if config.identity:
            terms["identity"] = config.identity * mean_difference(others[0], x)
        if config.triple:
            terms["triple"] = config.triple * mean_difference(others[-2], others[-1])
        return {**terms, "reconstruction": config.reconstruction * mean_difference(back, x)}

    def differentiated_twice(self) -> tuple[str, ...]:
        """The discriminator, where a penalty holds its slope."""
        config = self.config
        return ("discriminator",) if (config.r1 if config.styles else config.gradient_penalty) else ()

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def translate(self, pictures: Tensor, to: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of any size, in the domains `to` [N, K]: one-hot classes, or attributes."""
        if self.config.styles:
            return self.in_first_style(pictures, to)
        x = self.check_pictures(pictures, any_size=True)
        return self.changed(x, to.to(x.device)).to(x.dtype)

    @torch.no_grad()
    def read(self, pictures: Tensor) -> Tensor:
        """The probability [N, K] of each domain, of pictures [N, C, H, W] of any size, in the discriminator's eyes."""
        logits = self.discriminator(self.at_shown(pictures))[1]
        return torch.sigmoid(logits) if self.spec.attributes else logits.softmax(1)
