"""Gated PixelCNN: what is at each place of a map, given those above it and to its left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Place = Callable[[Tensor, int, int], Tensor]
"""(features [N, C], row, column) -> what stands there, embedded [N, C, 1, 1]."""
Choose = Callable[[Tensor, int], Tensor]
"""(logits [N, K], place 0, 1 ... in the order of a page, books innermost) -> codes int64 [N]."""


def _gated(x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    """One layer of both stacks (van den Oord et al. 2016, arXiv:1606.05328, figure 2).

    The vertical stack sees the rows above, the horizontal one the places to the left in its own row, and the vertical
    stack. Both are residual here. The last layer's vertical stack leads nowhere else.
    """

    def __init__(self, width: int, given: int, last: bool) -> None:
        super().__init__()
        self.vertical = nn.Conv2d(width, 2 * width, (2, 3), padding=(0, 1))
        self.vertical_out = None if last else nn.Conv2d(width, width, 1)
        self.down = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = nn.Conv2d(width, 2 * width, (1, 2))
        self.horizontal_out = nn.Conv2d(width, width, 1)
        self.told = nn.Conv2d(given, 4 * width, 1, bias=False) if given else None

    def above(self, rows: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """The vertical stack: rows [N, C, R + 1, W] -> its output [N, C, R, W], and what the other stack sees of it.

        `given`: [N, G, R, W], or [N, G, 1, 1] where it is the same everywhere.
        """
        x, after = self.vertical(rows), rows[:, :, 1:]
        below = self.down(x)
        if self.told is not None:
            mine, other = self.told(given).chunk(2, 1)
            x, below = x + mine, below + other
        return after if self.vertical_out is None else after + self.vertical_out(_gated(x)), below

    def beside(self, columns: Tensor, below: Tensor) -> Tensor:
        """The horizontal stack: columns [N, C, H, S + 1] and `above`'s second part [N, 2C, H, S] -> [N, C, H, S]."""
        return columns[..., 1:] + self.horizontal_out(_gated(self.horizontal(columns) + below))


class GatedStacks(nn.Module):
    """Maps [N, C, H, W] -> features [N, C, H, W], each of the places before it in the order of a page.

    Args:
        width: C.
        layers: of the two stacks.
        given: channels G of a map that every place may see all of; 0: there is none.
    """

    def __init__(self, width: int, layers: int, given: int = 0) -> None:
        super().__init__()
        self.width = width
        self.layers: Any = nn.ModuleList(GatedLayer(width, given, k == layers - 1) for k in range(layers))

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        v, h = F.pad(x, (0, 0, 1, -1)), F.pad(x, (1, -1))  # a row down; a place to the right
        for layer in self.layers:
            v, below = layer.above(F.pad(v, (0, 0, 1, 0)), given)
            h = layer.beside(F.pad(h, (1, 0)), below)
        return torch.relu(h)

    def walk(self, size: tuple[int, int], place: Place, n: int, given: Tensor | None = None) -> None:
        """What `forward` computes, place after place, each part of it once.

        Args:
            size: (H, W).
            place: (features [n, C], row, column) -> what stands there, embedded [n, C, 1, 1].
            n: maps at a time.
            given: as in `forward`.
        """
        height, width = size
        zeros = self.layers[0].down.weight.new_zeros
        rows = [zeros(n, self.width, 1, width) for _ in self.layers]  # the last row that each layer saw
        v = zeros(n, self.width, 1, width)
        for i in range(height):
            mine = given if given is None or given.shape[2] == 1 else given[:, :, i : i + 1]
            belows = []
            for k, layer in enumerate(self.layers):
                seen, rows[k] = torch.cat((rows[k], v), 2), v
                v, below = layer.above(seen, mine)
                belows.append(below)
            columns = [zeros(n, self.width, 1, 1) for _ in self.layers]
            h = zeros(n, self.width, 1, 1)
            row = []
            for j in range(width):
                for k, layer in enumerate(self.layers):
                    seen, columns[k] = torch.cat((columns[k], h), 3), h
                    h = layer.beside(seen, belows[k][..., j : j + 1])
                h = place(torch.relu(h).flatten(1), i, j)
                row.append(h)
            v = torch.cat(row, 3)


class PixelCNN(nn.Module):
    """p(codes) of maps [H, W] of codes, several `books` of them at each place, as a product over places:

        log p(c) = sum_i log p(c_i | c_1 ... c_{i-1})                         (eq. 1 of van den Oord et al. 2016)

    in the order of a page; at one place the books follow each other.

    Args:
        count: K, values of a code.
        books: codes at each place.
        width: channels.
        layers: of the two stacks.
        classes: how many there are, where it shall know the class.
    """

    def __init__(self, count: int, books: int = 1, width: int = 64, layers: int = 4, classes: int = 0) -> None:
        super().__init__()
        self.classes = classes
        self.embeds: Any = nn.ModuleList(nn.Embedding(count, width) for _ in range(books))
        self.stacks = GatedStacks(width, layers, classes)
        for layer in self.stacks.layers if classes else ():
            nn.init.normal_(layer.told.weight)  # a class is an embedding
        self.before = nn.ModuleList(nn.Embedding(count, width) for _ in range(books - 1))
        self.heads: Any = nn.ModuleList(nn.Linear(width, count) for _ in range(books))

    def embedded(self, codes: Tensor) -> Tensor:
        """int64 [N, H, W, books] -> [N, C, H, W]."""
        parts = [embed(codes[..., b]) for b, embed in enumerate(self.embeds)]
        return torch.stack(parts).sum(0).permute(0, 3, 1, 2)

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits [N, H, W, books, K] of codes int64 [N, H, W, books], each from those before it; labels int64 [N]."""
        features = self.stacks(self.embedded(codes), self._given(labels)).permute(0, 2, 3, 1)
        found = []
        for b, head in enumerate(self.heads):
            found.append(head(features))
            if b < len(self.before):
                features = features + self.before[b](codes[..., b])
        return torch.stack(found, 3)

    def walk(self, size: tuple[int, int], choose: Choose, n: int, labels: Tensor | None = None) -> Tensor:
        """Codes int64 [n, H, W, books], chosen one after the other.

        Args:
            size: (H, W).
            choose: says each code, given its logits.
            n: maps at a time.
            labels: int64 [n].
        """
        codes = torch.zeros(n, *size, len(self.heads), dtype=torch.int64, device=self.heads[0].weight.device)

        def place(features: Tensor, i: int, j: int) -> Tensor:
            for b, head in enumerate(self.heads):
                codes[:, i, j, b] = choose(head(features), (i * size[1] + j) * len(self.heads) + b)
                if b < len(self.before):
                    features = features + self.before[b](codes[:, i, j, b])
            return self.embedded(codes[:, i : i + 1, j : j + 1])

        self.stacks.walk(size, place, n, self._given(labels))
        return codes

    def _given(self, labels: Tensor | None) -> Tensor | None:
        """The class as a map of one place, one-hot [N, classes, 1, 1]; None where it knows none."""
        if not self.classes:
            return None
        assert labels is not None
        return F.one_hot(labels, self.classes).to(self.heads[0].weight.dtype)[:, :, None, None]
