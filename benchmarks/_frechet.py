"""The Fréchet distance of two sets of features, in float64, by the nuclear norm of the product of two factors."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def frechet(a: Tensor, b: Tensor) -> float:
    """|m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2) of features [N, D] and [M, D] (Heusel et al. 2017, eq. 6)."""
    x, y = a.double().numpy(), b.double().numpy()
    gap = np.square(x.mean(0) - y.mean(0)).sum()
    left, right = _factor(x), _factor(y)
    roots = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    return float(gap + np.square(left).sum() + np.square(right).sum() - 2 * roots)


def _factor(x: np.ndarray) -> np.ndarray:
    """A matrix F of at most D rows whose F^T F is the covariance of x [N, D]."""
    centred = (x - x.mean(0)) / np.sqrt(len(x) - 1)
    return centred if len(x) <= x.shape[1] else np.linalg.qr(centred, mode="r")
