"""What the two players of an adversarial game make smaller, as pure functions of the discriminator's scores.

`real` and `fake` are scores [N] of real and of generated pictures, before any sigmoid; high means real. Losses are
means over the batch, 0-dim. A relativistic game compares a real with a generated picture, so its generator sees real
scores too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

Terms = Mapping[str, Tensor]


class Game(NamedTuple):
    """A pair of losses.

    Attributes:
        discriminator: (real [N], fake [N], smoothing) -> terms whose sum the discriminator makes smaller.
        generator: (fake [N], real [N] or None) -> terms whose sum the generator makes smaller.
        paired: whether the generator's loss needs real scores.
        logits: whether the best score is a log odds, so that its sigmoid is a probability and labels can be smoothed.
    """

    discriminator: Callable[[Tensor, Tensor, float], Terms]
    generator: Callable[[Tensor, Tensor | None], Terms]
    paired: bool = False
    logits: bool = False


def _non_saturating_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Terms:
    right = F.softplus(-real).mean()
    if smoothing:  # the target of real pictures is 1 - smoothing; that of generated ones stays 0
        right = (1 - smoothing) * right + smoothing * F.softplus(real).mean()
    return {"real": right, "fake": F.softplus(fake).mean()}


def _hinge_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Terms:
    return {"real": F.relu(1 - real).mean(), "fake": F.relu(1 + fake).mean()}


def _least_squares_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Terms:
    return {"real": 0.5 * (real - 1).square().mean(), "fake": 0.5 * fake.square().mean()}


def _wasserstein_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Terms:
    return {"real": -real.mean(), "fake": fake.mean()}


def _relativistic_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Terms:
    return {"pair": F.softplus(fake - real).mean()}


def _relativistic_generator(fake: Tensor, real: Tensor | None) -> Terms:
    assert real is not None
    return {"pair": F.softplus(real - fake).mean()}


GAMES: dict[str, Game] = {
    "non_saturating": Game(
        _non_saturating_discriminator, lambda fake, real: {"fake": F.softplus(-fake).mean()}, logits=True
    ),
    "hinge": Game(_hinge_discriminator, lambda fake, real: {"fake": -fake.mean()}),
    "least_squares": Game(_least_squares_discriminator, lambda fake, real: {"fake": 0.5 * (fake - 1).square().mean()}),
    "wasserstein": Game(_wasserstein_discriminator, lambda fake, real: {"fake": -fake.mean()}),
    "relativistic": Game(_relativistic_discriminator, _relativistic_generator, paired=True),
}
"""By name:

- `non_saturating`: ``E softplus(-D(x)) + E softplus(D(G(z)))``; ``E softplus(-D(G(z)))``. Goodfellow et al. (2014),
  eq. 1 and section 3; one-sided label smoothing by Salimans et al. (2016), arXiv:1606.03498, section 3.4.
- `hinge`: ``E max(0, 1 - D(x)) + E max(0, 1 + D(G(z)))``; ``-E D(G(z))``. Lim and Ye (2017), arXiv:1705.02894.
- `least_squares`: ``E (D(x) - 1)^2 / 2 + E D(G(z))^2 / 2``; ``E (D(G(z)) - 1)^2 / 2``. Mao et al. (2017),
  arXiv:1611.04076, eq. 9.
- `wasserstein`: ``E D(G(z)) - E D(x)``; ``-E D(G(z))``. Arjovsky et al. (2017), arXiv:1701.07875, eq. 3.
- `relativistic`: ``E softplus(D(G(z)) - D(x))``; ``E softplus(D(x) - D(G(z)))``, in pairs. Jolicoeur-Martineau (2018),
  arXiv:1807.00734; as Huang et al. (2024), arXiv:2501.05441, eq. 2, use it.

Example:
    >>> import torch
    >>> real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-2.0, 0.5])
    >>> {name: round(float(sum(game.discriminator(real, fake, 0.0).values())), 3) for name, game in GAMES.items()}
    {'non_saturating': 0.961, 'hinge': 1.25, 'least_squares': 1.562, 'wasserstein': -1.75, 'relativistic': 0.496}
"""
