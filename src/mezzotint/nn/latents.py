"""Ways between latents."""

from __future__ import annotations

import torch
from torch import Tensor


def slerp(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Spherical linear interpolation (White 2016, "Sampling Generative Networks", arXiv:1609.04468):

        slerp(a, b; t) = (sin((1 - t) w) a + sin(t w) b) / sin(w),   w the angle between a and b

    Between two draws of a Gaussian it keeps the length that draws have, where a straight line passes too near the
    middle. Where the angle is 0 or 180 degrees the arc is not defined, and the line is taken.

    Args:
        start, end: [latent].
        steps: points, both ends counted.

    Returns:
        [steps, latent], float32 on the device of `start`; the ends are exact.

    Example:
        >>> round(slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 3)[1].norm().item(), 6)
        1.0
    """
    ends = torch.stack([x.detach().cpu().to(torch.float64) for x in (start, end)])
    return (slerp_weights(start, end, steps) @ ends).to(torch.float32).to(start.device)


def slerp_weights(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """The weights [steps, 2] of the two ends in `slerp`, float64 on the CPU; rows add up to more than 0.

    Args:
        start, end: [latent].
        steps: points, both ends counted.
    """
    a, b = (x.detach().cpu().to(torch.float64) for x in (start, end))
    t = torch.linspace(0, 1, steps, dtype=torch.float64)
    cosine = torch.dot(a, b) / (a.norm() * b.norm()).clamp(min=1e-30)
    angle = torch.arccos(cosine.clamp(-1, 1))
    if angle.sin() < 1e-4:
        return torch.stack((1 - t, t), 1)
    return torch.stack((((1 - t) * angle).sin(), (t * angle).sin()), 1) / angle.sin()
