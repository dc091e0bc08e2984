"""Many styles for one domain: the networks, the game and the use of style codes."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn
from torch.func import functional_call

from mezzotint.core import rng
from mezzotint.core.config import option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._translating import Translating, TranslationConfig, mean_difference
from mezzotint.nn.games import GAMES
from mezzotint.nn.penalties import squared_lengths
from mezzotint.nn.processes import own, together
from mezzotint.nn.sizes import resolutions
from mezzotint.nn.styles import DomainNetwork, MappingNetwork, StyledTranslator, halvings

_GAME = GAMES["non_saturating"]
_PAPER = {"turns": 1, "reconstruction": 1.0, "beta1": 0.0}
"""What StarGAN v2 has otherwise than StarGAN, of the options that both have."""
_BETA2 = 0.99


class StyledConfig(TranslationConfig):
    """Settings of a model that may have style codes; those of both kinds first."""

    critic_layers: int = option(6, "Layers of the discriminator, each of which halves, at most.", ge=1, le=8)
    lr: float = option(1e-4, "Learning rate of all networks.", gt=0)
    blocks: int = option(6, "Residual blocks of the generator at its smallest size.", ge=0, le=32)
    turns: int = option(
        5,
        "Turns of the discriminator for one of the generator, each on fresh pictures; 1 with style codes.",
        ge=1,
        le=100,
    )
    reconstruction: float = option(10.0, "Weight of the way back; 1 with style codes.", ge=0)
    styles: int = option(
        0,
        "Size of the style code, by which a domain of classes has many styles (StarGAN v2: 64); 0: one.",
        ge=0,
        le=1024,
    )
    style_noise: int = option(16, "Size of the noise that a style is drawn from.", ge=1, le=1024)
    mapping_width: int = option(512, "Units of the network that makes styles of noise.", ge=1, le=4096)
    mapping_rate: float = option(0.01, "How fast it learns, as a share of the learning rate.", gt=0, le=1)
    style: float = option(1.0, "Weight of finding a style again in what was made in it.", ge=0)
    diversity: float = option(1.0, "Weight, at first, of the difference that two styles make.", ge=0)
    diversity_rounds: int = option(5000, "Rounds in which it falls to 0; the paper's are all rounds.", ge=1)
    r1: float = option(1.0, "With style codes: weight gamma of R1, gamma / 2 times the squared slope.", ge=0)

    @model_validator(mode="before")
    @classmethod
    def _as_in_the_paper(cls, values: Any) -> Any:
        return {**_PAPER, **values} if isinstance(values, dict) and values.get("styles") else values


class StyledGenerator(nn.Module):
    """The generator G(x, s), the mapping network F(z, y) and the style encoder E(x, y), which are averaged together."""

    def __init__(self, config: StyledConfig, channels: int, size: tuple[int, int], domains: int) -> None:
        super().__init__()
        layers = min(config.critic_layers, len(resolutions(*size)) - 1)
        self.translator = StyledTranslator(channels, config.width, config.blocks, halvings(size), config.styles)
        self.mapping = MappingNetwork(
            config.style_noise, config.mapping_width, domains, config.styles, config.mapping_rate
        )
        self.encoder = DomainNetwork(channels, config.critic_width, layers, size, domains, config.styles)


class Restyled(NamedTuple):
    """A turn's pictures, and what became of them twice: in styles that were drawn, then in those of other pictures.

    Attributes:
        x, mine, styles: [N, C, H, W] pictures, their domains [N, K] and their own styles [N, S].
        like: int64 [N], which picture of all processes' each shall be like.
        wanted, given, made: [2N, ...] domains, styles, and the pictures that were made in them.
    """

    x: Tensor
    mine: Tensor
    styles: Tensor
    like: Tensor
    wanted: Tensor
    given: Tensor
    made: Tensor


class Styled(Translating):
    """What a translating model is with style codes (Choi et al. 2020); see `StarGAN`."""

    config: StyledConfig
    generator: nn.Module
    discriminator: nn.Module

    def add_styles(self) -> None:
        """The networks.

        Raises:
            ConfigError: the domains are attributes.
        """
        config, spec = self.config, self.spec
        if spec.attributes:
            raise ConfigError(
                f"Style codes (model.styles={config.styles}) are of one domain each, and attributes may be several at "
                "once; leave data.attributes out, or model.styles."
            )
        domains, layers = len(self.domains()), min(config.critic_layers, len(resolutions(*self.shown)) - 1)
        self.generator = StyledGenerator(config, spec.channels, self.shown, domains)
        self.discriminator = DomainNetwork(spec.channels, config.critic_width, layers, self.shown, domains)

    @property
    def _parts(self) -> tuple[Any, Any, Any]:
        """Translator, mapping network and style encoder.

        Raises:
            ConfigError: there are none.
        """
        if not self.config.styles:
            raise ConfigError(f"This {self.name} has no style codes; train one with --set model.styles=64.")
        parts: Any = self.generator
        return parts.translator, parts.mapping, parts.encoder

    # The game -------------------------------------------------------------------------------------------------------

    def style_phases(self) -> tuple[Phase, ...]:
        """The discriminator's turns, then that of all others on the generated pictures of the last of them."""
        adam = OptimizerSpec("adam", self.config.lr, (self.config.beta1, _BETA2))
        return (
            Phase(
                "discriminator", self.discriminator, self.style_discriminator_loss, adam, self.restyled,
                repeat=self.config.turns,
            ),
            Phase("generator", self.generator, self.style_generator_loss, adam, self.restyled),
        )  # fmt: skip

    def restyled(self, turn: Turn) -> Restyled:
        """Each picture as one of another picture's domain: in a drawn style of it, and in that picture's own."""
        translator, mapping, encoder = self._parts
        assert turn.labels is not None
        x, n = self.seen(turn), len(turn.pictures)
        mine = F.one_hot(turn.labels, len(self.domains())).float()
        styles = encoder(x, mine)
        like = own(together(turn.draw.uniform(n)).argsort(), n)
        wanted = together(mine)[like]
        drawn = mapping(turn.draw.normal(n, self.config.style_noise), wanted)
        given = torch.cat((drawn, together(styles.detach())[like]))
        made = translator(torch.cat((x, x)), given)
        return Restyled(x, mine, styles, like, torch.cat((wanted, wanted)), given, made)

    def style_discriminator_loss(self, turn: Turn) -> Terms:
        """Tell real from generated in the output of the picture's domain, with a small slope at real pictures."""
        now, gamma = turn.prepared, self.config.r1
        x = now.x.detach().requires_grad_(gamma > 0)
        real = self.discriminator(*self.augmented(turn, x), now.mine).flatten()
        made = torch.cat(self.augmented(turn, *now.made.detach().chunk(2)))
        fake = self.discriminator(made, now.wanted).flatten()
        turn.note("accuracy", ((real > 0).float().mean() + (fake < 0).float().mean()) / 2)
        terms = dict(_GAME.discriminator(real, fake, 0.0))
        if gamma:
            terms["r1"] = 0.5 * gamma * squared_lengths(real, x).mean()
        return terms

    def style_generator_loss(self, turn: Turn) -> Terms:
        """Be taken for real, hold the style, lead back, and look another way in another style.

        Pictures in the style of others teach the translator alone, as in the paper's program.
        """
        config, now = self.config, turn.prepared
        translator, _, encoder = self._parts
        made = torch.cat(self.augmented(turn, *now.made.chunk(2)))
        score = self.discriminator(made, now.wanted).flatten()
        (drawn, like), (wanted, _) = now.made.chunk(2), now.wanted.chunk(2)
        # An encoder that learned to find its own styles again would make them ever larger.
        found = torch.cat((encoder(drawn, wanted), held(encoder, like, wanted)))
        back = translator(now.made, torch.cat((now.styles, now.styles.detach())))
        return {
            **_GAME.generator(score, None),
            "style": config.style * mean_difference(found, now.given),
            "reconstruction": config.reconstruction * mean_difference(back, torch.cat((now.x, now.x))),
            "diversity": -self.diversity_at(turn.step) * self.difference(turn),
        }

    def diversity_at(self, step: int) -> float:
        """The weight of the difference between styles in round `step`: it falls in a line to 0."""
        return self.config.diversity * max(0.0, 1 - step / self.config.diversity_rounds)

    def difference(self, turn: Turn) -> Tensor:
        """The mean of |G(x, s) - G(x, s')| [], with s' another style of the same domain (eq. 3).

        Gradients are those of the first picture; the second is as likely to be the first.
        """
        now = turn.prepared
        if not self.diversity_at(turn.step):
            return now.made.new_zeros(())
        translator, mapping, _ = self._parts
        n, wanted = len(now.x), now.wanted[: len(now.x)]
        with torch.no_grad():
            noise = turn.draw.normal(n, self.config.style_noise)
            every, domains = together(now.styles.detach()), together(now.mine)
            other = another(turn.draw.uniform(n, len(every)), wanted @ domains.T > 0, now.like)
            styles = torch.cat((mapping(noise, wanted), every[other]))
            made = translator(torch.cat((now.x, now.x)), styles)
        return mean_difference(now.made, made)

    # What it can do -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def draw_styles(self, domains: Tensor, seed: int = 0) -> Tensor:
        """Style codes [N, S] of the domains [N, K], each drawn anew; the first k of them do not depend on N.

        Raises:
            ConfigError: the model has no style codes.
        """
        _, mapping, _ = self._parts
        noise = torch.from_numpy(rng.normal((len(domains), self.config.style_noise), seed, "styles"))
        codes: Tensor = mapping(noise.to(self.device), domains.to(self.device))
        return codes

    @torch.no_grad()
    def styles_of(self, pictures: Tensor, domains: Tensor) -> Tensor:
        """Style codes [N, S] of pictures [N, C, H, W] in [-1, 1] of any size, each seen as one of its domain [N, K].

        Raises:
            ConfigError: the model has no style codes.
        """
        _, _, encoder = self._parts
        codes: Tensor = encoder(self.at_shown(pictures), domains.to(self.device))
        return codes

    @torch.no_grad()
    def restyle(self, pictures: Tensor, styles: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of any size in the styles [N, S], and so in their domains.

        Raises:
            ConfigError: the model has no style codes, or these are others.
        """
        translator, _, _ = self._parts
        x = self.check_pictures(pictures, any_size=True)
        if tuple(styles.shape) != (len(x), self.config.styles):
            wanted = f"[{len(x)}, {self.config.styles}]"
            raise ConfigError(f"Styles of {len(x)} pictures are codes {wanted}; got {list(styles.shape)}.")
        made: Tensor = translator(x, styles.to(x))
        return made.clamp(-1, 1).to(x.dtype)

    def in_first_style(self, pictures: Tensor, domains: Tensor) -> Tensor:
        """Pictures in the domains [N, K], all of one domain in the same style: the first that seed 0 draws."""
        every = torch.cat([self.draw_styles(domain[None]) for domain in torch.eye(domains.shape[1])])
        return self.restyle(pictures, every[domains.argmax(1)])


def held(net: nn.Module, *inputs: Tensor) -> Tensor:
    """net(*inputs), by which what the inputs were made by may learn, and the network itself does not."""
    found: Tensor = functional_call(net, {name: value.detach() for name, value in net.named_parameters()}, inputs)
    return found


def another(chances: Tensor, suits: Tensor, first: Tensor) -> Tensor:
    """Of each row's pictures that suit, one by chance, and the first only where there is no other.

    Args:
        chances: [N, M] in [0, 1).
        suits: [N, M], whether a picture may be taken.
        first: int64 [N], the picture that was taken before.

    Returns:
        int64 [N].

    Example:
        >>> suits = torch.tensor([[True, True, False], [False, True, False]])
        >>> another(torch.tensor([[0.9, 0.1, 0.8], [0.9, 0.1, 0.8]]), suits, torch.tensor([0, 1])).tolist()
        [1, 1]
    """
    again = F.one_hot(first, chances.shape[1])
    return (chances + 2 * suits - again).argmax(1)
