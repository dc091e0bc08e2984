"""The Fréchet distance for benchmarks: the house's own where it can be, and a short way for thousands of features."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mezzotint.metrics.frechet import frechet_distance


def frechet(a: Tensor, b: Tensor) -> float:
    """|m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2) of features [N, D] and [M, D] (Heusel et al. 2017, eq. 6).

    Covariances of D x D are never made where there are fewer pictures than features, such as pixels: with centred
    features X of N rows and C = X^T X / (N - 1), the last trace is the sum of singular values of X Y^T, N x M.
    """
    x, y = a.double().numpy(), b.double().numpy()
    if x.shape[1] <= min(len(x), len(y)):
        return frechet_distance(x, y, interval=False).value
    gap = np.square(x.mean(0) - y.mean(0)).sum()
    left, right = ((z - z.mean(0)) / np.sqrt(len(z) - 1) for z in (x, y))
    roots = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    return float(gap + np.square(left).sum() + np.square(right).sum() - 2 * roots)
