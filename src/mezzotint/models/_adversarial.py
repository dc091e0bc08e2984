"""What adversarial models share: the game's options, its two turns, and what a trained discriminator is good for.

A model brings a generator and a discriminator; losses, regularisers, condition, augmentation and turns are settings
here, so that every one of them works with every adversarial model. The functions are in `nn.games`, `nn.penalties` and
`nn.augment`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from mezzotint.core.errors import ConfigError
from mezzotint.engine.balancing import Balance
from mezzotint.engine.model import PictureSpec
from mezzotint.engine.phase import OptimizerSpec, Phase, Terms, Turn
from mezzotint.metrics.calibration import platt
from mezzotint.models._game import GameConfig
from mezzotint.models._latent import GaussianLatent
from mezzotint.nn.augment import ADA_COLUMNS, DIFF_COLUMNS, ada, diff_augment, next_probability
from mezzotint.nn.games import GAMES
from mezzotint.nn.norm import BatchNorm2d, grouped
from mezzotint.nn.penalties import gradient_penalty, squared_lengths

_CHUNK = 64
_REHEARSALS, _REHEARSED = 16, 3 * 64 * 64
"""Batches from which the averaged generator's statistics are taken, and values of a picture up to which there are so
many; fewer of larger pictures, of which each has more places."""
_MOST_TURNS = 5
_WINS, _LOSES = 0.9, 0.7
"""The accuracy above which the discriminator is too far ahead, and below which it teaches too little."""


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
    strength: Tensor
    ratio: Tensor

    def __init__(self, config: GameConfig, spec: PictureSpec) -> None:
        super().__init__(config, spec)
        self.condition(config.conditional)
        if config.label_smoothing and not GAMES[config.loss].logits:
            raise ConfigError(
                f'model.label_smoothing is for the loss "non_saturating"; got loss={config.loss}. Set it to 0.'
            )
        if config.pack > 1 and config.conditional:
            raise ConfigError("A conditional discriminator cannot judge packs, since they mix classes: model.pack=1.")
        self.judged = replace(spec, channels=spec.channels * config.pack)
        """The shape of what the discriminator sees."""
        # slope and offset of P(real) = sigmoid(slope * score + offset), fitted when training ends
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))
        if config.augment == "adaptive":
            self.register_buffer("strength", torch.tensor(0.0))
        if config.balance:
            self.register_buffer("ratio", torch.tensor([config.turns, 1]))

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
                repeat=partial(self._turns, 0) if config.balance else config.turns,
                after=self.after_discriminator,
            ),
            Phase(
                "generator",
                self.generator,
                self.generator_loss,
                self.optimizer(config.lr),
                prepare=self.fakes,
                repeat=partial(self._turns, 1) if config.balance else 1,
            ),
        )

    def _turns(self, player: int) -> int:
        return int(self.ratio[player])

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
        scores = self._both(turn, both)
        real, fake = scores.chunk(2)
        terms = dict(game.discriminator(real, fake, config.label_smoothing))
        if game.paired:  # only differences have a meaning
            turn.note("accuracy", (real > fake).float().mean())
        else:
            turn.note("accuracy", ((real > 0).float().mean() + (fake < 0).float().mean()) / 2)
        if not game.logits:
            turn.note("gap", real.mean() - fake.mean())
        if config.augment == "adaptive":
            turn.note("augmentation", self.strength)
        if slope:
            lengths = squared_lengths(scores, both).chunk(2)
            fallen = config.penalty_fall ** min(1.0, turn.step / config.penalty_rounds)
            for name, gamma, length in zip(("r1", "r2"), (config.r1, config.r2), lengths, strict=True):
                if gamma:
                    terms[name] = 0.5 * gamma * fallen * config.penalty_every * length.mean()
        if due and config.gradient_penalty:
            terms["gradient_penalty"] = self._gradient_penalty(turn, fakes) * config.penalty_every
        return terms

    def generator_loss(self, turn: Turn) -> Terms:
        """The game's loss of the generator."""
        game = GAMES[self.config.loss]
        if not game.paired:
            seen = self.seen(turn, turn.prepared)
            return game.generator(self.score(seen, self.known(turn.labels)), None)
        fake, real = self._both(turn, torch.cat((turn.prepared, turn.pictures))).chunk(2)
        return game.generator(fake, real)

    def seen(self, turn: Turn, pictures: Tensor) -> Tensor:
        """What the discriminator is shown of `pictures` while training: augmented, where that is asked for."""
        if self.config.augment == "diffaugment":
            return diff_augment(pictures, turn.draw.uniform(len(pictures), DIFF_COLUMNS))
        if self.config.augment == "adaptive":
            return ada(pictures, self.strength, turn.draw.uniform(len(pictures), ADA_COLUMNS))
        return pictures

    def packs(self, pictures: Tensor) -> Tensor:
        """[N, C, H, W] -> [ceil(N / pack), pack * C, H, W], the last one filled up from the beginning."""
        pack = self.config.pack
        if pack == 1:
            return pictures
        full = -(-len(pictures) // pack) * pack
        rows = torch.arange(full, device=pictures.device) % len(pictures)
        return pictures[rows].reshape(full // pack, self.judged.channels, *pictures.shape[2:])

    def score(self, pictures: Tensor, labels: Tensor | None) -> Tensor:
        """The discriminator's scores of pictures [N, C, H, W]: [N], or of packs, [ceil(N / pack)]."""
        return self.judge(self.packs(pictures), labels)

    def judge(self, packs: Tensor, labels: Tensor | None) -> Tensor:
        """What the game's losses are of; a model may look at more of its discriminator on the way."""
        scores: Tensor = self.discriminator(packs, labels)
        return scores

    def differentiated_twice(self) -> tuple[str, ...]:
        """The discriminator, where a penalty holds its slope."""
        config = self.config
        return ("discriminator",) if config.gradient_penalty or config.r1 or config.r2 else ()

    def known(self, labels: Tensor | None) -> Tensor | None:
        """The labels [N] for a conditional model, None for another."""
        return labels if self.conditional else None

    def _both(self, turn: Turn, pictures: Tensor) -> Tensor:
        """Scores of two sets [2N, C, H, W] in one pass, which is faster than two; each keeps its own statistics."""
        labels, pictures = self.known(turn.labels), self.seen(turn, pictures)
        packs = torch.cat([self.packs(half) for half in pictures.chunk(2)]) if self.config.pack > 1 else pictures
        with grouped(self.discriminator, 2) if self._normalised else nullcontext():
            return self.judge(packs, None if labels is None else torch.cat((labels, labels)))

    @property
    def _normalised(self) -> bool:
        return any(isinstance(module, BatchNorm2d) for module in self.discriminator.modules())

    def _gradient_penalty(self, turn: Turn, fakes: Tensor) -> Tensor:
        labels, mix = self.known(turn.labels), turn.draw.uniform(len(fakes), 1, 1, 1)
        return self.config.gradient_penalty * gradient_penalty(
            lambda pictures: self.discriminator(self.packs(self.seen(turn, pictures)), labels),
            turn.pictures,
            fakes,
            mix,
        )

    def rehearse(self, training: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Draws batches of pictures of fixed latents, and of classes as training has them."""
        batches = max(_REHEARSALS // 4, min(_REHEARSALS, _REHEARSALS * _REHEARSED // self.spec.values))
        labels = self.known(training(batches * _CHUNK)[1]) if self.conditional else None
        for k in range(batches):
            these = None if labels is None else labels[torch.arange(k * _CHUNK, (k + 1) * _CHUNK) % len(labels)]
            self.generate(self.latent(_CHUNK, seed=k), these)

    # What it can do -------------------------------------------------------------------------------------------------

    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Pictures [N, C, H, W] in [-1, 1] of latents [N, latent]."""
        return self.generator(latents.to(self.device), self.known(labels))

    @torch.no_grad()
    def critic(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """The discriminator's own score [N], high for real; its scale depends on the loss.

        One that judges packs gives each picture the score of the `pack` following ones that it stands among.

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            labels: class indices [N], for a conditional model.
        """
        pictures = self.check_pictures(pictures)
        scores = self.score(pictures, self.check_labels(len(pictures), labels) if self.conditional else None)
        return scores.repeat_interleave(self.config.pack)[: len(pictures)]

    @torch.no_grad()
    def discriminate(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        """Probability [N] that each picture is real rather than this generator's, calibrated (Platt 1999).

        Args:
            pictures: [N, C, H, W] in [-1, 1].
            labels: class indices [N], for a conditional model.
        """
        return torch.sigmoid(self.calibration[0] * self.critic(pictures, labels) + self.calibration[1])

    # Balance --------------------------------------------------------------------------------------------------------

    def adapts(self) -> bool:
        """Whether this model's training goes by how the game stands."""
        return self.config.balance or self.config.augment == "adaptive"

    @torch.no_grad()
    def balance(self, standing: Balance) -> None:
        """Augment more when the discriminator knows its pictures by heart; give the player who loses a turn more."""
        if self.config.augment == "adaptive":
            p = next_probability(
                float(self.strength),
                standing.sign,
                standing.pictures * int(self.ratio[0] if self.config.balance else self.config.turns),
                target=self.config.augment_target,
                pictures_for_full=self.config.augment_pictures,
            )
            self.strength.fill_(p)
        if self.config.balance:
            discriminator, generator = self.ratio.tolist()
            most = max(_MOST_TURNS, self.config.turns)
            if standing.accuracy > _WINS:
                more = (discriminator - 1, generator) if discriminator > 1 else (1, min(generator + 1, _MOST_TURNS))
            elif standing.accuracy < _LOSES:
                more = (discriminator, generator - 1) if generator > 1 else (min(discriminator + 1, most), 1)
            else:
                more = (discriminator, generator)
            self.ratio.copy_(torch.tensor(more))

    def start(self) -> None:
        """The calibration is that of a discriminator which is about to move."""
        self.calibration.copy_(torch.tensor([1.0, 0.0]))

    @torch.no_grad()
    def finish(self, held_out: Callable[[int], tuple[Tensor, Tensor | None]]) -> None:
        """Fit the calibration on held-out pictures and as many generated ones."""
        pictures, labels = held_out(512)
        known = self.known(labels)
        generated = self.sample(len(pictures), seed=1, labels=known)
        marks = [None] * len(pictures) if known is None else known.split(_CHUNK)
        found = [
            self.critic(x, mark)
            for side in (pictures, generated)
            for x, mark in zip(side.split(_CHUNK), marks, strict=False)
        ]
        scores = torch.cat(found).cpu().double().numpy()  # in this order: MPS has no float64
        if not np.isfinite(scores).all():
            return  # diverged, which saving will say
        slope, offset = platt(scores, np.repeat([1.0, 0.0], len(pictures)))
        # A discriminator that has been fooled into ranking fakes above real pictures knows nothing: say one half.
        self.calibration.copy_(torch.tensor([slope, offset] if slope > 0 else [0.0, 0.0]))
