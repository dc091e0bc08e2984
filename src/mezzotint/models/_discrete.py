"""The networks of models with a map of discrete codes, and what stands between the two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mezzotint.engine.draw import Draw
from mezzotint.nn.coders import Shape
from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d
from mezzotint.nn.norm import BatchNorm2d
from mezzotint.nn.quantise import Codebook, FiniteScalars, residual, straight_through
from mezzotint.nn.sizes import cut, even


class ResidualBlock(nn.Module):
    """x [N, C, h, w] -> x + conv1x1(relu(conv3x3(relu(x)))), as in the paper (section 4.1)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = FastConv2d(width, width, 3, padding=1)
        self.out = FastConv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(torch.relu(self.wide(torch.relu(x))))


def _sizes(shape: Shape, cell: int) -> list[tuple[int, int]]:
    """Heights and widths from the map of codes to the picture: halved, rounding up, until a pixel is a cell."""
    halvings = int(math.log2(cell))
    return [(math.ceil(shape[1] / 2**k), math.ceil(shape[2] / 2**k)) for k in range(halvings, -1, -1)]


class CodeEncoder(nn.Module):
    """Pictures [N, C, H, W] -> vectors [N, size, h, w] of mean 0 and variance 1 over the batch; h = ceil(H / cell).

    Args:
        shape: (C, H, W) of the pictures.
        cell: pixels that a vector stands for, each way: a power of 2.
        width: channels.
        blocks: residual blocks, at the size of the map.
        size: numbers in a vector.
    """

    def __init__(self, shape: Shape, cell: int, width: int, blocks: int, size: int) -> None:
        super().__init__()
        self.sizes = _sizes(shape, cell)
        channels = [shape[0], *[width] * (len(self.sizes) - 1)]
        self.downs = nn.ModuleList(FastConv2d(a, b, 4, 2, 1) for a, b in pairwise(channels))
        self.middle = FastConv2d(width, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        self.head = FastConv2d(width, size, 1, bias=False)  # the normalisation takes the mean away
        self.norm = BatchNorm2d(size, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        for down in self.downs:
            x = torch.relu(down(even(x)))
        normed: Tensor = self.norm(self.head(torch.relu(self.blocks(self.middle(x)))))
        return normed.float()


class CodeDecoder(nn.Module):
    """Vectors [N, size, h, w] -> pictures [N, C, H, W], around [-1, 1]; the encoder's mirror."""

    def __init__(self, shape: Shape, cell: int, width: int, blocks: int, size: int) -> None:
        super().__init__()
        self.sizes = _sizes(shape, cell)
        self.first = FastConv2d(size, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
        channels = [*[width] * (len(self.sizes) - 1), shape[0]]
        self.ups = nn.ModuleList(FastConvTranspose2d(a, b, 4, 2, 1) for a, b in pairwise(channels))

    def forward(self, vectors: Tensor) -> Tensor:
        x = self.blocks(self.first(vectors))
        for up, size in zip(self.ups, self.sizes[1:], strict=True):
            x = cut(up(torch.relu(x)), size)
        return x.float()


class Quantiser(nn.Module):
    """Maps of vectors [N, D, h, w] -> codes int64 [N, h, w, books], and the vectors that stand for them.

    Args:
        size: D of codebooks.
        books: (how many, codes in each); empty for finite scalars.
        levels: of the finite scalars.
        decay: of the codebooks' averages.

    Attributes:
        count: values of a code.
        books: codes at each place.
        size: D; of finite scalars the number of levels.
    """

    def __init__(self, size: int, books: Sequence[int], levels: Sequence[int], decay: float) -> None:
        super().__init__()
        self.books, self.count = tuple(books) or (1, math.prod(levels))
        self.size = len(levels) or size
        self.scalars: Any = FiniteScalars(levels) if levels else None
        self.codebooks: Any = nn.ModuleList(
            Codebook(self.count, size, decay) for _ in range(0 if levels else self.books)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [N, D, h, w] -> codes int64 [N, h, w, books], and quantised vectors [N, D, h, w] with the gradient of x."""
        rows = _rows(x)
        if self.scalars is not None:
            quantised = self.scalars(rows)
            codes = self.scalars.indices(quantised)[:, None]
        else:
            codes, found = residual(list(self.codebooks), rows.detach())
            quantised = straight_through(rows, found)
        return _placed(codes, x).permute(0, 2, 3, 1), _placed(quantised, x)

    def lookup(self, codes: Tensor) -> Tensor:
        """Vectors [N, D, h, w] of codes int64 [N, h, w, books]."""
        if self.scalars is not None:
            return self.scalars.lookup(codes[..., 0]).permute(0, 3, 1, 2)
        parts = [book.lookup(codes[..., b]) for b, book in enumerate(self.codebooks)]
        return torch.stack(parts).sum(0).permute(0, 3, 1, 2)

    @torch.no_grad()
    def follow(self, x: Tensor, draw: Draw) -> None:
        """Codebooks move to a batch of vectors [N, D, h, w]."""
        rest = _rows(x.detach())
        for book in self.codebooks:
            codes = book(rest)
            left = rest - book.lookup(codes)
            chance = torch.from_numpy(draw.generator.random(self.count, dtype="float32")).to(x.device)
            book.follow(rest, codes, chance)
            rest = left

    @torch.no_grad()
    def begin_at(self, x: Tensor) -> None:
        """Codebooks begin at some of the vectors [N, D, h, w], evenly chosen, and at what is left over of them."""
        rest = _rows(x)
        for book in self.codebooks:
            book.begin_at(rest[torch.arange(self.count, device=x.device) * len(rest) // self.count])
            rest = rest - book.lookup(book(rest))


def _rows(x: Tensor) -> Tensor:
    """[N, D, h, w] -> [N * h * w, D]."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _placed(rows: Tensor, like: Tensor) -> Tensor:
    """[N * h * w, E] -> [N, E, h, w]."""
    n, _, height, width = like.shape
    return rows.unflatten(0, (n, height, width)).permute(0, 3, 1, 2)
