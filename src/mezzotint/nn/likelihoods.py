"""Log-likelihoods of pictures under what a decoder says of them.

Pictures x are in [-1, 1]. All axes before the last three are batch axes and broadcast: pictures [N, C, H, W] with what
a decoder says of each give nats [N]; pictures [N, 1, C, H, W] with K opinions of each, [N, K, C, H, W], nats [N, K].
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256
"""Discretised likelihoods count the 8-bit grey levels; their half width in [-1, 1] is 1 / 255."""


def binarised(x: Tensor, coins: Tensor) -> Tensor:
    """Black (-1) or white (1) in place of greys x in [-1, 1], white with the probability (x + 1) / 2.

    Args:
        x: any shape.
        coins: uniform numbers in [0, 1) of the same shape.
    """
    return torch.where(coins * 2 - 1 < x, 1.0, -1.0)


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """Each value is a coin whose probability of white is sigmoid(logits); greys count as that share of white.

    Args:
        logits, x: [..., C, H, W].
    """
    white = x.add(1).mul_(0.5)
    # Two sums: their difference for each value would be one more array as large as all logits.
    return (white * logits).flatten(-3).sum(-1) - F.softplus(logits).flatten(-3).sum(-1)


def least_scale(log_scale: Tensor) -> Tensor:
    """`log_scale`, smoothly kept above log(1 / 255), half a grey level; any shape.

    A density may rise without end where pictures are drawn in whole grey levels, and gains nothing by it; the smooth
    bound is that of sigma-VAE (Rybkin et al. 2021, appendix).
    """
    least = -math.log(LEVELS - 1)
    return least + F.softplus(log_scale - least)


def bounded_log_variance(log_variance: Tensor, top: float = 5.0) -> Tensor:
    """`log_variance` itself up to `top`, its logarithm beyond; any shape.

    One bad step may send an encoder's log variance to where its exponential overflows. This way it stays finite, and
    the gradient that brings it back does not vanish as that of a clamp would.
    """
    return log_variance.clamp(max=top) + (log_variance - top).clamp(min=0).log1p()


def gaussian(mean: Tensor, log_scale: Tensor, x: Tensor) -> Tensor:
    """Density of independent normals on the scale of [-1, 1].

    Args:
        mean, x: [..., C, H, W].
        log_scale: log of the standard deviation, broadcast to x.
    """
    square = (x - mean).square() * torch.exp(-2 * log_scale)
    return -(0.5 * square + log_scale + 0.5 * math.log(2 * math.pi)).flatten(-3).sum(-1)


def discretised_logistic(mean: Tensor, log_scale: Tensor, x: Tensor) -> Tensor:
    """Probability that a logistic variable falls into the grey level of x (Salimans et al. 2017, eq. 2).

    The levels at the ends take all that lies beyond them, so the 256 probabilities add up to one.

    Args:
        mean, log_scale, x: [..., C, H, W].
    """
    half = 1 / (LEVELS - 1)
    scale = torch.exp(-log_scale)
    upper = scale * (x - mean + half)
    lower = scale * (x - mean - half)
    # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - e^(l-u)): stable however narrow or far away the level is.
    middle = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-2 * half * scale))
    inner = torch.where(x > 1 - half, F.logsigmoid(-lower), middle)
    return torch.where(x < -1 + half, F.logsigmoid(upper), inner).flatten(-3).sum(-1)


def quantile(kind: str, output: Tensor, u: Tensor, log_scale: Tensor | None = None) -> Tensor:
    """The value below which the share u of a distribution lies; uniform u give draws, u = 1/2 the middle.

    Args:
        kind: "bernoulli", "gaussian" or "logistic".
        output: what a decoder says: logits or means [N, C], of the logistic means and log scales [N, 2C].
        u: in (0, 1), [N, C].
        log_scale: of the gaussian, broadcast to u.

    Returns:
        [N, C] in [-1, 1]; of the logistic on one of the 256 levels.

    Example:
        >>> quantile("bernoulli", torch.zeros(1, 2), torch.tensor([[0.4, 0.6]])).tolist()
        [[-1.0, 1.0]]
    """
    if kind == "bernoulli":
        return torch.where(u > torch.sigmoid(-output), 1.0, -1.0).to(u)
    if kind == "gaussian":
        assert log_scale is not None
        return (output + log_scale.exp() * torch.special.ndtri(u)).clamp(-1, 1)
    mean, log_scale = output.chunk(2, 1)
    value = mean + log_scale.clamp(min=-7).exp() * torch.logit(u)
    half = (LEVELS - 1) / 2
    return ((value + 1) * half).round().clamp(0, LEVELS - 1) / half - 1
