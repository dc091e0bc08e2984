"""AdaIN: any style in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.data.domains import ByClass
from mezzotint.engine.advice import Choice
from mezzotint.engine.model import Model, Paper, PictureSpec, register
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._encoders import SMALL_WIDTH, read_small, read_vgg
from mezzotint.nn.processes import own, together
from mezzotint.nn.transfer import adapt, in_channels, in_colour, moments, style_distance, unevenness
from mezzotint.nn.vgg import Reach, StyleDecoder, StyleEncoder, reach, widths_of


class AdaINConfig(Config):
    """Settings of `adain`."""

    encoder: Literal["small", "vgg19"] = option(
        "small", "The network that styles are read with: the package's own, or VGG-19 itself, whose file is needed."
    )
    levels: Literal[3, 4] = option(4, "Up to relu3_1 or relu4_1; the paper's is 4, and 3 keeps more of the content.")
    vgg_file: str = option("", "The file of VGG-19's weights; empty: the one in the cache. Read when training begins.")
    allow_download: bool = option(False, "Fetch VGG-19's file (to relu3_1) where it is not on this machine.")
    width: int = option(32, "Channels of the decoder's largest stage; VGG-19's mirror has 64.", ge=4, le=256)
    crop: int = option(0, "Train on random parts of so many pixels a side; 0 trains on whole pictures.", ge=0, le=4096)
    content_weight: float = option(1.0, "Weight of the content loss.", ge=0)
    style_weight: float = option(10.0, "Weight lambda of the style loss.", ge=0)
    identity: float = option(
        0.0, "Weight of giving contents back that are left their own style: the decoder learns colours sooner.", ge=0
    )
    smoothness: float = option(0.0, "Weight of the mean difference of neighbouring pixels.", ge=0)
    lr: float = option(1e-3, "Adam's learning rate; the paper's programs take 1e-4 for 160,000 rounds.", gt=0)


@register
class AdaIN(Model):
    """A decoder that draws content with the mean and deviation of a style's features (Huang and Belongie 2017).

        t = AdaIN(f(c), f(s)),   g(t) the picture                                                   (eqs. 8, 9, 10)
        loss = content_weight |f(g(t)) - t|^2
             + style_weight sum_levels |mu(f(g(t))) - mu(f(s))|^2 + |sigma(f(g(t))) - sigma(f(s))|^2  (eqs. 11, 12, 13)

    f is an encoder that is not trained: VGG-19 up to relu4_1 in the paper, of which `small` has the layers with a
    quarter of the channels, taught to say what VGG-19 says (`scripts/train_style.py`). With `identity` the decoder also
    learns to give contents back from their own features, as in Park and Lee (2019, arXiv:1812.02342, eq. 6).

    Two folders are contents and styles. Of other pictures each is a content, and another one of its batch its style.
    Pictures of any size are drawn, and styles of any size read. It is for grey and colour; what is transparent is drawn
    all the same, and is opaque then.

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: parts are larger than the pictures.

    Example:
        >>> model = AdaIN(AdaINConfig(width=4), PictureSpec(3, 32, 32)).eval()
        >>> style = model.styles(torch.rand(1, 3, 40, 56) * 2 - 1)
        >>> tuple(model.stylize(torch.zeros(2, 3, 24, 20), style).shape)
        (2, 3, 24, 20)
    """

    name = "adain"
    summary = "Style transfer: any picture in the style of any other, in one pass."
    paper = Paper(
        "Huang, Belongie", 2017,
        "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", "1703.06868",
    )  # fmt: skip
    Config = AdaINConfig
    tiny = {"width": 4, "levels": 3}
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"levels": 4, "crop": 8, "smoothness": 0.1, "identity": 1.0},)
    averaged = ("decoder",)
    config: AdaINConfig

    def __init__(self, config: AdaINConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        if config.crop > min(spec.height, spec.width):
            raise ConfigError(
                f"Parts of {config.crop} pixels are larger than pictures of {spec.height} x {spec.width}; set "
                "model.crop lower, or --size higher."
            )
        if len(spec.classes) == 2:
            self.order = ByClass
        width = 64 if config.encoder == "vgg19" else SMALL_WIDTH
        self.encoder = StyleEncoder(width, config.levels)
        if config.encoder == "small":
            read_small(self.encoder)
        self.encoder.requires_grad_(False)
        self.decoder = StyleDecoder(widths_of(width, config.levels)[-1], config.width, config.levels)

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> Sequence[Choice]:
        """The paper's batch."""
        if len(spec.classes) == 2:
            return (Choice("train", "batch_size", 16, "8 contents and 8 styles, as in the paper"),)
        return (Choice("train", "batch_size", 8, "as in the paper"),)

    # Training -------------------------------------------------------------------------------------------------------

    def begin(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """VGG-19's weights are put into the encoder, where that is wanted."""
        if self.config.encoder == "vgg19":
            read_vgg(self.encoder, self.config.vgg_file, self.config.allow_download)

    def phases(self) -> tuple[Phase, ...]:
        """The decoder's turn is all there is."""
        return (Phase("decoder", self.decoder, self.loss, OptimizerSpec("adam", self.config.lr)),)

    def loss(self, turn: Turn) -> Terms:
        """Content and style of what is drawn, by the encoder's features; a style may be another process's picture."""
        return self._terms(turn, lambda looks: own(together(looks).roll(1, 0), len(looks)))

    def _terms(self, turn: Turn, others: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """The loss; where contents are styles too, `others` gives each the moments [N, 2, F] of another one."""
        content, style = self.pairs(turn)
        with torch.no_grad():
            features = self.encoder(content)
            looks = [moments(x) for x in (features if style is None else self.encoder(style))]
            wanted = [others(look) for look in looks] if style is None else looks
            given = features[-1]
            target = adapt(given, wanted[-1])
        made = self.decoder(target)[:, :, : content.shape[2], : content.shape[3]]
        seen = self.encoder(made)
        terms = {"content": self.config.content_weight * F.mse_loss(seen[-1].float(), target.float())}
        distances = [style_distance(moments(x), y) for x, y in zip(seen, wanted, strict=True)]
        terms["style"] = self.config.style_weight * torch.stack(distances).sum()
        if self.config.identity:
            again = self.decoder(given)[:, :, : content.shape[2], : content.shape[3]]
            terms["identity"] = self.config.identity * F.mse_loss(again, content.float())
        if self.config.smoothness:
            terms["smoothness"] = self.config.smoothness * unevenness(made)
        return terms

    def pairs(self, turn: Turn) -> tuple[Tensor, Tensor | None]:
        """Contents and styles [N, 3, h, w] of the turn's pictures; styles are None where contents are styles too."""
        x, labels = self._parts(turn), turn.labels
        if len(self.spec.classes) != 2 or labels is None:
            return x, None
        contents, styles = x[labels == 0], x[labels == 1]
        if not len(contents) or not len(styles):  # held-out pictures may be all of one kind
            return x, None
        count = max(len(contents), len(styles))
        turns = torch.arange(count, device=x.device)
        return contents[turns % len(contents)], styles[turns % len(styles)]

    def _parts(self, turn: Turn) -> Tensor:
        """The pictures, or a random part of each, in colour."""
        x, side = turn.pictures, self.config.crop
        if side:
            corner = turn.draw.uniform(len(x), 2) * torch.tensor(
                [x.shape[2] - side + 1, x.shape[3] - side + 1], device=x.device
            )
            cuts = [(int(top), int(left)) for top, left in corner.tolist()]
            x = torch.stack([each[:, t : t + side, s : s + side] for each, (t, s) in zip(x, cuts, strict=True)])
        return in_colour(x)

    def validation_loss(self, turn: Turn) -> Tensor:
        """What is made smaller, on held-out pictures."""
        return torch.stack(tuple(self._terms(turn, lambda looks: looks.roll(1, 0)).values())).sum()

    # What it can do -------------------------------------------------------------------------------------------------

    def reach(self) -> Reach:
        """How far encoder and decoder see; for pictures in parts."""
        return reach(self.config.levels)

    @torch.no_grad()
    def content(self, pictures: Tensor) -> Tensor:
        """Features [N, F, h, w] of pictures [N, C, H, W] in [-1, 1] of any size, which `draw` makes pictures of."""
        features: Tensor = self.encoder(in_colour(self.check_pictures(pictures, any_size=True)))[-1]
        return features

    def styles(self, pictures: Tensor) -> Tensor:
        """Mean and deviation [N, 2, F] of each picture's features."""
        return moments(self.content(pictures))

    @torch.no_grad()
    def draw(self, features: Tensor) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of features."""
        return in_channels(self.decoder(features).clamp(-1, 1), self.spec.channels)

    def stylize(self, pictures: Tensor, styles: Tensor, alpha: float = 1.0) -> Tensor:
        """Pictures [N, C, H, W] of any size in styles [N or 1, 2, F]; alpha 0 leaves them their own (eq. 14)."""
        features = self.content(pictures)
        made = self.draw(features.lerp(adapt(features, styles), alpha))
        return made[:, :, : pictures.shape[2], : pictures.shape[3]]

    def reconstruct(self, pictures: Tensor) -> Tensor:
        """The pictures as the decoder draws them in their own style."""
        return self.draw(self.content(pictures))[:, :, : pictures.shape[2], : pictures.shape[3]]
