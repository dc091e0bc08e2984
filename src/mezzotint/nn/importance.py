"""The likelihood of a model with latents, by importance sampling."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mezzotint.core import rng


def log_marginal(
    mean: Tensor,
    log_variance: Tensor,
    log_p: Callable[[slice, Tensor], Tensor],
    samples: int,
    seed: int,
    block: int = 256,
) -> Tensor:
    """log p(x) of N pictures, where z ~ N(0, I), estimated with draws from q(z|x) = N(mean, diag(variance)):

        log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x),     z_k ~ q(z|x)

    (Burda et al. 2016, eq. 8, arXiv:1509.00519; Rezende et al. 2014, appendix E). Its expectation is a lower bound of
    log p(x) that rises with K, from the ELBO at K = 1 to log p(x) itself. How far below it stays depends on how
    closely q follows p(z|x); where q is p(z|x), every K gives the exact value.

    Args:
        mean, log_variance: of q(z|x), [N, latent].
        log_p: (rows, z) -> log p(x|z) [n, k] in nats, of the pictures `rows` and the latents z [n, k, latent].
        samples: K, at least 1.
        seed: of the draws. Those of row i depend on the seed and on i alone, and the first k of them not on K.
        block: how many latents `log_p` is given at once, at most. It bounds the memory.

    Returns:
        Nats [N], float32. The weights are added up in float64, by their logarithms.

    Example:
        With p(x|z) = N(x; z, 1), the likelihood is N(x; 0, 2), and p(z|x) = N(x / 2, 1 / 2):

        >>> from torch.distributions import Normal
        >>> x = torch.tensor([[0.5], [3.0]])
        >>> def log_p(rows, z):
        ...     return Normal(z, 1.0).log_prob(x[rows, None]).sum(2)
        >>> found = log_marginal(x / 2, torch.full((2, 1), 0.5).log(), log_p, samples=3, seed=0)
        >>> torch.allclose(found, Normal(0.0, 2**0.5).log_prob(x).sum(1))
        True
    """
    together, span = max(1, block // samples), min(block, samples)
    found = [torch.empty(0, dtype=torch.float64)]
    for first in range(0, len(mean), together):
        rows = slice(first, min(first + together, len(mean)))
        streams = [rng.stream(seed, "importance", row) for row in range(rows.start, rows.stop)]
        centre, log_std = mean[rows, None], 0.5 * log_variance[rows, None]
        total = torch.full((len(streams),), -math.inf, dtype=torch.float64)
        for start in range(0, samples, span):
            shape = (min(span, samples - start), mean.shape[1])
            drawn = np.stack([each.standard_normal(shape, dtype=np.float32) for each in streams])
            noise = torch.from_numpy(drawn).to(mean)
            z = centre + log_std.exp() * noise
            # log p(z) - log q(z|x), in which the constants of the two normals cancel
            prior = (0.5 * (noise.square() - z.square()) + log_std).sum(2)
            weight = (log_p(rows, z) + prior).cpu().double()  # in this order: MPS has no float64
            total = torch.logaddexp(total, weight.logsumexp(1))
        found.append(total - math.log(samples))
    return torch.cat(found).to(mean)
