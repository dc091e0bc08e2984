"""The networks that read codes from pictures: a discriminator that tells its features, and Q's own layers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.models._convolutional import Discriminator
from mezzotint.nn.fastconv import FastConv2d
from mezzotint.nn.norm import BatchNorm2d

_HIDDEN = 128


class SharedDiscriminator(Discriminator):
    """A discriminator that tells its features too."""

    def forward(self, pictures: Tensor, labels: Tensor | None = None, share: bool = False) -> Tensor:
        """Scores [N], or with `share` (scores [N], features [N, *features_shape])."""
        features = self.features(pictures, labels)
        scores = self.judged(features, labels)
        return (scores, features) if share else scores  # type: ignore[return-value]


class Recognition(nn.Module):
    """Q's own layers: the discriminator's features [N, *shape] -> [N, outputs].

    A fully connected layer of 128 units, batch normalisation, LeakyReLU(0.1), and the outputs (the paper's table 1).
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        self.hidden = FastConv2d(shape[0], _HIDDEN, shape[1:], bias=False)
        self.norm = BatchNorm2d(_HIDDEN)
        self.last = FastConv2d(_HIDDEN, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        hidden = F.leaky_relu(self.norm(self.hidden(features)), 0.1)
        outputs: Tensor = self.last(hidden)
        return outputs.flatten(1).float()
