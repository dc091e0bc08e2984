"""CycleGAN: translation between two domains of which no pairs are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mezzotint.core.config import option
from mezzotint.core.errors import ConfigError
from mezzotint.data.domains import ByClass
from mezzotint.engine.advice import Choice
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.engine.phase import Phase, Terms, Turn
from mezzotint.models._translating import Translating, TranslationConfig, mean_difference
from mezzotint.nn.contrast import PatchHeads, patch_contrast
from mezzotint.nn.games import GAMES
from mezzotint.nn.history import History
from mezzotint.nn.translators import PatchCritic, ResnetTranslator, UNet

_LARGE = 256
"""Pixels from which the paper's generator has nine blocks."""
_FACTOR = {"least_squares": 2.0}
"""The paper's least squares have no half."""


class CycleGANConfig(TranslationConfig):
    """Settings of `cyclegan`."""

    generator: Literal["resnet", "unet"] = option("resnet", "Residual blocks, or a U-Net.")
    blocks: int = option(6, "Residual blocks of the generators; the paper has 9 from 256 pixels on.", ge=0, le=32)
    depth: int = option(5, "Halvings of the U-Net, at most.", ge=2, le=9)
    smooth: bool = option(False, "Halve after a blur and double by interpolation: no chequered patterns.")
    loss: Literal["least_squares", "non_saturating", "hinge", "wasserstein"] = option(
        "least_squares", "What the players make smaller."
    )
    keep: Literal["cycle", "contrast"] = option(
        "cycle",
        "What keeps a picture itself: there and back again, or its patches' likeness to what they became (CUT).",
    )
    cycle: float = option(10.0, "Weight of the way there and back.", ge=0)
    identity: float = option(
        0.5, "Weight, over that of the cycle, of leaving alone what is of the domain already.", ge=0
    )
    contrast: float = option(1.0, "Weight of the patches' likeness.", ge=0)
    history: int = option(50, "Generated pictures of before that discriminators are shown too.", ge=0, le=10_000)


class Translated(NamedTuple):
    """Pictures of both domains [N / 2, C, H, W], what became of them, and what of those that need no change."""

    a: Tensor
    b: Tensor
    fake_b: Tensor
    fake_a: Tensor
    same_b: Tensor | None
    same_a: Tensor | None


@register
class CycleGAN(Translating):
    """Two generators, G: A -> B and F: B -> A, against a discriminator of each domain (Zhu et al. 2017).

        L_GAN(G, D_B) + L_GAN(F, D_A)
          + cycle (E |F(G(a)) - a| + E |G(F(b)) - b|)                                           (eqs. 1 to 3)
          + cycle identity (E |G(b) - b| + E |F(a) - a|)                                        (section 5.2)

    with least squares in L_GAN, discriminators of patches of 70 pixels, which are also shown pictures of before, and a
    constant learning rate followed by a falling one (`train.schedule=late`). The domains are the two classes of the
    set: two folders. A batch of two is one picture of each, as in the paper.

    `keep=contrast` replaces the cycle: each patch of what a picture became shall be more like the patch that it was
    than like any other of that picture, in the eyes of the generator's own encoder (CUT, Park et al. 2020,
    arXiv:2007.15651, eqs. 3 to 5), in both directions. Of the paper's order the discriminators come first here, so
    that both take their turn on the same generated pictures.

    It is trained on whole pictures or random parts (`crop`), and translates pictures of any size.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: there are not two classes, or the pictures are smaller than 8 pixels.

    Example:
        >>> spec = PictureSpec(3, 32, 32, classes=("apples", "oranges"))
        >>> model = CycleGAN(CycleGANConfig(width=4, critic_width=4, blocks=1), spec).eval()
        >>> tuple(model.translate(torch.zeros(2, 3, 40, 50), torch.tensor([[0.0, 1.0]] * 2)).shape)
        (2, 3, 40, 50)
    """

    name = "cyclegan"
    summary = "Unpaired translation between two folders of pictures, there and back again."
    paper = Paper(
        "Zhu, Park, Isola, Efros", 2017,
        "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", "1703.10593",
    )  # fmt: skip
    Config = CycleGANConfig
    tiny = {"width": 4, "critic_width": 4, "critic_layers": 1, "blocks": 1, "history": 3}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"generator": "unet", "depth": 2, "loss": "hinge"},
        {"keep": "contrast", "smooth": True, "blocks": 2},
        {"crop": 8, "identity": 0.0, "augment": "diffaugment"},
    )
    averaged = ("to_b", "to_a")
    order = ByClass
    config: CycleGANConfig

    def __init__(self, config: CycleGANConfig, spec: PictureSpec) -> None:
        if len(spec.classes) != 2:
            found = f"{len(spec.classes)} classes" if spec.classes else "no classes"
            raise ConfigError(
                f"cyclegan translates between two domains, and these pictures have {found}; give a folder that holds "
                "two folders of pictures."
            )
        super().__init__(config, spec)
        self.to_b, self.to_a = self._generator(), self._generator()
        critic = spec.channels, config.critic_width, self.critic_layers
        self.critic_a, self.critic_b = PatchCritic(*critic), PatchCritic(*critic)
        shape = (spec.channels, *self.shown)
        self.history_a, self.history_b = History(config.history, shape), History(config.history, shape)
        if config.keep == "contrast":
            if config.generator != "resnet":
                raise ConfigError("Patches are compared in the layers of a resnet; set model.generator=resnet.")
            wide = (config.width, 2 * config.width, *[4 * config.width] * (3 if config.blocks > 1 else 2))
            self.heads_a, self.heads_b = PatchHeads(wide), PatchHeads(wide)

    def _generator(self) -> nn.Module:
        config, channels = self.config, self.spec.channels
        if config.generator == "unet":
            depth = min(config.depth, int(math.log2(min(self.shown))))
            return UNet(channels, channels, config.width, depth)
        return ResnetTranslator(channels, config.width, config.blocks, config.smooth)

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> Sequence[Choice]:
        """The paper's batch, and its depth for the size."""
        chosen = [
            Choice("train", "batch_size", 2, "one picture of each domain, as in the paper"),
            Choice("train", "schedule", "late", "as in the paper: constant for one half, then falling to 0"),
        ]
        if min(spec.height, spec.width) >= _LARGE:
            chosen.append(Choice("model", "blocks", 9, f"as in the paper from {_LARGE} pixels on"))
        return chosen

    # The game -------------------------------------------------------------------------------------------------------

    def phases(self) -> tuple[Phase, ...]:
        """The discriminators' turn, then the generators', on the same generated pictures."""
        heads = (self.heads_a, self.heads_b) if self.config.keep == "contrast" else ()
        critics, generators = (self.critic_a, self.critic_b), (self.to_b, self.to_a, *heads)
        return (
            Phase("discriminators", critics, self.discriminators_loss, self.optimizer(), prepare=self.translated),
            Phase("generators", generators, self.generators_loss, self.optimizer(), prepare=self.translated),
        )

    def translated(self, turn: Turn) -> Translated:
        """A picture of the first domain before each of the second, and what the generators make of them."""
        seen = self.seen(turn)
        a, b = seen[0::2], seen[1::2]
        if self.config.keep == "cycle" and not self.config.identity:
            return Translated(a, b, self.to_b(a), self.to_a(b), None, None)
        (fake_b, same_b), (fake_a, same_a) = _both(self.to_b, a, b), _both(self.to_a, b, a)
        return Translated(a, b, fake_b, fake_a, same_b, same_a)

    def discriminators_loss(self, turn: Turn) -> Terms:
        """Real and generated pictures of both domains, the generated ones partly of before."""
        game, now = GAMES[self.config.loss], turn.prepared
        sides = (
            ("a", self.critic_a, self.history_a, now.a, now.fake_a),
            ("b", self.critic_b, self.history_b, now.b, now.fake_b),
        )
        terms: dict[str, Tensor] = {}
        for name, critic, history, real, fake in sides:
            coins, places = turn.draw.uniform(len(fake)), turn.draw.uniform(len(fake))
            shown = self.augmented(turn, real, history.exchange(fake.detach(), coins, places))
            for kind, loss in game.discriminator(*_both(critic, *shown), 0.0).items():
                terms[f"{name}_{kind}"] = loss
        return terms

    def generators_loss(self, turn: Turn) -> Terms:
        """Fool the discriminators, and keep what the picture is of."""
        config, game, now = self.config, GAMES[self.config.loss], turn.prepared
        terms: dict[str, Tensor] = {}
        for name, critic, fake in (("a", self.critic_a, now.fake_a), ("b", self.critic_b, now.fake_b)):
            (fooled,) = game.generator(critic(*self.augmented(turn, fake)), None).values()
            terms[f"game_{name}"] = _FACTOR.get(config.loss, 1.0) * fooled
        keep = self._contrast(turn, now) if config.keep == "contrast" else self._cycle(now)
        return {**terms, **keep}

    def _cycle(self, now: Translated) -> Terms:
        config = self.config
        there = mean_difference(self.to_a(now.fake_b), now.a) + mean_difference(self.to_b(now.fake_a), now.b)
        terms = {"cycle": config.cycle * there}
        if now.same_a is not None and now.same_b is not None:
            same = mean_difference(now.same_b, now.b) + mean_difference(now.same_a, now.a)
            terms["identity"] = config.cycle * config.identity * same
        return terms

    def _contrast(self, turn: Turn, now: Translated) -> Terms:
        """Both directions, of pictures that change and of those that are of the domain already."""
        ways = (
            (self.to_b, self.heads_a, ((now.a, now.fake_b), (now.b, now.same_b))),
            (self.to_a, self.heads_b, ((now.b, now.fake_a), (now.a, now.same_a))),
        )
        losses: dict[str, list[Tensor]] = {"contrast": [], "identity": []}
        for generator, heads, pairs in ways:
            stages: list[Callable[[Tensor], Tensor]] = generator.stages()  # type: ignore[operator]
            for name, (before, after) in zip(losses, pairs, strict=True):
                assert after is not None
                places = turn.draw.uniform(len(before), heads.patches)
                losses[name].append(patch_contrast(stages, heads, before, after, places))
        return {name: self.config.contrast / 2 * (there + back) for name, (there, back) in losses.items()}

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def translate(self, pictures: Tensor, to: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of any size, in the domains `to`: one-hot [N, 2]."""
        x = self.check_pictures(pictures, any_size=True)
        second = to.to(x.device).argmax(1) == 1
        out = torch.empty_like(x)
        for chosen, generator in ((second, self.to_b), (~second, self.to_a)):
            if bool(chosen.any()):
                out[chosen] = generator(x[chosen]).to(out.dtype)
        return out


def _both(network: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The network's outputs of x and y, by fewer and larger products. Each picture is normalised by itself."""
    of_x, of_y = network(torch.cat((x, y.to(x.dtype)))).split((len(x), len(y)))
    return of_x, of_y
