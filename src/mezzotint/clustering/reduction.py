"""Points with fewer numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg


def principal_coordinates(x: NDArray[np.floating[Any]], count: int) -> NDArray[np.floating[Any]]:
    """Points [N, D] along the `count` axes through the origin that hold most of them, [N, count].

    The origin is not moved to the mean, as it is in principal component analysis: subspaces stay subspaces. Points
    that have no more numbers than that are given back as they are.

    Args:
        x: points [N, D].
        count: axes, the one that holds most first.

    Example:
        >>> x = np.array([[3.0, 3.0, 0.0], [1.0, 1.0, 0.1], [-2.0, -2.0, 0.0]])
        >>> principal_coordinates(x, 1).round(2).ravel().tolist()
        [4.24, 1.41, -2.83]
    """
    n, size = x.shape
    if count >= min(n, size):
        return x
    axes: NDArray[Any]
    if n < size:
        held, points = linalg.eigh(np.asarray(x @ x.T, np.float64), subset_by_index=(n - count, n - 1))
        axes = (x.T @ points) / np.sqrt(np.maximum(held, np.finfo(np.float64).tiny))
    else:
        _, axes = linalg.eigh(np.asarray(x.T @ x, np.float64), subset_by_index=(size - count, size - 1))
    axes = axes[:, ::-1]
    largest = np.abs(axes).argmax(0)
    axes = axes * np.sign(axes[largest, np.arange(count)])  # an axis and its negative are the same one
    found: NDArray[np.floating[Any]] = x @ axes.astype(x.dtype)
    return found
