"""What models with an exact density share, which are fitted in passes and in double precision."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mezzotint.engine.advice import Choice
from mezzotint.engine.model import PictureSpec
from mezzotint.engine.phase import Turn
from mezzotint.models._coded import Coded
from mezzotint.nn.likelihoods import LEVELS

_BATCH = 1024


class Fitted(Coded):
    """A density of the values of pictures, whose estimates are buffers in double precision.

    A subclass has `passes`, `log_p`, and `like`, any of its estimates.
    """

    doubles = True

    @property
    def like(self) -> Tensor:
        """A tensor of the device and the precision in which it computes."""
        raise NotImplementedError

    def log_p(self, x: Tensor) -> Tensor:
        """log p(x) in nats [N] of values [N, D]."""
        raise NotImplementedError

    @classmethod
    def advise(cls, pictures: int, spec: PictureSpec, device: torch.device) -> Sequence[Choice]:
        """Batches as large as products of matrices like them."""
        return (Choice("train", "batch_size", min(_BATCH, pictures), "what is fitted hardly depends on it"),)

    def values(self, pictures: Tensor) -> Tensor:
        """Pictures [N, C, H, W] -> [N, D], in the precision of the model, which is double."""
        return pictures.flatten(1).to(self.like)

    def validation_loss(self, turn: Turn) -> Tensor:
        """-log p(x), the mean over held-out pictures, in nats."""
        return -self.log_p(self.values(turn.pictures)).mean()

    @torch.no_grad()
    def log_likelihood(self, pictures: Tensor, seed: int = 0) -> Tensor:
        """log p(x) in nats [N], exactly; nothing is drawn. A conditional model's classes are summed out."""
        return self.log_p(self.values(self.check_pictures(pictures))).float()

    def bits_per_dim(self, nats: Tensor) -> Tensor:
        """Bits for each pixel value [N], from log-likelihoods in nats [N]; a level's width, 2 / 255, turns a density
        into the probability of a grey level."""
        return -nats / (self.spec.values * math.log(2)) + math.log2((LEVELS - 1) / 2)
