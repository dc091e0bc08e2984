"""What `mezzotint.nn.augment` is made of: draws, the maps of places and of colours, and how they are applied."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class Draws:
    """Hands out the columns of uniform numbers one after another, so that each part always has the same ones."""

    def __init__(self, uniform: Tensor, p: Tensor, chosen: frozenset[str]) -> None:
        self.p, self._chosen = p, chosen
        self._uniform = iter(uniform.unbind(1))
        # Float32 draws are multiples of 2^-24; the bounds keep 0 and what rounds to 1 finite.
        self._normal = iter(torch.special.ndtri(uniform.clamp(2.0**-25, 1 - 2.0**-24)).unbind(1))

    def happens(self, name: str, p: Tensor | None = None) -> Tensor:
        """For which pictures, bool [N]; p is that of all parts unless given."""
        drawn = self.uniform() < (self.p if p is None else p)
        return drawn if name in self._chosen else torch.zeros_like(drawn)

    def uniform(self) -> Tensor:
        """In [0, 1) [N]."""
        next(self._normal)
        return next(self._uniform)

    def normal(self) -> Tensor:
        """Standard normal [N], by the inverse of its distribution function."""
        next(self._uniform)
        return next(self._normal)


def inverse_geometry(draws: Draws, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where each pixel comes from: linear [N, 2, 2] and offset [N, 2], in pixels (x, y) from the centre.

    A point of the result goes back through the last transformation first, so each inverse is multiplied from the right.
    """
    flip = draws.happens("flip") & (draws.uniform() < 0.5)
    mirror = torch.where(flip, -1.0, 1.0).to(draws.p.dtype)
    linear = _diagonal(mirror, torch.ones_like(mirror))
    turn = torch.where(draws.happens("quarter_turn"), (4 * draws.uniform()).floor(), 0.0)
    if height == width:
        linear = _times(linear, _rotation(_one(turn == 0) - _one(turn == 2), _one(turn == 1) - _one(turn == 3)))

    sides = torch.tensor([width, height], dtype=mirror.dtype, device=mirror.device)
    moves = draws.happens("shift")
    pixels = (torch.stack((draws.uniform(), draws.uniform()), 1) * 2 - 1).mul(sides / 8).round() * moves[:, None]
    offset = -_times(linear, pixels[:, :, None])[:, :, 0]

    # A factor of 2^z is as likely as its inverse, and an angle as its negative: the inverse is what is drawn.
    factor = _factor(draws, "scale", 0.2)
    linear = _times(_times(linear, _diagonal(factor, factor)), _turn(draws))
    factor = _factor(draws, "stretch", 0.2)
    linear = _times(_times(linear, _diagonal(factor, 1 / factor)), _turn(draws))

    moves = draws.happens("fraction")
    pixels = torch.stack((draws.normal(), draws.normal()), 1) * (sides / 8) * moves[:, None]
    return linear, offset - _times(linear, pixels[:, :, None])[:, :, 0]


def small_geometry(u: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """As `inverse_geometry`, of small deformations; u: [N, 6] in [-1, 1]."""
    angle, slant = math.radians(20) * u[:, 0], 0.3 * u[:, 1]
    one, none = torch.ones_like(slant), torch.zeros_like(slant)
    slanted = torch.stack((one, slant, none, one), 1).unflatten(1, (2, 2))
    linear = _times(_rotation(angle.cos(), angle.sin()), slanted)
    linear = _times(linear, _diagonal(torch.exp2(0.3 * u[:, 2]), torch.exp2(0.3 * u[:, 3])))
    return linear, 0.1 * u[:, 4:6] * torch.tensor([width, height], dtype=u.dtype, device=u.device)


def colours(draws: Draws) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The numbers of `recolour`, each [N].

    All five parts leave the grey axis and the plane of colours across it apart, so their product is known at once.
    """
    brightness = torch.where(draws.happens("brightness"), 0.2 * draws.normal(), 0.0)
    contrast = _factor(draws, "contrast", 0.5)
    flips = draws.happens("luma_flip") & (draws.uniform() < 0.5)
    luma = torch.where(flips, -contrast, contrast)
    angle = torch.where(draws.happens("hue"), 2 * math.pi * draws.uniform(), 0.0)
    chroma = contrast * _factor(draws, "saturation", 1.0)
    return luma, chroma * angle.cos(), chroma * angle.sin(), luma * brightness


def recolour(pictures: Tensor, luma: Tensor, chroma: Tensor, turned: Tensor, offset: Tensor) -> Tensor:
    """A linear map of each pixel's colour x, without its alpha, that treats all channels alike:

        luma m + chroma (x - m) + turned (v x x) + offset,   m the mean of the channels, v = (1, 1, 1) / sqrt(3)

    Args:
        pictures: [N, C, H, W].
        luma, chroma, turned, offset: [N]; `chroma` and `turned` have no effect on grey pictures.
    """
    count = hues(pictures)
    offset = offset[:, None, None, None]
    if count == 1:
        out = luma[:, None, None, None] * pictures[:, :1] + offset
    else:
        eye = torch.eye(3, dtype=luma.dtype, device=luma.device)
        cross = (eye.roll(-1, 0) - eye.roll(1, 0)).mT / math.sqrt(3)
        luma, chroma, turned = (each[:, None, None] for each in (luma, chroma, turned))
        # Written so that it is exactly the unit matrix where nothing happens.
        matrix = chroma * eye + (luma - chroma) / 3 + turned * cross
        out = _of_each_pixel(pictures[:, :3], matrix) + offset
    return out if count == pictures.shape[1] else torch.cat((out, pictures[:, count:]), 1)


class _OfEachPixel(torch.autograd.Function):
    """matrix [N, C, C] times the colours of pictures [N, C, H, W]; differentiable by the pictures, any number of times.

    A batched product is several times as fast as broadcasting, but autocast would round it, in its derivatives too.
    """

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, matrix: Tensor) -> Tensor:
        ctx.save_for_backward(matrix)
        with torch.autocast(pictures.device.type, enabled=False):
            return torch.bmm(matrix, pictures.flatten(2)).view(pictures.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (matrix,) = ctx.saved_tensors
        return _of_each_pixel(gradient, matrix.mT), None


def _of_each_pixel(pictures: Tensor, matrix: Tensor) -> Tensor:
    out: Tensor = _OfEachPixel.apply(pictures, matrix)  # type: ignore[no-untyped-call]
    return out


def resample(pictures: Tensor, linear: Tensor, offset: Tensor) -> Tensor:
    """Each pixel of the result from linear (x, y) + offset, bilinear; the picture is mirrored at its outer pixels."""
    height, width = pictures.shape[2:]
    x, y = (torch.arange(side, dtype=linear.dtype, device=linear.device) - (side - 1) / 2 for side in (width, height))
    half = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=linear.dtype, device=linear.device)
    columns = x[:, None] * linear[:, None, :, 0] / half
    rows = (y[:, None] * linear[:, None, :, 1] + offset[:, None]) / half
    grid = columns[:, None] + rows[:, :, None]
    out = F.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=True)
    # What is not moved at all stays free of the rounding of coordinates.
    same = (linear == torch.eye(2, dtype=linear.dtype, device=linear.device)).all((1, 2)) & (offset == 0).all(1)
    return torch.where(same[:, None, None, None], pictures, out)


def move_and_cut(pictures: Tensor, u: Tensor, move: bool, cut: bool) -> Tensor:
    """DiffAugment's translation and cutout; u: [N, 4]. Each pixel is one of the picture's, or zero."""
    height, width = pictures.shape[2:]
    from_y, seen_y, cut_y = _axis(height, u[:, 1], u[:, 3], move)
    from_x, seen_x, cut_x = _axis(width, u[:, 0], u[:, 2], move)
    seen = seen_y[:, :, None] & seen_x[:, None, :]
    if cut:
        seen = seen & ~(cut_y[:, :, None] & cut_x[:, None, :])
    out = pictures
    if move:
        index = (from_y[:, :, None] * width + from_x[:, None, :]).flatten(1)[:, None]
        out = pictures.flatten(2).gather(2, index.expand(-1, pictures.shape[1], -1)).unflatten(2, (height, width))
    return out * seen[:, None]


def _axis(side: int, u_move: Tensor, u_cut: Tensor, move: bool) -> tuple[Tensor, Tensor, Tensor]:
    """For each place of one axis: where it comes from, whether that is in the picture, whether it is cut; [N, side]."""
    place = torch.arange(side, device=u_move.device)
    most, hole = int(side / 8 + 0.5), int(side / 2 + 0.5)
    shift = (u_move * (2 * most + 1)).floor().long()[:, None] - most if move else 0
    origin = (place - shift).expand(len(u_move), side)
    # The hole's centre is anywhere in the picture, its rest may lie outside.
    start = (u_cut * (side + 1 - hole % 2)).floor().long()[:, None] - hole // 2
    is_cut = (place >= start) & (place < start + hole)
    return origin.clamp(0, side - 1), (origin >= 0) & (origin < side), is_cut


def _factor(draws: Draws, name: str, octaves: float) -> Tensor:
    """2 to the power of a normal number of this standard deviation; 1 where it does not happen; [N]."""
    return torch.where(draws.happens(name), torch.exp2(octaves * draws.normal()), 1.0)


def _turn(draws: Draws) -> Tensor:
    """One of the two rotations, which together happen with probability p; [N, 2, 2]."""
    happens = draws.happens("rotation", 1 - (1 - draws.p).sqrt())
    angle = torch.where(happens, 2 * math.pi * draws.uniform(), 0.0)
    return _rotation(angle.cos(), angle.sin())


def _rotation(cos: Tensor, sin: Tensor) -> Tensor:
    return torch.stack((cos, -sin, sin, cos), 1).unflatten(1, (2, 2))


def _diagonal(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack((x, y), 1))


def _times(a: Tensor, b: Tensor) -> Tensor:
    """a b of small matrices, exact where they hold only -1, 0 and 1, under autocast too."""
    return (a[:, :, :, None] * b[:, None, :, :]).sum(2)


def _one(holds: Tensor) -> Tensor:
    return holds.to(torch.float32)


def hues(pictures: Tensor) -> int:
    """How many channels are not alpha."""
    return 3 if pictures.shape[1] >= 3 else 1


def in_order_of(pictures: Tensor, out: Tensor) -> Tensor:
    """`out` in the memory order of `pictures`."""
    if pictures.is_contiguous() or not pictures.is_contiguous(memory_format=torch.channels_last):
        return out.contiguous()
    return out.contiguous(memory_format=torch.channels_last)
