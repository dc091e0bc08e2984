"""What a variational autoencoder's bound is made of: KL divergence by unit, its least, its target, and many draws."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gaussian_kl_units(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) of each unit in nats [N, latent] (Kingma and Welling 2014, app. B).

    Args:
        mean, log_variance: [N, latent].
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The sum of `gaussian_kl_units` over the units: KL(q(z|x) || N(0, I)) in nats [N]."""
    return gaussian_kl_units(mean, log_variance).sum(1)


def free_bits(units: Tensor, least: float) -> Tensor:
    """The KL divergence [] in nats where each unit's mean counts as `least` at least (Kingma et al. 2016, eq. 15).

    A unit that tells fewer nats than that gains nothing by telling fewer still, so it is not driven to zero.

    Args:
        units: the KL divergence of each unit [N, latent].
        least: lambda, nats for each unit; 0 leaves the sum of the means.

    Example:
        >>> free_bits(torch.tensor([[0.0, 3.0], [0.2, 1.0]]), 0.5).item()
        2.5
    """
    return units.mean(0).clamp(min=least).sum()


def risen(step: int, rounds: int) -> float:
    """From 0 in round 0 to 1 in round `rounds`, and 1 after that; 1 throughout where `rounds` is 0.

    Example:
        >>> risen(0, 100), risen(25, 100), risen(300, 100), risen(0, 0)
        (0.0, 0.25, 1.0, 1.0)
    """
    return min(1.0, step / rounds) if rounds else 1.0


def grown(step: int, rounds: int, most: int) -> int:
    """From 1 in round 0 to `most` in round `rounds`, by the same factor each round, and `most` after that.

    Example:
        >>> grown(0, 100, 64), grown(50, 100, 64), grown(300, 100, 64), grown(0, 0, 64)
        (1, 8, 64, 64)
    """
    return round(most ** risen(step, rounds))


def importance_bound(log_weights: Tensor) -> Tensor:
    """The importance-weighted bound in nats [N]: log 1/K sum_k w_k (Burda et al. 2016, eq. 8).

    Args:
        log_weights: log p(x, z_k) - log q(z_k|x), [N, K].

    Example:
        >>> importance_bound(torch.tensor([[0.0, math.log(3.0)]])).exp().item()
        2.0
    """
    return torch.logsumexp(log_weights, 1) - math.log(log_weights.shape[1])


def log_ratio(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log p(z) - log q(z|x) in nats [N, K], where p = N(0, I) and q = N(mean, exp(log_variance)).

    Args:
        z: [N, K, latent].
        mean, log_variance: [N, latent].

    Example:
        >>> z = torch.tensor([[[0.0], [1.0]]])
        >>> log_ratio(z, torch.ones(1, 1), torch.zeros(1, 1)).tolist()
        [[0.5, -0.5]]
    """
    away = (z - mean[:, None]).square() / log_variance.exp()[:, None]
    return 0.5 * (away + log_variance[:, None] - z.square()).sum(2)


def with_gradient_of(value: Tensor, other: Tensor) -> Tensor:
    """This value, with the gradient of another one.

    Example:
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> y = with_gradient_of(torch.tensor(7.0), x * x)
        >>> y.backward()
        >>> y.item(), x.grad.item()
        (7.0, 6.0)
    """
    return value.detach() + (other - other.detach())


def resampled(shares: Tensor, count: int, uniform: Tensor) -> Tensor:
    """`count` indices [N, count] of each row, index k with the probability of its share on average.

    Systematic resampling: places (u + 0, u + 1 ...) / count along the sums of shares, so an index comes as often as
    its share says, up to one.

    Args:
        shares: [N, K], which add up to 1.
        uniform: u in [0, 1), [N].

    Example:
        >>> resampled(torch.tensor([[0.5, 0.0, 0.5]]), 4, torch.tensor([0.3])).tolist()
        [[0, 0, 2, 2]]
    """
    places = (uniform[:, None] + torch.arange(count, device=shares.device)) / count
    sums = shares.double().cumsum(1)
    return torch.searchsorted(sums / sums[:, -1:], places.double(), right=True).clamp(max=shares.shape[1] - 1)
