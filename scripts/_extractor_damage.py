"""Damage to pictures at a growing severity, for training the extractor: x [N, 3, 32, 32] in 0..1, s [N] in 0..1.

Severity 1 is about equally bad for the eye in every kind. With equally seeded generators, two severities
get the same noise, the same blocks, the same warp: one picture, damaged more and more.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Damage = Callable[[Tensor, Tensor, Generator], Tensor]


def blur(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    sigma = (0.25 + 2.25 * s)[:, None]
    at = torch.arange(-6, 7.0)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    flat = F.pad(x.flatten(0, 1)[None], (6, 6, 6, 6), mode="reflect")
    flat = F.conv2d(flat, kernel[:, None, None], groups=len(kernel))
    return F.conv2d(flat, kernel[:, None, :, None], groups=len(kernel))[0].unflatten(0, x.shape[:2])


def noise(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    grain = torch.randn(x.shape, generator=g)
    grey = torch.rand(len(x), 1, 1, 1, generator=g) < 0.5
    return x + 0.3 * _wide(s) * torch.where(grey, grain[:, :1], grain)


def impulses(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    hit = torch.rand(len(x), 1, *x.shape[2:], generator=g) < 0.25 * _wide(s)
    return torch.where(hit, torch.rand(x.shape, generator=g).round(), x)


def swap(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    """Cells of a grid change places; one size of cell a call."""
    side = (4, 8, 16)[int(torch.randint(3, (), generator=g))]
    cells = F.unfold(x, side, stride=side)
    count = cells.shape[2]
    order = torch.rand(len(x), count, generator=g).argsort(1)
    moved = (2 + s[:, None] * (count - 2)).round().long()
    place = torch.arange(count).expand(len(x), count)
    follower = torch.where(place < moved, (place + 1) % moved, place)
    source = torch.empty_like(order).scatter_(1, order, order.gather(1, follower))
    cells = cells.gather(2, source[:, None].expand_as(cells))
    return F.fold(cells, x.shape[2:], side, stride=side)


def contrast(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    up = torch.rand(len(x), 1, 1, 1, generator=g) < 0.3
    factor = torch.where(up, 1 + 4 * _wide(s), 1 - 0.85 * _wide(s))
    centre = torch.where(up, torch.full_like(factor, 0.5), x.mean((1, 2, 3), keepdim=True))
    return (x - centre) * factor + centre


def light(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    sign = torch.rand(len(x), 1, 1, 1, generator=g).sub(0.5).sign()
    return x + 0.5 * sign * _wide(s)


def colour(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    """Each channel scaled and shifted by its own amount."""
    gain = 1 + _wide(s) * (torch.rand(len(x), 3, 1, 1, generator=g) - 0.7)
    return x * gain + 0.35 * _wide(s) * (torch.rand(len(x), 3, 1, 1, generator=g) - 0.5)


def quantise(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    """As JPEG does: the cosine coefficients of 8 x 8 blocks, rounded more coarsely towards high frequencies."""
    k = torch.arange(8.0)
    basis = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) * 0.5
    basis[0] *= math.sqrt(0.5)
    blocks = x.unflatten(3, (4, 8)).unflatten(2, (4, 8)).transpose(3, 4)
    step = s.view(-1, 1, 1, 1, 1, 1) * (0.1 + 0.13 * (k[:, None] + k[None]))
    values = basis @ blocks @ basis.T
    values = (values / step.clamp_min(1e-3)).round() * step.clamp_min(1e-3)
    return (basis.T @ values @ basis).transpose(3, 4).flatten(4, 5).flatten(2, 3)


def hole(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    """A box of one colour hides a part."""
    side = 32 * (0.12 + 0.6 * s)
    corner = torch.rand(len(x), 2, generator=g) * (32 - side)[:, None]
    at = torch.arange(32.0)
    inside = [(at >= corner[:, k, None]) & (at < (corner[:, k] + side)[:, None]) for k in (0, 1)]
    box = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return torch.where(box, torch.rand(len(x), 3, 1, 1, generator=g), x)


def warp(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    coarse = torch.randn(len(x), 2, 5, 5, generator=g)
    moves = F.interpolate(coarse, x.shape[2:], mode="bicubic", align_corners=True)
    grid = _grid(x) + (0.22 * _wide(s) * moves).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def turn(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    sign = torch.rand(len(x), generator=g).sub(0.5).sign()
    angle = sign * s * math.pi / 2
    rows = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    grid = _grid(x) @ rows[:, None]
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def mix(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    """Another picture shows through, as between two modes."""
    other = x.roll(1 + int(torch.randint(len(x) - 1, (), generator=g)), 0)
    return x.lerp(other, 0.5 * _wide(s))


def pattern(x: Tensor, s: Tensor, g: Generator) -> Tensor:
    """The chequered trace of transposed convolutions; one period a call."""
    period = (2, 4)[int(torch.randint(2, (), generator=g))]
    at = torch.arange(32)
    board = ((at[:, None] // (period // 2) + at // (period // 2)) % 2).float() * 2 - 1
    return x + 0.2 * _wide(s) * board


KINDS: dict[str, Damage] = {
    each.__name__: each
    for each in (blur, noise, impulses, swap, contrast, light, colour, quantise, hole, warp, turn, mix, pattern)
}


def apply(kind: str, x: Tensor, s: Tensor, seed: int) -> Tensor:
    """Damage `x`, clamped and rounded to the 256 values that a saved picture has."""
    damaged = KINDS[kind](x, s, torch.Generator().manual_seed(seed))
    return (damaged.clamp(0, 1) * 255).round() / 255


def _wide(s: Tensor) -> Tensor:
    return s.view(-1, 1, 1, 1)


def _grid(x: Tensor) -> Tensor:
    identity = torch.eye(2, 3)[None].expand(len(x), 2, 3)
    return F.affine_grid(identity, list(x.shape), align_corners=False)
