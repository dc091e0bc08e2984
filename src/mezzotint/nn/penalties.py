"""Regularisers of a discriminator that look at its slope, as pure functions. Each can be differentiated again.

`critic` is a function from pictures [N, C, H, W] to scores [N].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mezzotint.nn.fastconv import inputs_only

Critic = Callable[[Tensor], Tensor]


def slopes(critic: Critic, pictures: Tensor) -> Tensor:
    """The squared length [N] of the critic's gradient at each picture, in scores per unit of picture, squared.

    Example:
        >>> slopes(lambda x: 3 * x.flatten(1).sum(1), torch.zeros(2, 1, 1, 2))
        tensor([18., 18.])
    """
    with torch.enable_grad():
        at = pictures.detach().requires_grad_(True)
        return squared_lengths(critic(at), at)


def squared_lengths(scores: Tensor, pictures: Tensor) -> Tensor:
    """As `slopes`, for scores [N] that were computed already, from pictures that want gradients."""
    with inputs_only():
        (gradient,) = torch.autograd.grad(_precise(scores).sum(), pictures, create_graph=True)
    return _precise(gradient).square().flatten(1).sum(1)


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, mix: Tensor, one_sided: bool = False) -> Tensor:
    """How far the slope is from 1 on the way between real and generated pictures, the mean square (0-dim).

        E (|grad D(x)| - 1)^2,    x = mix * real + (1 - mix) * fake

    Gulrajani et al. (2017), "Improved Training of Wasserstein GANs", arXiv:1704.00028, eq. 3.

    Args:
        critic: pictures -> scores.
        real, fake: pictures [N, C, H, W].
        mix: where on the way, [N, 1, 1, 1] in [0, 1].
        one_sided: only slopes above 1 count (the paper's section 4, footnote).

    Example:
        >>> x = torch.zeros(2, 1, 1, 1)
        >>> float(gradient_penalty(lambda x: 3 * x.flatten(1).sum(1), x, x, x))
        4.0
    """
    lengths = (slopes(critic, mix * real + (1 - mix) * fake) + 1e-12).sqrt()  # the root has no slope at 0
    excess = lengths - 1
    return (excess.clamp(min=0) if one_sided else excess).square().mean()
