"""The settings of an adversarial game."""

from __future__ import annotations

from typing import Literal

from mezzotint.core.config import Config, option


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
    penalty_fall: float = option(
        1.0, "What the weights of R1 and R2 fall to, as a share of what they begin with; 1: they stay.", gt=0, le=1
    )
    penalty_rounds: int = option(10_000, "Rounds in which they fall there, by the same factor in each.", ge=1)
    penalty_every: int = option(
        1, "Compute the penalties in every n-th turn only, n times as strong (lazy regularisation).", ge=1, le=64
    )
    augment: Literal["none", "diffaugment", "adaptive"] = option(
        "none",
        "Change pictures before the discriminator sees them, so that it cannot learn few of them by heart: "
        "DiffAugment, or as strongly as it overfits (ADA).",
    )
    augment_target: float = option(
        0.6, "Adaptive augmentation: the mean sign of scores of training pictures that it aims at.", gt=0, lt=1
    )
    augment_pictures: int = option(
        500_000, "Adaptive augmentation: pictures in which its strength may go from 0 to 1.", ge=1000
    )
    pack: int = option(
        1,
        "The discriminator judges so many pictures together, which shows it when they are alike (PacGAN).",
        ge=1,
        le=8,
    )
    balance: bool = option(
        False, "Adapt how many turns each player takes by how well the discriminator tells held-out from generated."
    )
    label_smoothing: float = option(
        0.0, "How far below 1 the target of real pictures is; for the non-saturating loss.", ge=0, lt=0.5
    )
