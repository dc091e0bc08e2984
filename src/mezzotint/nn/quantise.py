"""Discrete codes: a codebook that follows what it codes, several of them one after the other, or a fixed grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mezzotint.nn._eager import plain_eager
from mezzotint.nn.processes import summed, together

_BLOCK = 1 << 22
"""Distances computed at once."""


def straight_through(x: Tensor, quantised: Tensor) -> Tensor:
    """`quantised` in value, with the gradient of x (Bengio et al. 2013, arXiv:1308.3432)."""
    return x + (quantised - x).detach()


def nearest(x: Tensor, vectors: Tensor) -> Tensor:
    """Which of `vectors` [K, D] is nearest to each row of x [N, D]: int64 [N]; of two equally near, the first."""
    squares = vectors.square().sum(1)
    parts = x.split(max(1, _BLOCK // len(vectors))) if plain_eager() else (x,)  # a graph has no pieces
    with torch.autocast(x.device.type, enabled=False):  # small differences of long vectors need all digits
        return torch.cat([(squares - 2 * part.to(vectors) @ vectors.t()).argmin(1) for part in parts])


class Codebook(nn.Module):
    """K vectors that move to the mean of what they stand for (van den Oord et al. 2017, arXiv:1711.00937, app. A.1).

    Each vector is a moving average of the inputs nearest to it. One that stands for fewer than `alive` inputs a batch
    is dead, and begins anew at an input drawn at random.

    Args:
        count: K.
        size: D, numbers in a vector.
        decay: what a batch leaves of the averages.
        alive: inputs of a batch, on average, below which a vector is dead.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, count: int, size: int, decay: float = 0.99, alive: float = 0.1) -> None:
        super().__init__()
        self.decay, self.alive = decay, alive
        self.register_buffer("vectors", torch.randn(count, size) / math.sqrt(size))
        self.register_buffer("counts", torch.ones(count))
        self.register_buffer("sums", self.vectors.clone())

    def forward(self, x: Tensor) -> Tensor:
        """Which vector stands for each row of x [N, D]: int64 [N]."""
        return nearest(x, self.vectors)

    def lookup(self, indices: Tensor) -> Tensor:
        """The vectors [..., D] of indices [...]."""
        return self.vectors[indices]

    @torch.no_grad()
    def begin_at(self, vectors: Tensor) -> None:
        """Take these vectors [K, D], each as if it had stood for one input."""
        self.vectors.copy_(vectors)
        self.sums.copy_(vectors)
        self.counts.fill_(1)

    @torch.no_grad()
    def follow(self, x: Tensor, indices: Tensor, chance: Tensor) -> None:
        """Move to a batch's inputs: those of all processes, where there are several.

        Args:
            x: [N, D].
            indices: what stands for each, [N].
            chance: uniform numbers [K] in [0, 1), by which dead vectors find a new place; the same in all processes.
        """
        k = len(self.vectors)
        counts = torch.zeros_like(self.counts).index_add_(0, indices, torch.ones(len(x), device=x.device))
        sums = torch.zeros_like(self.sums).index_add_(0, indices, x.to(self.sums))
        both = torch.cat((counts[:, None], sums), 1)
        inputs, both = together(x), summed(both)
        self.counts.lerp_(both[:, 0], 1 - self.decay)
        self.sums.lerp_(both[:, 1:], 1 - self.decay)
        # as if each had seen a little, so that nothing is divided by nothing
        total = self.counts.sum()
        smooth = (self.counts + 1e-5) / (total + k * 1e-5) * total
        self.vectors.copy_(self.sums / smooth[:, None])
        dead = self.counts < self.alive
        if dead.any():
            places = inputs[(chance * len(inputs)).long().clamp(max=len(inputs) - 1)].to(self.vectors)
            for state, new in ((self.vectors, places), (self.sums, places), (self.counts, torch.ones_like(counts))):
                state.copy_(torch.where(dead.view(-1, *[1] * (state.dim() - 1)), new, state))


def residual(books: Sequence[Codebook], x: Tensor) -> tuple[Tensor, Tensor]:
    """Each book codes what those before it left over (Zeghidour et al. 2021, arXiv:2107.03312, section III.C).

    Args:
        books: one after the other.
        x: [N, D].

    Returns:
        Indices [N, books], and the sum of their vectors [N, D].
    """
    rest, chosen = x, []
    for book in books:
        chosen.append(book(rest))
        rest = rest - book.lookup(chosen[-1])
    return torch.stack(chosen, 1), x - rest


class FiniteScalars(nn.Module):
    """Each number is rounded to one of a few levels: no codebook at all (Mentzer et al. 2023, arXiv:2309.15505, FSQ).

    Args:
        levels: how many each of the numbers has, at least 2; their product is the number of codes.

    Example:
        >>> grid = FiniteScalars((3, 5))
        >>> found = grid(torch.tensor([[0.1, 9.0], [-9.0, -9.0]]))
        >>> grid.indices(found).tolist(), grid.count
        ([9, 0], 15)
    """

    scale: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels, self.count = tuple(levels), math.prod(levels)
        self.register_buffer("scale", torch.tensor([(each - 1) / 2 for each in levels]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [N, D] bounded by a tanh and rounded: values from -1 to 1 [N, D], with the gradient of the tanh."""
        even = (self.scale % 1) != 0  # an even number of levels has none at zero
        shift = torch.where(even, 0.5, 0.0)
        bounded = torch.tanh(x) * (self.scale + 0.499 * even) - shift
        return (straight_through(bounded, bounded.round()) + shift).clamp(-self.scale, self.scale) / self.scale

    def indices(self, values: Tensor) -> Tensor:
        """Codes int64 [N], 0 to count - 1, of values [N, D] that `forward` gives."""
        digits = ((values.detach() + 1) * self.scale).round().long()
        weights = [math.prod(self.levels[k + 1 :]) for k in range(len(self.levels))]
        return (digits * torch.tensor(weights, device=values.device)).sum(1)

    def lookup(self, indices: Tensor) -> Tensor:
        """Values [..., D] of codes [...]: the inverse of `indices`."""
        digits = []
        for each in reversed(self.levels):
            digits.append(indices % each)
            indices = indices // each
        return torch.stack(digits[::-1], -1).to(self.scale) / self.scale - 1


def perplexity(indices: Tensor, count: int) -> Tensor:
    """How many of `count` codes are in use, as the exponential of the entropy of indices [...]: 1 to count.

    Example:
        >>> perplexity(torch.tensor([0, 1, 2, 3]), 8).item()
        4.0
    """
    share = torch.bincount(indices.flatten(), minlength=count).float() / indices.numel()
    return torch.exp(-torch.special.xlogy(share, share).sum())
