"""Style as the mean and the deviation of features: adaptive instance normalisation (Huang and Belongie 2017)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mezzotint.nn._eager import plain_eager

EPS = 1e-5


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    x = features.float()
    mean = x.mean((2, 3))
    variance = (x - mean[:, :, None, None]).square().mean((2, 3))
    return mean, (variance + EPS).sqrt()


class _Moments(torch.autograd.Function):
    """Whose gradient for all places is one line through the features, in their number format and order of memory.

    Through the operators of `_moments` it is five passes over float32 in another order, a third of AdaIN's step.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, deviation = _moments(features)
        ctx.save_for_backward(features, mean, deviation)
        return mean, deviation

    @staticmethod
    def backward(ctx: Any, of_mean: Tensor, of_deviation: Tensor) -> Tensor:
        features, mean, deviation = ctx.saved_tensors
        places = features.shape[2] * features.shape[3]
        slope = of_deviation / (places * deviation)
        level = of_mean / places - slope * mean
        parts = zip(features.split(1), slope[:, :, None, None].split(1), level[:, :, None, None].split(1), strict=True)
        return torch.cat([torch.addcmul(b, x.float(), a).to(x.dtype) for x, a, b in parts])


def moments(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean and deviation over space of each channel (eqs. 5 and 6).

    Args:
        features: [N, F, h, w].
        weights: [N or 1, 1, h, w] of each place, not negative; all alike when left out.

    Returns:
        [N, 2, F]: sqrt(variance + 1e-5) is the deviation.

    Example:
        >>> moments(torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)).flatten().round(decimals=3).tolist()
        [2.0, 1.0]
    """
    if weights is None:
        fast = features.requires_grad and torch.is_grad_enabled() and plain_eager()
        return torch.stack(_Moments.apply(features) if fast else _moments(features), 1)  # type: ignore[no-untyped-call]
    x = features.float()
    share = weights / weights.sum((2, 3), keepdim=True).clamp(min=1e-8)
    mean = (x * share).sum((2, 3))
    variance = ((x - mean[:, :, None, None]).square() * share).sum((2, 3))
    return torch.stack((mean, (variance + EPS).sqrt()), 1)


def adapt(features: Tensor, style: Tensor, own: Tensor | None = None) -> Tensor:
    """AdaIN(x, y) = sigma(y) (x - mu(x)) / sigma(x) + mu(y)  (eq. 8).

    Args:
        features: x, [N, F, h, w].
        style: `moments` of y, [N or 1, 2, F].
        own: `moments` of x where they are known, as those of the whole picture that x is a part of.

    Example:
        >>> x, y = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 5, 5) * 4
        >>> bool(torch.allclose(moments(adapt(x, moments(y))), moments(y), atol=1e-3))
        True
    """
    mine = moments(features) if own is None else own
    mean, deviation = (part[:, :, None, None] for part in mine.unbind(1))
    to_mean, to_deviation = (part[:, :, None, None] for part in style.unbind(1))
    return ((features.float() - mean) / deviation * to_deviation + to_mean).to(features.dtype)


def style_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean squared differences of the means and of the deviations of two features, summed []  (eq. 13, a level).

    Example:
        >>> style_distance(moments(torch.zeros(1, 2, 4, 4)), moments(torch.ones(1, 2, 4, 4))).item()
        1.0
    """
    return F.mse_loss(a[:, 0], b[:, 0]) + F.mse_loss(a[:, 1], b[:, 1])


def unevenness(pictures: Tensor) -> Tensor:
    """Mean difference [] of neighbouring pixels of [N, C, H, W] (total variation).

    Example:
        >>> unevenness(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).item()
        0.5
    """
    x = pictures.float()
    down, right = (x[:, :, 1:] - x[:, :, :-1]).abs(), (x[..., 1:] - x[..., :-1]).abs()
    return (down.mean() + right.mean()) / 2


def in_colour(pictures: Tensor) -> Tensor:
    """[N, 3, H, W] of [N, 1 to 4, H, W]: grey is repeated, and transparency left out."""
    colours = pictures.shape[1] - (1 - pictures.shape[1] % 2)
    return pictures[:, :colours].expand(-1, 3, -1, -1)


def in_channels(pictures: Tensor, channels: int) -> Tensor:
    """Colour [N, 3, H, W] as [N, channels, H, W]: the mean for grey, and nothing transparent."""
    x = pictures.mean(1, keepdim=True) if channels < 3 else pictures
    return x if channels % 2 else torch.cat((x, torch.ones_like(x[:, :1])), 1)


def match_colours(style: Tensor, content: Tensor) -> Tensor:
    """The style's picture with the content's mean colour and covariance (Gatys et al. 2016, arXiv:1606.05897).

    The linear map is that of the square roots of the covariances, which turns no colour more than it has to.

    Args:
        style, content: [1, 3, H, W] each, of any sizes.

    Returns:
        A picture of the style's size, not clipped.

    Example:
        >>> x, y = torch.rand(1, 3, 9, 9), torch.rand(1, 3, 6, 6) * 0.5
        >>> z = match_colours(x, y)
        >>> bool(torch.allclose(z.mean((2, 3)), y.mean((2, 3)), atol=1e-5))
        True
    """
    a, b = (x.double().flatten(2)[0] for x in (style, content))
    mean_a, mean_b = a.mean(1, keepdim=True), b.mean(1, keepdim=True)
    root_a, root_b = (_root(torch.cov(x)) for x in (a, b))
    moved = root_b @ torch.linalg.solve(root_a, a - mean_a) + mean_b
    return moved.reshape(style.shape).to(style.dtype)


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root [3, 3]; a colour that never varies is let vary a little."""
    values, vectors = torch.linalg.eigh(covariance + 1e-5 * torch.eye(len(covariance), dtype=covariance.dtype))
    return vectors * values.clamp(min=0).sqrt() @ vectors.T
