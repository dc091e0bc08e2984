"""What adversarial models share: the game's options, its two turns, and what a trained discriminator is good for.

A model brings a generator and a discriminator; losses, regularisers, condition, augmentation and turns are settings
here, so that every one of them works with every adversarial model. The functions are in `nn.games`, `nn.penalties` and
`nn.augment`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.core.config import Config, option
from mezzotint.core.errors import ConfigError
from mezzotint.engine.model import PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.models._latent import GaussianLatent
from mezzotint.nn.games import GAMES
from mezzotint.nn.norm import BatchNorm2d, grouped
from mezzotint.nn.penalties import gradient_penalty, squared_lengths

_CHUNK = 64


class GameConfig(Config):
    """Settings of every adversarial model; a model may have other defaults."""

    conditional: bool = option(False, "Give generator and discriminator the class label.")
    loss: Literal["non_saturating", "hinge", "least_squares", "wasserstein", "relativistic"] = option(
        "non_saturating", "What the two players make smaller; relativistic compares a real with a generated picture."
    )
    lr: float = option(2e-4, "Learning rate of both networks.", gt=0)
    discriminator_lr: float | None = option(None, "The discriminator's own learning rate; empty: the same.", gt=0)
    beta1: float = option(0.5, "First moment of Adam.", ge=0, lt=1)
    beta2: float = option(0.999, "Second moment of Adam.", ge=0, lt=1)
    turns: int = option(1, "Turns of the discriminator for one of the generator, each on fresh pictures.", ge=1, le=100)
    gradient_penalty: float = option(0.0, "Weight of the slope's distance from 1 between real and generated.", ge=0)
    r1: float = option(0.0, "Weight gamma of R1, gamma / 2 times the squared slope at real pictures.", ge=0)
    r2: float = option(0.0, "Weight gamma of R2, gamma / 2 times the squared slope at generated pictures.", ge=0)
    penalty_every: int = option(
        1, "Compute the penalties in every n-th turn only, n times as strong (lazy regularisation).", ge=1, le=64
    )
    label_smoothing: float = option(
        0.0, "How far below 1 the target of real pictures is; for the non-saturating loss.", ge=0, lt=0.5
    )


class Adversarial(GaussianLatent):
    """A generator against a discriminator.

    A subclass sets `generator` (latents, and labels or None -> pictures) and `discriminator` (pictures, and labels or
    None -> scores [N], high for real) and its `latent_size`.
    """

    averaged = ("generator",)
    config: GameConfig
    generator: nn.Module
    discriminator: nn.Module
    calibration: Tensor

    def __init__(self, config: GameConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        if config.conditional and not spec.classes:
            raise ConfigError("model.conditional needs classes, and these pictures have none; sort them in folders.")
        if config.label_smoothing and not GAMES[config.loss].logits:
            raise ConfigError(
                f'model.label_smoothing is for the loss "non_saturating"; got loss={config.loss}. Set it to 0.'
            )
        self.conditional = config.conditional
        # slope and offset of P(real) = sigmoid(slope * score + offset), fitted when training ends
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    # The game -------------------------------------------------------------------------------------------------------

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator's turns, then the generator's, on the generated pictures of the last of them."""
        config = self.config
        return (
            Phase(
                "discriminator",
                self.discriminator,
                self.discriminator_loss,
                self.optimizer(config.lr if config.discriminator_lr is None else config.discriminator_lr),
                prepare=self.fakes,
                repeat=config.turns,
                after=self.after_discriminator,
            ),
            Phase("generator", self.generator, self.generator_loss, self.optimizer(config.lr), prepare=self.fakes),
        )

    def optimizer(self, lr: float) -> OptimizerSpec:
        """What moves a network."""
        return OptimizerSpec("adam", lr, (self.config.beta1, self.config.beta2))

    def after_discriminator(self) -> None:
        """Called after each of the discriminator's turns."""

    def fakes(self, turn: Turn) -> Tensor:
        """G(z): as many as there are pictures in the turn."""
        return self.generator(turn.draw.normal(len(turn.pictures), self.latent_size), self.known(turn.labels))

    def discriminator_loss(self, turn: Turn) -> Terms:
        """The game's loss, and the penalties where it is their turn."""
        config, game = self.config, GAMES[self.config.loss]
        fakes = turn.prepared.detach()
        due = turn.step % config.penalty_every == 0
        slope = due and (config.r1 > 0 or config.r2 > 0)
        both = torch.cat((turn.pictures, fakes)).requires_grad_(slope)
        scores = self._both(both, self.known(turn.labels))
        real, fake = scores.chunk(2)
        terms = dict(game.discriminator(real, fake, config.label_smoothing))
        if game.paired:  # only differences have a meaning
            turn.note("accuracy", (real > fake).float().mean())
        else:
            turn.note("accuracy", ((real > 0).float().mean() + (fake < 0).float().mean()) / 2)
        if not game.logits:
            turn.note("gap", real.mean() - fake.mean())
        if slope:
            lengths = squared_lengths(scores, both).chunk(2)
            for name, gamma, length in zip(("r1", "r2"), (config.r1, config.r2), lengths, strict=True):
                if gamma:
                    terms[name] = 0.5 * gamma * config.penalty_every * length.mean()
        if due and config.gradient_penalty:
            terms["gradient_penalty"] = self._gradient_penalty(turn, fakes) * config.penalty_every
        return terms

    def generator_loss(self, turn: Turn) -> Terms:
        """The game's loss of the generator."""
        game, labels = GAMES[self.config.loss], self.known(turn.labels)
        if not game.paired:
            return game.generator(self.discriminator(turn.prepared, labels), None)
        fake, real = self._both(torch.cat((turn.prepared, turn.pictures)), labels).chunk(2)
        return game.generator(fake, real)

    def known(self, labels: Tensor | None) -> Tensor | None:
        """The labels [N] for a conditional model, None for another."""
        return labels if self.conditional else None

    def _both(self, pictures: Tensor, labels: Tensor | None) -> Tensor:
        """Scores [2N] of two sets of pictures in one pass, which is faster than two; each keeps its own statistics."""
        with grouped(self.discriminator, 2) if self._normalised else nullcontext():
            return self.discriminator(pictures, None if labels is None else torch.cat((labels, labels)))

    @property
    def _normalised(self) -> bool:
        return any(isinstance(module, BatchNorm2d) for module in self.discriminator.modules())

    def _gradient_penalty(self, turn: Turn, fakes: Tensor) -> Tensor:
        labels, mix = self.known(turn.labels), turn.draw.uniform(len(fakes), 1, 1, 1)
        return self.config.gradient_penalty * gradient_penalty(
            lambda pictures: self.discriminator(pictures, labels), turn.pictures, fakes, mix
        )

    # What it can do -------------------------------------------------------------------------------------------------

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent]."""
        return self.generator(latents.to(self.device), self.known(labels))

    @torch.no_grad()
    def critic(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """The discriminator's own score [N], high for real; its scale depends on the loss.

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            labels: class indices [N], for a conditional model.
        """
        pictures = self.check_pictures(pictures)
        return self.discriminator(pictures, self.check_labels(len(pictures), labels) if self.conditional else None)

    @torch.no_grad()
    def discriminate(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """Probability [N] that each picture is real rather than this generator's, calibrated (Platt 1999).

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            labels: class indices [N], for a conditional model.
        """
        return torch.sigmoid(self.calibration[0] * self.critic(pictures, labels) + self.calibration[1])

    def start(self) -> None:
        """The calibration is that of a discriminator which is about to move."""
        self.calibration.copy_(torch.tensor([1.0, 0.0]))

    @torch.no_grad()
    def finish(self, held_out: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Fit the calibration on held-out pictures and as many generated ones."""
        from sklearn.linear_model import LogisticRegression  # slow to import, needed once

        pictures, labels = held_out(512)
        known = self.known(labels)
        generated = self.sample(len(pictures), seed=1, labels=known)
        marks = [None] * len(pictures) if known is None else known.split(_CHUNK)
        found = [
            self.discriminator(x, mark)
            for side in (pictures, generated)
            for x, mark in zip(side.split(_CHUNK), marks, strict=False)
        ]
        scores = torch.cat(found).cpu().double().numpy()  # in this order: MPS has no float64
        if not np.isfinite(scores).all():
            return  # diverged, which saving will say
        middle, scale = scores.mean(), scores.std() or 1.0  # a critic's scores have no scale of their own
        truth = np.repeat([1, 0], len(pictures))
        fit = LogisticRegression(C=1e3).fit((scores[:, None] - middle) / scale, truth)
        slope = float(fit.coef_[0, 0]) / scale
        offset = float(fit.intercept_[0]) - slope * middle
        # A discriminator that has been fooled into ranking fakes above real pictures knows nothing: say one half.
        self.calibration.copy_(torch.tensor([slope, offset] if slope > 0 else [0.0, 0.0]))
