"""GAN: a modern baseline without tricks."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from mezzotint.core.config import option
from mezzotint.engine.advice import Choice
from mezzotint.engine.model import Paper, PictureSpec, register
from mezzotint.models._adversarial import Adversarial
from mezzotint.models._convolutional import check_size
from mezzotint.models._fully_connected import FullyConnectedCritic, FullyConnectedGenerator
from mezzotint.models._modern import ModernConfig, ModernDiscriminator, ModernGenerator

_FEW = 5000
"""Pictures below which a discriminator learns them by heart (Karras et al. 2020, arXiv:2006.06676, figure 1)."""
_GAMMA, _GAMMA_FEW = 10.0, 0.3
"""Weight of R1 and R2 at 32 x 32, for thousands of pictures and for few (docs/results.md)."""
_ROWS = 2e-4
"""Weight of R1 and R2 for rows of numbers."""
_POINTS, _POINTS_FALL, _POINTS_ROUNDS = 0.01, 0.01, 20_000
"""Weight of R1 and R2 for points of the plane, and how it falls (docs/results.md, the 25 Gaussians)."""
_SMALL = 64 * 64
"""Pixels up to which a CPU has time for batches of 64."""


class GANConfig(ModernConfig):
    """Settings of `gan`."""

    loss: Literal["relativistic", "non_saturating", "hinge", "least_squares", "wasserstein"] = option(
        "relativistic", "What the two players make smaller; relativistic compares a real with a generated picture."
    )
    beta1: float = option(0.0, "First moment of Adam.", ge=0, lt=1)
    beta2: float = option(0.99, "Second moment of Adam.", ge=0, lt=1)
    r1: float = option(0.3, "Weight gamma of R1, gamma / 2 times the squared slope at real pictures.", ge=0)
    r2: float = option(0.3, "Weight gamma of R2, gamma / 2 times the squared slope at generated pictures.", ge=0)
    network: Literal["residual", "mlp"] = option(
        "residual", "Residual networks, or fully connected ones for points and tiny pictures."
    )
    hidden: tuple[int, ...] = option((256, 256, 256), "Units of the hidden layers of the mlp.")
    waves: float = option(
        0.0,
        "Random frequencies that the mlp discriminator sees beside the values, in turns for each unit; 0: none.",
        ge=0,
    )


def gamma(area: int, pictures: int) -> float:
    """The weight of R1 and R2 for pictures of so many pixels, of which there are so many.

    The squared slope grows with the pictures, and the weight with the power 1.5 of the number of pixels, as the paper's
    values do from 32 x 32 to 256 x 256. Where there are thousands of pictures the weight is some twenty times the
    paper's: in hundreds of rounds instead of hundreds of thousands that keeps the game from turning in circles, in
    which kinds of pictures are lost. For few pictures, which are augmented, it is the paper's.

    Example:
        >>> gamma(32 * 32, 10_000), gamma(64 * 64, 10_000), gamma(64 * 64, 300)
        (10.0, 80.0, 2.4)
    """
    return float(f"{(_GAMMA_FEW if pictures < _FEW else _GAMMA) * (area / 1024) ** 1.5:.3g}")


@register
class GAN(Adversarial):
    """The modern baseline R3GAN, sized by the picture and by what a CPU can do.

        discriminator:  minimise  E softplus(D(G(z)) - D(x)) + gamma / 2 (E |grad D(x)|^2 + E |grad D(G(z))|^2)
        generator:      minimise  E softplus(D(x) - D(G(z)))                                              (eq. 2, 5)

    No batch normalisation; residual blocks begin as the identity (Fixup); bilinear resampling; learned maps at the
    smallest size; a class as a vector beside z, and projected in the discriminator (section 4). With `block=grouped,
    patch=1, blocks=2` the networks are of the paper's kind. Three things differ by default, so that a CPU gets
    somewhere:

    - The first and last layers halve and double the picture (`patch=2`): no block sees the full size. They are not
      DCGAN's, which leave a chequered pattern here, but 3x3 convolutions that are as cheap (`nn.resample`).
    - Blocks are two plain 3x3 convolutions. In the same time they hold twice the weights of the paper's inverted
      bottlenecks with groups of 16. Of those, groups of 8 save 16 % of a step, and depth-wise ones 32 %, with 20 % and
      37 % fewer weights.
    - Learning rate, beta2 and gamma stay as they are, where the paper lets them change over a run of known length:
      then a run can go on for longer. A falling rate is `train.schedule`, a falling gamma `penalty_fall`.

    The penalties take about 40 % of a step, though their second derivatives are our own (`nn.twice`). On a CPU, which
    has time for hundreds of rounds where the paper has hundreds of thousands, `advise` takes them in every fourth turn
    only, five times the paper's learning rate, batch normalisation in the generator, and a dense first layer there.
    After a minute or two these were better on digits and photographs (docs/results.md). Momentum is worse, as the paper
    has it.

    Any size from 8 to 256, square or not, with 1 to 4 channels. `mezzotint train gan` chooses the strength of the
    penalties, the batch and the widths by itself (`advise`).

    Args:
        config: the settings.
        spec: the shape of the pictures.

    Raises:
        ConfigError: the pictures are smaller than 8 or larger than 256 pixels, or `conditional` without classes.

    Example:
        >>> from mezzotint.engine.model import PictureSpec
        >>> model = GAN(GANConfig(width=8, discriminator_width=8), PictureSpec(3, 24, 16)).eval()
        >>> tuple(model.sample(2).shape)
        (2, 3, 24, 16)
    """

    name = "gan"
    summary = "A modern GAN baseline: relativistic, two gradient penalties, residual; settles itself."
    paper = Paper(
        "Huang, Gokaslan, Kuleshov, Tompkin", 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline",
        "2501.05441",
    )  # fmt: skip
    Config = GANConfig
    tiny = {"latent": 8, "width": 8, "discriminator_width": 8}
    variants = (
        {"conditional": True},
        {"block": "grouped", "patch": 1, "blocks": 2, "penalty_every": 2},
        {"norm": "batch", "beta1": 0.5, "first": "dense"},
        {"network": "mlp", "hidden": (16, 16), "conditional": True},
    )
    config: GANConfig

    def __init__(self, config: GANConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.latent_size = config.latent
        classes = len(spec.classes) if config.conditional else 0
        if config.network == "residual":
            check_size(self.name, spec)
            self.generator: nn.Module = ModernGenerator(config, spec)
            self.discriminator: nn.Module = ModernDiscriminator(config, self.judged)
        else:
            self.generator = FullyConnectedGenerator(config.latent, config.hidden, spec, classes)
            self.discriminator = FullyConnectedCritic(config.hidden, self.judged, classes, config.waves)

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> tuple[Choice, ...]:
        """What it chooses; see `mezzotint.engine.advice`."""
        size, cpu = f"{spec.height} x {spec.width}", device.type == "cpu"
        area = spec.height * spec.width
        strength, why = gamma(area, pictures), f"the slope is penalised by the size of the pictures, {size}"
        why += ", and little, since they are few" if pictures < _FEW else ", and strongly, so that no kind is lost"
        if spec.meaning.planar:
            return cls._for_points(cpu)
        row = min(spec.height, spec.width) == 1
        if row:
            strength, why = _ROWS, "weak enough for sharp values, and strong enough to lose none"
        chosen = [Choice("model", name, strength, why) for name in ("r1", "r2")]
        batch = 64 if area <= _SMALL else 32
        if cpu:
            chosen += [
                Choice("model", "lr", 1e-3, "a CPU has time for few rounds, and the penalties keep large steps stable"),
                Choice("model", "penalty_every", 4, "a third more rounds in the same time"),
            ]
        else:
            batch *= 2
        if row:
            return (*chosen, Choice("model", "network", "mlp", "points and rows of numbers are no pictures"))
        chosen.append(Choice("train", "batch_size", batch, f"for pictures of {size} on {device.type}"))
        if cpu:
            chosen += [
                Choice("model", "norm", "batch", "the generator learns faster with it in few rounds"),
                Choice("model", "first", "dense", "kinds of pictures are told apart sooner"),
            ]
        else:
            chosen += [
                Choice("model", "width", 64, f"{device.type} has room for wider networks than a CPU"),
                Choice("model", "discriminator_width", 64, "as the generator's"),
                Choice("model", "block", "grouped", "the paper's, which is slow on a CPU only"),
                Choice("model", "blocks", 2, f"{device.type} has time for the paper's depth"),
            ]
        if "augment" in cls.Config.model_fields and pictures < _FEW:
            chosen.append(Choice("model", "augment", "adaptive", f"{pictures:,} pictures are few"))
        return tuple(chosen)

    @staticmethod
    def _for_points(cpu: bool) -> tuple[Choice, ...]:
        """What it chooses for points of the plane."""
        strong, weak = "strong at first, so that no mode is lost", "and weak in the end, so that modes are sharp"
        return (
            Choice("model", "network", "mlp", "points are no pictures"),
            Choice("model", "waves", 1.0, "the discriminator tells sharp modes from blurred ones sooner"),
            Choice("model", "latent", 4, "few numbers lead to a plane"),
            *(Choice("model", name, _POINTS, strong) for name in ("r1", "r2")),
            Choice("model", "penalty_fall", _POINTS_FALL, weak),
            Choice("model", "penalty_rounds", _POINTS_ROUNDS, weak),
            Choice("train", "batch_size", 256, "ten of every mode"),
            *([Choice("model", "lr", 1e-3, "the penalties keep large steps stable")] if cpu else []),
        )

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent]; no tanh bends them, so they are clamped."""
        return super().generate(latents, labels).clamp(-1, 1)
