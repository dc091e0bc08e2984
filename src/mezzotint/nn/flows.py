"""Normalising flows: invertible maps to a standard normal, whose density is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STEEPEST = 3.0
"""Largest log scale of one layer, either way."""


class MaskedLinear(nn.Linear):
    """A linear layer some of whose weights are held at zero.

    Args:
        mask: [outputs, inputs], True where there is a weight.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


class MADE(nn.Module):
    """x [N, D] -> shift and log scale [N, D] each, of which those of x_i depend on x_1 ... x_{i-1} only.

    (Germain et al. 2015, arXiv:1502.03509.) A unit of a hidden layer has a degree d from 0 to D - 1, and sees the first
    d inputs, or the hidden units of no higher degree.

    Args:
        size: D.
        hidden: units of the hidden layers.
        classes: how many there are, where the class is told too.
    """

    def __init__(self, size: int, hidden: Sequence[int], classes: int = 0) -> None:
        super().__init__()
        degrees = [torch.arange(1, size + 1), *(torch.arange(width) % size for width in hidden)]
        masks = [later[:, None] >= earlier for earlier, later in pairwise(degrees)]
        last = (degrees[0][:, None] > degrees[-1]).repeat(2, 1)
        self.layers: Any = nn.ModuleList(MaskedLinear(mask) for mask in masks)
        self.embed = nn.Linear(classes, hidden[0], bias=False) if classes else None
        self.last = MaskedLinear(last)
        nn.init.zeros_(self.last.weight)  # the flow begins as the identity
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        first, *others = self.layers
        h = first(x)
        if self.embed is not None and classes is not None:
            h = h + self.embed(classes)
        for layer in others:
            h = layer(F.relu(h))
        shift, log_scale = self.last(F.relu(h)).chunk(2, 1)
        return shift, _STEEPEST * torch.tanh(log_scale / _STEEPEST)


class MaskedAutoregressiveFlow(nn.Module):
    """Layers u_i = (x_i - shift_i) exp(-log scale_i), each of a `MADE`, between which the order is turned round.

    (Papamakarios et al. 2017, arXiv:1705.07057, eq. 3 and 4; without its batch normalisation.)

    Args:
        size: D.
        layers: how many.
        hidden: units of each one's hidden layers.
        classes: how many there are, where the density is of x given a class.

    Example:
        >>> flow = MaskedAutoregressiveFlow(3, 2, (8,))
        >>> u, log_slope = flow(torch.ones(1, 3))
        >>> u.tolist(), log_slope.tolist()
        ([[1.0, 1.0, 1.0]], [0.0])
    """

    def __init__(self, size: int, layers: int, hidden: Sequence[int], classes: int = 0) -> None:
        super().__init__()
        self.layers: Any = nn.ModuleList(MADE(size, hidden, classes) for _ in range(layers))

    def forward(self, x: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x [N, D], one-hot classes [N, K] -> u [N, D] and log |du / dx| [N]."""
        slope = x.new_zeros(len(x))
        for layer in self.layers:
            shift, log_scale = layer(x, classes)
            x = ((x - shift) * torch.exp(-log_scale)).flip(1)
            slope = slope - log_scale.sum(1)
        return x, slope

    def inverse(self, u: Tensor, classes: Tensor | None = None) -> Tensor:
        """The x [N, D] of u [N, D]: one value after the other, so D times as much work as `forward`."""
        for layer in reversed(self.layers):
            u, x = u.flip(1), torch.zeros_like(u)
            for i in range(u.shape[1]):
                shift, log_scale = layer(x, classes)
                x = torch.cat((x[:, :i], (u * torch.exp(log_scale) + shift)[:, i : i + 1], x[:, i + 1 :]), 1)
            u = x
        return u
